/* The text of every Lanes variant (see lanes.h for what each loop means). The including file
 * defines LANES, the name of the table, and USABLE(), and has set the target instruction set. Loops
 * are plain, branch-free and free of aliasing, so that gcc and clang vectorize them. */
#include "kernels/dialect.h"
#include "kernels/formats.list"
#include "kernels/lanes.h"
#include "kernels/scale.h"
#include <stddef.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#include "kernels/lanes_input.h"
#include "kernels/lanes_divide.h"
#include "kernels/lanes_compare.h"
#include "kernels/lanes_format.h"

/* ---- scales */

INLINE float low_of(bool asymmetric, int32_t lo) {
    return asymmetric ? k_float((uint32_t)single_ordered(lo)) : 0.0f;
}

INLINE void scales_of(int type, bool asymmetric, const ScaleRule rule, float ratio,
                      const int32_t *restrict lo, const int32_t *restrict hi, int64_t n,
                      uint32_t *restrict codes, float *restrict s, float *restrict z) {
    for (int64_t i = 0; i < n; i++) {
        const float low = low_of(asymmetric, lo[i]), high = k_float((uint32_t)hi[i]);
        const uint32_t code = k_scale(type, rule.scale_max, low, high, ratio, rule.super);
        const float divisor = k_divisor(type, code, rule.super);
        codes[i] = code;
        s[i] = divisor;
        if (asymmetric) {
            z[i] = k_zero_point(rule.scale_max, low, ratio, divisor);
        }
    }
}

