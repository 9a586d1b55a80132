/* The chunked host path against the law (kernel_reference), bit for bit: every format, granule,
 * pruning, source, scale type, method and layout, with every instruction set this machine has, cut
 * as usual and cut very small, with surveys merged in different orders. Also: rules of D16 by
 * value, extents that tile every output, metrics against a plain loop, and values that are not
 * finite. */
#include "kernels/kernels.h"
#include "kernels/lanes.h"
#include "kernels/scale.h"
#include "kernels/shape.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint64_t seed = 1;
static uint32_t roll(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}
static uint32_t below(uint32_t n) {
    return roll() % n;
}

static const Format *format(const char *name) {
    const Format *f = format_find(name, strlen(name));
    assert_non_null(f);
    return f;
}

/* ---- tensors: bell-shaped, with zeros of both signs, ties, tiny and huge values, empty stretches
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
        return bell * 1e-4f; /* float16: subnormal */
    case 5:
        return bell * 30;
    case 6:
        return (float)((int)below(15) - 7) / 64;
    default:
        return bell;
    }
}

static void store_weight(int source, void *src, int64_t i, float w) {
    if (source == 10) {
        /* truncated, subnormals too: only real float16 values matter here */
        const float a = fabsf(w) > 65504 ? 65504.0f : fabsf(w);
        uint32_t h = a >= 0x1p-14f ? k_float16_encode(a) : (uint32_t)(a * 0x1p24f);
        const uint16_t half = (uint16_t)(h | (k_bits(w) >> 31) << 15);
        memcpy((char *)src + 2 * i, &half, 2);
    } else if (source == 16) {
        const uint16_t half = (uint16_t)(k_bits(w) >> 16);
        memcpy((char *)src + 2 * i, &half, 2);
    } else if (source == 11) {
        const double d = (double)w * (1 + below(3) * 1e-9);
        memcpy((char *)src + 8 * i, &d, 8);
    } else {
        memcpy((char *)src + 4 * i, &w, 4);
    }
}

/* One byte off the alignment of malloc, as a mapped file may have it; *base is to be freed. */
static void *random_tensor(int source, int64_t count, void **base) {
    *base = malloc((size_t)(count * source_size(source)) + 1);
    char *src = (char *)*base + 1;
    const float unit = below(8) == 0 ? 1e30f : below(8) == 0 ? 1e-36f : 1.0f;
    int64_t empty = 0;
    for (int64_t i = 0; i < count; i++) {
        empty = empty > 0 ? empty - 1 : below(500) == 0 ? below(300) : 0;
        store_weight(source, src, i, empty > 0 ? 0.0f : any_weight() * unit);
    }
    return src;
}

/* ---- running a kernel the way exec does */

typedef struct Result {
    uint8_t *out[OUT_COUNT];
    KernelMetrics metrics;
} Result;

static Result result_new(const Kernel *k) {
    Result r = {.metrics.first_nonfinite = -1};
    for (int o = 0; o < OUT_COUNT; o++) {
        const int64_t size = kernel_output_size(k, (KernelOutput)o);
        r.out[o] = size > 0 ? malloc((size_t)size) : NULL;
        if (size > 0) {
            memset(r.out[o], 0xa5, (size_t)size);
        }
    }
    return r;
}
static void result_free(Result *r) {
    for (int o = 0; o < OUT_COUNT; o++) {
        free(r->out[o]);
    }
}

static void run_surveys(const Kernel *k, const void *src, void *state, void *scratch,
                        bool shuffle) {
    const int64_t chunks = kernel_chunks(k);
    kernel_state_init(k, state);
    for (int pass = 0; pass < kernel_surveys(k); pass++) {
        void *part[2] = {malloc(kernel_state_size(k)), malloc(kernel_state_size(k))};
        kernel_state_fork(k, part[0], state);
        kernel_state_fork(k, part[1], state);
        for (int64_t c = 0; c < chunks; c++) {
            kernel_survey(k, pass, shuffle ? chunks - 1 - c : c, src, part[shuffle ? c % 2 : 0],
                          scratch);
        }
        kernel_state_merge(k, pass, state, part[1]);
        kernel_state_merge(k, pass, state, part[0]);
        kernel_state_close(k, pass, state);
        free(part[0]);
        free(part[1]);
    }
}

