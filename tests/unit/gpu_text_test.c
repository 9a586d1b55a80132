/* Every text that can be emitted, run thread by thread on the host, gives the bytes of the host's
 * kernels: formats, granules, pruning, sources, scale types, methods, layouts, odd and even shapes,
 * chunk by chunk, surveys too. Which skeleton takes which shape is asked as well, and that the fast
 * ones are really taken. TEXT_ROUNDS raises the number of random kernels. */
#include "tests/unit/unit.h"
#include "kernels/lanes.h"
#include <math.h>
#include "kernels/metrics.h"
#include "kernels/scale.h"
#include "tests/unit/emulated_gpu.h"

static uint64_t dice = 1;
static uint32_t roll(void) {
    uint64_t z = (dice += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}
static uint32_t below(uint32_t n) {
    return roll() % n;
}

/* ---- weights: bell-shaped, with zeros of both signs, ties, tiny and huge values, empty stretches
 */

static float any_weight(void) {
    const float bell = ((float)below(1000) + (float)below(1000) + (float)below(1000) - 1500) / 4e4f;
    switch (below(40)) {
    case 0:
        return 0.0f;
    case 1:
        return -0.0f;
    case 2:
        return 0.0625f;
    case 3:
        return -0.0625f;
    case 4:
        return bell * 1e-4f;
    case 5:
        return bell * 30;
    default:
        return bell;
    }
}

static bool broken; /* the weights at hand hold values that are not finite: nothing else counts */

static void *weights(const Kernel *k) {
    uint8_t *src = malloc((size_t)(k->count * source_size(k->source)) + 1);
    const float unit = below(6) == 0 ? 1e30f : below(6) == 0 ? 1e-36f : 1.0f;
    broken = below(10) == 0;
    int64_t empty = 0;
    for (int64_t i = 0; i < k->count; i++) {
        empty = empty > 0 ? empty - 1 : below(500) == 0 ? below(300) : 0;
        const float w = broken && below(1000) == 0 ? below(2) ? INFINITY : NAN
                        : empty > 0                ? 0.0f
                                                   : any_weight() * unit;
        const float a = fabsf(w) > 65504 ? 65504.0f : fabsf(w);
        uint32_t h = isnan(w)         ? 0x7e00u
                     : isinf(w)       ? 0x7c00u
                     : a >= 0x1p-14f ? k_float16_encode(a)
                                     : (uint32_t)(a * 0x1p24f);
        h |= k_bits(w) >> 31 << 15;
        const uint16_t half = (uint16_t)(k->source == 10 ? h : k_bits(w) >> 16);
        const double wide = (double)w * (1 + below(3) * 1e-9);
        const size_t size = (size_t)source_size(k->source);
        memcpy(src + size * (size_t)i,
               k->source == 11  ? (const void *)&wide
               : k->source == 1 ? (const void *)&w
                                : (const void *)&half,
               size);
    }
    return src;
}

/* ---- one kernel, both ways */

static const char *describe(const Kernel *k) {
    static char text[512];
    snprintf(text, sizeof text,
             "source %d, prune %d (%d:%d, %lld zeros, [%lld %lld %lld]), %s granule %d [%lld %lld "
             "%lld] block %lld scale %d method %d layout %d metrics %d",
             k->source, k->prune, k->keep, k->group, (long long)k->zeros,
             (long long)k->prune_view.outer, (long long)k->prune_view.axis,
             (long long)k->prune_view.inner, k->format ? k->format->name : "none", k->granule,
             (long long)k->view.outer, (long long)k->view.axis, (long long)k->view.inner,
             (long long)k->block, k->scale_type, k->method, k->layout, k->metrics);
    return text;
}

static void *survey(const Kernel *k, const void *src, void *scratch, uint64_t seed) {
    const size_t size = kernel_state_size(k);
    void *host = malloc(size + 1), *gpu = malloc(size + 1), *part = malloc(size + 1);
    kernel_state_init(k, host);
    for (int pass = 0; pass < kernel_surveys(k); pass++) {
        memcpy(gpu, host, size);
        for (int64_t c = 0; c < kernel_chunks(k); c++) {
            kernel_state_fork(k, part, gpu);
            if (!emulated_survey(k, pass, c, src, part, seed)) {
                kernel_survey(k, pass, c, src, part, scratch);
            }
            kernel_state_merge(k, pass, gpu, part);
            kernel_state_fork(k, part, host);
            kernel_survey(k, pass, c, src, part, scratch);
            kernel_state_merge(k, pass, host, part);
        }
        kernel_state_close(k, pass, host);
        kernel_state_close(k, pass, gpu);
        const Shape s = shape_of(k);
        const StateArrays a = state_arrays(k, &s, host), b = state_arrays(k, &s, gpu);
        for (int64_t i = 0; state_has_scales(&s) && !broken && i < s.scales; i++) {
            if (memcmp(a.s + i, b.s + i, 4) != 0 || a.z[i] != b.z[i] || a.codes[i] != b.codes[i]) {
                fail_msg("pass %d, scale %lld: %a, host %a; %s", pass, (long long)i, b.s[i],
                         a.s[i], describe(k));
            }
        }
    }
    free(part);
    free(gpu);
    return host;
}

static void check_report(const Kernel *k, const GpuReport *r, const KernelMetrics *want) {
    KernelMetrics got = {0};
    assert_int_equal(r->nonfinite, want->nonfinite);
    assert_int_equal(r->nonfinite ? (int64_t)~r->not_first : -1, want->first_nonfinite);
    if (k->metrics && !broken) {
        metrics_from_limbs(r->ww, r->qq, r->ee, &got);
        if (got.ww != want->ww || got.qq != want->qq || got.ee != want->ee ||
            got.wq != want->wq || (double)k_float(r->max_error) != want->max_error ||
            (int64_t)r->zeros != want->zeros) {
            fail_msg("ww %a %a qq %a %a ee %a %a max %a %a zeros %lld %lld; %s", got.ww, want->ww,
                     got.qq, want->qq, got.ee, want->ee, (double)k_float(r->max_error),
                     want->max_error, (long long)r->zeros, (long long)want->zeros, describe(k));
        }
    }
}

static void check_chunk(const Kernel *k, int64_t chunk, const void *src, const void *state,
                        void *scratch, uint64_t seed) {
    void *outs[OUT_COUNT];
    KernelMetrics want;
    int64_t offset, size[OUT_COUNT];
    EmulatedChunk got;
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        kernel_extent(k, chunk, o, &offset, &size[o]);
        outs[o] = malloc((size_t)size[o] + 1);
    }
    kernel_encode(k, chunk, src, state, outs, &want, scratch);
    assert_true(emulated_encode(k, chunk, src, state, seed, &got));
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        for (int64_t i = 0; !broken && i < size[o]; i++) {
            if (got.out[o].at[i] != ((uint8_t *)outs[o])[i]) {
                fail_msg("chunk %lld output %d byte %lld of %lld: %02x, host %02x; %s",
                         (long long)chunk, o, (long long)i, (long long)size[o], got.out[o].at[i],
                         ((uint8_t *)outs[o])[i], describe(k));
            }
        }
        free(outs[o]);
        free(got.out[o].at);
    }
    if (!got.whole) {
        fail_msg("written beyond a buffer; %s", describe(k));
    }
    check_report(k, &got.report, &want);
}

