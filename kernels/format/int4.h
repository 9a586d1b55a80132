/* int4: two's complement; scales use 7 on both sides, codes are clamped at -8 and 7. */
#ifndef KERNELS_FORMAT_INT4_H
#define KERNELS_FORMAT_INT4_H
#include "kernels/dialect.h"
#define int4_BITS 4
#define int4_MAX_ABS 8.0f
#define int4_SCALE_MAX 7.0f
#define int4_INTEGER 1
#define int4_ASYMMETRIC 0
#define int4_SCALE_ONLY 0
#define int4_ONNX 22
#define int4_OPSET 21
K_FN uint32_t int4_encode(float x) {
    return k_bits(k_clamp(x, -8.0f, 7.0f) + K_ROUND) & 0xfu;
}
K_FN float int4_nearest(float x) {
    return k_rint(k_clamp(x, -8.0f, 7.0f));
}
K_FN float int4_decode(uint32_t code) {
    return (float)((int32_t)(code << 28) >> 28);
}
#endif

FORMAT(int4, "signed 4-bit integer, symmetric scale")
