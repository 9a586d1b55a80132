/* Granules that run down the columns: blocks of 16 ... 256 rows (ONNX's [K, N] weights); or, with
 * GIVEN, the scales of channels or of the tensor from the survey. A block of threads does a tile of
 * TILE_ROWS x TILE_COLUMNS weights: 16 lanes side by side read 256 bytes of a row, each thread has
 * ROWS rows of VECTOR columns in registers. Column maxima meet in shared memory, one thread makes
 * the scale of each granule, all encode.
 *
 * The box is [outer][rows][columns], columns a multiple of VECTOR. Missing rows and columns are
 * read as 0 and not stored.
 *
 * The text defines SOURCE, ELEMENT, SCALE, BLOCK (it divides TILE_ROWS), THREADS, RESIDENT, METRICS,
 * SEARCH, and as wanted GIVEN (1: one scale, 2: one a column, 3: one for `run` columns), NBITS, KEEP
 * and GROUP (ROWS % GROUP == 0). Tiles are counted in GpuArgs.units, one for a block of threads. */
#include "kernels/gpu/column_scales.h"
#include "kernels/gpu/report.h"

K_FN void report_tile(const GpuArgs *a, const Tile *t) {
    const int64_t k = t->outer * a->axis + t->row + t->my_row;
    const int32_t lines = t->here < ROWS ? t->here : ROWS;
    report_nonfinite(a->source, a->report, t->first,
                     a->first + k * a->inner + t->column + t->my_column, VECTOR, lines, a->columns,
                     a->inner);
}

/* Units of this thread's columns, if one of the tile is not 1: looked up again, so that no register
 * is kept for what is never there. */
K_FN bool rare_units(const Tile *t, const Divisors *all, float *unit) {
    const bool rare = SOURCE != K_FLOAT16 && all->rare != 0u;
    if (rare) {
        k_load_floats(all->unit + my_granule(t), VECTOR, unit);
    }
    return rare;
}

/* Weights as `divide` takes them: multiplied where they stand. False: they were already. */
K_FN bool bring_tile_near(const Tile *t, const Divisors *all, uint32_t w[ROWS][4]) {
    float unit[VECTOR];
    if (!rare_units(t, all, unit)) {
        return false;
    }
    K_UNROLL
    for (int32_t r = 0; r < ROWS; r++) {
        K_UNROLL
        for (int32_t i = 0; i < 4; i++) {
#if HALF /* bfloat16; what is too small for it afterwards is far below the least code */
            uint32_t low = k_bits(k_float(w[r][i] << 16) * unit[2 * i]);
            uint32_t high = k_bits(k_float(w[r][i] & 0xffff0000u) * unit[2 * i + 1]);
            w[r][i] = low >> 16 | (high & 0xffff0000u);
#else
            w[r][i] = k_bits(k_float(w[r][i]) * unit[i]);
#endif
        }
    }
    return true;
}

/* What codes of this thread's columns are multiplied by. */
K_FN void true_divisors(const Tile *t, const Divisors *all, Divisor *d) {
    float unit[VECTOR];
    const bool rare = rare_units(t, all, unit);
    K_UNROLL
    for (int32_t v = 0; v < VECTOR; v++) {
        d[v].s = rare ? true_divisor(d[v].t, unit[v]) : d[v].t;
    }
}

K_FN float encode_one(float x, Divisor d) {
    x = divide(x, d);
    return ASYMMETRIC ? k_rint(x) + d.z : x;
}

#if METRICS
/* All threads: compares one row of each thread. A strip is 64 columns, 64 / VECTOR lanes. */
K_FN void compare_row(const GpuArgs *a, const Tile *t, int32_t r, const uint32_t *w, const float *q,
                      Gathered *gathered, uint32_t *zeros, uint32_t *error) {
    float x[VECTOR];
    uint32_t none = 0u;
    const bool inside = r < t->here;
    unpack(w, VECTOR, x);
    const Sums sums = join_lanes(compare(x, q, VECTOR, inside ? zeros : &none, error),
                                 K_STRIP / VECTOR);
    if (inside && t->my_column % K_STRIP == 0u) {
        gather_strip(gathered, sums);
    }
}

#ifdef NBITS
/* The codes of a column move up like the rows. */
K_FN void next_code(uint32_t codes[WORDS_OF(ROWS)]) {
    K_UNROLL
    for (int32_t i = 0; i < WORDS_OF(ROWS); i++) {
        codes[i] >>= BITS;
        if (i + 1 < WORDS_OF(ROWS)) {
            codes[i] |= codes[i + 1] << (32 - BITS);
        }
    }
}
#endif
#endif

#ifdef NBITS
/* Codes of a column are neighbours: each thread packs ROWS of each of its columns, the columns are
 * turned in shared memory, so that each is written in long pieces. Whole blocks are written: what is
 * missing of the last one has been encoded as 0. All threads. */
#define COLUMN_WORDS (TILE_ROWS * BITS / 32)

