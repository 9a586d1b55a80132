/* The common subset of C11 and CUDA C++ in which formats, scale rules and kernel bodies are
 * written, so that one text is compiled by the host compiler and by NVRTC and gives the same bits.
 * In it: the integer types below, float, k_* functions, and single IEEE operations (+ - * / sqrt,
 * and k_fma where it is written). Not in it: libm, double, `long`, designated initializers,
 * implicit casts. Little endian.
 * Rules and how to add a format: kernels/README.md. */
#ifndef KERNELS_DIALECT_H
#define KERNELS_DIALECT_H

/* Each format header ends in a FORMAT(...) row; it means nothing until formats.list is re-read. */
#ifndef FORMAT
#define FORMAT(name, doc)
#endif

#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define K_FN static __device__ __forceinline__
K_FN uint32_t k_bits(float x) {
    return __float_as_uint(x);
}
K_FN float k_float(uint32_t u) {
    return __uint_as_float(u);
}
K_FN float k_fma(float a, float b, float c) {
    return __fmaf_rn(a, b, c);
}
K_FN float k_scaled_sum(float a, float power, float c) {
    return __fmaf_rn(a, power, c);
}
#else
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#define K_FN static inline __attribute__((always_inline, unused))
K_FN uint32_t k_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
K_FN float k_float(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
/* One rounding, whether the processor has the instruction or libm does it step by step. */
K_FN float k_fma(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
/* a * power + c, where a power of two loses no bit of a that c leaves standing: the same in one
 * operation as in two, and not every processor has the one. */
K_FN float k_scaled_sum(float a, float power, float c) {
    return a * power + c;
}
#endif

K_FN uint32_t k_magnitude(float x) {
    return k_bits(x) & 0x7fffffffu; /* orders like |x|; 0x7f800000 and above is not finite */
}
K_FN float k_abs(float x) {
    return k_float(k_magnitude(x));
}
/* A NaN in x comes out as b, so both are safe ends for what follows. */
K_FN float k_min(float x, float b) {
    return x < b ? x : b;
}
K_FN float k_max(float x, float b) {
    return x > b ? x : b;
}
/* x >= +0, or a NaN without sign, kept between lo >= +0 and hi, by integers; a NaN becomes hi. */
K_FN float k_between(float x, float lo, float hi) {
    uint32_t bits = k_bits(x), bottom = k_bits(lo), top = k_bits(hi);
    bits = bits < top ? bits : top;
    return k_float(bits > bottom ? bits : bottom);
}
/* x kept between lo <= -0 and hi >= +0, by integers: among floats of one sign the bits order like
 * the magnitudes. Compilers turn this into two minima, and float comparisons into much more. A NaN
 * takes the end on its side. */
K_FN float k_clamp(float x, float lo, float hi) {
    int32_t top = (int32_t)k_bits(hi), bits = (int32_t)k_bits(x);
    uint32_t kept = (uint32_t)(bits < top ? bits : top), bottom = k_bits(lo);
    return k_float(kept < bottom ? kept : bottom);
}
/* 1.5 * 2^23: in its binade the step is 1, so adding it rounds to the nearest integer, ties to
 * even, and leaves that integer, in two's complement, in the low bits of the sum. */
#define K_ROUND 12582912.0f
/* Nearest integer, ties to even, for |x| <= 2^22; beyond, something at least as far out. */
K_FN float k_rint(float x) {
    return (x + K_ROUND) - K_ROUND;
}

/* w / s, correctly rounded, from r = 1 / s, correctly rounded: product, exact residual, one
 * correction (Markstein 1990; Brisebarre, Muller, Raina, "Accelerating correctly rounded
 * floating-point division when the divisor is known in advance", 2004). It needs k_divides(s), and
 * is then exact for every quotient of 2^-18 or more; smaller ones are off by an ulp at most, which
 * no format tells from zero. The sign is on r: gcc 12 turns -(q * s - w) into w - q * s, another
 * zero. */
K_FN float k_quotient(float w, float s, float r) {
    float q = w * r;
    return k_fma(k_fma(q, s, -w), -r, q);
}
K_FN bool k_divides(float s) {
    return s >= 0x1p-80f && s <= 0x1p80f;
}
#endif
