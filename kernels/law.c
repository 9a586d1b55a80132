/* The law: what a Kernel computes, as plain scalar text over the whole tensor, nothing shared,
 * nothing stored between weights. Slow on purpose; everything faster must give its bits. In: a
 * Kernel and the weights. Out: every output, whole; and, from these, the metrics. */
#include "kernels/metrics.h"
#include "kernels/scale.h"
#include "kernels/shape.h"
#include <string.h>

typedef struct Law {
    const Kernel *k;
    const void *src;
    uint32_t threshold; /* PRUNE_RATIO: smaller magnitudes go, ... */
    int64_t tie_index;  /* ... and equal ones from this index on */
} Law;

static float source_weight(const Law *law, int64_t index) {
    switch (law->k->source) {
    case 10: {
        uint16_t h;
        memcpy(&h, (const char *)law->src + 2 * index, 2);
        return k_float16_decode(h);
    }
    case 16: {
        uint16_t h;
        memcpy(&h, (const char *)law->src + 2 * index, 2);
        return k_float((uint32_t)h << 16);
    }
    case 11: {
        double d;
        memcpy(&d, (const char *)law->src + 8 * index, 8);
        return (float)d;
    }
    default: {
        float f;
        memcpy(&f, (const char *)law->src + 4 * index, 4);
        return f;
    }
    }
}

/* Does the weight lose its place among the `keep` largest of its group to enough others? */
static bool pruned_in_group(const Law *law, int64_t index, uint32_t magnitude) {
    const Kernel *k = law->k;
    int64_t inner = k->prune_view.inner, axis = k->prune_view.axis;
    int64_t at = index / inner % axis, first = at - at % k->group;
    int larger = 0;
    for (int64_t i = first; i < axis && i < first + k->group; i++) {
        uint32_t other = k_magnitude(source_weight(law, index + (i - at) * inner));
        larger += i < at ? other >= magnitude : i > at && other > magnitude;
    }
    return larger >= k->keep;
}

/* The weight after pruning. */
static float weight(const Law *law, int64_t index) {
    float w = source_weight(law, index);
    uint32_t m = k_magnitude(w);
    bool pruned = false;
    if (law->k->prune == PRUNE_NM) {
        pruned = pruned_in_group(law, index, m);
    } else if (law->k->prune == PRUNE_RATIO) {
        pruned = m < law->threshold || (m == law->threshold && index >= law->tie_index);
    }
    return pruned ? 0.0f : w;
}

static int64_t count_below(const Law *law, uint32_t magnitude) {
    int64_t n = 0;
    for (int64_t i = 0; i < law->k->count; i++) {
        n += k_magnitude(source_weight(law, i)) < magnitude;
    }
    return n;
}

/* The threshold is the largest magnitude with no more than `zeros` smaller ones, found bit by bit.
 */
static void find_threshold(Law *law) {
    for (uint32_t bit = 1u << 30; bit > 0; bit >>= 1) {
        if (count_below(law, law->threshold | bit) <= law->k->zeros) {
            law->threshold |= bit;
        }
    }
    int64_t ties = count_below(law, law->threshold + 1) - law->k->zeros; /* to be kept */
    int64_t i = 0;
    for (; i < law->k->count && ties > 0; i++) {
        ties -= k_magnitude(source_weight(law, i)) == law->threshold;
    }
    law->tie_index = i;
}

/* The weights of one scale: element m of `length`. */
typedef struct Granule {
    int64_t first, length, run, stride; /* runs of `run` neighbours, `stride` apart */
} Granule;

static Granule granule(const Kernel *k, int64_t index) {
    const KernelView *v = &k->view;
    switch (k->granule) {
    case GRANULE_TENSOR:
        return (Granule){0, k->count, k->count, 0};
    case GRANULE_CHANNEL:
        return (Granule){index * v->inner, v->outer * v->inner, v->inner, v->axis * v->inner};
    default: {
        int64_t blocks = (v->axis + k->block - 1) / k->block;
        int64_t i = index % v->inner, b = index / v->inner % blocks, o = index / v->inner / blocks;
        int64_t rest = v->axis - b * k->block;
        int64_t first = (o * v->axis + b * k->block) * v->inner + i;
        return (Granule){first, rest < k->block ? rest : k->block, 1, v->inner};
    }
    }
}
static int64_t member(const Granule *g, int64_t m) {
    return g->first + m / g->run * g->stride + m % g->run;
}