/* Each chunk writes into memory of exactly its size; together they must cover each output once. */
static Result run_chunked(const Kernel *k, const void *src, bool shuffle) {
    Result r = result_new(k);
    void *state = malloc(kernel_state_size(k));
    void *scratch = malloc(kernel_scratch_size(k));
    int64_t end[OUT_COUNT] = {0};
    run_surveys(k, src, state, scratch, shuffle);
    for (int64_t c = 0; c < kernel_chunks(k); c++) {
        void *outs[OUT_COUNT] = {0};
        int64_t offset[OUT_COUNT], size[OUT_COUNT];
        for (int o = 0; o < OUT_COUNT; o++) {
            kernel_extent(k, c, (KernelOutput)o, &offset[o], &size[o]);
            if (size[o] > 0) {
                assert_int_equal(offset[o], end[o]);
                end[o] += size[o];
                outs[o] = malloc((size_t)size[o]);
                memset(outs[o], 0x5a, (size_t)size[o]);
            }
        }
        KernelMetrics m;
        kernel_encode(k, c, src, state, outs, &m, scratch);
        kernel_metrics_add(&r.metrics, &m);
        for (int o = 0; o < OUT_COUNT; o++) {
            if (size[o] > 0) {
                memcpy(r.out[o] + offset[o], outs[o], (size_t)size[o]);
            }
            free(outs[o]);
        }
    }
    for (int o = 0; o < OUT_COUNT; o++) {
        const int64_t size = kernel_output_size(k, (KernelOutput)o);
        if (kernel_global(k, (KernelOutput)o, state, r.out[o])) {
            assert_int_equal(end[o], 0);
        } else {
            assert_int_equal(end[o], size);
        }
    }
    free(state);
    free(scratch);
    return r;
}

static const char *describe(const Kernel *k) {
    static char text[512];
    snprintf(text, sizeof text,
             "source %d, prune %d (%d:%d, %lld zeros, [%lld %lld %lld]), %s granule %d [%lld %lld "
             "%lld] block %lld scale %d method %d layout %d, %s",
             k->source, k->prune, k->keep, k->group, (long long)k->zeros,
             (long long)k->prune_view.outer, (long long)k->prune_view.axis,
             (long long)k->prune_view.inner, k->format ? k->format->name : "none", k->granule,
             (long long)k->view.outer, (long long)k->view.axis, (long long)k->view.inner,
             (long long)k->block, k->scale_type, k->method, k->layout, lanes_best()->name);
    return text;
}

static Result run_law(const Kernel *k, const void *src) {
    Result r = result_new(k);
    kernel_reference(k, src, (void *const *)r.out);
    return r;
}

/* Of the outputs of `law`, as the tensor is cut now: sums of chunks are rounded. */
static KernelMetrics law_metrics(const Kernel *k, const void *src, const Result *law) {
    KernelMetrics m;
    kernel_reference_metrics(k, src, (void *const *)law->out, &m);
    return m;
}

static void expect_metrics(const Kernel *k, const KernelMetrics *got, const KernelMetrics *want) {
    assert_int_equal(got->count, k->count);
    if (k->metrics && memcmp(got, want, sizeof *want) != 0) {
        fail_msg("metrics: ww %a, law %a; qq %a, law %a; ee %a, law %a; max %a, law %a; %lld "
                 "zeros, law %lld; %lld not finite, law %lld; %s",
                 got->ww, want->ww, got->qq, want->qq, got->ee, want->ee, got->max_error,
                 want->max_error, (long long)got->zeros, (long long)want->zeros,
                 (long long)got->nonfinite, (long long)want->nonfinite, describe(k));
    }
}

static void expect_same(const Kernel *k, const Result *got, const Result *want) {
    for (int o = 0; o < OUT_COUNT; o++) {
        for (int64_t i = 0; i < kernel_output_size(k, (KernelOutput)o); i++) {
            if (got->out[o][i] != want->out[o][i]) {
                fail_msg("output %d, byte %lld: %02x, law %02x; %s", o, (long long)i,
                         got->out[o][i], want->out[o][i], describe(k));
            }
        }
    }
}

static int64_t cases;

/* Without optimization everything is slow: each cut is then run by one variant, in turns, and fewer
 * dice are rolled. */
