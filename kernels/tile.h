/* One thread's work on one tile: pieces of a chunk are widened to float32, pruned, and then
 * measured (survey.c) or encoded (encode.c). A span is what shares its scales: whole blocks of some
 * columns, or a run of whole blocks; it is one tile unless a block is too long for that. */
#ifndef KERNELS_TILE_H
#define KERNELS_TILE_H
#include "kernels/lanes.h"
#include "kernels/shape.h"

typedef struct State State; /* of the surveys: state.h */

typedef struct Work {
    const Kernel *k;
    Shape shape;
    const Lanes *lanes;
    const FormatLanes *format; /* NULL without a format */
    ScaleRule rule;
    const void *src;
    uint32_t threshold; /* PRUNE_RATIO: see State */
    int64_t tie_index;
    int64_t nonfinite, first_nonfinite; /* counted by tile_load */

    /* scratch: a tile of weights and its codes, rows of it, and one value per scale of a span */
    float *w;
    uint8_t *codes, *turned, *drop;
    float *row_s, *row_z, *row_unit, *row_q, *row_w;
    uint32_t *row_errors;
    int32_t *row_lo, *row_hi;
    int32_t *lo, *hi;
    float *s, *z, *unit, *try_s, *try_z;
    uint32_t *scale_codes, *try_codes;
    uint64_t *sums, *best_sums;
} Work;

/* Ends excluded; columns i0..i1 are 0..1 where the unit view has inner == 1. */
typedef struct Span {
    int64_t o, k0, k1, i0, i1;
} Span;

typedef struct Tile {
    int64_t k;             /* of its first row, or of its first element */
    int64_t first, stride; /* element index of (0, 0); between rows */
    int64_t rows, columns;
} Tile;

/* Lays the arrays of a Work out from `scratch` on; returns their size. NULL: only the size. */
size_t work_layout(Work *work, const Kernel *k, void *scratch);
Work work_open(const Kernel *k, const void *src, const State *state, void *scratch);

/* The next span of a box; false: there is none left. *started starts as false. */
bool span_next(const Work *work, const Box *box, Span *span, bool *started);
bool tile_next(const Work *work, const Span *span, int64_t *at, Tile *tile); /* *at starts as 0 */
bool span_is_tile(const Work *work, const Span *span);
int64_t span_scales(const Work *work, const Span *span); /* GRANULE_BLOCK */

void tile_load(Work *work, const Tile *tile);
/* The block, counted within its span, that a row of a tile belongs to. */
int64_t tile_block(const Work *work, const Span *span, const Tile *tile, int64_t row);

/* The channel of element `index`, and how many elements from there on belong to it (or, where
 * inner is 1, to it and those after it, one each). */
int64_t channel_at(const Shape *s, int64_t index, int64_t n, int64_t *length);
#endif
