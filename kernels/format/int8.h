/* int8: two's complement; scales use 127 on both sides, codes are clamped at -128 and 127. */
#ifndef KERNELS_FORMAT_INT8_H
#define KERNELS_FORMAT_INT8_H
#include "kernels/dialect.h"
#define int8_BITS 8
#define int8_MAX_ABS 128.0f
#define int8_SCALE_MAX 127.0f
#define int8_INTEGER 1
#define int8_ASYMMETRIC 0
#define int8_SCALE_ONLY 0
#define int8_ONNX 3
#define int8_OPSET 10
K_FN uint32_t int8_encode(float x) {
    return k_bits(k_clamp(x, -128.0f, 127.0f) + K_ROUND) & 0xffu;
}
K_FN float int8_nearest(float x) {
    return k_rint(k_clamp(x, -128.0f, 127.0f));
}
K_FN float int8_decode(uint32_t code) {
    return (float)((int32_t)(code << 24) >> 24);
}
#endif

FORMAT(int8, "signed 8-bit integer, symmetric scale")