#ifdef __OPTIMIZE__
enum { TURNS = 1, ROUNDS = 2 };
#else
enum { TURNS = 3, ROUNDS = 1 };
#endif

/* All variants and cuts of one kernel against the law. */
static void check(const Kernel *k, const void *src) {
    static const struct { int64_t chunk, tile; } cuts[] = {{0, 0}, {1500, 256}, {4096, 1024}};
    static int64_t turn;
    Result want = run_law(k, src);
    turn++;
    for (int c = 0; c < 3; c++) {
        shape_force(cuts[c].chunk, cuts[c].tile);
        const KernelMetrics metrics = law_metrics(k, src, &want);
        for (int v = 0; v < lanes_count; v++) {
            if (!lanes_all[v]->usable() || (turn + c + v) % TURNS != 0) {
                continue;
            }
            lanes_force(lanes_all[v]);
            Result got = run_chunked(k, src, (v + c) % 2 == 1);
            expect_same(k, &got, &want);
            expect_metrics(k, &got.metrics, &metrics);
            result_free(&got);
            cases++;
        }
        lanes_force(NULL);
    }
    shape_force(0, 0);
    result_free(&want);
}

/* ---- kernels to check */

typedef struct Layer {
    int64_t outer, reduce, inner; /* weights as [outer, reduce, inner] of the reduction axis */
    KernelView channel;           /* as seen from the output channels */
} Layer;

static const Layer layers[] = {
    {1, 96, 70, {96, 70, 1}},   {1, 130, 33, {130, 33, 1}}, /* MatMul [K, N]; a tail, odd sizes */
    {40, 96, 1, {1, 40, 96}},   {31, 75, 1, {1, 31, 75}},   /* Gemm, transposed [N, K] */
    {12, 32, 9, {1, 12, 288}},  {7, 24, 9, {1, 7, 216}},    /* Conv [O, I, 3, 3] */
    {1, 24, 45, {24, 5, 9}},                                /* ConvTranspose [I, O, 3, 3] */
    {3, 40, 17, {120, 17, 1}},                              /* MatMul [B, K, N] */
    {1, 24, 200, {24, 200, 1}},                             /* tiles of strips */
    {1, 5, 1, {1, 1, 5}},       {1, 1, 1, {1, 1, 1}},       /* almost nothing */
    {1, 700, 8, {700, 8, 1}},   {2, 3000, 1, {1, 2, 3000}}, /* long */
};
static const int scale_types[] = {1, 10, 16, 17, 24};

static Kernel kernel_for(const Layer *l, const Format *f, KernelGranule granule) {
    Kernel k = {.source = 1, .count = l->outer * l->reduce * l->inner, .format = f};
    k.prune_view = (KernelView){l->outer, l->reduce, l->inner};
    k.keep = 2;
    k.group = 4;
    k.zeros = k.count / 2;
    k.granule = granule;
    k.scale_type = 1;
    k.metrics = true;
    switch (granule) {
    case GRANULE_TENSOR:
        k.view = (KernelView){1, 1, k.count};
        break;
    case GRANULE_CHANNEL:
        k.view = l->channel;
        break;
    case GRANULE_BLOCK:
        k.view = k.prune_view;
        k.block = 16;
        break;
    }
    return k;
}

/* A random way to prune, store and search; what a compiler would never ask for is left out. */
static void vary(Kernel *k) {
    static const int sources[] = {1, 10, 16, 11};
    static const int groups[][2] = {{2, 4}, {1, 4}, {4, 8}, {1, 2}, {2, 3}, {5, 16}};
    static const int64_t blocks[] = {16, 32, 64, 128, 1000, 24, 7};
    const int g = (int)below(6), p = (int)below(4);
    k->source = sources[below(4)];
    k->prune = p == 0 ? PRUNE_RATIO : p == 1 ? PRUNE_NM : PRUNE_NONE;
    k->keep = groups[g][0];
    k->group = groups[g][1];
    k->zeros = (int64_t)(below(5) == 0   ? 0
                         : below(5) == 0 ? (uint32_t)k->count
                                         : below((uint32_t)k->count));
    k->scale_type = scale_types[below(5)];
    k->method = below(3) == 0 ? METHOD_MSE : METHOD_MAX;
    if (k->granule == GRANULE_BLOCK) {
        k->block = blocks[below(7)];
    }
}

