/* OCP FP8 E5M2: bias 15, largest 57344; infinity S.11111.00 is never written. */
#ifndef KERNELS_FORMAT_E5M2_H
#define KERNELS_FORMAT_E5M2_H
#include "kernels/format/small.h"
#define e5m2_BITS 8
#define e5m2_MAX_ABS 57344.0f
#define e5m2_SCALE_MAX 57344.0f
#define e5m2_INTEGER 0
#define e5m2_ASYMMETRIC 0
#define e5m2_SCALE_ONLY 0
#define e5m2_ONNX 19
#define e5m2_OPSET 19
#define e5m2_CVT_ARCH 890 /* first __CUDA_ARCH__ with cvt.rn.satfinite.e5m2x2.f32 */
K_FN uint32_t e5m2_encode(float x) {
    uint32_t code = k_small_encode(x, 8, 2, 15, 57344.0f);
    return k_magnitude(x) > 0x7f800000u ? code | 0x7fu : code;
}
K_FN float e5m2_nearest(float x) {
    return k_small_nearest(x, 2, 15, 57344.0f);
}
K_FN float e5m2_decode(uint32_t code) {
    float x = k_small_decode(code, 8, 2, 15);
    float special =
        (code & 3u) ? k_float(0x7fc00000u) : k_float((code & 0x80u) << 24 | 0x7f800000u);
    return (code & 0x7cu) == 0x7cu ? special : x;
}
#endif

FORMAT(e5m2, "8-bit float, 5 exponent and 2 mantissa bits")
