/* The scales of a span of blocks (GRANULE_BLOCK): its tiles are loaded and measured, METHOD_MAX
 * takes the range, METHOD_MSE tries every ratio. Out: Work's scale_codes, s, r and z, one for each
 * scale of the span; the loops that may divide by them; and the weights that are not finite,
 * counted. Leaves the tile loaded when the span is one. */
#ifndef KERNELS_CHOOSE_H
#define KERNELS_CHOOSE_H
#include "kernels/tile.h"

void choose_scales(Work *work, const Span *span, Tile *tile);
#endif