static bool fits_nbits(const Kernel *k) {
    return k->format->integer && k->granule == GRANULE_BLOCK && k->block % 16 == 0 &&
           (k->view.outer == 1 || k->view.inner == 1) && k->scale_type != 17;
}

static void test_law_everywhere(void **state) {
    (void)state;
    cases = 0;
    for (int f = 0; f < format_count; f++) {
        for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
            for (int granule = 0; granule <= GRANULE_BLOCK && !formats[f].scale_only; granule++) {
                for (int round = 0; round < (granule == GRANULE_BLOCK ? 2 : 1) * ROUNDS; round++) {
                    Kernel k = kernel_for(&layers[l], &formats[f], (KernelGranule)granule);
                    vary(&k);
                    void *base, *src = random_tensor(k.source, k.count, &base);
                    check(&k, src);
                    if (fits_nbits(&k)) {
                        k.layout = LAYOUT_NBITS;
                        check(&k, src);
                    }
                    free(base);
                }
            }
        }
    }
    print_message("%lld runs equal the law\n", (long long)cases);
}

/* Each named combination at least once, whatever the dice say. */
static void test_law_grid(void **state) {
    (void)state;
    static const int sources[] = {1, 10, 16, 11};
    cases = 0;
    for (int f = 0; f < format_count; f++) {
        for (int i = 0; i < 3 * 3 * 4 && !formats[f].scale_only; i++) {
            Kernel k = kernel_for(&layers[i % 4 < 2 ? 0 : 2], &formats[f], (KernelGranule)(i % 3));
            k.prune = (KernelPrune)(i / 3 % 3);
            k.source = sources[i / 9];
            k.scale_type = scale_types[i % 5];
            void *base, *src = random_tensor(k.source, k.count, &base);
            check(&k, src);
            free(base);
        }
    }
    print_message("%lld runs equal the law\n", (long long)cases);
}

static void test_pruning_alone(void **state) {
    (void)state;
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        for (int round = 0; round < 8; round++) {
            Kernel k = kernel_for(&layers[l], NULL, GRANULE_TENSOR);
            vary(&k);
            k.prune = round % 2 ? PRUNE_NM : PRUNE_RATIO;
            void *base, *src = random_tensor(k.source, k.count, &base);
            check(&k, src);
            free(base);
        }
    }
}

/* Whole chunks and tiles of their real sizes. */
static void test_large(void **state) {
    (void)state;
    static const struct {
        Layer layer;
        KernelGranule granule;
        const char *format;
        KernelPrune prune;
        int scale;
    } large[] = {
        {{1, 1030, 2050, {1030, 2050, 1}}, GRANULE_BLOCK, "int4", PRUNE_NM, 10},
        {{1, 1030, 2050, {1030, 2050, 1}}, GRANULE_CHANNEL, "uint4", PRUNE_NONE, 1},
        {{1030, 2050, 1, {1, 1030, 2050}}, GRANULE_BLOCK, "e2m1", PRUNE_NONE, 17},
        {{30, 70000, 1, {1, 30, 70000}}, GRANULE_CHANNEL, "int8", PRUNE_RATIO, 1},
        {{1, 2100001, 1, {1, 1, 2100001}}, GRANULE_TENSOR, "uint2", PRUNE_NONE, 16},
    };
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        Kernel k = kernel_for(&large[i].layer, format(large[i].format), large[i].granule);
        k.source = 10;
        k.prune = large[i].prune;
        k.scale_type = large[i].scale;
        k.block = 128;
        void *base, *src = random_tensor(k.source, k.count, &base);
        Result want = run_law(&k, src), got = run_chunked(&k, src, true);
        assert_true(kernel_chunks(&k) > 1);
        expect_same(&k, &got, &want);
        const KernelMetrics metrics = law_metrics(&k, src, &want);
        expect_metrics(&k, &got.metrics, &metrics);
        result_free(&want);
        result_free(&got);
        free(base);
    }
}

/* ---- rules, by value */

typedef struct Stored {
    uint8_t codes[64], scales[64], zeros[64];
    float super;
} Stored;

