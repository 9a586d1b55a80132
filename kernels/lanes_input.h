/* The loops of lanes_body.h that bring weights in: elements of either width (lanes_tile.h), and
 * their way to float32. Included there and nowhere else. */

/* Reads that may be unaligned and of any declared type. */
typedef uint16_t __attribute__((aligned(1), may_alias)) Half;
typedef uint32_t __attribute__((aligned(1), may_alias)) Word;
typedef double __attribute__((aligned(1), may_alias)) Double;
typedef int16_t __attribute__((aligned(1), may_alias)) HalfBits;
typedef int32_t __attribute__((aligned(1), may_alias)) SingleBits;

/* Lanes in groups of four, the group's turned by 1, 2, 3: and where the lower index comes from. */
#define BY_1(i) i + 3, i, i + 1, i + 2
#define BY_2(i) i + 2, i + 3, i, i + 1
#define BY_3(i) i + 1, i + 2, i + 3, i
#define TIE_1(i) 0, 1, 1, 1
#define TIE_2(i) 0, 0, 1, 1
#define TIE_3(i) 0, 0, 0, 1
#define GROUPS_4(P) P(0)
#define GROUPS_8(P) P(0), P(4)
#define GROUPS_16(P) GROUPS_8(P), P(8), P(12)
#define GROUPS_32(P) GROUPS_16(P), P(16), P(20), P(24), P(28)

#if LANES_BYTES == 16
#define SINGLE_GROUPS GROUPS_4
#define HALF_GROUPS GROUPS_8
#elif LANES_BYTES == 32
#define SINGLE_GROUPS GROUPS_8
#define HALF_GROUPS GROUPS_16
#else
#define SINGLE_GROUPS GROUPS_16
#define HALF_GROUPS GROUPS_32
#endif

#define Element SingleBits
#define Lane int32_t
#define WIDTH(name) single_##name
#define GROUPS SINGLE_GROUPS
INLINE int32_t single_order(int type, int32_t e) {
    (void)type;
    return e;
}
#include "kernels/lanes_tile.h"
#undef Element
#undef Lane
#undef WIDTH
#undef GROUPS

#define Element HalfBits
#define Lane int16_t
#define WIDTH(name) half_##name
#define GROUPS HALF_GROUPS
/* What half_ordered made of a half, as single_ordered would make it of the float. */
INLINE int32_t half_order(int type, int16_t e);
#include "kernels/lanes_tile.h"
#undef Element
#undef Lane
#undef WIDTH
#undef GROUPS

INLINE int32_t half_order(int type, int16_t e) {
    const uint32_t u = (uint16_t)half_ordered(e);
    const float w = type == K_FLOAT16 ? k_float16_decode(u) : k_float(u << 16);
    return single_ordered((int32_t)k_bits(w));
}

/* ---- to float32 */

static void widen(int type, const void *e, int64_t n, float *restrict w) {
    const Half *const half = e;
    const Single *const single = e;
    const Double *const twice = e;
    int64_t i = 0;
    switch (type) {
    case K_FLOAT16:
#ifdef LANES_F16
        for (; i + LANES_F16 <= n; i += LANES_F16) {
            WIDEN_F16(half + i, w + i);
        }
#endif
        for (; i < n; i++) {
            w[i] = k_float16_decode(half[i]);
        }
        break;
    case K_BFLOAT16:
        for (; i < n; i++) {
            w[i] = k_float((uint32_t)half[i] << 16);
        }
        break;
    case K_DOUBLE:
        for (; i < n; i++) {
            w[i] = (float)twice[i];
        }
        break;
    default:
        for (; i < n; i++) {
            w[i] = single[i];
        }
        break;
    }
}

static int64_t count_equal(const float *restrict w, int64_t n, uint32_t magnitude) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n;) {
        const int64_t end = n - i < 1 << 20 ? n : i + (1 << 20);
        uint32_t equal = 0;
        for (; i < end; i++) {
            equal += k_magnitude(w[i]) == magnitude;
        }
        sum += equal;
    }
    return sum;
}

/* ---- the choice of width */

static uint32_t largest(bool half, const void *e, int64_t n) {
    return half ? half_largest(e, n) : single_largest(e, n);
}

static void cut(bool half, void *e, int64_t n, int32_t last) {
    if (half) {
        half_cut(e, n, (int16_t)last);
    } else {
        single_cut(e, n, last);
    }
}

static void prune_columns(bool half, void *e, int64_t stride, int rows, int64_t columns, int keep,
                          uint8_t *restrict drop) {
    if (half) {
        half_prune_columns(e, stride, rows, columns, keep, drop);
    } else {
        single_prune_columns(e, stride, rows, columns, keep, drop);
    }
}

static void prune_run(bool half, void *e, int64_t n, int keep, int group, uint8_t *restrict drop) {
    if (half) {
        half_prune_run(e, n, keep, group, drop);
    } else {
        single_prune_run(e, n, keep, group, drop);
    }
}

static void range_columns(int type, bool asymmetric, const void *e, int64_t stride, int64_t rows,
                          int64_t columns, int32_t *lo, int32_t *hi) {
    if (type == K_FLOAT) {
        single_range_columns(type, asymmetric, e, stride, rows, columns, lo, hi);
    } else {
        half_range_columns(type, asymmetric, e, stride, rows, columns, lo, hi);
    }
}

static void range_runs(int type, bool asymmetric, const void *e, int64_t n, int64_t length,
                       int32_t *lo, int32_t *hi) {
    if (type == K_FLOAT) {
        single_range_runs(type, asymmetric, e, n, length, lo, hi);
    } else {
        half_range_runs(type, asymmetric, e, n, length, lo, hi);
    }
}
