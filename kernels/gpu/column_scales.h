/* Scales of the granules of a tile: column maxima meet in shared memory, one thread makes the scale
 * of each granule, or reads it (GIVEN). For kernels/gpu/columns.h, which says what the text defines.
 */
#ifndef KERNELS_GPU_COLUMN_SCALES_H
#define KERNELS_GPU_COLUMN_SCALES_H
#include "kernels/gpu/column_tile.h"
#include "kernels/gpu/search.h"

#define GRANULES (TILE_ROWS / BLOCK * TILE_COLUMNS) /* of a tile */
#define STEPS (BLOCK / ROWS)                        /* rows of threads that share a granule */

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
#endif
