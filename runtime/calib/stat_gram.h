/* One batch's share of Gram matrices: g += X^T X for each group, in float64, row after row of X.
 * Products of two float32 are exact in float64 and sums come in the order of the rows, so a cell
 * has the bits of the plain loop `for each row: g[i][j] += x[i] * x[j]` on any processor, for any
 * number of threads and any cut into batches. (A BLAS promises none of this.) Rows are packed as
 * float64 into panels of STAT_PANEL columns, a few hundred at a time; tasks then own tiles of g on
 * and above the diagonal. Memory comes from the caller; nothing here allocates. */
#ifndef RUNTIME_CALIB_STAT_GRAM_H
#define RUNTIME_CALIB_STAT_GRAM_H
#include "runtime/calib/stat_tasks.h"

typedef struct GramShape {
    StatConv conv; /* a plain tensor is a convolution of one tap */
    bool taps;     /* it has more than one, or steps or padding: rows are not just places of x */
    int64_t out[STAT_RANK_MAX]; /* size of the output */
    int64_t places;             /* rows of X */
    int64_t groups, columns;    /* columns of X in each group */
} GramShape;

/* NULL, or what is wrong, as stat_add says it. */
const char *gram_shape_plain(StatView view, GramShape *shape);
const char *gram_shape_conv(const StatConv *conv, GramShape *shape);

size_t stat_gram_bytes(int64_t groups, int64_t columns); /* of all matrices */
size_t stat_gram_scratch(const GramShape *shape);
/* gram: [groups][columns][columns]. Scratch is aligned to 64. False: tasks could not run. */
bool stat_gram_add(const StatInput *in, const GramShape *shape, const Spread *spread, void *scratch,
                   double *gram);
void stat_gram_mirror(double *gram, int64_t groups, int64_t columns);

#endif
