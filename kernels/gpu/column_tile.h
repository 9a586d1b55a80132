/* A tile of [K, N] weights in the registers of a block of threads: 16 lanes side by side read 256
 * bytes of a row, each thread has ROWS rows of VECTOR columns. Missing rows and columns are read as
 * 0. For kernels/gpu/columns.h, which says what the text defines. */
#ifndef KERNELS_GPU_COLUMN_TILE_H
#define KERNELS_GPU_COLUMN_TILE_H
#include "kernels/gpu/prune.h"

#define ROWS 8
#define ACROSS 16 /* lanes side by side */
#define TILE_ROWS (THREADS / ACROSS * ROWS)
#define TILE_COLUMNS (ACROSS * VECTOR)

typedef struct Tile {
    uint32_t outer, row, column; /* of the tile in the box */
    uint32_t my_row, my_column;  /* of this thread in the tile */
    uint32_t first;              /* this thread's first weight, in the box */
    int32_t here;                /* how many of this thread's rows are in the box */
} Tile;

K_FN Tile tile_of(const GpuArgs *a) {
    const uint32_t across = ((uint32_t)a->columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    const uint32_t down = ((uint32_t)a->rows + TILE_ROWS - 1u) / TILE_ROWS;
    Tile t;
    t.column = k_block() % across * TILE_COLUMNS;
    t.row = k_block() / across % down * TILE_ROWS;
    t.outer = k_block() / across / down;
    t.my_row = k_thread() / ACROSS * ROWS;
    t.my_column = k_thread() % ACROSS * VECTOR;
    t.first = (t.outer * (uint32_t)a->rows + t.row + t.my_row) * (uint32_t)a->columns + t.column +
              t.my_column;
    t.here = (int32_t)a->rows - (int32_t)(t.row + t.my_row);
    t.here = t.column + t.my_column < (uint32_t)a->columns ? t.here : 0;
    return t;
}

/* In the box, of this thread's first column in one of its rows. */
K_FN uint32_t index_of(const GpuArgs *a, const Tile *t, int32_t row) {
    return t->first + (uint32_t)row * (uint32_t)a->columns;
}

K_FN void load_row(const GpuArgs *a, const Tile *t, int32_t r, uint32_t *w) {
    if (r < t->here) {
        k_load16(a->source + (int64_t)index_of(a, t, r) * ELEMENT_BYTES, w);
    } else {
        w[0] = w[1] = w[2] = w[3] = 0u;
    }
}
K_FN void load_tile(const GpuArgs *a, const Tile *t, uint32_t w[ROWS][4]) {
    K_UNROLL
    for (int32_t r = 0; r < ROWS; r++) {
        load_row(a, t, r, w[r]);
    }
}

K_FN bool tile_finite(const uint32_t w[ROWS][4]) {
    uint32_t packed = 0u;
    K_UNROLL
    for (int32_t r = 0; r < ROWS; r++) {
        packed = packed_max(w[r], 4, packed);
    }
    return packed_finite(packed);
}
#ifdef GROUP
/* Prunes down the columns, in the registers. */
K_FN void prune_tile(uint32_t w[ROWS][4]) {
    K_UNROLL
    for (int32_t r = 0; r < ROWS; r += GROUP) {
        K_UNROLL
        for (int32_t i = 0; i < 4; i++) {
#if PAIRS
            prune_pairs(&w[r][i], &w[r + 1][i], &w[r + 2][i], &w[r + 3][i]);
#else
            const int32_t in_word = HALF ? 2 : 1;
            float x[GROUP * 2];
            K_UNROLL
            for (int32_t g = 0; g < GROUP; g++) {
                unpack(w[r + g] + i, in_word, x + g * in_word);
            }
            K_UNROLL
            for (int32_t v = 0; v < in_word; v++) {
                prune_group(x + v, in_word);
            }
            K_UNROLL
            for (int32_t g = 0; g < GROUP; g++) { /* what became +0; the rest stays as it was */
                uint32_t low = k_bits(x[g * in_word]) == 0u ? 0xffffu : 0u;
                uint32_t high = k_bits(x[g * in_word + in_word - 1]) == 0u ? 0xffff0000u : 0u;
                w[r + g][i] &= ~(HALF ? low | high : low | low << 16);
            }
#endif
        }
    }
}
#endif

/* Weight v of this thread's rows. */
K_FN void column_of(const uint32_t w[ROWS][4], int32_t v, float *x) {
    K_UNROLL
    for (int32_t r = 0; r < ROWS; r++) {
        float pair[2];
        unpack(w[r] + (HALF ? v / 2 : v), HALF ? 2 : 1, pair);
        x[r] = pair[HALF ? v % 2 : 0];
    }
}

#if METRICS || SEARCH
/* Loops over rows that are long inside are not unrolled, which would triple the time to compile
 * them. Registers have no index, so the rows move up past such a loop, and are back after ROWS. */
K_FN void next_row(uint32_t w[ROWS][4]) {
    K_UNROLL
    for (int32_t i = 0; i < 4; i++) {
        const uint32_t first = w[0][i];
        K_UNROLL
        for (int32_t r = 0; r + 1 < ROWS; r++) {
            w[r][i] = w[r + 1][i];
        }
        w[ROWS - 1][i] = first;
    }
}
#endif
#endif
