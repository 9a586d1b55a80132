/* OCP MX scale E8M0: code c is 2^(c - 127), 255 is NaN; no sign, no zero. A scale must not be too
 * small, so this one format rounds up (ONNX Cast, round_mode "up"), by exponent bits alone. */
#ifndef KERNELS_FORMAT_E8M0_H
#define KERNELS_FORMAT_E8M0_H
#include "kernels/dialect.h"
#define e8m0_BITS 8
#define e8m0_MAX_ABS 0x1p127f
#define e8m0_SCALE_MAX 1.0f
#define e8m0_INTEGER 0
#define e8m0_ASYMMETRIC 0
#define e8m0_SCALE_ONLY 1
#define e8m0_ONNX 24
#define e8m0_OPSET 24
K_FN uint32_t e8m0_encode(float x) {
    uint32_t a = k_magnitude(x);
    uint32_t up = (a + 0x7fffffu) >> 23;
    up = a <= 0x400000u ? 0u : up; /* 2^-127 is a float subnormal; 0 has no code, takes the least */
    up = up < 254u ? up : 254u;
    return a > 0x7f800000u ? 255u : up;
}
K_FN float e8m0_decode(uint32_t code) {
    uint32_t u = code == 0u ? 0x400000u : code << 23;
    return code == 255u ? k_float(0x7fc00000u) : k_float(u);
}
K_FN float e8m0_nearest(float x) {
    return e8m0_decode(e8m0_encode(x));
}
#endif

FORMAT(e8m0, "power of two, for scales only, rounds up")
