/* How a Kernel's tensor is cut: into granules (the weights of one scale), chunks (what is encoded,
 * and written, at a time) and tiles (what fits the cache). Everything follows from the Kernel
 * alone, so that thread counts change nothing.
 *
 * The unit view [outer, axis, inner] is walked in steps along its axis that keep every block and
 * every N:M group whole. With inner > 1 a tile is a rectangle of rows (along the axis) by
 * consecutive columns; with inner == 1 it is one run of neighbours. A chunk is a box of the unit
 * view that is one range of elements (LAYOUT_ONNX) or of output rows (LAYOUT_NBITS), on whole bytes
 * of every packed output. No chunk and no rectangle cuts a strip (kernels/compare.h). */
#ifndef KERNELS_SHAPE_H
#define KERNELS_SHAPE_H
#include "kernels/kernels.h"

typedef struct Shape {
    KernelGranule granule; /* as the kernel's; a channel that is one row (outer == 1) is a block */
    KernelView view;       /* of the scales */
    int64_t block;         /* GRANULE_BLOCK: elements along view.axis */
    int64_t blocks;        /* GRANULE_BLOCK: ceil(view.axis / block) */
    int64_t scales;        /* number of scales; 0 without a format */

    KernelView unit;
    int64_t step;       /* along unit.axis; legal boundaries are its multiples and the end */
    int64_t group_span; /* elements of a run that hold whole N:M groups (1: no N:M) */

    int64_t chunks;
    int64_t slabs;   /* whole outer indices of a chunk, or 0: a chunk is part of one */
    int64_t steps;   /* when slabs is 0: steps of a chunk */
    int64_t columns; /* LAYOUT_NBITS with inner > 1: columns of a chunk, else 0 */

    int64_t tile_rows; /* 1 when unit.inner == 1 */
    int64_t tile_columns;
    int64_t tile_scales; /* most scales that a span (see tile.h) has */
} Shape;

/* Indices of the unit view, ends excluded. */
typedef struct Box {
    int64_t o0, o1, k0, k1, i0, i1;
} Box;

Shape shape_of(const Kernel *k);
void shape_force(int64_t chunk_elements, int64_t tile_elements); /* for tests; 0, 0 undoes */
Box shape_chunk(const Shape *s, int64_t chunk);
int64_t shape_first(const Shape *s, int64_t chunk);       /* element; LAYOUT_ONNX */
int64_t shape_first_scale(const Shape *s, int64_t chunk); /* GRANULE_BLOCK, LAYOUT_ONNX */
int source_size(int onnx_type); /* bytes of an element of a source or scale type */
#endif
