/* The loops of lanes_body.h that bring weights in: from the source's type to float32, pruned, and
 * their ranges. Included there and nowhere else. */
/* ---- sources */

/* Reads that may be unaligned and of any declared type. */
typedef uint16_t __attribute__((aligned(1), may_alias)) Half;
typedef uint32_t __attribute__((aligned(1), may_alias)) Word;
typedef uint64_t __attribute__((aligned(1), may_alias)) Long;
typedef float __attribute__((aligned(1), may_alias)) Single;
typedef double __attribute__((aligned(1), may_alias)) Double;

static uint32_t largest(const float *restrict w, int64_t n) {
    uint32_t top = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t m = k_magnitude(w[i]);
        top = m > top ? m : top;
    }
    return top;
}

static void widen_half(const Half *restrict src, int64_t n, float *restrict w) {
    int64_t i = 0;
#ifdef LANES_F16
    for (; i + LANES_F16 <= n; i += LANES_F16) {
        WIDEN_F16(src + i, w + i);
    }
#endif
    for (; i < n; i++) {
        w[i] = k_float16_decode(src[i]);
    }
}

static uint32_t widen(int source, const void *src, int64_t index, int64_t n, float *restrict w) {
    if (source == 10) {
        widen_half((const Half *)src + index, n, w);
    } else if (source == 16) {
        const Half *const from = (const Half *)src + index;
        for (int64_t i = 0; i < n; i++) {
            w[i] = k_float((uint32_t)from[i] << 16);
        }
    } else if (source == 11) {
        const Double *const from = (const Double *)src + index;
        for (int64_t i = 0; i < n; i++) {
            w[i] = (float)from[i];
        }
    } else {
        const Single *const from = (const Single *)src + index;
        for (int64_t i = 0; i < n; i++) {
            w[i] = from[i];
        }
    }
    return largest(w, n);
}

/* ---- pruning */

