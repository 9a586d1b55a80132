/* Every Kernel there is, whatever its views, sizes, groups and layout, as plainly as a GPU allows:
 * weights are fetched one by one, as kernels/law.c does it. The fast texts of this folder take over
 * where a shape allows; this one takes the rest, so there is no kernel that a GPU cannot run.
 *
 *     scales   blocks: makes and stores their scales. A granule is done by a thread, or by a warp
 *              where it is a run of neighbours. GpuArgs.units: granules. s and z are scratch.
 *     encode   eight threads do a strip of 64 weights of a row. GpuArgs.units: strips.
 *     ranges   survey: ranges of tensor or channels.        units: as `errors`
 *     errors   survey of METHOD_MSE: errors of all ratios.  units: strips
 *
 * The text defines SOURCE, THREADS, RESIDENT, METRICS, and as wanted ELEMENT (else pruned weights
 * are stored as they came), SCALE, BLOCKS (granules are blocks of GpuArgs.block; else scales are
 * given), SEARCH, NBITS, RATIO, KEEP and GROUP (any). */
#include "kernels/gpu/report.h"
#ifdef ELEMENT
#include "kernels/gpu/search.h"
#else
#define ASYMMETRIC 0
#define NBITS_FLIP 0u
#endif

/* ---- weights */

typedef struct Spot {
    int64_t index;  /* in the box */
    int64_t tensor; /* in the tensor */
} Spot;

K_FN Spot spot_of(const GpuArgs *a, int64_t o, int64_t k, int64_t i) {
    Spot s;
    s.index = (o * a->rows + k) * a->columns + i;
    s.tensor = a->first + (o * a->axis + k) * a->inner + i;
    return s;
}

/* The weight after pruning. */
K_FN float weight_of(const GpuArgs *a, Spot s) {
    float w = element(a->source, s.index);
#ifdef RATIO
    uint32_t m = k_magnitude(w);
    return m < a->threshold || (m == a->threshold && s.tensor >= a->tie_index) ? 0.0f : w;
#elif defined GROUP
    const int64_t at = s.tensor / a->prune_inner % a->prune_axis, begin = at / GROUP * GROUP;
    uint32_t mine = k_magnitude(w);
    int32_t larger = 0;
    for (int64_t j = begin; j < begin + GROUP && j < a->prune_axis; j++) {
        if (j != at) {
            uint32_t other = k_magnitude(element(a->source, s.index + (j - at) * a->prune_stride));
            larger += (j < at ? other >= mine : other > mine) ? 1 : 0;
        }
    }
    return larger >= KEEP ? 0.0f : w;
#else
    return w;
#endif
}

#ifdef ELEMENT
/* ---- granules */

/* Elements of a granule, or of what one thread has of it. */
typedef struct Members {
    int64_t o, k, i, count, step; /* (o, k + m * step, i), m < count */
} Members;

K_FN Limits limits_of(const GpuArgs *a, Members m, Limits l) {
    for (int64_t n = 0; n < m.count; n++) {
        float w = weight_of(a, spot_of(a, m.o, m.k + n * m.step, m.i));
        if (ASYMMETRIC) {
            l.lo = w < l.lo ? w : l.lo;
            l.hi = w > l.hi ? w : l.hi;
        } else {
            l.hi = k_abs(w) > l.hi ? k_abs(w) : l.hi;
        }
    }
    return l;
}

K_FN uint64_t errors_at(const GpuArgs *a, Members m, Divisor d, float unit) {
    uint64_t sum = 0u;
    for (int64_t n = 0; n < m.count; n++) {
        float w = weight_of(a, spot_of(a, m.o, m.k + n * m.step, m.i));
        sum += errors_of(&w, 1, d, unit);
    }
    return sum;
}

#ifdef BLOCKS
/* All lanes: a lane has every `lanes`-th member of its granule, lanes is 1 or 32. */
K_FN Divisor choose(const GpuArgs *a, Members m, uint32_t lanes, Full f) {
    Limits none = {0.0f, 0.0f}, l = limits_of(a, m, none);
    if (lanes > 1u) { /* neither end has a sign to speak of: -lo and hi are >= 0 */
        l.hi = k_float(k_warp_max(k_magnitude(l.hi)));
        l.lo = -k_float(k_warp_max(k_magnitude(l.lo)));
    }
    float quotient = range_quotient(l.hi - l.lo, f.full, f.r);
#if SEARCH
    float unit = k_error_unit(l.lo, l.hi);
    Found found = {~(uint64_t)0, 0};
    K_ROLL
    for (int32_t ratio = 0; ratio < K_RATIOS; ratio++) {
        uint64_t sum = errors_at(a, m, scale_at(l, f, quotient, k_ratio(ratio)), unit);
        consider(&found, lanes > 1u ? sum_lanes(sum, 32u) : sum, ratio);
    }
    return scale_at(l, f, quotient, k_ratio(found.ratio));
#else
    return scale_at(l, f, quotient, 1.0f);
#endif
}