/* One block of up to 64 floats, by the law. */
static Stored store_block(const char *name, int scale_type, const float *w, int64_t n) {
    Stored s = {0};
    Kernel k = {.source = 1, .count = n, .format = format(name), .granule = GRANULE_BLOCK};
    k.view = (KernelView){1, n, 1};
    k.block = n;
    k.scale_type = scale_type;
    void *outs[OUT_COUNT] = {s.codes, s.scales, s.zeros, &s.super};
    kernel_reference(&k, w, outs);
    check(&k, w);
    return s;
}
static float scale_of(const Stored *s, int type) {
    uint32_t code = 0;
    memcpy(&code, s->scales, (size_t)source_size(type));
    return k_scale_decode(type, code);
}
static float scale_for_max(const char *name, int type, float amax) {
    const float w[2] = {amax, -amax / 3};
    const Stored s = store_block(name, type, w, 2);
    return scale_of(&s, type);
}

static void test_scale_rules(void **state) {
    (void)state;
    assert_true(scale_for_max("int8", 1, 127.0f) == 1.0f);
    assert_true(scale_for_max("int4", 1, 3.5f) == 0.5f);
    assert_true(scale_for_max("int2", 1, 3.5f) == 3.5f);
    assert_true(scale_for_max("e4m3", 1, 1.0f) == 1.0f / 448);
    assert_true(scale_for_max("e5m2", 1, 1.0f) == 1.0f / 57344);
    assert_true(scale_for_max("e2m1", 1, 1.0f) == 1.0f / 6);
    for (size_t t = 0; t < 5; t++) { /* nothing to scale */
        assert_true(scale_for_max("int8", scale_types[t], 0.0f) == 1.0f);
    }
    /* too small, too large: the ends of what the type holds as normal numbers */
    assert_true(scale_for_max("int8", 1, 0x1p-140f) == 0x1p-126f);
    assert_true(scale_for_max("int8", 10, 1e-6f) == 0x1p-14f);
    assert_true(scale_for_max("int8", 10, 3e38f) == 65504.0f);
    assert_true(scale_for_max("int8", 16, 0x1p-140f) == 0x1p-126f);
    assert_true(scale_for_max("int2", 16, 0x1.fffffep127f) == 0x1.fep127f);
    assert_true(scale_for_max("int8", 24, 0x1p-140f) == 0x1p-126f);
    /* powers of two round up, exact ones stay */
    assert_true(scale_for_max("e2m1", 24, 6.0f) == 1.0f);
    assert_true(scale_for_max("e2m1", 24, nextafterf(6.0f, 7.0f)) == 2.0f);
    assert_true(scale_for_max("e4m3", 24, 448.0f * 0x1p-20f) == 0x1p-20f);
    assert_true(scale_for_max("e4m3", 24, 449.0f * 0x1p-20f) == 0x1p-19f);
    /* float16 scales round to nearest and divide as stored */
    assert_true(scale_for_max("int4", 10, 0.1f) == k_float16_decode(k_float16_encode(0.1f / 7)));
}

static void test_two_level(void **state) {
    (void)state;
    float w[32] = {0};
    for (int i = 0; i < 16; i++) {
        w[i] = (float)(i - 8) * 0.01f;
    }
    w[5] = 2688.0f;
    Stored s = {0};
    Kernel k = {.source = 1, .count = 32, .format = format("e2m1"), .granule = GRANULE_BLOCK};
    k.view = (KernelView){1, 32, 1};
    k.block = 16;
    k.scale_type = 17;
    void *outs[OUT_COUNT] = {s.codes, s.scales, s.zeros, &s.super};
    kernel_reference(&k, w, outs);
    check(&k, w);
    assert_true(s.super == 1.0f);
    assert_int_equal(s.scales[0], 0x7e); /* 448 */
    assert_int_equal(s.scales[1], 0x38); /* an empty block: 1 */
    assert_int_equal(s.codes[2] >> 4, 7);
}

