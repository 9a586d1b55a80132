/* The loops of lanes_body.h that compare stored values with weights, by the law of
 * kernels/compare.h. Positions of a strip are added four at a time, neighbours first, which is the
 * law's tree read with stride 4: 64 -> 16 -> 4 -> 1; compilers make two permutations and an
 * addition of each level. Strips are held after the first step until there are enough for whole
 * vectors in the last ones. Included there and nowhere else. */

/* Four neighbours of type FLOAT or BFLOAT16, of which two make one integer. */
INLINE void weights_of_four(int type, const void *e, int64_t i, float *w) {
    const Single *const single = e;
    const Word *const pairs = e;
    if (type == K_BFLOAT16) {
        const uint32_t a = pairs[2 * i], b = pairs[2 * i + 1];
        w[0] = k_float(a << 16);
        w[1] = k_float(a & 0xffff0000u);
        w[2] = k_float(b << 16);
        w[3] = k_float(b & 0xffff0000u);
    } else {
        for (int64_t j = 0; j < 4; j++) {
            w[j] = single[4 * i + j];
        }
    }
}

INLINE void spread_to(const float *restrict from, int64_t fours, int64_t length,
                      float *restrict to) {
    int64_t at = 0, run = 0;
    for (; at + length <= fours; at += length, run++) {
        for (int64_t i = 0; i < length; i++) {
            to[at + i] = from[run];
        }
    }
    for (; at < fours; at++) {
        to[at] = from[run];
    }
}

static void spread_fours(const float *from, int64_t n, int64_t length, float *to) {
    const int64_t fours = (n + 3) / 4;
    if (length == 16) {
        spread_to(from, fours, 4, to);
    } else if (length == 32) {
        spread_to(from, fours, 8, to);
    } else if (length < n) {
        spread_to(from, fours, length / 4, to);
    } else {
        spread_to(from, fours, fours, to);
    }
}

/* Where the stored value is: in v itself, or its decoded value there, with a divisor (and a zero
 * point) for each four. */
typedef enum Brought { BROUGHT_BACK, BROUGHT_S, BROUGHT_SZ } Brought;

INLINE float stored_value(Brought brought, float v, float s, float z) {
    return brought == BROUGHT_BACK ? v : restored(brought == BROUGHT_SZ, v, s, z);
}

/* n elements, a multiple of K_STRIP; writes n / 4 sums of each kind. */
INLINE void compare_four(int type, Brought brought, const void *restrict e, const float *restrict v,
                         const float *restrict s, const float *restrict z, int64_t n,
                         float *restrict ww, float *restrict qq, float *restrict ee,
                         StripSums *restrict sums) {
    uint32_t max = sums->max_error, zeros = 0;
    for (int64_t i = 0; i < n / 4; i++) {
        const float s_all = brought != BROUGHT_BACK ? s[i] : 1.0f;
        const float z_all = brought == BROUGHT_SZ ? z[i] : 0.0f;
        const float q0 = stored_value(brought, v[4 * i], s_all, z_all);
        const float q1 = stored_value(brought, v[4 * i + 1], s_all, z_all);
        const float q2 = stored_value(brought, v[4 * i + 2], s_all, z_all);
        const float q3 = stored_value(brought, v[4 * i + 3], s_all, z_all);
        float w[4];
        weights_of_four(type, e, i, w);
        const float e0 = w[0] - q0, e1 = w[1] - q1, e2 = w[2] - q2, e3 = w[3] - q3;
        ww[i] = (w[0] * w[0] + w[1] * w[1]) + (w[2] * w[2] + w[3] * w[3]);
        qq[i] = (q0 * q0 + q1 * q1) + (q2 * q2 + q3 * q3);
        ee[i] = (e0 * e0 + e1 * e1) + (e2 * e2 + e3 * e3);
        max = k_magnitude(e0) > max ? k_magnitude(e0) : max;
        max = k_magnitude(e1) > max ? k_magnitude(e1) : max;
        max = k_magnitude(e2) > max ? k_magnitude(e2) : max;
        max = k_magnitude(e3) > max ? k_magnitude(e3) : max;
        zeros += (uint32_t)(q0 == 0.0f) + (q1 == 0.0f) + (q2 == 0.0f) + (q3 == 0.0f);
    }
    sums->max_error = max;
    sums->zeros += zeros;
}

