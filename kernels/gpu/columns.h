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
#include "kernels/gpu/prune.h"
#include "kernels/gpu/report.h"
#include "kernels/gpu/search.h"

#define ROWS 8
#define ACROSS 16 /* lanes side by side */
#define TILE_ROWS (THREADS / ACROSS * ROWS)
#define TILE_COLUMNS (ACROSS * VECTOR)
#define GRANULES (TILE_ROWS / BLOCK * TILE_COLUMNS) /* of a tile */
#define STEPS (BLOCK / ROWS)                        /* rows of threads that share a granule */

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
K_FN void report_tile(const GpuArgs *a, const Tile *t) {
    const int64_t k = t->outer * a->axis + t->row + t->my_row;
    const int32_t lines = t->here < ROWS ? t->here : ROWS;
    report_nonfinite(a->source, a->report, t->first,
                     a->first + k * a->inner + t->column + t->my_column, VECTOR, lines, a->columns,
                     a->inner);
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

/* ---- scales */

/* Divisors of the granules of a tile, by column; rare: some unit is not 1. */
typedef struct Divisors {
    float t[GRANULES], r[GRANULES], unit[GRANULES];
#if ASYMMETRIC
    float z[GRANULES];
#endif
    uint32_t rare, padding[3];
} Divisors;

/* Of this thread's columns; the arrays are read in whole vectors. */
K_FN void read_divisors(const Divisors *all, uint32_t first, Divisor *d) {
    float t[VECTOR], r[VECTOR], z[VECTOR];
    k_load_floats(all->t + first, VECTOR, t);
    k_load_floats(all->r + first, VECTOR, r);
#if ASYMMETRIC
    k_load_floats(all->z + first, VECTOR, z);
#endif
    K_UNROLL
    for (int32_t v = 0; v < VECTOR; v++) {
        d[v].t = t[v];
        d[v].r = r[v];
        d[v].z = ASYMMETRIC ? z[v] : 0.0f;
    }
}
K_FN void keep_divisor(Divisors *all, uint32_t granule, Divisor d) {
    all->t[granule] = d.t;
    all->r[granule] = d.r;
    all->unit[granule] = d.unit;
#if ASYMMETRIC
    all->z[granule] = d.z;
#endif
    if (SOURCE != K_FLOAT16 && d.unit != 1.0f) {
        all->rare = 1u;
    }
}

/* What codes are multiplied by. */
K_FN float true_divisor(float t, float unit) {
    return unit == 1.0f ? t : t * (unit > 1.0f ? 0x1p-64f : 0x1p64f);
}

/* The granule of this thread's first column. */
K_FN uint32_t my_granule(const Tile *t) {
    return t->my_row / BLOCK * TILE_COLUMNS + t->my_column;
}

#ifdef GIVEN
/* All threads. */
K_FN void find_scales(const GpuArgs *a, const Tile *t, Divisors *divisors) {
    for (uint32_t granule = k_thread(); granule < GRANULES; granule += THREADS) {
        uint32_t column = t->column + granule, channel;
        column = column < (uint32_t)a->columns ? column : 0u;
        channel = GIVEN == 1 ? 0u : GIVEN == 2 ? column : column / (uint32_t)a->run;
        keep_divisor(divisors, granule,
                     divisor_of(a->s[channel], ASYMMETRIC ? a->z[channel] : 0.0f));
    }
    k_sync();
}

#else
#if ASYMMETRIC
typedef struct Ranges {
    int32_t lo[THREADS * VECTOR], hi[THREADS * VECTOR];
} Ranges;

K_FN void leave_range(Ranges *all, const uint32_t w[ROWS][4]) {
    K_UNROLL
    for (int32_t v = 0; v < VECTOR; v++) {
        float x[ROWS];
        int32_t lo = 0, hi = 0;
        column_of(w, v, x);
        K_UNROLL
        for (int32_t r = 0; r < ROWS; r++) {
            int32_t i = ordered(x[r]);
            lo = i < lo ? i : lo;
            hi = i > hi ? i : hi;
        }
        all->lo[k_thread() * VECTOR + (uint32_t)v] = lo;
        all->hi[k_thread() * VECTOR + (uint32_t)v] = hi;
    }
}
K_FN Limits granule_limits(const Ranges *all, uint32_t granule) {
    const uint32_t first = granule / TILE_COLUMNS * STEPS * TILE_COLUMNS + granule % TILE_COLUMNS;
    int32_t lo = 0, hi = 0;
    K_UNROLL
    for (uint32_t i = 0u; i < STEPS; i++) {
        int32_t l = all->lo[first + i * TILE_COLUMNS], h = all->hi[first + i * TILE_COLUMNS];
        lo = l < lo ? l : lo;
        hi = h > hi ? h : hi;
    }
    Limits l = {unordered(lo), unordered(hi)};
    return l;
}
#else
typedef struct Ranges {
    uint32_t packed[THREADS * 4]; /* magnitudes of VECTOR columns as they come */
} Ranges;

K_FN void leave_range(Ranges *all, const uint32_t w[ROWS][4]) {
    K_UNROLL
    for (int32_t i = 0; i < 4; i++) {
        uint32_t m = 0u;
        K_UNROLL
        for (int32_t r = 0; r < ROWS; r++) {
            m = packed_max(w[r] + i, 1, m);
        }
        all->packed[k_thread() * 4u + (uint32_t)i] = m;
    }
}
K_FN Limits granule_limits(const Ranges *all, uint32_t granule) {
    const uint32_t first = granule / TILE_COLUMNS * STEPS * TILE_COLUMNS + granule % TILE_COLUMNS;
    uint32_t m = 0u;
    K_UNROLL
    for (uint32_t i = 0u; i < STEPS; i++) {
#if HALF
        uint32_t other = ((const uint16_t *)all->packed)[first + i * TILE_COLUMNS];
#else
        uint32_t other = all->packed[first + i * TILE_COLUMNS];
#endif
        m = other > m ? other : m;
    }
    Limits l = {0.0f, packed_value(m)};
    return l;
}
#endif

/* Is the granule in the box? Where it lies: its column, and its number down the rows. */
K_FN bool granule_place(const GpuArgs *a, const Tile *t, uint32_t granule, uint32_t *column,
                        uint32_t *block) {
    *column = t->column + granule % TILE_COLUMNS;
    *block = t->row / BLOCK + granule / TILE_COLUMNS;
    return *column < (uint32_t)a->columns && *block * BLOCK < (uint32_t)a->rows;
}

K_FN void store_scale(const GpuArgs *a, const Tile *t, uint32_t granule, Divisor d) {
    uint32_t column, block;
    const uint32_t blocks = ((uint32_t)a->rows + BLOCK - 1u) / BLOCK;
    if (!granule_place(a, t, granule, &column, &block)) {
        return;
    }
#ifdef NBITS
    const uint32_t index = column * blocks + block;
    const int64_t bit = (int64_t)column * ((blocks * BITS + 7u) / 8u * 8u) + block * BITS;
#else
    const uint32_t index = (t->outer * blocks + block) * (uint32_t)a->columns + column;
    const int64_t bit = (int64_t)index * BITS;
#endif
    put_scale(a->scales, index, d.code);
#if ASYMMETRIC
    put_bits(a->zeros, bit, (uint32_t)d.z);
#else
    (void)bit;
#endif
}

#if SEARCH
/* Errors of a granule while they are added: sums of 16 bits and of the rest, since shared memory
 * adds 32 bits at once. */
typedef struct Errors {
    uint32_t low[GRANULES], high[GRANULES];
} Errors;

/* All threads: the errors of this thread's weights under the divisors there are. Leaves w as it
 * was. */
K_FN void add_errors(const Tile *t, uint32_t w[ROWS][4], const Ranges *ranges,
                     const Divisors *divisors, Errors *errors) {
    Divisor d[VECTOR];
    float unit[VECTOR], error_unit[VECTOR];
    uint64_t sum[VECTOR];
    read_divisors(divisors, my_granule(t), d);
    k_load_floats(divisors->unit + my_granule(t), VECTOR, unit);
    K_UNROLL
    for (int32_t v = 0; v < VECTOR; v++) {
        const Limits l = granule_limits(ranges, my_granule(t) + (uint32_t)v);
        error_unit[v] = k_error_unit(l.lo, l.hi);
        d[v].unit = SOURCE == K_FLOAT16 ? 1.0f : unit[v];
        d[v].s = true_divisor(d[v].t, d[v].unit);
        sum[v] = 0u;
    }
    K_ROLL
    for (int32_t r = 0; r < ROWS; r++) {
        float x[VECTOR];
        unpack(w[0], VECTOR, x);
        K_UNROLL
        for (int32_t v = 0; v < VECTOR; v++) {
            sum[v] += errors_of(x + v, 1, d[v], error_unit[v]);
        }
        next_row(w);
    }
    K_UNROLL
    for (int32_t v = 0; v < VECTOR; v++) {
        k_atomic_add_u32(errors->low + my_granule(t) + v, (uint32_t)sum[v] & 0xffffu);
        k_atomic_add_u32(errors->high + my_granule(t) + v, (uint32_t)(sum[v] >> 16));
    }
}

/* All threads: leaves the divisors of least error. A thread keeps what it found for the granules
 * whose scales it makes. */
K_FN void find_scales(const GpuArgs *a, const Tile *t, uint32_t w[ROWS][4], Full f,
                      const Ranges *ranges, Divisors *divisors) {
    K_SHARED(Errors, errors, 1);
    Found found[(GRANULES + THREADS - 1) / THREADS];
    K_ROLL
    for (int32_t ratio = 0; ratio <= K_RATIOS; ratio++) { /* the last round stores the best */
        K_UNROLL
        for (uint32_t i = 0u; i < (GRANULES + THREADS - 1) / THREADS; i++) {
            const uint32_t granule = k_thread() + i * THREADS;
            if (granule < GRANULES) {
                if (ratio == 0) {
                    found[i].least = ~(uint64_t)0;
                    found[i].ratio = 0;
                } else {
                    consider(&found[i],
                             ((uint64_t)errors->high[granule] << 16) + errors->low[granule],
                             ratio - 1);
                }
                errors->low[granule] = errors->high[granule] = 0u;
                const int32_t at = ratio < K_RATIOS ? ratio : found[i].ratio;
                const Limits l = granule_limits(ranges, granule);
                const float quotient = range_quotient(l.hi - l.lo, f.full, f.r);
                const Divisor d = scale_at(l, f, quotient, k_ratio(at));
                keep_divisor(divisors, granule, d);
                if (ratio == K_RATIOS) {
                    store_scale(a, t, granule, d);
                }
            }
        }
        k_sync();
        if (ratio < K_RATIOS) {
            add_errors(t, w, ranges, divisors, errors);
        }
        k_sync();
    }
}
#else
/* All threads. */
K_FN void find_scales(const GpuArgs *a, const Tile *t, uint32_t w[ROWS][4], Full f,
                      const Ranges *ranges, Divisors *divisors) {
    (void)w;
    K_ROLL
    for (uint32_t granule = k_thread(); granule < GRANULES; granule += THREADS) {
        Divisor d = scale_by_range(granule_limits(ranges, granule), f);
        keep_divisor(divisors, granule, d);
        store_scale(a, t, granule, d);
    }
    k_sync();
}
#endif
#endif

/* ---- codes */

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