static void test_zero_points(void **state) {
    (void)state;
    const float centred[4] = {-1, 0, 0.5f, 1.55f};
    Stored s = store_block("uint8", 1, centred, 4);
    assert_true(scale_of(&s, 1) == 2.55f / 255);
    assert_int_equal(s.zeros[0], 100);
    assert_int_equal(s.codes[0], 0);
    assert_int_equal(s.codes[1], 100);
    assert_int_equal(s.codes[3], 255);
    const float positive[2] = {10, 30}; /* widened to hold 0 */
    s = store_block("uint4", 1, positive, 2);
    assert_true(scale_of(&s, 1) == 2.0f);
    assert_int_equal(s.zeros[0], 0);
    assert_int_equal(s.codes[0], 5 | 15 << 4);
    const float negative[2] = {-10, -30};
    s = store_block("uint4", 1, negative, 2);
    assert_int_equal(s.zeros[0], 15);
    assert_int_equal(s.codes[0], 10 | 0 << 4);
}

/* Pruned weights decode to exactly 0 and the mask is what magnitudes say. */
static void test_masks(void **state) {
    (void)state;
    const float w[8] = {1, -1, 1, 0.5f, -0.25f, 0, 3, -0.5f};
    static const char *const names[] = {"uint8", "int8", "e4m3", "e2m1"};
    for (int f = 0; f < 4; f++) {
        for (int ratio = 0; ratio < 2; ratio++) {
            Kernel k = {.source = 1, .count = 8, .format = format(names[f]), .scale_type = 1};
            k.prune = ratio ? PRUNE_RATIO : PRUNE_NM;
            k.keep = 2;
            k.group = 4;
            k.zeros = 4;
            k.prune_view = (KernelView){1, 8, 1};
            k.view = (KernelView){1, 1, 8};
            k.metrics = true;
            Result r = run_chunked(&k, w, false);
            check(&k, w);
            /* 2:4 keeps 0 1 | 6 7; the ratio goes by size, and of equals the last goes: 0 1 2 6 */
            static const int kept[2][8] = {{1, 1, 0, 0, 0, 0, 1, 1}, {1, 1, 1, 0, 0, 0, 1, 0}};
            for (int i = 0; i < 8; i++) {
                const uint32_t bits = (uint32_t)k.format->bits;
                const uint32_t code = (uint32_t)(r.out[OUT_CODES][(uint32_t)i * bits / 8] >>
                                                 ((uint32_t)i * bits % 8)) &
                                      ((1u << bits) - 1);
                const uint32_t zero = k.format->asymmetric ? r.out[OUT_ZEROS][0] : 0;
                assert_int_equal(code != zero, kept[ratio][i]);
            }
            assert_int_equal(r.metrics.zeros, 4);
            result_free(&r);
        }
    }
}

/* A better ratio is found where clipping pays, and 1.00 kept where it does not. */
static void test_search(void **state) {
    (void)state;
    Kernel k = {.source = 1, .count = 128, .format = format("int4"), .granule = GRANULE_BLOCK};
    float w[128];
    for (int i = 0; i < 128; i++) {
        w[i] = (float)(i % 15 - 7) * 0.125f; /* all weights on the grid of amax / 7 */
    }
    k.view = (KernelView){1, 128, 1};
    k.block = 128;
    k.scale_type = 1;
    k.method = METHOD_MSE;
    k.metrics = true;
    Result r = run_chunked(&k, w, false);
    float scale;
    memcpy(&scale, r.out[OUT_SCALES], 4);
    assert_true(scale == 0.125f);
    assert_true(r.metrics.ee == 0);
    result_free(&r);
    for (int i = 0; i < 128; i++) {
        w[i] = (float)((i * 37) % 128 - 64) / 128;
    }
    w[3] = 0.8f; /* one weight outside: cutting it off pays */
    r = run_chunked(&k, w, false);
    memcpy(&scale, r.out[OUT_SCALES], 4);
    assert_true(scale < 0.8f / 7);
    const double searched = r.metrics.ee;
    result_free(&r);
    k.method = METHOD_MAX;
    r = run_chunked(&k, w, false);
    assert_true(searched < r.metrics.ee);
    result_free(&r);
}

static void test_error_measure(void **state) {
    (void)state;
    for (int i = 1; i <= 1000; i++) {
        const double x = i / 1000.0, want = pow(x, 2.4) * 0x1p31;
        const double got = k_error((float)x, 0, 1);
        assert_true(fabs(got - want) <= want * 1.2e-4 + 1);
    }
    assert_int_equal(k_error(0, 0, 1), 0);
    assert_int_equal(k_error(5, 5, 1), 0);
    assert_true(k_error(1e30f, -1e30f, 1) < 1u << 31);
}

