/* What the small floats have in common: sign, exponent, mantissa, subnormals, no more than 8 bits.
 * Encoding rounds to nearest, ties to the even code, and saturates; -0 keeps its sign. With
 * constant arguments it compiles to about twelve branch-free operations, which the host vectorizes.
 */
#ifndef KERNELS_FORMAT_SMALL_H
#define KERNELS_FORMAT_SMALL_H
#include "kernels/dialect.h"

/* The magnitude that counts: infinity and NaN saturate too. */
K_FN uint32_t k_small_magnitude(float x, float max) {
    uint32_t a = k_magnitude(x), top = k_bits(max);
    return a < top ? a : top;
}
/* The exponent bits of the binade whose steps `a` is rounded to; below the smallest normal number
 * steps stay as they are. */
K_FN uint32_t k_small_binade(uint32_t a, int bias) {
    uint32_t least = (uint32_t)(128 - bias) << 23;
    return (a > least ? a : least) & 0x7f800000u;
}
/* A float whose ulp is the step of that binade, so that the sum with `a` counts steps. A binade has
 * 2^mantissa of them; what the exponent bits of the smallest normal number would add to the code is
 * taken off here: an even number, so that ties stay where they are. */
K_FN float k_small_grid(uint32_t binade, int mantissa, int bias) {
    uint32_t surplus = (0u - ((uint32_t)(128 - bias) << mantissa)) & 0xffu;
    return k_float(binade + ((uint32_t)(23 - mantissa) << 23) + surplus);
}

K_FN uint32_t k_small_encode(float x, int bits, int mantissa, int bias, float max) {
    uint32_t a = k_small_magnitude(x, max), binade = k_small_binade(a, bias);
    uint32_t steps = k_bits(k_float(a) + k_small_grid(binade, mantissa, bias));
    uint32_t sign = 1u << (bits - 1);
    return ((steps + (binade >> (23 - mantissa))) & (sign - 1u)) |
           (k_bits(x) >> (32 - bits) & sign);
}
/* What that code decodes to. */
K_FN float k_small_nearest(float x, int mantissa, int bias, float max) {
    uint32_t a = k_small_magnitude(x, max);
    float grid = k_small_grid(k_small_binade(a, bias), mantissa, bias);
    return k_float(k_bits((k_float(a) + grid) - grid) | (k_bits(x) & 0x80000000u));
}

/* All exponents are taken as finite; formats with special codes treat them first. */
K_FN float k_small_decode(uint32_t code, int bits, int mantissa, int bias) {
    uint32_t sign = (code >> (bits - 1)) << 31;
    uint32_t a = code & ((1u << (bits - 1)) - 1u);
    uint32_t normal = (a << (23 - mantissa)) + ((uint32_t)(127 - bias) << 23);
    float subnormal = (float)(int32_t)a * k_float((uint32_t)(128 - bias - mantissa) << 23);
    return k_float((a >> mantissa ? normal : k_bits(subnormal)) | sign);
}
#endif