K_FN void store_columns(const GpuArgs *a, const Tile *t, uint32_t codes[VECTOR][WORDS_OF(ROWS)]) {
    K_SHARED(uint32_t, turned, TILE_COLUMNS *(COLUMN_WORDS + 1));
    const uint32_t flips = nbits_flips();
    const uint32_t blocks = ((uint32_t)a->rows + BLOCK - 1u) / BLOCK;
    const uint32_t row_words = blocks * (BLOCK * BITS / 32); /* of an output row */
    K_UNROLL
    for (int32_t v = 0; v < VECTOR; v++) {
        uint32_t *column = turned + (t->my_column + (uint32_t)v) * (COLUMN_WORDS + 1);
#if ROWS * BITS >= 32
        K_UNROLL
        for (int32_t i = 0; i < WORDS_OF(ROWS); i++) {
            column[t->my_row * BITS / 32u + (uint32_t)i] = codes[v][i] ^ flips;
        }
#else
        ((uint16_t *)column)[t->my_row * BITS / 16u] = (uint16_t)(codes[v][0] ^ flips);
#endif
    }
    k_sync();
    const uint32_t first = t->row * BITS / 32u; /* of this tile in an output row */
    for (uint32_t i = k_thread(); i < TILE_COLUMNS * COLUMN_WORDS; i += THREADS) {
        const uint32_t column = i / COLUMN_WORDS, word = i % COLUMN_WORDS;
        if (t->column + column < (uint32_t)a->columns && first + word < row_words) {
            k_store4(a->codes + ((int64_t)(t->column + column) * row_words + first + word) * 4,
                     turned[column * (COLUMN_WORDS + 1) + word]);
        }
    }
}

K_FN void encode_tile(const GpuArgs *a, const Tile *t, uint32_t w[ROWS][4], const Divisor *d,
                      bool changed) {
    uint32_t codes[VECTOR][WORDS_OF(ROWS)];
    K_UNROLL
    for (int32_t v = 0; v < VECTOR; v++) {
        float x[ROWS];
        column_of(w, v, x);
        K_UNROLL
        for (int32_t r = 0; r < ROWS; r++) {
            x[r] = encode_one(x[r], d[v]);
        }
        encode_codes(x, ROWS, codes[v]);
    }
    store_columns(a, t, codes);
#if METRICS
    K_SHARED(Gathered, gathered, 1);
    uint32_t zeros = 0u, error = 0u;
    gather_begin(gathered);
    K_ROLL
    for (int32_t r = 0; r < ROWS; r++) {
        float q[VECTOR];
        K_UNROLL
        for (int32_t v = 0; v < VECTOR; v++) {
            q[v] = decode_code(code_at(codes[v], 0), d[v].s, d[v].z);
            next_code(codes[v]);
        }
        if (changed) {
            load_row(a, t, r, w[0]);
        }
        compare_row(a, t, r, w[0], q, gathered, &zeros, &error);
        next_row(w);
    }
    gather_end(gathered, zeros, error, a->report);
#else
    (void)changed;
#endif
}

#else
/* Codes of a row are neighbours: row by row. All threads. */
K_FN void encode_tile(const GpuArgs *a, const Tile *t, uint32_t w[ROWS][4], const Divisor *d,
                      bool changed) {
#if METRICS
    K_SHARED(Gathered, gathered, 1);
    uint32_t zeros = 0u, error = 0u;
    gather_begin(gathered);
    K_ROLL
#else
    K_UNROLL
#endif
    for (int32_t r = 0; r < ROWS; r++) {
        uint32_t *row = w[METRICS ? 0 : r];
        float x[VECTOR];
        uint32_t codes[WORDS_OF(VECTOR)];
        unpack(row, VECTOR, x);
        K_UNROLL
        for (int32_t v = 0; v < VECTOR; v++) {
            x[v] = encode_one(x[v], d[v]);
        }
        encode_codes(x, VECTOR, codes);
        if (r < t->here) {
            store_codes(a->codes + (int64_t)index_of(a, t, r) * BITS / 8, codes, VECTOR);
        }
#if METRICS
        if (changed) {
            load_row(a, t, r, row);
        }
        K_UNROLL
        for (int32_t v = 0; v < VECTOR; v++) {
            x[v] = decode_code(code_at(codes, v), d[v].s, d[v].z);
        }
        compare_row(a, t, r, row, x, gathered, &zeros, &error);
        next_row(w);
#endif
    }
#if METRICS
    gather_end(gathered, zeros, error, a->report);
#endif
    (void)changed;
}
#endif

K_KERNEL(encode) {
    uint32_t w[ROWS][4];
    Divisor d[VECTOR];
    const Tile t = tile_of(&a);
    load_tile(&a, &t, w);
    const bool finite = tile_finite(w);
#ifdef GROUP
    prune_tile(w);
    const bool pruned = true;
#else
    const bool pruned = false;
#endif
    K_SHARED(Divisors, divisors, 1);
    if (k_thread() == 0u) {
        divisors->rare = 0u;
    }
#ifdef GIVEN
    k_sync();
    find_scales(&a, &t, divisors);
#else
    K_SHARED(Ranges, ranges, 1);
    leave_range(ranges, w);
    k_sync();
    find_scales(&a, &t, w, full_of(a.super), ranges, divisors);
#endif
    read_divisors(divisors, my_granule(&t), d);
    const bool changed = bring_tile_near(&t, divisors, w) || pruned;
#if METRICS
    true_divisors(&t, divisors, d);
#endif
    encode_tile(&a, &t, w, d, changed);
    if (!finite) {
        report_tile(&a, &t);
    }
}