K_KERNEL(scales) {
    const int64_t blocks = (a.rows + a.block - 1) / a.block;
    const bool run = a.inner == 1;
    const uint32_t lanes = run ? 32u : 1u;
    const int64_t granule = ((int64_t)k_block() * THREADS + k_thread()) / lanes;
    const int64_t row = granule / a.columns; /* of the granules: o * blocks + b */
    Members m = {row / blocks, row % blocks * a.block, granule % a.columns, 0, lanes};
    const int64_t rest = a.rows - m.k, length = rest < a.block ? rest : a.block;
    const int64_t skip = run ? k_thread() % 32u : 0u;
    if (granule < a.units && length > skip) {
        m.count = (length - skip + lanes - 1) / lanes;
    }
    const int64_t block = m.k / a.block;
    m.k += skip;
    const Divisor d = choose(&a, m, lanes, full_of(a.super));
    if (granule >= a.units || skip > 0) {
        return;
    }
    int64_t index = granule, bit = granule * BITS;
#ifdef NBITS
    index = (m.o * a.columns + m.i) * blocks + block;
    bit = (m.o * a.columns + m.i) * ((blocks * BITS + 7) / 8 * 8) + block * BITS;
#endif
    put_scale(a.scales, index, d.code);
    a.s[granule] = d.s;
#if ASYMMETRIC
    put_bits(a.zeros, bit, (uint32_t)d.z);
    a.z[granule] = d.z;
#else
    (void)bit;
#endif
    (void)block;
}
#endif

K_FN int64_t scale_index(const GpuArgs *a, int64_t o, int64_t k, int64_t i, Spot s) {
#ifdef BLOCKS
    (void)s;
    return (o * ((a->rows + a->block - 1) / a->block) + k / a->block) * a->columns + i;
#else
    (void)o;
    (void)k;
    (void)i;
    return a->channels > 1 ? s.tensor / a->run % a->channels : 0;
#endif
}
#endif

/* ---- strips */

/* A row is `columns` neighbours or, where the unit view has inner 1, `rows` of them. */
typedef struct Strip {
    int64_t o, k, i, left; /* its first weight, and how many there are to the end of the row */
    bool inside;
} Strip;

K_FN Strip strip_of(const GpuArgs *a, int64_t strip) {
    const bool run = a->inner == 1;
    const int64_t length = run ? a->rows : a->columns, strips = (length + K_STRIP - 1) / K_STRIP;
    const int64_t row = strip / strips, at = strip % strips * K_STRIP;
    Strip s;
    s.o = run ? row : row / a->rows;
    s.k = run ? at : row % a->rows;
    s.i = run ? 0 : at;
    s.left = length - at;
    s.inside = strip < a->units;
    return s;
}
K_FN Spot spot_in(const GpuArgs *a, Strip s, int64_t n) {
    return a->inner == 1 ? spot_of(a, s.o, s.k + n, s.i) : spot_of(a, s.o, s.k, s.i + n);
}

#ifdef ELEMENT
/* Code of weight n of a strip, to its place; the value that is stored. */
K_FN float encode_at(const GpuArgs *a, Strip strip, int64_t n, Spot s) {
    const bool run = a->inner == 1;
    const int64_t k = strip.k + (run ? n : 0), i = strip.i + (run ? 0 : n);
    const int64_t scale = scale_index(a, strip.o, k, i, s);
    const Divisor d = divisor_of(a->s[scale], ASYMMETRIC ? a->z[scale] : 0.0f);
    float x = weight_of(a, s);
    bring_near(&x, 1, d);
    x = divide(x, d);
    uint32_t code = JOIN(ELEMENT, _encode)(ASYMMETRIC ? k_rint(x) + d.z : x);
    int64_t place = s.index;
#ifdef NBITS
    const int64_t padded = (a->rows + a->block - 1) / a->block * a->block;
    place = (strip.o * a->columns + i) * padded + k;
    for (int64_t p = place + 1; k == a->rows - 1 && p % padded != 0; p++) {
        put_bits(a->codes, p * BITS, (uint32_t)d.z ^ NBITS_FLIP);
    }
#endif
#ifdef NBITS
    const uint32_t flipped = code ^ NBITS_FLIP;
#else
    const uint32_t flipped = code;
#endif
    const int64_t bit = place * BITS;
    put_bits(a->codes, bit, flipped);
    if (bit % 32 + BITS > 32) {
        put_bits(a->codes, bit + 32 - bit % 32, flipped >> (uint32_t)(32 - bit % 32));
    }
    return decode_code(code, d.s, d.z);
}
#else
K_FN float encode_at(const GpuArgs *a, Strip strip, int64_t n, Spot s) {
    const float w = weight_of(a, s);
    (void)strip;
    (void)n;
#if HALF
    ((uint16_t *)a->codes)[s.index] = k_bits(w) != 0u ? ((const uint16_t *)a->source)[s.index] : 0u;
#else
    ((float *)a->codes)[s.index] = w;
#endif
    return w;
}
#endif

