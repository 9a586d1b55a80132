/* OCP FP8 E4M3: bias 7, largest 448, no infinity, NaN is S.1111.111. */
#ifndef KERNELS_FORMAT_E4M3_H
#define KERNELS_FORMAT_E4M3_H
#include "kernels/format/small.h"
#define e4m3_BITS 8
#define e4m3_MAX_ABS 448.0f
#define e4m3_SCALE_MAX 448.0f
#define e4m3_INTEGER 0
#define e4m3_ASYMMETRIC 0
#define e4m3_SCALE_ONLY 0
#define e4m3_ONNX 17
#define e4m3_OPSET 19
#define e4m3_CVT_ARCH 890 /* first __CUDA_ARCH__ with cvt.rn.satfinite.e4m3x2.f32 */
K_FN uint32_t e4m3_encode(float x) {
    uint32_t code = k_small_encode(x, 8, 3, 7, 448.0f);
    return k_magnitude(x) > 0x7f800000u ? code | 0x7fu : code;
}
K_FN float e4m3_nearest(float x) {
    return k_small_nearest(x, 3, 7, 448.0f);
}
K_FN float e4m3_decode(uint32_t code) {
    return (code & 0x7fu) == 0x7fu ? k_float(0x7fc00000u) : k_small_decode(code, 8, 3, 7);
}
#endif

FORMAT(e4m3, "8-bit float, 4 exponent and 3 mantissa bits, finite only")
