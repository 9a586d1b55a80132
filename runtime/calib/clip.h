/* Scales of blocks or rows by what their own errors do to the output: of the range times 0.50,
 * 0.525,
 * ... 1.10, the ratio with the least d G_bb d^T, d the error of the block's weights (AWQ's
 * clipping, without tokens). The error of other blocks is left out. */
#ifndef RUNTIME_CALIB_CLIP_H
#define RUNTIME_CALIB_CLIP_H
#include "runtime/calib/grid.h"

/* scales: from grid_scales; a scale is changed only for a smaller loss, the one of a whole tensor
 * never. g [k][k]. False if the Spread failed. */
bool clip_scales(const Grid *grid, const float *w, const float *g, Scales *scales, Arena *arena,
                 const Spread *spread);

#endif
