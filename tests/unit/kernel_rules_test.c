/* What kernels compute, by value: rules of scales and zero points, masks of pruning, the search and
 * its measure, metrics against a plain loop. Each case is held against the law, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/law_runs.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale_rules), cmocka_unit_test(test_two_level),
        cmocka_unit_test(test_zero_points), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_search),      cmocka_unit_test(test_error_measure),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
