/* Granules that are runs of neighbours: blocks along the last axis, or whole rows of up to 512
 * weights; or, with GIVEN, one scale for the tensor from the survey. A thread has 16 neighbours, a
 * unit; the BLOCK / 16 lanes of a granule agree on its scale by shuffles, so nothing waits.
 *
 * The box is [outer][rows], columns is 1 and rows a multiple of 16. Each row is given units up to a
 * multiple of ALIGN weights, of which those beyond its end are idle: strips and granules never
 * begin in the middle of a warp's lanes. FLAT: rows are a multiple of ALIGN, so all is one run.
 *
 * The text defines SOURCE, ELEMENT, SCALE, BLOCK (16 ... 512, a power of two), ALIGN (the larger of
 * BLOCK and 64), UNITS (of a thread), THREADS, RESIDENT, METRICS, SEARCH, and as wanted FLAT, GIVEN,
 * NBITS, KEEP and GROUP (16 % GROUP == 0). Units are counted in GpuArgs.units. */
#include "kernels/gpu/prune.h"
#include "kernels/gpu/report.h"
#include "kernels/gpu/search.h"

#define UNIT 16
#define LOADS (UNIT / VECTOR)
#define LANES (BLOCK / UNIT)

typedef struct Place {
    bool inside;
    uint32_t row, at; /* in the box; FLAT: row is 0 */
    uint32_t index;   /* of its first weight in the box */
} Place;

K_FN Place place_of(const GpuArgs *a, uint32_t unit) {
    Place p;
#ifdef FLAT
    p.row = 0u;
    p.at = unit * UNIT;
    p.index = p.at;
    p.inside = unit < (uint32_t)a->units;
#else
    uint32_t in_row = ((uint32_t)a->rows + ALIGN - 1u) / ALIGN * (ALIGN / UNIT);
    p.row = unit / in_row;
    p.at = (unit - p.row * in_row) * UNIT;
    p.index = p.row * (uint32_t)a->rows + p.at;
    p.inside = unit < (uint32_t)a->units && p.at < (uint32_t)a->rows;
#endif
    return p;
}

#ifndef GIVEN
/* All lanes: the range of the granule that this lane has a part of. */
K_FN Limits granule_limits(uint32_t packed, const float *x) {
    Limits l = {0.0f, 0.0f};
#if ASYMMETRIC
    int32_t lo = 0, hi = 0;
    K_UNROLL
    for (int32_t i = 0; i < UNIT; i++) {
        int32_t v = ordered(x[i]);
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
    }
    K_UNROLL
    for (uint32_t mask = 1u; mask < LANES; mask *= 2u) {
        int32_t v = (int32_t)k_xor((uint32_t)lo, mask), w = (int32_t)k_xor((uint32_t)hi, mask);
        lo = v < lo ? v : lo;
        hi = w > hi ? w : hi;
    }
    l.lo = unordered(lo);
    l.hi = unordered(hi);
    (void)packed;
#else
    K_UNROLL
    for (uint32_t mask = 1u; mask < LANES; mask *= 2u) {
        packed = packed_max_of(packed, k_xor(packed, mask));
    }
    l.hi = packed_value(packed); /* pruning never takes the largest */
    (void)x;
#endif
    return l;
}

/* All lanes. */
K_FN Divisor granule_divisor(const float *x, Limits l, Full f) {
#if SEARCH
    float quotient = range_quotient(l.hi - l.lo, f.full, f.r), unit = k_error_unit(l.lo, l.hi);
    Found found = {~(uint64_t)0, 0};
    K_ROLL
    for (int32_t ratio = 0; ratio < K_RATIOS; ratio++) {
        Divisor d = scale_at(l, f, quotient, k_ratio(ratio));
        consider(&found, sum_lanes(errors_of(x, UNIT, d, unit), LANES), ratio);
    }
    return scale_at(l, f, quotient, k_ratio(found.ratio));
#else
    (void)x;
    return scale_by_range(l, f);
#endif
}

