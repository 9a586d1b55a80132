/* OCP FP4 E2M1: 0 0.5 1 1.5 2 3 4 6 and their negatives; -0 is code 8 and is kept. */
#ifndef KERNELS_FORMAT_E2M1_H
#define KERNELS_FORMAT_E2M1_H
#include "kernels/format/small.h"
#define e2m1_BITS 4
#define e2m1_MAX_ABS 6.0f
#define e2m1_SCALE_MAX 6.0f
#define e2m1_INTEGER 0
#define e2m1_ASYMMETRIC 0
#define e2m1_SCALE_ONLY 0
#define e2m1_ONNX 23
#define e2m1_OPSET 23
#define e2m1_HAS_DIGIT 1 /* e2m1_digit is there: GPU kernels put codes together without masks */
/* The code of |x| in the low bits of a float in [K_ROUND, 2^24). Of the three ways to round, each
 * in the step of one part of the range (1/2 up to 2, 1 up to 4, 2 up to 6), the least is right: the
 * codes are a concave function of |x|. All are exact: one rounding each, ties to the even code. */
K_FN uint32_t e2m1_digit(float x) {
    float a = k_abs(x);
    uint32_t fine = k_bits(k_scaled_sum(a, 2.0f, K_ROUND));
    uint32_t middle = k_bits(a + (K_ROUND + 2.0f));
    uint32_t coarse = k_bits(k_scaled_sum(a, 0.5f, K_ROUND + 4.0f));
    uint32_t most = k_bits(K_ROUND) + 7u;
    uint32_t least = fine < middle ? fine : middle;
    least = coarse < least ? coarse : least;
    return least < most ? least : most;
}
K_FN uint32_t e2m1_encode(float x) {
    return (e2m1_digit(x) - k_bits(K_ROUND)) | (k_bits(x) >> 31) << 3;
}
K_FN float e2m1_nearest(float x) {
    return k_small_nearest(x, 1, 1, 6.0f);
}
K_FN float e2m1_decode(uint32_t code) {
    return k_small_decode(code, 4, 1, 1);
}
#endif

FORMAT(e2m1, "4-bit float, 2 exponent and 1 mantissa bits")
