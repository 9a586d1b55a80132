/* uint4: 0 to 15 with a zero point of the same type: w = (code - zero point) * scale. */
#ifndef KERNELS_FORMAT_UINT4_H
#define KERNELS_FORMAT_UINT4_H
#include "kernels/dialect.h"
#define uint4_BITS 4
#define uint4_MAX_ABS 15.0f
#define uint4_SCALE_MAX 15.0f
#define uint4_INTEGER 1
#define uint4_ASYMMETRIC 1
#define uint4_SCALE_ONLY 0
#define uint4_ONNX 21
#define uint4_OPSET 21
K_FN uint32_t uint4_encode(float x) {
    return k_bits(k_clamp(x, -0.0f, 15.0f) + K_ROUND) & 0xfu;
}
K_FN float uint4_nearest(float x) {
    return k_rint(k_clamp(x, -0.0f, 15.0f));
}
K_FN float uint4_decode(uint32_t code) {
    return (float)(int32_t)code;
}
#endif

FORMAT(uint4, "unsigned 4-bit integer with a zero point")