/* Squares and strips are rounded to float32, sums of strips are exact. */
static bool near(double a, double b) {
    return fabs(a - b) <= 3e-7 * (fabs(a) + fabs(b)) + 1e-300;
}

/* By the definition, from the weights before and after, in doubles; max_error is exact. */
static void test_metrics(void **state) {
    (void)state;
    Kernel k = kernel_for(&layers[1], format("int8"), GRANULE_BLOCK);
    k.prune = PRUNE_NM;
    float *src = malloc((size_t)k.count * sizeof *src); /* squares fit float32 */
    for (int64_t i = 0; i < k.count; i++) {
        src[i] = any_weight();
    }
    Result r = run_chunked(&k, src, false);
    KernelMetrics m = {0};
    const int64_t blocks = (k.view.axis + k.block - 1) / k.block;
    for (int64_t i = 0; i < k.count; i++) {
        float scale;
        const int64_t at = i / k.view.inner / k.block * k.view.inner + i % k.view.inner;
        assert_true(at < blocks * k.view.inner);
        memcpy(&scale, r.out[OUT_SCALES] + 4 * at, 4);
        const double w = src[i], q = (double)(k.format->decode(r.out[OUT_CODES][i]) * scale);
        m.ww += w * w;
        m.wq += w * q;
        m.qq += q * q;
        m.ee += (w - q) * (w - q);
        m.max_error = fmax(m.max_error, (double)fabsf(src[i] - (float)q));
        m.zeros += q == 0;
    }
    assert_true(near(m.ww, r.metrics.ww) && near(m.wq, r.metrics.wq) && near(m.qq, r.metrics.qq));
    assert_true(near(m.ee, r.metrics.ee) && m.max_error == r.metrics.max_error);
    assert_int_equal(m.zeros, r.metrics.zeros);
    assert_int_equal(r.metrics.nonfinite, 0);
    result_free(&r);
    free(src);
}

static void test_nonfinite(void **state) {
    (void)state;
    static const KernelGranule granules[] = {GRANULE_TENSOR, GRANULE_CHANNEL, GRANULE_BLOCK};
    for (int i = 0; i < 3 * format_count * 2; i++) {
        const Format *f = &formats[i / 3 % format_count];
        if (f->scale_only) {
            continue;
        }
        Kernel k = kernel_for(&layers[0], f, granules[i % 3]);
        k.method = i >= 3 * format_count ? METHOD_MSE : METHOD_MAX;
        k.prune = i % 2 ? PRUNE_NM : PRUNE_NONE;
        void *base, *src = random_tensor(1, k.count, &base);
        const float bad[3] = {INFINITY, NAN, -INFINITY};
        const int64_t at[3] = {777, 1234, k.count - 1};
        for (int b = 0; b < 3; b++) {
            memcpy((char *)src + 4 * at[b], &bad[b], 4);
        }
        for (int cut = 0; cut < 2; cut++) {
            shape_force(cut ? 1500 : 0, cut ? 256 : 0);
            Result r = run_chunked(&k, src, false);
            assert_int_equal(r.metrics.nonfinite, 3);
            assert_int_equal(r.metrics.first_nonfinite, 777);
            result_free(&r);
        }
        shape_force(0, 0);
        free(base);
    }
}

static void test_empty(void **state) {
    (void)state;
    const Layer none = {0, 16, 1, {1, 0, 16}};
    for (int granule = 0; granule <= GRANULE_BLOCK; granule++) {
        Kernel k = kernel_for(&none, format("uint4"), (KernelGranule)granule);
        assert_int_equal(kernel_chunks(&k), 0);
        check(&k, "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale_rules), cmocka_unit_test(test_two_level),
        cmocka_unit_test(test_zero_points), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_search),      cmocka_unit_test(test_error_measure),
        cmocka_unit_test(test_metrics),     cmocka_unit_test(test_nonfinite),
        cmocka_unit_test(test_empty),       cmocka_unit_test(test_pruning_alone),
        cmocka_unit_test(test_law_grid),    cmocka_unit_test(test_law_everywhere),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