static void cut(float *restrict w, int64_t n, uint32_t threshold) {
    for (int64_t i = 0; i < n; i++) {
        w[i] = k_magnitude(w[i]) < threshold ? 0.0f : w[i];
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

/* Four weights that are `stride` apart; a weight goes when `keep` others come before it. */
INLINE void prune_four(float *w, int64_t stride, uint32_t keep) {
    const float w0 = w[0], w1 = w[stride], w2 = w[2 * stride], w3 = w[3 * stride];
    const uint32_t a = k_magnitude(w0), b = k_magnitude(w1);
    const uint32_t c = k_magnitude(w2), d = k_magnitude(w3);
    const uint32_t ab = a >= b, ac = a >= c, ad = a >= d, bc = b >= c, bd = b >= d, cd = c >= d;
    w[0] = 3 - ab - ac - ad >= keep ? 0.0f : w0;
    w[stride] = ab + 2 - bc - bd >= keep ? 0.0f : w1;
    w[2 * stride] = ac + bc + 1 - cd >= keep ? 0.0f : w2;
    w[3 * stride] = ad + bd + cd >= keep ? 0.0f : w3;
}

static void prune_four_columns(float *restrict w0, float *restrict w1, float *restrict w2,
                               float *restrict w3, int64_t columns, uint32_t keep) {
    for (int64_t j = 0; j < columns; j++) {
        float four[4] = {w0[j], w1[j], w2[j], w3[j]};
        prune_four(four, 1, keep);
        w0[j] = four[0];
        w1[j] = four[1];
        w2[j] = four[2];
        w3[j] = four[3];
    }
}

static void prune_columns(float *restrict w, int64_t stride, int rows, int64_t columns, int keep,
                          uint8_t *restrict drop) {
    if (rows <= keep) {
        return;
    }
    if (rows == 4) {
        prune_four_columns(w, w + stride, w + 2 * stride, w + 3 * stride, columns, (uint32_t)keep);
        return;
    }
    for (int i = 0; i < rows; i++) {
        for (int64_t first = 0; first < columns; first += 256) {
            uint32_t before[256] = {0};
            const int64_t n = columns - first < 256 ? columns - first : 256;
            const float *const mine = w + i * stride + first;
            for (int o = 0; o < rows; o++) {
                const float *const other = w + o * stride + first;
                const uint32_t tie = o < i; /* the lower index stays */
                for (int64_t j = 0; j < n && o != i; j++) {
                    before[j] += k_magnitude(other[j]) + tie > k_magnitude(mine[j]);
                }
            }
            for (int64_t j = 0; j < n; j++) {
                drop[i * columns + first + j] = before[j] >= (uint32_t)keep;
            }
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            w[i * stride + j] = drop[i * columns + j] ? 0.0f : w[i * stride + j];
        }
    }
}

static void prune_run(float *restrict w, int64_t n, int keep, int group, uint8_t *restrict drop) {
    int64_t i = 0;
    if (group == 4) {
        for (; i + 4 <= n; i += 4) {
            prune_four(w + i, 1, (uint32_t)keep);
        }
    }
    for (; i < n; i += group) {
        const int rows = n - i < group ? (int)(n - i) : group;
        for (int a = 0; a < rows; a++) {
            const uint32_t mine = k_magnitude(w[i + a]);
            int before = 0;
            for (int b = 0; b < rows; b++) {
                before += b != a && k_magnitude(w[i + b]) + (b < a) > mine;
            }
            drop[a] = before >= keep;
        }
        for (int a = 0; a < rows; a++) {
            w[i + a] = drop[a] ? 0.0f : w[i + a];
        }
    }
}

/* ---- ranges */

/* A float as an integer of the same order; its own inverse. -0 comes just below +0. */
INLINE int32_t ordered(int32_t bits) {
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

static void range_columns(bool asymmetric, const float *restrict w, int64_t n, int32_t *restrict lo,
                          int32_t *restrict hi) {
    if (!asymmetric) {
        for (int64_t i = 0; i < n; i++) {
            const int32_t m = (int32_t)k_magnitude(w[i]);
            hi[i] = m > hi[i] ? m : hi[i];
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const int32_t m = ordered((int32_t)k_bits(w[i]));
        lo[i] = m < lo[i] ? m : lo[i];
        hi[i] = m > hi[i] ? m : hi[i];
    }
}

INLINE Range range_run(bool asymmetric, const float *restrict w, int64_t n, Range r) {
    int32_t lo = r.lo, hi = r.hi;
    if (asymmetric) {
        for (int64_t i = 0; i < n; i++) {
            const int32_t m = ordered((int32_t)k_bits(w[i]));
            lo = m < lo ? m : lo;
            hi = m > hi ? m : hi;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            const int32_t m = (int32_t)k_magnitude(w[i]);
            hi = m > hi ? m : hi;
        }
    }
    return (Range){lo, hi};
}

/* Inlined with a constant length where blocks are short. */
INLINE void range_runs_of(bool asymmetric, const float *restrict w, int64_t n, int64_t length,
                          int32_t *restrict lo, int32_t *restrict hi) {
    int64_t i = 0, run = 0;
    for (; i + length <= n; i += length, run++) {
        const Range r = range_run(asymmetric, w + i, length, (Range){lo[run], hi[run]});
        lo[run] = r.lo;
        hi[run] = r.hi;
    }
    if (i < n) {
        const Range r = range_run(asymmetric, w + i, n - i, (Range){lo[run], hi[run]});
        lo[run] = r.lo;
        hi[run] = r.hi;
    }
}

static void range_runs(bool asymmetric, const float *restrict w, int64_t n, int64_t length,
                       int32_t *restrict lo, int32_t *restrict hi) {
    if (asymmetric) {
        range_runs_of(true, w, n, length, lo, hi);
    } else if (length == 16) {
        range_runs_of(false, w, n, 16, lo, hi);
    } else if (length == 32) {
        range_runs_of(false, w, n, 32, lo, hi);
    } else {
        range_runs_of(false, w, n, length, lo, hi);
    }
}
