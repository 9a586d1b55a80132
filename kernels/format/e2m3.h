/* OCP FP6 E2M3: bias 1, largest 7.5, all codes finite. */
#ifndef KERNELS_FORMAT_E2M3_H
#define KERNELS_FORMAT_E2M3_H
#include "kernels/format/small.h"
#define e2m3_BITS 6
#define e2m3_MAX_ABS 7.5f
#define e2m3_SCALE_MAX 7.5f
#define e2m3_INTEGER 0
#define e2m3_ASYMMETRIC 0
#define e2m3_SCALE_ONLY 0
#define e2m3_ONNX 27
#define e2m3_OPSET 28
K_FN uint32_t e2m3_encode(float x) {
    return k_small_encode(x, 6, 3, 1, 7.5f);
}
K_FN float e2m3_nearest(float x) {
    return k_small_nearest(x, 3, 1, 7.5f);
}
K_FN float e2m3_decode(uint32_t code) {
    return k_small_decode(code, 6, 3, 1);
}
#endif

FORMAT(e2m3, "6-bit float, 2 exponent and 3 mantissa bits")
