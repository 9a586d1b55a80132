/* From the range of a granule to its scale. The emitted text has defined
 *     ELEMENT   the element format: int4, ... (its header is included)
 *     SCALE    type of the stored scale: K_FLOAT, ... */
#ifndef KERNELS_GPU_GRANULE_H
#define KERNELS_GPU_GRANULE_H
#include "kernels/gpu/element.h"

#define JOIN_OF(a, b) a##b
#define JOIN(a, b) JOIN_OF(a, b)
#define BITS JOIN(ELEMENT, _BITS)
#define SCALE_MAX JOIN(ELEMENT, _SCALE_MAX)
#define INTEGER JOIN(ELEMENT, _INTEGER)
#define ASYMMETRIC JOIN(ELEMENT, _ASYMMETRIC)
#define SCALE_BYTES (SCALE == K_FLOAT ? 4 : SCALE == K_E4M3 || SCALE == K_E8M0 ? 1 : 2)

/* A scale as it divides: w / s is found as (w * unit) / (s * unit), where `unit` is 1 or, for a
 * divisor outside k_divides, a power of two that brings it inside. float16 has no such weights. */
typedef struct Divisor {
    uint32_t code;
    float s, z, unit; /* zero point: 0 in symmetric formats */
    float t, r;       /* s * unit and its reciprocal */
} Divisor;

/* 1 / s, correctly rounded, for k_divides(s). The estimate of the hardware and one Newton step give
 * that for every s of the range (tests/gpu proves it). */
K_FN float reciprocal(float s) {
#ifdef __CUDACC_RTC__
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(s));
    return k_fma(r, k_fma(-s, r, 1.0f), r);
#else
    return 1.0f / s;
#endif
}

K_FN Divisor divisor_of(float s, float z) {
    Divisor d = {0u, s, z, 1.0f, s, 0.0f};
    if (SOURCE != K_FLOAT16 && !k_divides(s)) {
        d.unit = s < 1.0f ? 0x1p64f : 0x1p-64f;
        d.t = s * d.unit;
    }
    d.r = reciprocal(d.t);
    return d;
}

/* Weights as `divide` takes them. */
K_FN void bring_near(float *x, int32_t n, Divisor d) {
    if (SOURCE != K_FLOAT16 && d.unit != 1.0f) {
        K_UNROLL
        for (int32_t i = 0; i < n; i++) {
            x[i] *= d.unit;
        }
    }
}
K_FN float divide(float w, Divisor d) {
#if SCALE == K_E8M0
    return w * d.r; /* a power of two: exact */
#else
    return k_quotient(w, d.t, d.r);
#endif
}

K_COLD float divide_slowly(float x, float y) {
    return x / y;
}

/* x / full, where r = 1 / full. Quotients so small that the residual of k_quotient has no room are
 * divided as usual. */
K_FN float range_quotient(float x, float full, float r) {
    float least = SCALE == K_E4M3 ? 0x1p-22f * full : 0x1p-60f;
    if (k_divides(full) && (x == 0.0f || x >= least) && x <= 0x1p120f) {
        return k_quotient(x, full, r);
    }
    return divide_slowly(x, full);
}

/* Integers that order like the floats; 0 is 0. */
K_FN int32_t ordered(float x) {
    int32_t bits = (int32_t)k_bits(x);
    return bits ^ ((bits >> 31) & 0x7fffffff);
}
K_FN float unordered(int32_t v) {
    return k_float((uint32_t)(v ^ ((v >> 31) & 0x7fffffff)));
}

/* k_scale_encode and k_divisor for positive, finite scales; e4m3 has instructions for it. */
K_FN uint32_t scale_encode(float s) {
#if SCALE == K_E4M3 && defined __CUDACC_RTC__ && K_ARCH >= e4m3_CVT_ARCH
    uint16_t pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;"
        : "=h"(pair)
        : "f"(0.0f), "f"(k_max(s, 0x1p-9f)));
    return pair;
#else
    return k_scale_encode(SCALE, s);
#endif
}
K_FN float scale_decode(uint32_t code, float super) {
#if SCALE == K_E4M3 && defined __CUDACC_RTC__ && K_ARCH >= e4m3_CVT_ARCH
    float s;
    asm("{ .reg .b32 pair; .reg .b16 low, high; cvt.rn.f16x2.e4m3x2 pair, %1;"
        " mov.b32 {low, high}, pair; cvt.f32.f16 %0, low; }"
        : "=f"(s)
        : "h"((uint16_t)code));
    return s * super;
#else
    return k_divisor(SCALE, code, super);
#endif
}

/* lo <= 0 <= hi: of asymmetric formats the smallest and largest weight, else 0 and the largest
 * magnitude. */
typedef struct Limits {
    float lo, hi;
} Limits;

/* What ranges are divided by: k_scale's `full`, and its reciprocal. */
typedef struct Full {
    float full, r, super;
} Full;

K_FN Full full_of(float super) {
    Full f;
    f.full = SCALE == K_E4M3 ? SCALE_MAX * super : SCALE_MAX;
    f.r = 1.0f / f.full;
    f.super = super;
    return f;
}

/* k_scale for one ratio, given range / full; divisor and zero point with it. */
K_FN Divisor scale_at(Limits l, Full f, float quotient, float ratio) {
    float range = l.hi - l.lo;
    uint32_t code = scale_encode(range > 0.0f ? quotient * ratio : 1.0f);
    float s = scale_decode(code, f.super);
    Divisor d = divisor_of(s, ASYMMETRIC ? k_zero_point(SCALE_MAX, l.lo, ratio, s) : 0.0f);
    d.code = code;
    return d;
}

K_FN Divisor scale_by_range(Limits l, Full f) {
    return scale_at(l, f, range_quotient(l.hi - l.lo, f.full, f.r), 1.0f);
}

K_FN void put_scale(uint8_t *scales, int64_t index, uint32_t code) {
#if SCALE == K_FLOAT
    ((uint32_t *)scales)[index] = code;
#elif SCALE == K_E4M3 || SCALE == K_E8M0
    scales[index] = (uint8_t)code;
#else
    ((uint16_t *)scales)[index] = (uint16_t)code;
#endif
}

/* Bits that share words with those of other threads, onto zeros. */
K_FN void put_bits(uint8_t *base, int64_t bit, uint32_t code) {
    k_atomic_or((uint32_t *)base + bit / 32, code << (uint32_t)(bit % 32));
}
#endif
