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

#include "kernels/lanes_compare.h"
#include "kernels/lanes_input.h"

/* ---- scales */

INLINE float low_of(bool asymmetric, int32_t lo) {
    return asymmetric ? k_float((uint32_t)ordered(lo)) : 0.0f;
}

INLINE void scales_of(int type, const ScaleRule rule, float ratio, const int32_t *restrict lo,
                      const int32_t *restrict hi, int64_t n, uint32_t *restrict codes,
                      float *restrict s, float *restrict z) {
    for (int64_t i = 0; i < n; i++) {
        const float low = low_of(rule.asymmetric, lo[i]);
        const float high = k_float((uint32_t)hi[i]);
        const uint32_t code = k_scale(type, rule.scale_max, low, high, ratio, rule.super);
        const float divisor = k_divisor(type, code, rule.super);
        codes[i] = code;
        s[i] = divisor;
        z[i] = rule.asymmetric ? k_zero_point(rule.scale_max, low, ratio, divisor) : 0.0f;
    }
}

static void scales(const ScaleRule *rule, float ratio, const int32_t *restrict lo,
                   const int32_t *restrict hi, int64_t n, uint32_t *restrict codes,
                   float *restrict s, float *restrict z) {
    switch (rule->type) {
    case K_FLOAT16:
        scales_of(K_FLOAT16, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    case K_BFLOAT16:
        scales_of(K_BFLOAT16, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    case K_E4M3:
        scales_of(K_E4M3, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    case K_E8M0:
        scales_of(K_E8M0, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    default:
        scales_of(K_FLOAT, *rule, ratio, lo, hi, n, codes, s, z);
        break;
    }
}

static void units(const ScaleRule *rule, const int32_t *restrict lo, const int32_t *restrict hi,
                  int64_t n, float *restrict unit) {
    for (int64_t i = 0; i < n; i++) {
        unit[i] = k_error_unit(low_of(rule->asymmetric, lo[i]), k_float((uint32_t)hi[i]));
    }
}

INLINE void spread_of(const float *restrict values, int64_t n, int64_t length,
                      float *restrict row) {
    int64_t i = 0, run = 0;
    for (; i + length <= n; i += length, run++) {
        const float value = values[run];
        for (int64_t j = 0; j < length; j++) {
            row[i + j] = value;
        }
    }
    for (; i < n; i++) {
        row[i] = values[run];
    }
}

static void spread(const float *restrict values, int64_t n, int64_t length, float *restrict row) {
    if (length == 16) {
        spread_of(values, n, 16, row);
    } else if (length == 32) {
        spread_of(values, n, 32, row);
    } else {
        spread_of(values, n, length, row);
    }
}

/* ---- formats: the three loops of each row of formats.list */

#undef FORMAT
#define FORMAT(name, doc)                                                                          \
    INLINE uint32_t code_##name(float w, float s, float z) {                                       \
        const float x = w / s;                                                                     \
        return name##_ASYMMETRIC ? name##_encode(k_rint(x) + z) : name##_encode(x);                \
    }                                                                                              \
    INLINE float value_##name(uint32_t code, float s, float z) {                                   \
        const float x = name##_decode(code);                                                       \
        return (name##_ASYMMETRIC ? x - z : x) * s;                                                \
    }                                                                                              \
    static void encode_##name(const float *restrict w, const float *restrict s,                    \
                              const float *restrict z, int64_t n, uint8_t *restrict codes) {       \
        for (int64_t i = 0; i < n; i++) {                                                          \
            codes[i] = (uint8_t)code_##name(w[i], s[i], z[i]);                                     \
        }                                                                                          \
    }                                                                                              \
    static void decode_##name(const uint8_t *restrict codes, const float *restrict s,              \
                              const float *restrict z, int64_t n, float *restrict q) {             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            q[i] = value_##name(codes[i], s[i], z[i]);                                             \
        }                                                                                          \
    }                                                                                              \
    static void error_##name(const float *restrict w, const float *restrict s,                     \
                             const float *restrict z, const float *restrict unit, int64_t n,       \
                             uint32_t *restrict errors) {                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float q = value_##name(code_##name(w[i], s[i], z[i]), s[i], z[i]);               \
            errors[i] = k_error(w[i], q, unit[i]);                                                 \
        }                                                                                          \
    }
#include "kernels/formats.list"
#undef FORMAT
#define FORMAT(name, doc) {encode_##name, decode_##name, error_##name},
static const FormatLanes format_lanes[] = {
#include "kernels/formats.list"
};

/* ---- sums */

static void add_columns(const uint32_t *restrict errors, int64_t n, uint64_t *restrict sums) {
    for (int64_t i = 0; i < n; i++) {
        sums[i] += errors[i];
    }
}

static void add_runs(const uint32_t *restrict errors, int64_t n, int64_t length,
                     uint64_t *restrict sums) {
    for (int64_t i = 0, run = 0; i < n; i += length, run++) {
        const int64_t end = n - i < length ? n : i + length;
        uint64_t sum = 0;
        for (int64_t j = i; j < end; j++) {
            sum += errors[j];
        }
        sums[run] += sum;
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

static void mask(int size, const void *src, const float *restrict w, int64_t n, void *dst) {
    if (size == 2) {
        const Half *const from = src;
        Half *const to = dst;
        for (int64_t i = 0; i < n; i++) {
            to[i] = k_bits(w[i]) ? from[i] : (uint16_t)0;
        }
    } else if (size == 4) {
        const Word *const from = src;
        Word *const to = dst;
        for (int64_t i = 0; i < n; i++) {
            to[i] = k_bits(w[i]) ? from[i] : 0;
        }
    } else {
        const Long *const from = src;
        Long *const to = dst;
        for (int64_t i = 0; i < n; i++) {
            to[i] = k_bits(w[i]) ? from[i] : 0;
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
    .widen = widen,
    .cut = cut,
    .prune_columns = prune_columns,
    .prune_run = prune_run,
    .range_columns = range_columns,
    .range_runs = range_runs,
    .scales = scales,
    .units = units,
    .spread = spread,
    .add_columns = add_columns,
    .add_runs = add_runs,
    .compare = compare,
    .close_strips = close_strips,
    .pack = pack,
    .turn = turn,
    .mask = mask,
    .count_equal = count_equal,
};