INLINE void scales_for(bool asymmetric, const ScaleRule *rule, float ratio, const int32_t *lo,
                       const int32_t *hi, int64_t n, uint32_t *codes, float *s, float *z) {
    switch (rule->type) {
    case K_FLOAT16:
        scales_of(K_FLOAT16, asymmetric, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    case K_BFLOAT16:
        scales_of(K_BFLOAT16, asymmetric, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    case K_E4M3:
        scales_of(K_E4M3, asymmetric, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    case K_E8M0:
        scales_of(K_E8M0, asymmetric, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    default:
        scales_of(K_FLOAT, asymmetric, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    }
}

static void scales(const ScaleRule *rule, float ratio, const int32_t *lo, const int32_t *hi,
                   int64_t n, uint32_t *codes, float *s, float *z) {
    if (rule->asymmetric) {
        scales_for(true, rule, ratio, lo, hi, n, codes, s, z);
    } else {
        scales_for(false, rule, ratio, lo, hi, n, codes, s, z);
    }
}

/* ---- METHOD_MSE */

INLINE void tries_of(int type, bool asymmetric, const ScaleRule rule, float low, float high,
                     Tries *restrict t) {
    for (int64_t j = 0; j < TRIES; j++) {
        const float ratio = k_ratio((int)j);
        const uint32_t code = k_scale(type, rule.scale_max, low, high, ratio, rule.super);
        const float divisor = k_divisor(type, code, rule.super);
        t->codes[j] = code;
        t->s[j] = divisor;
        t->r[j] = 1.0f / divisor;
        t->z[j] = asymmetric ? k_zero_point(rule.scale_max, low, ratio, divisor) : 0.0f;
        t->first[j] = t->second[j] = 0;
    }
}

INLINE void tries_for(bool asymmetric, const ScaleRule *rule, float low, float high, Tries *t) {
    switch (rule->type) {
    case K_FLOAT16:
        tries_of(K_FLOAT16, asymmetric, *rule, low, high, t);
        break;
    case K_BFLOAT16:
        tries_of(K_BFLOAT16, asymmetric, *rule, low, high, t);
        break;
    case K_E4M3:
        tries_of(K_E4M3, asymmetric, *rule, low, high, t);
        break;
    case K_E8M0:
        tries_of(K_E8M0, asymmetric, *rule, low, high, t);
        break;
    default:
        tries_of(K_FLOAT, asymmetric, *rule, low, high, t);
        break;
    }
}

static void tries(const ScaleRule *rule, int32_t lo, int32_t hi, Tries *t) {
    const float low = low_of(rule->asymmetric, lo), high = k_float((uint32_t)hi);
    t->unit = k_error_unit(low, high);
    if (rule->asymmetric) {
        tries_for(true, rule, low, high, t);
    } else {
        tries_for(false, rule, low, high, t);
    }
}

/* Why no sum of k_error is less than its bound. It adds E >= (1 - 1e-4) 2^31 x^2.4 - 0.51 for each
 * weight, x = |w - q| * unit (which exceeds 1 by rounding alone: 0 is a code of every format). The
 * measured x', from a product with the reciprocal, is off by 2^-20 at most: 6 * 2^-24 where that
 * chooses the other neighbour of a midpoint, the rest by single roundings. If x' > 2^-11, x'^2.4 is
 * within 0.5 % of x^2.4; if not, 2^31 times their difference is below 0.12. So
 * E >= 0.99 * 2^31 x'^2.4 - 1, with 0.4 % in hand. Now log sum x'^p is convex in p (Lyapunov):
 * sum x'^2.4 >= (sum x'^2)^1.4 / (sum x')^0.4 = b (b / a)^0.4. The float32 parts of a and b have
 * lost 2^10 * 2^-24 each, t^0.4 = t (t^-0.2)^3, taken as k_error does, 9e-5: 0.03 % of the 0.4. */
static void bounds(const Tries *restrict t, int64_t n, double *restrict bounds) {
    for (int64_t j = 0; j < TRIES; j++) {
        const double a = t->first[j], b = t->second[j];
        const float x = k_max((float)(b / a), 0x1p-60f); /* 0 / 0 becomes that end, too */
        float y = k_float(0x4c2bc000u - k_bits(x) / 5u);
        for (int step = 0; step < 2; step++) {
            const float y2 = y * y;
            y = y * (1.2f - 0.2f * x * (y2 * y2 * y));
        }
        bounds[j] = b * (double)(x * (y * y * y)) * (0.99 * 0x1p31) - (double)n;
    }
}

static void units(const ScaleRule *rule, const int32_t *restrict lo, const int32_t *restrict hi,
                  int64_t n, float *restrict unit) {
    for (int64_t i = 0; i < n; i++) {
        unit[i] = k_error_unit(low_of(rule->asymmetric, lo[i]), k_float((uint32_t)hi[i]));
    }
}

/* ---- packing */

static void pack(int bits, const uint8_t *restrict codes, int64_t n, uint8_t *restrict dst) {
    if (bits == 4) {
        const Half *const pairs = (const Half *)codes;
        for (int64_t i = 0; i < n / 2; i++) {
            dst[i] = (uint8_t)(pairs[i] | pairs[i] >> 4);
        }
    } else if (bits == 2) {
        const Word *const fours = (const Word *)codes;
        for (int64_t i = 0; i < n / 4; i++) {
            const uint32_t c = fours[i];
            dst[i] = (uint8_t)(c | c >> 6 | c >> 12 | c >> 18);
        }
    } else if (bits == 6) {
        for (int64_t i = 0; i < n / 4; i++) {
            const uint8_t *const c = codes + 4 * i;
            dst[3 * i] = (uint8_t)(c[0] | c[1] << 6);
            dst[3 * i + 1] = (uint8_t)(c[1] >> 2 | c[2] << 4);
            dst[3 * i + 2] = (uint8_t)(c[2] >> 4 | c[3] << 2);
        }
    } else {
        memcpy(dst, codes, (size_t)n);
    }
}

typedef uint8_t Bytes __attribute__((vector_size(16)));

/* A square of 16 x 16 bytes: four perfect shuffles of its rows turn it over. */
INLINE void turn_square(const uint8_t *src, int64_t stride, uint8_t *dst, int64_t dst_stride) {
    Bytes a[16], b[16];
    for (int i = 0; i < 16; i++) {
        memcpy(&a[i], src + i * stride, sizeof a[i]);
    }
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            b[2 * i] = __builtin_shufflevector(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                               21, 6, 22, 7, 23);
            b[2 * i + 1] = __builtin_shufflevector(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                   28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < 16; i++) {
        memcpy(dst + i * dst_stride, &a[i], sizeof a[i]);
    }
}

static void turn(const uint8_t *restrict codes, int64_t rows, int64_t columns,
                 uint8_t *restrict dst) {
    for (int64_t j = 0; j < columns; j += 16) {
        for (int64_t i = 0; i < rows; i += 16) {
            if (i + 16 <= rows && j + 16 <= columns) {
                turn_square(codes + i * columns + j, columns, dst + j * rows + i, rows);
                continue;
            }
            for (int64_t c = j; c < columns && c < j + 16; c++) {
                for (int64_t r = i; r < rows && r < i + 16; r++) {
                    dst[c * rows + r] = codes[r * columns + c];
                }
            }
        }
    }
}

static bool usable(void) {
    return USABLE();
}

#define LANES_NAME_OF(name) #name
#define LANES_NAME(name) LANES_NAME_OF(name)
const Lanes LANES = {
    .name = LANES_NAME(LANES),
    .usable = usable,
    .formats = format_lanes,
    .largest = largest,
    .cut = cut,
    .prune_columns = prune_columns,
    .prune_run = prune_run,
    .range_columns = range_columns,
    .range_runs = range_runs,
    .widen = widen,
    .scales = scales,
    .reciprocals = reciprocals,
    .divide = divide,
    .restore = restore,
    .units = units,
    .tries = tries,
    .bounds = bounds,
    .spread_fours = spread_fours,
    .compare = compare,
    .close_strips = close_strips,
    .pack = pack,
    .turn = turn,
    .count_equal = count_equal,
};
