/* The scale rules: from the range of some weights to a stored scale, the divisor it decodes to, and
 * a zero point; and the error measure of METHOD_MSE. One text for the reference, the host's fast
 * loops and (later) the GPU; all of it single float operations, in the order written here.
 *
 *   symmetric    s = max|w| / SCALE_MAX * ratio
 *   asymmetric   s = (hi - lo) / SCALE_MAX * ratio, lo <= 0 <= hi;
 *                zero point = clamp(rint(-(lo * ratio) / s'), 0, SCALE_MAX)
 *   two-level    s = max|w| / (SCALE_MAX * super) * ratio stored as e4m3; s' = that * super
 *   power of two s rounded up to a power of two
 * where s' is what the stored scale decodes to. A stored scale is finite, normal and > 0: a range
 * of 0 gives 1, what is too small or too large takes the nearest end (e4m3: 2^-9 and 448). */
#ifndef KERNELS_SCALE_H
#define KERNELS_SCALE_H
#include "kernels/dialect.h"
#include "kernels/format/e4m3.h"
#include "kernels/format/e8m0.h"

/* Stored types of scales, numbered as ONNX does. */
#define K_FLOAT 1
#define K_FLOAT16 10
#define K_DOUBLE 11 /* of sources only */
#define K_BFLOAT16 16
#define K_E4M3 17
#define K_E8M0 24

/* Nearest even, for x that is normal and finite in the narrow type. */
K_FN uint32_t k_float16_encode(float x) {
    uint32_t u = k_bits(x);
    return (u + 0xfffu + ((u >> 13) & 1u) - (112u << 23)) >> 13;
}
K_FN float k_float16_decode(uint32_t h) /* every code; a NaN stays one */
{
    uint32_t a = (h & 0x7fffu) << 13, exponent = a & 0x0f800000u;
    uint32_t normal = a + (112u << 23);
    uint32_t special = a + (224u << 23);
    /* subnormal: its mantissa under an implicit one, which is then taken off */
    uint32_t subnormal = k_bits(k_float(a + (113u << 23)) - k_float(113u << 23));
    uint32_t u = exponent == 0u ? subnormal : normal;
    u = exponent == 0x0f800000u ? special : u;
    return k_float(u | (h & 0x8000u) << 16);
}
K_FN uint32_t k_bfloat16_encode(float x) {
    uint32_t u = k_bits(x);
    return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

/* The code that scale s >= 0 (infinity allowed) is stored as, and the value of a code. */
K_FN uint32_t k_scale_encode(int type, float s) {
    if (type == K_FLOAT16) {
        return k_float16_encode(k_max(k_min(s, 65504.0f), 0x1p-14f));
    }
    if (type == K_BFLOAT16) {
        return k_bfloat16_encode(k_max(k_min(s, 0x1.fep127f), 0x1p-126f));
    }
    if (type == K_E4M3) {
        return e4m3_encode(k_max(k_min(s, 448.0f), 0x1p-9f));
    }
    if (type == K_E8M0) {
        return e8m0_encode(k_max(k_min(s, 0x1p127f), 0x1p-126f));
    }
    return k_bits(k_max(k_min(s, 0x1.fffffep127f), 0x1p-126f));
}
K_FN float k_scale_decode(int type, uint32_t code) {
    if (type == K_FLOAT16) {
        return k_float16_decode(code);
    }
    if (type == K_BFLOAT16) {
        return k_float(code << 16);
    }
    if (type == K_E4M3) {
        return e4m3_decode(code);
    }
    if (type == K_E8M0) {
        return e8m0_decode(code);
    }
    return k_float(code);
}

/* The tensor's scale of the two-level scheme (K_E4M3), stored as float32. */
K_FN float k_scale_super(float scale_max, float amax) {
    float s = k_scale_decode(K_FLOAT, k_scale_encode(K_FLOAT, amax / (scale_max * 448.0f)));
    return amax > 0.0f ? s : 1.0f;
}

/* The stored code of a scale. lo is 0 for symmetric formats; super counts for K_E4M3 only. */
K_FN uint32_t k_scale(int type, float scale_max, float lo, float hi, float ratio, float super) {
    float range = hi - lo;
    float full = type == K_E4M3 ? scale_max * super : scale_max;
    float s = range / full * ratio;
    return k_scale_encode(type, range > 0.0f ? s : 1.0f);
}
/* What the weights are divided by. */
K_FN float k_divisor(int type, uint32_t code, float super) {
    float s = k_scale_decode(type, code);
    return type == K_E4M3 ? s * super : s;
}
K_FN float k_zero_point(float scale_max, float lo, float ratio, float divisor) {
    return k_rint(k_max(k_min(-(lo * ratio) / divisor, scale_max), 0.0f));
}

/* METHOD_MSE tries these ratios, index 0 to K_RATIOS - 1: 0.60, 0.62, ... 1.10. */
#define K_RATIOS 26
K_FN float k_ratio(int index) {
    return (float)(60 + 2 * index) / 100.0f;
}
/* The unit in which errors are measured: the reciprocal of the range (kept finite). */
K_FN float k_error_unit(float lo, float hi) {
    return 1.0f / k_max(hi - lo, 0x1p-126f);
}
/* |w - q|^2.4 in 2^-31 units of the range, as an integer, so that sums do not depend on their order
 * and 2^33 of them fit 64 bits. x^2.4 = (x * x^-0.2)^3; the inverse fifth root starts from the
 * exponent bits (3.2 % off); two Newton steps, y (1.2 - 0.2 x y^5), bring the power to 9e-5. */
K_FN uint32_t k_error(float w, float q, float unit) {
    float x = k_between(k_abs(w - q) * unit, 0x1p-60f, 1.0f);
    float y = k_float(0x4c2bc000u - k_bits(x) / 5u);
    float y2 = y * y;
    y = y * (1.2f - 0.2f * x * (y2 * y2 * y));
    y2 = y * y;
    y = y * (1.2f - 0.2f * x * (y2 * y2 * y));
    float p = x * y;
    p = k_between(p * p * p, 0.0f, 0x1.fffffep-1f);
    return (uint32_t)(int32_t)(p * 0x1p31f + 0.5f);
}
#endif