static int64_t cases, taken[8];
static const char *const skeletons[] = {"rows", "row", "columns", "plain"};

static void check(const Kernel *k) {
    GpuText about;
    if (k->format == NULL && k->source == 11) {
        assert_false(gpu_text(k, GPU_ENCODE, &about, NULL));
        return;
    }
    void *src = weights(k), *scratch = malloc(kernel_scratch_size(k));
    const uint64_t seed = below(3) == 0 ? roll() : 0;
    void *state = survey(k, src, scratch, seed);
    for (int64_t c = 0; c < kernel_chunks(k); c++) {
        check_chunk(k, c, src, state, scratch, seed);
    }
    assert_true(gpu_text(k, GPU_ENCODE, &about, NULL));
    for (int i = 0; i < 4; i++) {
        taken[i] += strcmp(about.skeleton, skeletons[i]) == 0;
    }
    cases++;
    free(state);
    free(scratch);
    free(src);
}

/* ---- kernels to check */

typedef struct Layer {
    int64_t outer, reduce, inner; /* weights as [outer, reduce, inner] of the reduction axis */
    KernelView channel;           /* as seen from the output channels */
} Layer;

static const Layer layers[] = {
    {1, 256, 192, {256, 192, 1}}, {1, 160, 136, {160, 136, 1}}, /* MatMul [K, N]; with a tail */
    {40, 256, 1, {1, 40, 256}},   {9, 272, 1, {1, 9, 272}},     /* Gemm, transposed [N, K] */
    {12, 32, 9, {1, 12, 288}},    {7, 24, 9, {1, 7, 216}},      /* Conv [O, I, 3, 3] */
    {1, 24, 72, {24, 8, 9}},                                    /* ConvTranspose [I, O, 3, 3] */
    {3, 64, 24, {192, 24, 1}},                                  /* MatMul [B, K, N] */
    {1, 130, 33, {130, 33, 1}},   {31, 75, 1, {1, 31, 75}},     /* odd sizes */
    {1, 5, 1, {1, 1, 5}},         {1, 1, 1, {1, 1, 1}},         /* almost nothing */
    {3, 2048, 1, {1, 3, 2048}},   {2, 3008, 1, {1, 2, 3008}},   /* long rows */
    {19, 576, 1, {1, 19, 576}},                                 /* rows for warps */
};
enum { LAYERS = sizeof layers / sizeof *layers };
static const int scale_types[] = {1, 10, 16, 17, 24};

static const Format *format(const char *name) {
    return format_find(name, strlen(name));
}

