/* What the small floats have in common: sign, exponent, mantissa, subnormals, no more than 8 bits.
 * Encoding rounds to nearest, ties to the even code, and saturates; -0 keeps its sign. With
 * constant arguments it compiles to about twelve branch-free operations, which the host vectorizes.
 */
#ifndef KERNELS_FORMAT_SMALL_H
#define KERNELS_FORMAT_SMALL_H
#include "kernels/dialect.h"

K_FN uint32_t k_small_encode(float x, int bits, int mantissa, int bias, float max) {
    uint32_t a = k_magnitude(x), top = k_bits(max);
    uint32_t least = (uint32_t)(128 - bias) << 23; /* the smallest normal; below it steps stay */
    a = a < top ? a : top;                         /* infinity and NaN saturate too */
    uint32_t exponent = (a > least ? a : least) & 0x7f800000u;
    /* Added to a float whose ulp is the step of that binade, the sum counts steps. A binade has
     * 2^mantissa of them; those below it come from its exponent, less what `least` has too much,
     * which is even, so that ties stay where they are. */
    uint32_t below = exponent >> (23 - mantissa);
    uint32_t surplus = (0u - (least >> (23 - mantissa))) & 0xffu;
    float grid = k_float(exponent + ((uint32_t)(23 - mantissa) << 23) + surplus);
    uint32_t code = k_bits(k_float(a) + grid) + below;
    uint32_t sign = 1u << (bits - 1);
    return (code & (sign - 1u)) | (k_bits(x) >> (32 - bits) & sign);
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
