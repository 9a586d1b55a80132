/* Loops over activations, the only part of the statistics where time goes. One text
 * (stat_lanes_body.h) is compiled once for each instruction set; every variant gives the same bits:
 * minima, maxima and bins are single operations, sums are float64 in one order, and the products of
 * the Gram matrix, of two float32 each, are exact in float64, so that a fused multiply-add rounds
 * as a product and a sum do. Arrays are the caller's; n may be 0. */
#ifndef RUNTIME_CALIB_STAT_LANES_H
#define RUNTIME_CALIB_STAT_LANES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STAT_PANEL = 8, /* columns of a packed panel; also the lanes of a plane's sums */
    STAT_PANELS = 3 /* that one call of `gram` may take on the right */
};

/* Signed integers that order like the floats they stand for, -0 below +0; NaNs lie outside the keys
 * of the infinities, on the side of their sign. */
static inline int32_t stat_key(uint32_t bits) {
    return (int32_t)(bits ^ ((uint32_t)((int32_t)bits >> 31) & 0x7fffffffu));
}

typedef struct StatLanes {
    const char *name;
    bool (*usable)(void); /* on this processor */
    /* Folds the keys of n floats into *lo and *hi. */
    void (*range)(const float *x, int64_t n, int32_t *lo, int32_t *hi);
    /* Where each float is counted: bin of its magnitude, plus `bins` if it is below 0. The bin is
     * floor(|x| * bins / top) in float32 operations, as torch.histc has it; the last at most. */
    void (*bins)(const float *x, int64_t n, uint32_t bins, float top, uint32_t *at);
    /* `width` columns of rows that lie `stride` apart: largest magnitude, sum of x and of |x|. */
    void (*columns)(const float *x, int64_t rows, int64_t stride, int64_t width, float *amax,
                    double *sum, double *sum_abs);
    /* The same of n neighbours, all of one channel: STAT_PANEL sums, that of element i is number
     * i % STAT_PANEL, added in pairs at the end. */
    void (*plane)(const float *x, int64_t n, float *amax, double *sum, double *sum_abs);
    /* Where each value of such columns is counted: by its upper bits (STAT_MAGNITUDE_SHIFT), from
     * the column's `first` on; plus STAT_MAGNITUDE_BINS if it is below 0. No value may lie above
     * its column's bins. at: [rows][width] */
    void (*magnitudes)(const float *x, int64_t rows, int64_t stride, int64_t width,
                       const int32_t *first, uint32_t *at);
    /* c += a^T b, row after row: a is a packed panel [rows][STAT_PANEL], b are `panels` of them
     * that lie `stride` doubles apart, c has STAT_PANEL rows that lie `width` apart. */
    void (*gram)(const double *a, const double *b, int64_t stride, int panels, int64_t rows,
                 double *c, int64_t width);
} StatLanes;

extern const StatLanes stat_lanes_base, stat_lanes_avx2, stat_lanes_avx512;
extern const StatLanes *const stat_lanes_all[]; /* slowest first; those this build has */
extern const int stat_lanes_count;
const StatLanes *stat_lanes_best(void); /* the last usable one */

#endif
