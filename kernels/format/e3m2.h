/* OCP FP6 E3M2: bias 3, largest 28, all codes finite. */
#ifndef KERNELS_FORMAT_E3M2_H
#define KERNELS_FORMAT_E3M2_H
#include "kernels/format/small.h"
#define e3m2_BITS 6
#define e3m2_MAX_ABS 28.0f
#define e3m2_SCALE_MAX 28.0f
#define e3m2_INTEGER 0
#define e3m2_ASYMMETRIC 0
#define e3m2_SCALE_ONLY 0
#define e3m2_ONNX 28
#define e3m2_OPSET 28
K_FN uint32_t e3m2_encode(float x) {
    return k_small_encode(x, 6, 2, 3, 28.0f);
}
K_FN float e3m2_nearest(float x) {
    return k_small_nearest(x, 2, 3, 28.0f);
}
K_FN float e3m2_decode(uint32_t code) {
    return k_small_decode(code, 6, 2, 3);
}
#endif

FORMAT(e3m2, "6-bit float, 3 exponent and 2 mantissa bits")