static Kernel kernel_for(const Layer *l, const Format *f, KernelGranule granule, int64_t block) {
    Kernel k = {.source = 16, .count = l->outer * l->reduce * l->inner, .format = f};
    k.prune_view = (KernelView){l->outer, l->reduce, l->inner};
    k.keep = 2;
    k.group = 4;
    k.zeros = k.count / 2;
    k.granule = granule;
    k.scale_type = 1;
    k.view = granule == GRANULE_TENSOR    ? (KernelView){1, 1, k.count}
             : granule == GRANULE_CHANNEL ? l->channel
                                          : k.prune_view;
    k.block = granule == GRANULE_BLOCK ? block : 0;
    return k;
}

static void vary(Kernel *k) {
    static const int sources[] = {1, 10, 16, 11};
    static const int groups[][2] = {{2, 4}, {1, 4}, {4, 8}, {1, 2}, {2, 3}, {5, 16}};
    static const int64_t blocks[] = {16, 32, 64, 128, 256, 512, 1000, 24, 7};
    const int g = (int)below(6), p = (int)below(5);
    k->source = sources[below(4)];
    k->prune = p == 0 ? PRUNE_RATIO : p == 1 ? PRUNE_NM : PRUNE_NONE;
    k->keep = groups[g][0];
    k->group = groups[g][1];
    k->zeros = (int64_t)below((uint32_t)k->count + 1);
    k->scale_type = scale_types[below(5)];
    k->method = below(5) == 0 ? METHOD_MSE : METHOD_MAX;
    k->metrics = below(2) == 0;
    if (k->granule == GRANULE_BLOCK) {
        k->block = blocks[below(9)];
    }
}

static bool fits_nbits(const Kernel *k) {
    return k->format && k->format->integer && k->granule == GRANULE_BLOCK && k->block % 16 == 0 &&
           (k->view.outer == 1 || k->view.inner == 1) && k->scale_type != 17;
}

/* The ones that people use most, on shapes that take the fast texts. */
static void common_kernels(void **state) {
    (void)state;
    static const struct {
        const char *format;
        KernelGranule granule;
        int64_t block;
        int scale, source;
        bool nm, metrics, nbits;
    } rows[] = {
        {"int4", GRANULE_BLOCK, 128, 16, 16, false, false, false},
        {"int4", GRANULE_BLOCK, 128, 10, 10, false, true, false},
        {"int4", GRANULE_BLOCK, 128, 16, 16, true, false, false},
        {"int4", GRANULE_BLOCK, 32, 1, 1, false, true, true},
        {"e2m1", GRANULE_BLOCK, 16, 17, 16, false, false, false},
        {"e2m1", GRANULE_BLOCK, 32, 24, 16, false, false, false},
        {"int8", GRANULE_CHANNEL, 0, 16, 16, false, false, false},
        {"e4m3", GRANULE_CHANNEL, 0, 1, 1, false, true, false},
        {"e4m3", GRANULE_CHANNEL, 0, 16, 16, true, false, false},
        {"uint4", GRANULE_BLOCK, 64, 10, 10, false, true, true},
        {"int8", GRANULE_TENSOR, 0, 16, 16, false, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int l = 0; l < LAYERS; l++) {
            const bool rows_too = l >= 12 && rows[i].granule == GRANULE_CHANNEL;
            if (l >= 4 && !rows_too) {
                continue;
            }
            Kernel k = kernel_for(&layers[l], format(rows[i].format), rows[i].granule,
                                  rows[i].block);
            k.scale_type = rows[i].scale;
            k.source = rows[i].source;
            k.prune = rows[i].nm ? PRUNE_NM : PRUNE_NONE;
            k.metrics = rows[i].metrics;
            GpuText about;
            assert_true(gpu_text(&k, GPU_ENCODE, &about, NULL));
            assert_string_not_equal(about.skeleton, "plain");
            check(&k);
            if (rows[i].nbits) {
                k.layout = LAYOUT_NBITS;
                check(&k);
            }
        }
    }
}

static int rounds(int usual) {
    const char *asked = getenv("TEXT_ROUNDS");
    return asked ? atoi(asked) : usual;
}

static void random_kernels(void **state) {
    (void)state;
    const int many = rounds(40);
    for (int i = 0; i < many; i++) {
        const Format *f = &formats[below((uint32_t)format_count)];
        Kernel k = kernel_for(&layers[below(LAYERS)], f->scale_only ? NULL : f,
                              (KernelGranule)below(3), 16);
        vary(&k);
        if (k.format == NULL && k.prune == PRUNE_NONE) {
            k.prune = PRUNE_NM;
        }
        k.layout = fits_nbits(&k) && below(2) ? LAYOUT_NBITS : LAYOUT_ONNX;
        check(&k);
    }
    print_message("%lld kernels: %lld rows, %lld row, %lld columns, %lld plain\n",
                  (long long)cases, (long long)taken[0], (long long)taken[1],
                  (long long)taken[2], (long long)taken[3]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_kernels),
        cmocka_unit_test(random_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
