/* The chunked host path against the law (kernel_reference), bit for bit: every format, granule,
 * pruning, source, scale type, method and layout (law_runs.h says how), and extents that tile every
 * output. Also values that are not finite. Rules by value: kernel_rules_test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/law_runs.h"

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
typedef struct Large {
    Layer layer;
    KernelGranule granule;
    int block;
    const char *format;
    KernelPrune prune;
    int scale, source;
    KernelMethod method;
} Large;

static const Large large[] = {
    {{1, 1030, 2050, {1030, 2050, 1}}, GRANULE_BLOCK, 128, "int4", PRUNE_NM, 10, 10, METHOD_MAX},
    {{1, 1030, 2050, {1030, 2050, 1}}, GRANULE_CHANNEL, 0, "uint4", PRUNE_NONE, 1, 16, METHOD_MAX},
    {{1030, 2050, 1, {1, 1030, 2050}}, GRANULE_BLOCK, 128, "e2m1", PRUNE_NONE, 17, 10, METHOD_MAX},
    {{1030, 2080, 1, {1, 1030, 2080}}, GRANULE_BLOCK, 16, "e2m1", PRUNE_NONE, 17, 16, METHOD_MAX},
    {{1030, 2080, 1, {1, 1030, 2080}}, GRANULE_BLOCK, 32, "uint4", PRUNE_NONE, 10, 1, METHOD_MAX},
    {{30, 70000, 1, {1, 30, 70000}}, GRANULE_CHANNEL, 0, "int8", PRUNE_RATIO, 1, 10, METHOD_MAX},
    {{130, 10000, 1, {1, 130, 10000}}, GRANULE_CHANNEL, 0, "e4m3", PRUNE_NM, 16, 16, METHOD_MAX},
    {{1, 2100001, 1, {1, 1, 2100001}}, GRANULE_TENSOR, 0, "uint2", PRUNE_NONE, 16, 10, METHOD_MAX},
    {{12, 9000, 1, {1, 12, 9000}}, GRANULE_CHANNEL, 0, "int4", PRUNE_NONE, 10, 10, METHOD_MSE},
    {{1, 4100, 70, {4100, 70, 1}}, GRANULE_BLOCK, 4096, "uint8", PRUNE_NONE, 1, 16, METHOD_MSE},
};

static void test_large(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        Kernel k = kernel_for(&large[i].layer, format(large[i].format), large[i].granule);
        k.source = large[i].source;
        k.prune = large[i].prune;
        k.scale_type = large[i].scale;
        k.block = large[i].block;
        k.method = large[i].method;
        void *base, *src = random_tensor(k.source, k.count, &base);
        Result want = run_law(&k, src), got = run_chunked(&k, src, true);
        assert_true(kernel_chunks(&k) > 1 || k.method == METHOD_MSE); /* which is slow */
        expect_same(&k, &got, &want);
        const KernelMetrics metrics = law_metrics(&k, src, &want);
        expect_metrics(&k, &got.metrics, &metrics);
        result_free(&want);
        result_free(&got);
        free(base);
    }
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
        cmocka_unit_test(test_nonfinite),      cmocka_unit_test(test_empty),
        cmocka_unit_test(test_pruning_alone),  cmocka_unit_test(test_law_grid),
        cmocka_unit_test(test_law_everywhere), cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
