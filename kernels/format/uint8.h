/* uint8: 0 to 255 with a zero point of the same type: w = (code - zero point) * scale. */
#ifndef KERNELS_FORMAT_UINT8_H
#define KERNELS_FORMAT_UINT8_H
#include "kernels/dialect.h"
#define uint8_BITS 8
#define uint8_MAX_ABS 255.0f
#define uint8_SCALE_MAX 255.0f
#define uint8_INTEGER 1
#define uint8_ASYMMETRIC 1
#define uint8_SCALE_ONLY 0
#define uint8_ONNX 2
#define uint8_OPSET 10
K_FN uint32_t uint8_encode(float x) {
    return k_bits(k_clamp(x, -0.0f, 255.0f) + K_ROUND) & 0xffu;
}
K_FN float uint8_nearest(float x) {
    return k_rint(k_clamp(x, -0.0f, 255.0f));
}
K_FN float uint8_decode(uint32_t code) {
    return (float)(int32_t)code;
}
#endif

FORMAT(uint8, "unsigned 8-bit integer with a zero point")