K_FN void store_scale(const GpuArgs *a, Place p, Divisor d) {
    if (!p.inside || p.at % BLOCK != 0u) {
        return;
    }
    uint32_t blocks = ((uint32_t)a->rows + BLOCK - 1u) / BLOCK;
    uint32_t index = p.row * blocks + p.at / BLOCK;
    put_scale(a->scales, index, d.code);
#if ASYMMETRIC
    int64_t bit = (int64_t)index * BITS;
#if defined NBITS && !defined FLAT
    bit = (int64_t)p.row * ((blocks * BITS + 7u) / 8u * 8u) + (p.at / BLOCK) * BITS;
#endif
    put_bits(a->zeros, bit, (uint32_t)d.z);
#endif
}
#endif

/* One unit, from its loads to its stores. All lanes. */
K_FN void do_unit(const GpuArgs *a, const uint32_t *w, uint32_t unit, Full f, void *gathered,
                  uint32_t *zeros, uint32_t *error) {
    Place p = place_of(a, unit);
    float x[UNIT];
    uint32_t out[WORDS_OF(UNIT)];
    uint32_t packed = packed_max(w, LOADS * 4, 0u);
    unpack_pruned(w, UNIT, x);
#ifdef GIVEN
    Divisor d = divisor_of(a->s[0], ASYMMETRIC ? a->z[0] : 0.0f);
    (void)f;
#else
    Divisor d = granule_divisor(x, granule_limits(packed, x), f);
    store_scale(a, p, d);
#endif
    encode_weights(x, UNIT, d, out);
#if METRICS
    float q[UNIT];
    decode_codes(out, UNIT, d, q);
    unpack(w, UNIT, x);
    uint32_t none = 0u;
    Sums sums = join_lanes(compare(x, q, UNIT, p.inside ? zeros : &none, error), 4u);
    if (p.inside && p.at % K_STRIP == 0u) {
        gather_strip((Gathered *)gathered, sums);
    }
#else
    (void)gathered;
    (void)zeros;
    (void)error;
#endif
#ifdef NBITS
    uint32_t flips = nbits_flips();
    K_UNROLL
    for (int32_t i = 0; i < WORDS_OF(UNIT); i++) {
        out[i] ^= flips;
    }
#endif
    if (p.inside) {
        store_codes(a->codes + (int64_t)p.index * BITS / 8, out, UNIT);
    }
    if (!packed_finite(packed)) {
        report_nonfinite(a->source, a->report, p.index, a->first + p.index, UNIT, 1, 0, 0);
    }
}

K_KERNEL(encode) {
    uint32_t w[UNITS][LOADS * 4];
    const uint32_t unit = k_block() * (THREADS * UNITS) + k_thread();
    uint32_t zeros = 0u, error = 0u;
    void *gathered = 0;
#if METRICS
    K_SHARED(Gathered, shared, 1);
    gather_begin(shared);
    gathered = shared;
#endif
    K_UNROLL
    for (uint32_t u = 0u; u < UNITS; u++) {
        Place p = place_of(&a, unit + u * THREADS);
        K_UNROLL
        for (uint32_t i = 0u; i < LOADS; i++) {
            if (p.inside) {
                k_load16(a.source + ((int64_t)p.index + i * VECTOR) * ELEMENT_BYTES, w[u] + 4 * i);
            } else {
                w[u][4 * i] = w[u][4 * i + 1] = w[u][4 * i + 2] = w[u][4 * i + 3] = 0u;
            }
        }
    }
    Full f = full_of(a.super);
    K_UNROLL
    for (uint32_t u = 0u; u < UNITS; u++) {
        do_unit(&a, w[u], unit + u * THREADS, f, gathered, &zeros, &error);
    }
#if METRICS
    gather_end(shared, zeros, error, a.report);
#endif
}
