/* int2: two's complement; scales use 1 on both sides, codes are clamped at -2 and 1. */
#ifndef KERNELS_FORMAT_INT2_H
#define KERNELS_FORMAT_INT2_H
#include "kernels/dialect.h"
#define int2_BITS 2
#define int2_MAX_ABS 2.0f
#define int2_SCALE_MAX 1.0f
#define int2_INTEGER 1
#define int2_ASYMMETRIC 0
#define int2_SCALE_ONLY 0
#define int2_ONNX 26
#define int2_OPSET 25
K_FN uint32_t int2_encode(float x) {
    return k_bits(k_clamp(x, -2.0f, 1.0f) + K_ROUND) & 0x3u;
}
K_FN float int2_nearest(float x) {
    return k_rint(k_clamp(x, -2.0f, 1.0f));
}
K_FN float int2_decode(uint32_t code) {
    return (float)((int32_t)(code << 30) >> 30);
}
#endif

FORMAT(int2, "signed 2-bit integer, symmetric scale")
