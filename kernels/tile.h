/* One thread's work on one tile: pieces of a chunk are pruned, measured (survey.c) or encoded
 * (encode.c) while they lie in the cache. A span is what shares its scales: whole blocks of some
 * columns, or a run of whole blocks; it is one tile unless a block is too long for that.
 *
 * The elements of a tile are read where the source lies, or copied to be pruned or, for a search
 * and from doubles, turned into floats. */
#ifndef KERNELS_TILE_H
#define KERNELS_TILE_H
#include "kernels/lanes.h"
#include "kernels/shape.h"

typedef struct State State; /* of the surveys: state.h */

enum { LEAST_ROW = 1024 }; /* rows of floats have room for that, however short a tile's are */

/* The search for the scale of one block (choose.c). */
typedef struct Search {
    Tries tries;
    int64_t n;            /* weights */
    double bounds[TRIES]; /* of the sums */
    int first;            /* the ratio with the lowest */
    uint64_t sums[TRIES];
} Search;

typedef struct Work {
    const Kernel *k;
    Shape shape;
    const Lanes *lanes;
    const FormatLanes *format; /* NULL without a format */
    const Lanes *divider;      /* whose loops divide, set by work_divide */
    ScaleRule rule;
    const void *src;
    int type;                           /* of the elements of a tile: the source's, or FLOAT */
    bool half;                          /* they have 2 bytes */
    bool direct;                        /* they are read where the source lies */
    int32_t last;                       /* PRUNE_RATIO: magnitudes (of elements) up to it go, ... */
    int64_t tie_index;                  /* ... those of one more from this index on, too */
    bool inspect;                       /* tile_load looks for weights that are not finite */
    int64_t nonfinite, first_nonfinite; /* which it has counted */

    /* scratch: a tile of elements and its codes, rows of floats, one value per scale of a span */
    void *room;
    uint8_t *codes, *turned, *drop;
    float *row_w, *row_in, *row_x, *row_v, *fours_s, *fours_z;
    int32_t *lo, *hi;
    float *s, *r, *z, *unit, *try_s, *try_r, *try_z;
    uint32_t *scale_codes, *try_codes;
    float *run;       /* a search: weights of a column, ... */
    Search *searches; /* ... one, or one for each column where a block has several tiles */
} Work;

/* Ends excluded; columns i0..i1 are 0..1 where the unit view has inner == 1. */
typedef struct Span {
    int64_t o, k0, k1, i0, i1;
} Span;

typedef struct Tile {
    int64_t k;             /* of its first row, or of its first element */
    int64_t first, stride; /* element index of (0, 0); between rows */
    int64_t rows, columns;
    const char *e;    /* its elements, once it is loaded; ... */
    int64_t e_stride; /* ... rows are so many elements apart */
} Tile;

/* Lays the arrays of a Work out from `scratch` on; returns their size. NULL: only the size. */
size_t work_layout(Work *work, const Kernel *k, void *scratch);
Work work_open(const Kernel *k, const void *src, const State *state, void *scratch);
/* Chooses the loops that divide: by reciprocals, or truly. */
void work_divide(Work *work, bool by_reciprocals);
/* FormatLanes.error, dividing so. */
void work_error(const Work *work, const void *w, Divisors d, const float *unit, int64_t n,
                int64_t length, uint64_t *sums);

/* The next span of a box; false: there is none left. *started starts as false. */
bool span_next(const Work *work, const Box *box, Span *span, bool *started);
bool tile_next(const Work *work, const Span *span, int64_t *at, Tile *tile); /* *at starts as 0 */
bool span_is_tile(const Work *work, const Span *span);
int64_t span_scales(const Work *work, const Span *span); /* GRANULE_BLOCK */

void tile_load(Work *work, Tile *tile);
const void *tile_elements(const Work *work, const Tile *tile, int64_t row, int64_t column);
/* Elements of one row. */
typedef struct Row {
    int type;
    const void *e;
} Row;
Row tile_row(const Work *work, const Tile *tile, int64_t row); /* as the tile has them */
/* Before pruning, of type FLOAT or BFLOAT16: where they lie, or widened, until the next call. */
Row source_row(Work *work, int64_t first, int64_t n);
/* Counts the weights of a tile that are not finite. */
void tile_inspect(Work *work, const Tile *tile);
/* The block, counted within its span, that a row of a tile belongs to. */
int64_t tile_block(const Work *work, const Span *span, const Tile *tile, int64_t row);

/* The channel of element `index`, and how many elements from there on belong to it (or, where
 * inner is 1, to it and those after it, one each). */
int64_t channel_at(const Shape *s, int64_t index, int64_t n, int64_t *length);
#endif
