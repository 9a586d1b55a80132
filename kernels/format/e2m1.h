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
K_FN uint32_t e2m1_encode(float x) {
    return k_small_encode(x, 4, 1, 1, 6.0f);
}
K_FN float e2m1_nearest(float x) {
    return k_small_nearest(x, 1, 1, 6.0f);
}
K_FN float e2m1_decode(uint32_t code) {
    return k_small_decode(code, 4, 1, 1);
}
#endif

FORMAT(e2m1, "4-bit float, 2 exponent and 1 mantissa bits")