typedef struct Scale {
    uint32_t code;
    float divisor, zero;
} Scale;

static uint32_t encode(const Kernel *k, const Scale *s, float w) {
    return k->format->asymmetric ? k->format->encode(k_rint(w / s->divisor) + s->zero)
                                 : k->format->encode(w / s->divisor);
}
static float decode(const Kernel *k, const Scale *s, uint32_t code) {
    return (k->format->decode(code) - s->zero) * s->divisor;
}

static Scale scale_for(const Kernel *k, float lo, float hi, float super, int ratio) {
    float max = k->format->scale_max;
    Scale s = {k_scale(k->scale_type, max, lo, hi, k_ratio(ratio), super), 0, 0};
    s.divisor = k_divisor(k->scale_type, s.code, super);
    if (k->format->asymmetric) {
        s.zero = k_zero_point(max, lo, k_ratio(ratio), s.divisor);
    }
    return s;
}

static void widen_range(const Law *law, const Granule *g, float *lo, float *hi) {
    for (int64_t m = 0; m < g->length; m++) {
        float w = weight(law, member(g, m));
        if (law->k->format->asymmetric) {
            *lo = w < *lo ? w : *lo;
            *hi = w > *hi ? w : *hi;
        } else {
            *hi = k_abs(w) > *hi ? k_abs(w) : *hi;
        }
    }
}

static Scale choose_scale(const Law *law, const Granule *g, float super) {
    float lo = 0, hi = 0;
    widen_range(law, g, &lo, &hi);
    if (law->k->method == METHOD_MAX) {
        return scale_for(law->k, lo, hi, super, 20); /* ratio 1 */
    }
    Scale best = {0, 0, 0};
    uint64_t least = UINT64_MAX;
    for (int ratio = 0; ratio < K_RATIOS; ratio++) {
        Scale s = scale_for(law->k, lo, hi, super, ratio);
        uint64_t sum = 0;
        for (int64_t m = 0; m < g->length; m++) {
            float w = weight(law, member(g, m));
            sum += k_error(w, decode(law->k, &s, encode(law->k, &s, w)), k_error_unit(lo, hi));
        }
        if (sum < least) {
            least = sum;
            best = s;
        }
    }
    return best;
}

static void put_bits(void *dst, int64_t bit, int bits, uint32_t code) {
    uint8_t *bytes = dst;
    for (int i = 0; i < bits; i++, bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] | ((code >> i) & 1u) << (bit % 8));
    }
}

/* MatMulNBits keeps the output feature first: its row and the position along the reduction axis. */
static void nbits_place(const Kernel *k, int64_t index, int64_t *row, int64_t *at) {
    const KernelView *v = &k->view;
    *row = index / (v->axis * v->inner) * v->inner + index % v->inner;
    *at = index / v->inner % v->axis;
}

static void store_granule(const Law *law, const Granule *g, int64_t index, const Scale *s,
                          void *const outs[OUT_COUNT]) {
    const Kernel *k = law->k;
    int bits = k->format->bits;
    int64_t scale_at = index, zero_bit = index * bits;
    int64_t blocks = (k->view.axis + k->block - 1) / (k->block > 0 ? k->block : 1);
    int64_t row = 0, at = 0;
    if (k->layout == LAYOUT_NBITS) {
        nbits_place(k, g->first, &row, &at);
        scale_at = row * blocks + at / k->block;
        zero_bit = row * ((blocks * bits + 7) / 8 * 8) + at / k->block * bits;
    }
    put_bits(outs[OUT_SCALES], scale_at * source_size(k->scale_type) * 8,
             source_size(k->scale_type) * 8, s->code);
    if (k->format->asymmetric) {
        put_bits(outs[OUT_ZEROS], zero_bit, bits, (uint32_t)s->zero);
    }
    uint32_t flip = k->layout == LAYOUT_NBITS && !k->format->asymmetric ? 1u << (bits - 1) : 0u;
    for (int64_t m = 0; m < g->length; m++) {
        int64_t place = k->layout == LAYOUT_NBITS ? row * blocks * k->block + at + m : member(g, m);
        put_bits(outs[OUT_CODES], place * bits, bits,
                 encode(k, s, weight(law, member(g, m))) ^ flip);
    }
    for (int64_t m = g->length; k->layout == LAYOUT_NBITS && m < k->block; m++) {
        put_bits(outs[OUT_CODES], (row * blocks * k->block + at + m) * bits, bits,
                 (uint32_t)s->zero ^ flip);
    }
}

