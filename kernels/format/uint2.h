/* uint2: 0 to 3 with a zero point of the same type: w = (code - zero point) * scale. */
#ifndef KERNELS_FORMAT_UINT2_H
#define KERNELS_FORMAT_UINT2_H
#include "kernels/dialect.h"
#define uint2_BITS 2
#define uint2_MAX_ABS 3.0f
#define uint2_SCALE_MAX 3.0f
#define uint2_INTEGER 1
#define uint2_ASYMMETRIC 1
#define uint2_SCALE_ONLY 0
#define uint2_ONNX 25
#define uint2_OPSET 25
K_FN uint32_t uint2_encode(float x) {
    return k_bits(k_clamp(x, -0.0f, 3.0f) + K_ROUND) & 0x3u;
}
K_FN float uint2_nearest(float x) {
    return k_rint(k_clamp(x, -0.0f, 3.0f));
}
K_FN float uint2_decode(uint32_t code) {
    return (float)(int32_t)code;
}
#endif

FORMAT(uint2, "unsigned 2-bit integer with a zero point")
