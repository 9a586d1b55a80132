/* Granules that are long rows: a team of threads has one row in registers, UNITS times 16 neighbours
 * a thread, and agrees on its scale. A team is a warp, several of them in a block, or a whole block
 * that talks through shared memory.
 *
 * The box is [outer][rows], columns is 1; rows is a multiple of 16, at most TEAM * UNITS * 16, and
 * one granule. Rows are counted in GpuArgs.units, THREADS / TEAM for a block.
 *
 * The text defines SOURCE, ELEMENT, SCALE, UNITS, TEAM (32 or THREADS), THREADS, RESIDENT, METRICS,
 * SEARCH, and as wanted NBITS, KEEP and GROUP (16 % GROUP == 0). */
#include "kernels/gpu/prune.h"
#include "kernels/gpu/report.h"
#include "kernels/gpu/search.h"

#define UNIT 16
#define LOADS (UNIT / VECTOR)
#define WARPS (TEAM / 32)

K_FN uint32_t my_row(void) {
    return k_block() * (THREADS / TEAM) + k_thread() / TEAM;
}
/* Of unit u of this thread, in the row; nothing of rows that are not there. */
K_FN uint32_t at_of(uint32_t u) {
    return (u * TEAM + k_thread() % TEAM) * UNIT;
}
K_FN bool is_here(const GpuArgs *a, uint32_t u) {
    return at_of(u) < (uint32_t)a->rows && my_row() < (uint32_t)a->units;
}

K_FN void load_row(const GpuArgs *a, uint32_t first, uint32_t w[UNITS][LOADS * 4]) {
    K_UNROLL
    for (uint32_t u = 0u; u < UNITS; u++) {
        K_UNROLL
        for (uint32_t i = 0u; i < LOADS; i++) {
            if (is_here(a, u)) {
                k_load16(a->source + ((int64_t)first + at_of(u) + i * VECTOR) * ELEMENT_BYTES,
                         w[u] + 4 * i);
            } else {
                w[u][4 * i] = w[u][4 * i + 1] = w[u][4 * i + 2] = w[u][4 * i + 3] = 0u;
            }
        }
    }
}

/* All threads: the largest of the team, as integers. */
K_FN uint32_t team_max(uint32_t v, uint32_t *shared) {
    v = k_warp_max(v);
#if TEAM > 32
    if (k_thread() % 32u == 0u) {
        shared[k_thread() / 32u] = v;
    }
    k_sync();
    v = 0u;
    K_UNROLL
    for (uint32_t i = 0u; i < WARPS; i++) {
        v = shared[i] > v ? shared[i] : v;
    }
#else
    (void)shared;
#endif
    return v;
}

/* All threads. */
K_FN Limits row_limits(const uint32_t w[UNITS][LOADS * 4], uint32_t packed) {
    K_SHARED(uint32_t, highest, WARPS);
    Limits l = {0.0f, 0.0f};
#if ASYMMETRIC
    K_SHARED(uint32_t, lowest, WARPS);
    int32_t lo = 0, hi = 0;
    K_UNROLL
    for (uint32_t u = 0u; u < UNITS; u++) {
        float x[UNIT];
        unpack_pruned(w[u], UNIT, x);
        K_UNROLL
        for (int32_t i = 0; i < UNIT; i++) {
            int32_t v = ordered(x[i]);
            lo = v < lo ? v : lo;
            hi = v > hi ? v : hi;
        }
    }
    l.hi = unordered((int32_t)team_max((uint32_t)hi, highest));
    l.lo = unordered(-(int32_t)team_max((uint32_t)-lo, lowest)); /* both are >= 0 */
    (void)packed;
#else
#if HALF
    packed = packed >> 16 > (packed & 0xffffu) ? packed >> 16 : packed & 0xffffu;
#endif
    l.hi = packed_value(team_max(packed, highest));
    (void)w;
#endif
    return l;
}