static void store_pruned(const Law *law, void *dst) {
    size_t size = (size_t)source_size(law->k->source);
    for (int64_t i = 0; i < law->k->count; i++) {
        bool keep = k_bits(weight(law, i)) != 0;
        char *to = (char *)dst + (size_t)i * size;
        if (keep) {
            memcpy(to, (const char *)law->src + (size_t)i * size, size);
        }
    }
}

static Scale given_scale(const Kernel *k, const KernelGiven *given, int64_t index) {
    Scale s = {given->codes[index], 0, 0};
    s.divisor = k_divisor(k->scale_type, s.code, given->super);
    s.zero = k->format->asymmetric ? given->zeros[index] : 0;
    return s;
}

static void encode_whole(const Kernel *k, const void *src, const KernelGiven *given,
                         void *const outs[OUT_COUNT]) {
    Law law = {k, src, 0, 0};
    if (k->prune == PRUNE_RATIO) {
        find_threshold(&law);
    }
    for (int out = 0; out < OUT_COUNT; out++) {
        if (kernel_output_size(k, (KernelOutput)out) > 0) {
            memset(outs[out], 0, (size_t)kernel_output_size(k, (KernelOutput)out));
        }
    }
    if (k->format == NULL) {
        store_pruned(&law, outs[OUT_CODES]);
        return;
    }
    float super = 1.0f;
    if (k->scale_type == K_E4M3) {
        float lo = 0, hi = 0;
        widen_range(&law, &(Granule){0, k->count, k->count, 0}, &lo, &hi);
        super = given ? given->super : k_scale_super(k->format->scale_max, hi - lo);
        memcpy(outs[OUT_SUPER], &super, 4);
    }
    int64_t scales = kernel_output_size(k, OUT_SCALES) / source_size(k->scale_type);
    for (int64_t index = 0; index < scales; index++) {
        Granule g = granule(k, index);
        Scale s = given ? given_scale(k, given, index) : choose_scale(&law, &g, super);
        store_granule(&law, &g, index, &s, outs);
    }
}

void kernel_reference(const Kernel *k, const void *src, void *const outs[OUT_COUNT]) {
    encode_whole(k, src, NULL, outs);
}

void kernel_given(const Kernel *k, const void *src, const KernelGiven *given,
                  void *const outs[OUT_COUNT]) {
    encode_whole(k, src, given, outs);
}

/* ---- metrics: what the outputs say, decoded, against the weights that came in */

static uint32_t get_bits(const void *src, int64_t bit, int bits) {
    const uint8_t *bytes = src;
    uint32_t code = 0;
    for (int i = 0; i < bits; i++, bit++) {
        code |= (uint32_t)(bytes[bit / 8] >> (bit % 8) & 1) << i;
    }
    return code;
}

static int64_t scale_index(const Kernel *k, int64_t index) {
    const KernelView *v = &k->view;
    int64_t blocks = (v->axis + k->block - 1) / (k->block > 0 ? k->block : 1);
    int64_t at = index / v->inner % v->axis;
    switch (k->granule) {
    case GRANULE_TENSOR:
        return 0;
    case GRANULE_CHANNEL:
        return at;
    default:
        return (index / v->inner / v->axis * blocks + at / k->block) * v->inner + index % v->inner;
    }
}

