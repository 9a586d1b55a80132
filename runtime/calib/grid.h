/* How a weight [rows][k] becomes codes, by the law of kernels/ and with its bits: the values that a
 * scale can hold. Rows are output channels, k is the reduction. What calibration decides (which
 * code a weight takes, which scale a granule has) stays on such a grid, and a value that a grid
 * gave takes the same code again under the same scale. Memory comes from the caller's arena and is
 * made on his thread. */
#ifndef RUNTIME_CALIB_GRID_H
#define RUNTIME_CALIB_GRID_H
#include "kernels/kernels.h"
#include "runtime/base/arena.h"
#include "runtime/base/spread.h"

typedef struct Grid {
    const Format *format;
    KernelGranule granule; /* a channel is a row; blocks lie along k, the last may be short */
    int64_t block;         /* GRANULE_BLOCK */
    int scale_type;        /* as Kernel.scale_type; FLOAT8E4M3FN is two-level */
    KernelMethod method;   /* of grid_scales */
} Grid;

/* The scales of one weight: scale (row, column) is number row * row_step + column / length. */
typedef struct Scales {
    int64_t rows, k;
    int64_t row_step; /* 0 for one scale of the tensor */
    int64_t length;   /* neighbours along k that share one */
    int64_t count;
    float super;     /* two-level: the tensor's; else 1 */
    uint32_t *codes; /* as stored in scale_type */
    float *divisors; /* what weights are divided by */
    float *zeros;    /* zero points; 0 for symmetric formats */
} Scales;

/* Room for the scales of a weight; every scale is 1. */
Scales scales_new(Arena *arena, const Grid *grid, int64_t rows, int64_t k);
void scales_copy(Scales *to, const Scales *from); /* of the same shape */
static inline int64_t scale_index(const Scales *s, int64_t row, int64_t column) {
    return row * s->row_step + column / s->length;
}

/* Scales by the grid's method, from w; the arena is scratch. False if the Spread failed. */
bool grid_scales(const Grid *grid, const float *w, Scales *scales, Arena *arena,
                 const Spread *spread);

/* The same for rows [first, first + rows), w, on this thread, where scales need no other rows
 * (grid_by_rows); room: grid_room bytes for as many rows. */
bool grid_by_rows(const Grid *grid);
size_t grid_room(const Grid *grid, int64_t rows, int64_t k);
void grid_row_scales(const Grid *grid, const float *w, int64_t first, int64_t rows, Scales *scales,
                     void *room);

/* Sets scale `index` to what range * ratio / scale_max is stored as; lo is 0 for symmetric
 * formats. */
void grid_set_scale(const Grid *grid, Scales *scales, int64_t index, float lo, float hi,
                    float ratio);
/* Sets it to the stored scale nearest to `divisor` > 0; the zero point stays. */
void grid_set_divisor(const Grid *grid, Scales *scales, int64_t index, float divisor);

/* The code of a weight under a scale, and the value that is read back. */
static inline uint32_t grid_code(const Grid *grid, float divisor, float zero, float w);
static inline float grid_value(const Grid *grid, float divisor, float zero, uint32_t code);
static inline float grid_nearest(const Grid *grid, float divisor, float zero, float w);

/* The same for rows [first, first + rows) of a weight: w and out are those rows (and may be the
 * same array). */
void grid_round_rows(const Grid *grid, const Scales *scales, int64_t first, int64_t rows,
                     const float *w, float *out);
/* The same for n neighbours under one scale. */
void grid_round_run(const Grid *grid, float divisor, float zero, int64_t n, const float *w,
                    float *out);

/* ---- inline */

static inline uint32_t grid_code(const Grid *grid, float divisor, float zero, float w) {
    const float x = w / divisor;
    if (!grid->format->asymmetric) {
        return grid->format->encode(x);
    }
    const float round = 12582912.0f; /* k_rint of kernels/dialect.h */
    return grid->format->encode(((x + round) - round) + zero);
}
static inline float grid_value(const Grid *grid, float divisor, float zero, uint32_t code) {
    return (grid->format->decode(code) - zero) * divisor;
}
static inline float grid_nearest(const Grid *grid, float divisor, float zero, float w) {
    return grid_value(grid, divisor, zero, grid_code(grid, divisor, zero, w));
}

#endif
