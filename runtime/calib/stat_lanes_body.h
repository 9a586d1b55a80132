/* The text of the loops of stat_lanes.h, for one instruction set. Expects LANES (the name of the
 * table), USABLE(), and of vectors of float64: WIDTH (how many fit), Doubles, SPREAD(x) (x in every
 * lane) and MULTIPLY_ADD(a, b, c). The other loops are plain C that compilers vectorize. */
#include <string.h>
#include "kernels/dialect.h"
#include "runtime/calib/stat_lanes.h"
#include "runtime/calib/stats.h"

/* Doubles of any alignment: rows of a matrix of any width. */
typedef Doubles __attribute__((aligned(8), may_alias)) LooseDoubles;

static void range(const float *x, int64_t n, int32_t *lo, int32_t *hi) {
    int32_t least = *lo, most = *hi;
    for (int64_t i = 0; i < n; i++) {
        int32_t key = stat_key(k_bits(x[i]));
        least = key < least ? key : least;
        most = key > most ? key : most;
    }
    *lo = least;
    *hi = most;
}

static void bins(const float *x, int64_t n, uint32_t count, float top, uint32_t *at) {
    const float scale = (float)count, last = scale - 1.0f;
    const int32_t other = (int32_t)count;
    for (int64_t i = 0; i < n; i++) {
        int32_t bin = (int32_t)k_min(k_abs(x[i]) * scale / top, last); /* may be infinite before */
        at[i] = (uint32_t)(bin + (x[i] < 0.0f ? other : 0));
    }
}

static void columns(const float *x, int64_t rows, int64_t stride, int64_t width,
                    float *restrict amax, double *restrict sum, double *restrict sum_abs) {
    for (; rows > 0; rows--, x += stride) {
        for (int64_t c = 0; c < width; c++) {
            float a = k_abs(x[c]);
            amax[c] = k_max(a, amax[c]);
            sum[c] += (double)x[c];
            sum_abs[c] += (double)a;
        }
    }
}

static void magnitudes(const float *x, int64_t rows, int64_t stride, int64_t width,
                       const int32_t *restrict first, uint32_t *restrict at) {
    for (; rows > 0; rows--, x += stride, at += width) {
        for (int64_t c = 0; c < width; c++) {
            const int32_t bits = (int32_t)(k_bits(x[c]) & 0x7fffffffu);
            int32_t bin = (bits >> STAT_MAGNITUDE_SHIFT) - first[c];
            bin = bin > 0 ? bin : 0;
            at[c] = (uint32_t)(bin + (x[c] < 0.0f ? STAT_MAGNITUDE_BINS : 0));
        }
    }
}

static double pairs(const double *v) {
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

static void plane(const float *x, int64_t n, float *amax, double *sum, double *sum_abs) {
    float most[STAT_PANEL] = {0};
    double sums[STAT_PANEL] = {0}, sums_abs[STAT_PANEL] = {0};
    const int64_t whole = n / STAT_PANEL * STAT_PANEL;
    columns(x, n / STAT_PANEL, STAT_PANEL, STAT_PANEL, most, sums, sums_abs);
    columns(x + whole, 1, 0, n - whole, most, sums, sums_abs);
    for (int i = 0; i < STAT_PANEL; i++) {
        *amax = k_max(most[i], *amax);
    }
    *sum += pairs(sums);
    *sum_abs += pairs(sums_abs);
}

/* HEIGHT rows of c by VECTORS vectors, which begin at vector `first` of b and stay in registers
 * while all rows pass; both numbers are constants where it is inlined. */
static inline __attribute__((always_inline)) void block(const double *a, const double *b,
                                                        int64_t stride, int64_t rows, double *c,
                                                        int64_t width, const int height,
                                                        const int first, const int vectors) {
    Doubles sums[STAT_PANEL][STAT_PANELS];
    const double *from[STAT_PANELS];
    for (int j = 0; j < vectors; j++) {
        const int column = (first + j) * WIDTH;
        from[j] = b + column / STAT_PANEL * stride + column % STAT_PANEL;
        for (int i = 0; i < height; i++) {
            sums[i][j] = *(const LooseDoubles *)(c + i * width + column);
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        Doubles right[STAT_PANELS];
        for (int j = 0; j < vectors; j++) {
            right[j] = *(const LooseDoubles *)(from[j] + r * STAT_PANEL);
        }
        for (int i = 0; i < height; i++) {
            const Doubles left = SPREAD(a[r * STAT_PANEL + i]);
            for (int j = 0; j < vectors; j++) {
                sums[i][j] = MULTIPLY_ADD(left, right[j], sums[i][j]);
            }
        }
    }
    for (int j = 0; j < vectors; j++) {
        for (int i = 0; i < height; i++) {
            *(LooseDoubles *)(c + i * width + (first + j) * WIDTH) = sums[i][j];
        }
    }
}

/* Of 32 registers 24 hold sums, of 16 12 do (8 where a vector holds two). */
static void gram(const double *a, const double *b, int64_t stride, int panels, int64_t rows,
                 double *c, int64_t width) {
    const int height = WIDTH == 8 ? 8 : 4, vectors = panels * STAT_PANEL / WIDTH;
    for (int i = 0; i < STAT_PANEL; i += height) {
        int j = 0;
        for (; WIDTH > 2 && j + 3 <= vectors; j += 3) {
            block(a + i, b, stride, rows, c + i * width, width, height, j, 3);
        }
        for (; j + 2 <= vectors; j += 2) {
            block(a + i, b, stride, rows, c + i * width, width, height, j, 2);
        }
        for (; j < vectors; j++) {
            block(a + i, b, stride, rows, c + i * width, width, height, j, 1);
        }
    }
}

static bool usable(void) {
    return USABLE();
}

const StatLanes LANES = {
    .name = STAT_LANES_NAME,
    .usable = usable,
    .range = range,
    .bins = bins,
    .columns = columns,
    .plane = plane,
    .magnitudes = magnitudes,
    .gram = gram,
};