#if SEARCH
/* All threads: errors of the row under one scale. */
K_FN uint64_t row_errors(const uint32_t w[UNITS][LOADS * 4], Divisor d, float unit) {
    uint64_t sum = 0u;
    K_ROLL
    for (uint32_t u = 0u; u < UNITS; u++) {
        float x[UNIT];
        unpack_pruned(w[u], UNIT, x);
        sum += errors_of(x, UNIT, d, unit);
    }
    sum = sum_lanes(sum, 32u);
#if TEAM > 32
    K_SHARED(uint64_t, parts, WARPS);
    k_sync(); /* nobody reads the last sum any more */
    if (k_thread() % 32u == 0u) {
        parts[k_thread() / 32u] = sum;
    }
    k_sync();
    sum = 0u;
    K_UNROLL
    for (uint32_t i = 0u; i < WARPS; i++) {
        sum += parts[i];
    }
#endif
    return sum;
}
#endif

/* All threads. */
K_FN Divisor row_divisor(const uint32_t w[UNITS][LOADS * 4], Limits l, Full f) {
#if SEARCH
    float quotient = range_quotient(l.hi - l.lo, f.full, f.r), unit = k_error_unit(l.lo, l.hi);
    Found found = {~(uint64_t)0, 0};
    K_ROLL
    for (int32_t ratio = 0; ratio < K_RATIOS; ratio++) {
        consider(&found, row_errors(w, scale_at(l, f, quotient, k_ratio(ratio)), unit), ratio);
    }
    return scale_at(l, f, quotient, k_ratio(found.ratio));
#else
    (void)w;
    return scale_by_range(l, f);
#endif
}

K_FN void store_scale(const GpuArgs *a, Divisor d) {
    if (k_thread() % TEAM != 0u || my_row() >= (uint32_t)a->units) {
        return;
    }
    put_scale(a->scales, my_row(), d.code);
#if ASYMMETRIC
#ifdef NBITS
    put_bits(a->zeros, (int64_t)my_row() * 8, (uint32_t)d.z); /* a row of them begins a byte */
#else
    put_bits(a->zeros, (int64_t)my_row() * BITS, (uint32_t)d.z);
#endif
#endif
}

K_KERNEL(encode) {
    uint32_t w[UNITS][LOADS * 4];
    const uint32_t first = my_row() * (uint32_t)a.rows;
    uint32_t packed = 0u;
    load_row(&a, first, w);
    K_UNROLL
    for (uint32_t u = 0u; u < UNITS; u++) {
        packed = packed_max(w[u], LOADS * 4, packed);
    }
    const Divisor d = row_divisor(w, row_limits(w, packed), full_of(a.super));
    store_scale(&a, d);
#if METRICS
    K_SHARED(Gathered, gathered, 1);
    uint32_t zeros = 0u, error = 0u;
    gather_begin(gathered);
#endif
    K_UNROLL
    for (uint32_t u = 0u; u < UNITS; u++) {
        float x[UNIT];
        uint32_t out[WORDS_OF(UNIT)];
        const bool inside = is_here(&a, u);
        unpack_pruned(w[u], UNIT, x);
        encode_weights(x, UNIT, d, out);
#if METRICS
        float q[UNIT];
        uint32_t none = 0u;
        decode_codes(out, UNIT, d, q);
        unpack(w[u], UNIT, x);
        Sums sums = join_lanes(compare(x, q, UNIT, inside ? &zeros : &none, &error), 4u);
        if (inside && at_of(u) % K_STRIP == 0u) {
            gather_strip(gathered, sums);
        }
#endif
#ifdef NBITS
        K_UNROLL
        for (int32_t i = 0; i < WORDS_OF(UNIT); i++) {
            out[i] ^= nbits_flips();
        }
#endif
        if (inside) {
            store_codes(a.codes + ((int64_t)first + at_of(u)) * BITS / 8, out, UNIT);
        }
    }
#if METRICS
    gather_end(gathered, zeros, error, a.report);
#endif
    for (uint32_t u = 0u; u < UNITS && !packed_finite(packed); u++) {
        if (is_here(&a, u)) {
            const int64_t index = (int64_t)first + at_of(u);
            report_nonfinite(a.source, a.report, index, a.first + index, UNIT, 1, 0, 0);
        }
    }
}
