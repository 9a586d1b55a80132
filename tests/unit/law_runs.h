/* Kernels as exec runs them, in chunks, with surveys merged in different orders, and the law over
 * the same weights: for tests that compare the two bit for bit, with every instruction set this
 * machine has, cut as usual and cut very small. Included after cmocka.h. */
#ifndef TESTS_UNIT_LAW_RUNS_H
#define TESTS_UNIT_LAW_RUNS_H
#include "kernels/kernels.h"
#include "kernels/lanes.h"
#include "kernels/scale.h"
#include "kernels/shape.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 1;
static inline uint32_t roll(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}
static inline uint32_t below(uint32_t n) {
    return roll() % n;
}

static const Format *format(const char *name) {
    const Format *f = format_find(name, strlen(name));
    assert_non_null(f);
    return f;
}

/* ---- tensors: bell-shaped, with zeros of both signs, ties, tiny and huge values, empty stretches
 */

static inline float any_weight(void) {
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

static inline void store_weight(int source, void *src, int64_t i, float w) {
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
static inline void *random_tensor(int source, int64_t count, void **base) {
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

static inline Result result_new(const Kernel *k) {
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
static inline void result_free(Result *r) {
    for (int o = 0; o < OUT_COUNT; o++) {
        free(r->out[o]);
    }
}

static inline void run_surveys(const Kernel *k, const void *src, void *state, void *scratch,
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
static inline Result run_chunked(const Kernel *k, const void *src, bool shuffle) {
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

static inline Result run_law(const Kernel *k, const void *src) {
    Result r = result_new(k);
    kernel_reference(k, src, (void *const *)r.out);
    return r;
}

/* Of the outputs of `law`, as the tensor is cut now: sums of chunks are rounded. */
static inline KernelMetrics law_metrics(const Kernel *k, const void *src, const Result *law) {
    KernelMetrics m;
    kernel_reference_metrics(k, src, (void *const *)law->out, &m);
    return m;
}

static inline void expect_metrics(const Kernel *k, const KernelMetrics *got,
                                  const KernelMetrics *want) {
    assert_int_equal(got->count, k->count);
    if (k->metrics && memcmp(got, want, sizeof *want) != 0) {
        fail_msg("metrics: ww %a, law %a; qq %a, law %a; ee %a, law %a; max %a, law %a; %lld "
                 "zeros, law %lld; %lld not finite, law %lld; %s",
                 got->ww, want->ww, got->qq, want->qq, got->ee, want->ee, got->max_error,
                 want->max_error, (long long)got->zeros, (long long)want->zeros,
                 (long long)got->nonfinite, (long long)want->nonfinite, describe(k));
    }
}

static inline void expect_same(const Kernel *k, const Result *got, const Result *want) {
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
static inline void check(const Kernel *k, const void *src) {
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

static inline Kernel kernel_for(const Layer *l, const Format *f, KernelGranule granule) {
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
#endif