/* The stored value of element `index`. */
static float stored(const Kernel *k, void *const outs[OUT_COUNT], int64_t index) {
    if (k->format == NULL) {
        return source_weight(&(Law){k, outs[OUT_CODES], 0, 0}, index);
    }
    int bits = k->format->bits, width = source_size(k->scale_type) * 8;
    int64_t place = index, scale_at = scale_index(k, index), zero_bit = scale_at * bits;
    uint32_t flip = 0;
    if (k->layout == LAYOUT_NBITS) {
        int64_t row, at, blocks = (k->view.axis + k->block - 1) / k->block;
        nbits_place(k, index, &row, &at);
        place = row * blocks * k->block + at;
        scale_at = row * blocks + at / k->block;
        zero_bit = row * ((blocks * bits + 7) / 8 * 8) + at / k->block * bits;
        flip = k->format->asymmetric ? 0u : 1u << (bits - 1);
    }
    float super = 1.0f;
    if (k->scale_type == K_E4M3) {
        memcpy(&super, outs[OUT_SUPER], 4);
    }
    Scale s = {get_bits(outs[OUT_SCALES], scale_at * width, width), 0, 0};
    s.divisor = k_divisor(k->scale_type, s.code, super);
    s.zero = k->format->asymmetric ? (float)(int32_t)get_bits(outs[OUT_ZEROS], zero_bit, bits) : 0;
    return decode(k, &s, get_bits(outs[OUT_CODES], place * bits, bits) ^ flip);
}

void kernel_decode(const Kernel *k, void *const outs[OUT_COUNT], float *w) {
    for (int64_t i = 0; i < k->count; i++) {
        w[i] = stored(k, outs, i);
    }
}

/* The tree of kernels/compare.h: level by level, neighbours first. */
static float tree_sum(float x[K_STRIP]) {
    for (int n = K_STRIP / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
            x[i] = x[2 * i] + x[2 * i + 1];
        }
    }
    return x[0];
}

/* Elements [first, first + n) of one row, n <= K_STRIP. */
static void add_strip(const Law *law, void *const outs[OUT_COUNT], int64_t first, int64_t n,
                      StripSums *sums, KernelMetrics *m) {
    float ww[K_STRIP] = {0}, qq[K_STRIP] = {0}, ee[K_STRIP] = {0};
    for (int64_t i = 0; i < n; i++) {
        float w = source_weight(law, first + i), q = stored(law->k, outs, first + i), e = w - q;
        ww[i] = w * w;
        qq[i] = q * q;
        ee[i] = e * e;
        sums->max_error = k_magnitude(e) > sums->max_error ? k_magnitude(e) : sums->max_error;
        sums->zeros += q == 0.0f;
        if (k_magnitude(w) >= 0x7f800000u) {
            m->first_nonfinite = m->nonfinite == 0 || first + i < m->first_nonfinite
                                     ? first + i
                                     : m->first_nonfinite;
            m->nonfinite++;
        }
    }
    limbs_add(sums->ww, tree_sum(ww));
    limbs_add(sums->qq, tree_sum(qq));
    limbs_add(sums->ee, tree_sum(ee));
    m->count += n;
}

void kernel_reference_metrics(const Kernel *k, const void *src, void *const outs[OUT_COUNT],
                              KernelMetrics *metrics) {
    Law law = {k, src, 0, 0};
    Shape s = shape_of(k);
    KernelView u = s.unit;
    *metrics = (KernelMetrics){.first_nonfinite = -1};
    for (int64_t chunk = 0; chunk < s.chunks; chunk++) {
        Box b = shape_chunk(&s, chunk);
        StripSums sums = {0};
        KernelMetrics m = {.first_nonfinite = -1};
        bool run = u.inner == 1;
        int64_t rows = run ? 1 : b.k1 - b.k0, begin = run ? b.k0 : b.i0, end = run ? b.k1 : b.i1;
        for (int64_t row = b.o0 * rows; row < b.o1 * rows; row++) {
            int64_t first =
                run ? row * u.axis : (row / rows * u.axis + b.k0 + row % rows) * u.inner;
            for (int64_t i = begin; i < end; i += K_STRIP) {
                add_strip(&law, outs, first + i, end - i < K_STRIP ? end - i : K_STRIP, &sums, &m);
            }
        }
        metrics_from_sums(&sums, &m);
        kernel_metrics_add(metrics, &m);
    }
}
