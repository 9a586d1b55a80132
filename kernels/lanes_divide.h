/* The loops of lanes_body.h between elements and codes that no format changes: elements are divided
 * into quotients, and decoded values multiplied back. One text for all types of elements, with a
 * divisor for each or for a run of them. Included there and nowhere else. */

/* With FMA a division by a divisor whose reciprocal is known takes three short operations. */
#ifdef LANES_FMA
#define QUOTIENT(w, s, r) k_quotient(w, s, r)
#else
#define QUOTIENT(w, s, r) ((void)(r), (w) / (s))
#endif

static bool reciprocals(const float *restrict s, int64_t n, float *restrict r) {
    uint32_t least = UINT32_MAX, most = 0; /* divisors are positive: ordered like their bits */
    for (int64_t i = 0; i < n; i++) {
        const uint32_t u = k_bits(s[i]);
        r[i] = 1.0f / s[i];
        least = u < least ? u : least;
        most = u > most ? u : most;
    }
    return n == 0 || (k_divides(k_float(least)) && k_divides(k_float(most)));
}

/* Element i, of type FLOAT, FLOAT16 or BFLOAT16. */
INLINE float weight_at(int type, const void *e, int64_t i) {
    const Half *const half = e;
    const Single *const single = e;
    if (type == K_FLOAT16) {
        return k_float16_decode(half[i]);
    }
    return type == K_BFLOAT16 ? k_float((uint32_t)half[i] << 16) : single[i];
}

/* Compilers know no vectors of float16, so their widening is written by hand (WIDEN_F16), a vector
 * at a time; what follows stays in registers, if gcc 12 does not unroll the inner loop first, which
 * it then leaves in scalars, and if clang does. */
#ifdef __clang__
#define AS_VECTORS
#else
#define AS_VECTORS _Pragma("GCC unroll 1")
#endif

INLINE float quotient_of(bool asymmetric, float w, float s, float r, float z) {
    const float x = QUOTIENT(w, s, r);
    return asymmetric ? k_rint(x) + z : x;
}

INLINE void divide_run(int type, bool asymmetric, const void *restrict e, int64_t at, float s,
                       float r, float z, int64_t n, float *restrict x) {
    int64_t i = 0;
#ifdef LANES_F16
    for (; type == K_FLOAT16 && i + LANES_F16 <= n; i += LANES_F16) {
        float w[LANES_F16];
        WIDEN_F16((const Half *)e + at + i, w);
        AS_VECTORS
        for (int64_t j = 0; j < LANES_F16; j++) {
            x[at + i + j] = quotient_of(asymmetric, w[j], s, r, z);
        }
    }
#endif
    for (; i < n; i++) {
        x[at + i] = quotient_of(asymmetric, weight_at(type, e, at + i), s, r, z);
    }
}

/* Whole runs and a short one; inlined with a constant length where runs are short. */
INLINE void divide_runs(int type, bool asymmetric, const void *restrict e, Divisors d, int64_t n,
                        int64_t length, float *restrict x) {
    int64_t at = 0, run = 0;
    for (; at + length <= n; at += length, run++) {
        divide_run(type, asymmetric, e, at, d.s[run], d.r[run], d.z[run], length, x);
    }
    if (at < n) {
        divide_run(type, asymmetric, e, at, d.s[run], d.r[run], d.z[run], n - at, x);
    }
}

INLINE void divide_each(int type, bool asymmetric, const void *restrict e, const float *restrict s,
                        const float *restrict r, const float *restrict z, int64_t n,
                        float *restrict x) {
    int64_t i = 0;
#ifdef LANES_F16
    for (; type == K_FLOAT16 && i + LANES_F16 <= n; i += LANES_F16) {
        float w[LANES_F16];
        WIDEN_F16((const Half *)e + i, w);
        AS_VECTORS
        for (int64_t j = 0; j < LANES_F16; j++) {
            x[i + j] = quotient_of(asymmetric, w[j], s[i + j], r[i + j], z[i + j]);
        }
    }
#endif
    for (; i < n; i++) {
        x[i] = quotient_of(asymmetric, weight_at(type, e, i), s[i], r[i], z[i]);
    }
}

INLINE void divide_of(int type, bool asymmetric, const void *e, Divisors d, int64_t n,
                      int64_t length, float *x) {
    switch (length) {
    case 1:
        divide_each(type, asymmetric, e, d.s, d.r, d.z, n, x);
        break;
    case 16:
        divide_runs(type, asymmetric, e, d, n, 16, x);
        break;
    case 32:
        divide_runs(type, asymmetric, e, d, n, 32, x);
        break;
    default:
        divide_runs(type, asymmetric, e, d, n, length, x);
        break;
    }
}

INLINE void divide_type(int type, bool asymmetric, const void *e, Divisors d, int64_t n,
                        int64_t length, float *x) {
    if (type == K_FLOAT16) {
        divide_of(K_FLOAT16, asymmetric, e, d, n, length, x);
    } else if (type == K_BFLOAT16) {
        divide_of(K_BFLOAT16, asymmetric, e, d, n, length, x);
    } else {
        divide_of(K_FLOAT, asymmetric, e, d, n, length, x);
    }
}

static void divide(int type, bool asymmetric, const void *e, Divisors d, int64_t n, int64_t length,
                   float *x) {
    if (asymmetric) {
        divide_type(type, true, e, d, n, length, x);
    } else {
        divide_type(type, false, e, d, n, length, x);
    }
}

/* ---- and back */

/* What a decoded value stands for. */
INLINE float restored(bool asymmetric, float v, float s, float z) {
    return (asymmetric ? v - z : v) * s;
}

INLINE void restore_run(bool asymmetric, float *restrict v, float s, float z, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        v[i] = restored(asymmetric, v[i], s, z);
    }
}

INLINE void restore_runs(bool asymmetric, float *v, Divisors d, int64_t n, int64_t length) {
    int64_t at = 0, run = 0;
    for (; at + length <= n; at += length, run++) {
        restore_run(asymmetric, v + at, d.s[run], d.z[run], length);
    }
    if (at < n) {
        restore_run(asymmetric, v + at, d.s[run], d.z[run], n - at);
    }
}

INLINE void restore_each(bool asymmetric, float *restrict v, const float *restrict s,
                         const float *restrict z, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        v[i] = restored(asymmetric, v[i], s[i], z[i]);
    }
}

INLINE void restore_of(bool asymmetric, float *v, Divisors d, int64_t n, int64_t length) {
    switch (length) {
    case 1:
        restore_each(asymmetric, v, d.s, d.z, n);
        break;
    case 16:
        restore_runs(asymmetric, v, d, n, 16);
        break;
    case 32:
        restore_runs(asymmetric, v, d, n, 32);
        break;
    default:
        restore_runs(asymmetric, v, d, n, length);
        break;
    }
}

static void restore(bool asymmetric, float *v, Divisors d, int64_t n, int64_t length) {
    if (asymmetric) {
        restore_of(true, v, d, n, length);
    } else {
        restore_of(false, v, d, n, length);
    }
}
