/* Metrics of a chunk: stored values against the weights that came in, by the strips of
 * kernels/compare.h, however tiles cut the rows: a strip that is left open goes on with what comes
 * next, until the row ends. */
#ifndef KERNELS_STRIPS_H
#define KERNELS_STRIPS_H
#include "kernels/tile.h"

typedef struct Strips {
    StripSums sums;
    float open_w[K_STRIP], open_q[K_STRIP];
    int64_t open;
} Strips; /* starts as zeros */

/* The next n elements of a row and their stored values, v; or, where s is given, decoded values
 * with a divisor (and zero point, if z is) for each four of them. All parts of such rows but the
 * last must be multiples of four. */
void strips_add(Strips *strips, const Lanes *lanes, Row row, const float *v, const float *s,
                const float *z, int64_t n);
void strips_end_row(Strips *strips, const Lanes *lanes);
void strips_close(Strips *strips, const Lanes *lanes, KernelMetrics *m);
#endif
