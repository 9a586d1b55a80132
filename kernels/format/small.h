/* What the small floats have in common: sign, exponent, mantissa, subnormals, no more than 8 bits.
 * Encoding rounds to nearest, ties to the even code, and saturates; -0 keeps its sign. With
 * constant arguments each compiles to about ten branch-free operations, which the host vectorizes.
 */
#ifndef KERNELS_FORMAT_SMALL_H
#define KERNELS_FORMAT_SMALL_H
#include "kernels/dialect.h"

K_FN uint32_t k_small_encode(float x, int bits, int mantissa, int bias, float max) {
    uint32_t sign = k_bits(x) >> 31;
    uint32_t a = k_magnitude(x), top = k_bits(max);
    a = a < top ? a : top; /* infinity and NaN saturate too */
    int drop = 23 - mantissa;
    /* normal: half an ulp less one, plus the bit that makes ties even, carries into the exponent */
    uint32_t normal = ((a + (1u << (drop - 1)) - 1u + ((a >> drop) & 1u)) >> drop) -
                      ((uint32_t)(127 - bias) << mantissa);
    /* subnormal: added to a float whose ulp is the smallest subnormal, the sum counts them */
    float grid = k_float((uint32_t)(151 - bias - mantissa) << 23);
    uint32_t subnormal = k_bits(k_float(a) + grid) - k_bits(grid);
    uint32_t code = a < ((uint32_t)(128 - bias) << 23) ? subnormal : normal;
    return code | sign << (bits - 1);
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