INLINE void compare_of(int type, const void *e, const float *v, const float *s, const float *z,
                       int64_t n, StripSums *sums) {
    float *const ww = sums->parts[0] + sums->held, *const qq = sums->parts[1] + sums->held;
    float *const ee = sums->parts[2] + sums->held;
    if (s == NULL) {
        compare_four(type, BROUGHT_BACK, e, v, s, z, n, ww, qq, ee, sums);
    } else if (z == NULL) {
        compare_four(type, BROUGHT_S, e, v, s, z, n, ww, qq, ee, sums);
    } else {
        compare_four(type, BROUGHT_SZ, e, v, s, z, n, ww, qq, ee, sums);
    }
}

static void add_four(const float *restrict x, int64_t n, float *restrict sums) {
    for (int64_t i = 0; i < n; i++) {
        sums[i] = (x[4 * i] + x[4 * i + 1]) + (x[4 * i + 2] + x[4 * i + 3]);
    }
}

/* The bits of x >= 0 as mantissa * 2^(shift - 149). */
INLINE uint32_t shift_of(uint32_t u) {
    const uint32_t exponent = u >> 23;
    return exponent > 0u ? exponent - 1u : 0u;
}
INLINE uint32_t mantissa_of(uint32_t u) {
    return (u & 0x7fffffu) | (u > 0x7fffffu ? 0x800000u : 0u);
}

/* Where the exponents of n strips lie within 32 of each other, as they mostly do, their mantissas
 * fit one integer that counts units of the smallest. */
static void add_limbs(const float *restrict strips, int64_t n, uint64_t *restrict limbs) {
    uint32_t below = UINT32_MAX, top = 0; /* strips of zeros lie nowhere: 0 - 1 is the largest */
    for (int64_t i = 0; i < n; i++) {
        const uint32_t u = k_bits(strips[i]);
        below = u - 1u < below ? u - 1u : below;
        top = u > top ? u : top;
    }
    const uint32_t least = shift_of(below + 1u), most = shift_of(top);
    if (most > least + 32u || most > 253u) {
        for (int64_t i = 0; i < n; i++) {
            limbs_add(limbs, strips[i]);
        }
        return;
    }
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t u = k_bits(strips[i]), shift = shift_of(u);
        sum += (uint64_t)mantissa_of(u) << (shift > least ? shift - least : 0u);
    }
    limbs_add_bits(limbs, least, sum);
}

static void close_strips(StripSums *restrict sums) {
    const int64_t n = (sums->held + 255) / 256 * 16; /* strips, up to a whole vector */
    uint64_t *const limbs[3] = {sums->ww, sums->qq, sums->ee};
    for (int kind = 0; kind < 3; kind++) {
        float *const parts = sums->parts[kind];
        float sixteenths[4 * HELD_STRIPS], strips[HELD_STRIPS];
        memset(parts + sums->held, 0, (size_t)(16 * n - sums->held) * sizeof *parts);
        add_four(parts, 4 * n, sixteenths);
        add_four(sixteenths, n, strips);
        add_limbs(strips, n, limbs[kind]);
    }
    sums->held = 0;
}

static void compare(int type, const void *e, const float *v, const float *s, const float *z,
                    int64_t n, StripSums *sums) {
    const char *at = e;
    while (n > 0) {
        const int64_t room = 4 * (16 * HELD_STRIPS - sums->held), m = n < room ? n : room;
        if (type == K_BFLOAT16) {
            compare_of(K_BFLOAT16, at, v, s, z, m, sums);
        } else {
            compare_of(K_FLOAT, at, v, s, z, m, sums);
        }
        sums->held += m / 4;
        if (m == room) {
            close_strips(sums);
        }
        at += m * (type == K_BFLOAT16 ? 2 : 4);
        v += m;
        s = s != NULL ? s + m / 4 : NULL;
        z = z != NULL ? z + m / 4 : NULL;
        n -= m;
    }
}
