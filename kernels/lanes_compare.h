/* The loops of lanes_body.h that compare stored values with weights, by the law of
 * kernels/compare.h. Positions of a strip are added four at a time, neighbours first, which is the
 * law's tree read with stride 4: 64 -> 16 -> 4 -> 1; compilers make two permutations and an
 * addition of each level. Strips are held after the first step until there are enough for whole
 * vectors in the last ones. Included there and nowhere else. */

/* n weights, a multiple of K_STRIP; writes n / 4 sums of each kind. */
INLINE void compare_four(const float *restrict w, const float *restrict q, int64_t n,
                         float *restrict ww, float *restrict qq, float *restrict ee,
                         StripSums *restrict sums) {
    uint32_t max = sums->max_error, zeros = 0;
    for (int64_t i = 0; i < n / 4; i++) {
        const float w0 = w[4 * i], w1 = w[4 * i + 1], w2 = w[4 * i + 2], w3 = w[4 * i + 3];
        const float q0 = q[4 * i], q1 = q[4 * i + 1], q2 = q[4 * i + 2], q3 = q[4 * i + 3];
        const float e0 = w0 - q0, e1 = w1 - q1, e2 = w2 - q2, e3 = w3 - q3;
        ww[i] = (w0 * w0 + w1 * w1) + (w2 * w2 + w3 * w3);
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

static void compare(const float *restrict w, const float *restrict q, int64_t n,
                    StripSums *restrict sums) {
    while (n > 0) {
        const int64_t room = 4 * (16 * HELD_STRIPS - sums->held), m = n < room ? n : room;
        compare_four(w, q, m, sums->parts[0] + sums->held, sums->parts[1] + sums->held,
                     sums->parts[2] + sums->held, sums);
        sums->held += m / 4;
        if (m == room) {
            close_strips(sums);
        }
        w += m;
        q += m;
        n -= m;
    }
}