K_KERNEL(encode) {
    const int64_t thread = (int64_t)k_block() * THREADS + k_thread();
    const Strip strip = strip_of(&a, thread / 8);
    const int64_t begin = thread % 8 * 8;
    float w[8], q[8];
#if METRICS
    K_SHARED(Gathered, gathered, 1);
    uint32_t zeros = 0u, error = 0u, none = 0u;
    gather_begin(gathered);
#endif
    for (int32_t n = 0; n < 8; n++) {
        w[n] = q[n] = 0.0f;
        if (strip.inside && begin + n < strip.left) {
            const Spot s = spot_in(&a, strip, begin + n);
            w[n] = element(a.source, s.index);
            if (k_magnitude(w[n]) >= 0x7f800000u) {
                report_nonfinite(a.source, a.report, s.index, s.tensor, 1, 1, 0, 0);
            }
            q[n] = encode_at(&a, strip, begin + n, s);
#if METRICS
            zeros += q[n] == 0.0f ? 1u : 0u;
#endif
        }
    }
#if METRICS
    const Sums sums = join_lanes(compare(w, q, 8, &none, &error), 8u);
    if (strip.inside && begin == 0) {
        gather_strip(gathered, sums);
    }
    gather_end(gathered, zeros, error, a.report);
#endif
}

#if defined ELEMENT && !defined BLOCKS
/* ---- surveys: eight neighbours of a strip for each thread, or what of them is in one channel */

K_FN int64_t survey_run(const GpuArgs *a, Strip strip, int64_t begin, int64_t n, int64_t *channel) {
    *channel = 0;
    if (a->channels > 1) {
        const int64_t x = spot_in(a, strip, begin).tensor, left = a->run - x % a->run;
        *channel = x / a->run % a->channels;
        return n < left ? n : left;
    }
    return n;
}

K_FN Members survey_members(const GpuArgs *a, Strip strip, int64_t begin, int64_t n) {
    const bool run = a->inner == 1;
    Members m = {strip.o, strip.k + (run ? begin : 0), strip.i + (run ? 0 : begin), n, run ? 1 : 0};
    return m;
}

/* Members of a row: with columns they differ in i, so they are taken one by one. */
K_FN int64_t take_run(const GpuArgs *a, int64_t n) {
    return a->inner == 1 ? n : 1;
}

K_KERNEL(ranges) {
    const int64_t thread = (int64_t)k_block() * THREADS + k_thread();
    const Strip strip = strip_of(&a, thread / 8);
    const int64_t end = thread % 8 * 8 + 8 < strip.left ? thread % 8 * 8 + 8 : strip.left;
    for (int64_t at = thread % 8 * 8; strip.inside && at < end;) {
        int64_t channel;
        const int64_t n = take_run(&a, survey_run(&a, strip, at, end - at, &channel));
        const Limits none = {0.0f, 0.0f};
        const Limits l = limits_of(&a, survey_members(&a, strip, at, n), none);
        if (ASYMMETRIC) {
            k_atomic_min(a.lo + channel, ordered(l.lo));
        }
        k_atomic_max(a.hi + channel, (int32_t)k_bits(l.hi));
        at += n;
    }
}

#if SEARCH
K_KERNEL(errors) {
    const int64_t thread = (int64_t)k_block() * THREADS + k_thread();
    const Strip strip = strip_of(&a, thread / 8);
    const int64_t end = thread % 8 * 8 + 8 < strip.left ? thread % 8 * 8 + 8 : strip.left;
    const Full f = full_of(a.super);
    for (int64_t at = thread % 8 * 8; strip.inside && at < end;) {
        int64_t channel;
        const int64_t n = take_run(&a, survey_run(&a, strip, at, end - at, &channel));
        const Members m = survey_members(&a, strip, at, n);
        const Limits l = {ASYMMETRIC ? unordered(a.lo[channel]) : 0.0f,
                          k_float((uint32_t)a.hi[channel])};
        const float quotient = range_quotient(l.hi - l.lo, f.full, f.r);
        const float unit = k_error_unit(l.lo, l.hi);
        K_ROLL
        for (int32_t ratio = 0; ratio < K_RATIOS; ratio++) {
            const Divisor d = scale_at(l, f, quotient, k_ratio(ratio));
            k_atomic_add(a.errors + ratio * a.channels + channel, errors_at(&a, m, d, unit));
        }
        at += n;
    }
}
#endif
#endif
