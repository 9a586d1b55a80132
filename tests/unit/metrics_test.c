/* Exact sums: every float goes into limbs and comes back; sums of many do not depend on their order
 * and are right where doubles can tell; parts of KernelMetrics add up. */
#include "kernels/metrics.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void add(uint64_t limbs[K_LIMBS], float x) {
    uint32_t limb = 99;
    uint64_t low, high;
    k_limb_parts(x, &limb, &low, &high);
    assert_true(limb + 1 < K_LIMBS && low >> 32 == 0 && high >> 32 == 0);
    limbs[limb] += low;
    limbs[limb + 1] += high;
}

static double sum(const uint64_t limbs[K_LIMBS]) {
    static const uint64_t none[K_LIMBS];
    KernelMetrics m = {0};
    metrics_from_limbs(limbs, none, none, &m);
    assert_true(m.qq == 0 && m.ee == 0 && m.wq == m.ww / 2);
    return m.ww;
}

/* One float is one double, whatever its exponent. */
static void test_one(void **state) {
    (void)state;
    for (uint32_t u = 0; u <= 0x7f800000u; u += 4099) {
        uint64_t limbs[K_LIMBS] = {0};
        const float x = k_float(u);
        add(limbs, x);
        assert_true(sum(limbs) == (isinf(x) ? 0x1p128 : (double)x));
    }
    const float ends[] = {0.0f, -0.0f, 0x1p-149f, 0x1.fffffcp-127f, 0x1p-126f, 0x1.fffffep127f};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        uint64_t limbs[K_LIMBS] = {0};
        add(limbs, ends[i]);
        assert_true(sum(limbs) == (double)ends[i]);
    }
    uint64_t limbs[K_LIMBS] = {0};
    add(limbs, INFINITY);
    assert_true(sum(limbs) == 0x1p128);
    add(limbs, NAN); /* some value, in its place */
    assert_true(sum(limbs) >= 0x1p128);
}

/* 2^20 floats of exponents so far apart that doubles would lose the small ones; carries pass limbs.
 */
static void test_exact(void **state) {
    (void)state;
    uint64_t up[K_LIMBS] = {0}, down[K_LIMBS] = {0};
    for (int i = 0; i < 1 << 20; i++) {
        add(up, i % 2 ? 0x1.fffffep3f : 0x1p-120f);
    }
    for (int i = 0; i < 1 << 20; i++) {
        add(down, i < 1 << 19 ? 0x1p-120f : 0x1.fffffep3f);
    }
    assert_memory_equal(up, down, sizeof up);
    assert_true(sum(up) == 0x1.fffffep3 * 0x1p19);
    for (int i = 0; i < 1 << 19; i++) { /* without the large ones the small ones are all there */
        uint32_t limb;
        uint64_t low, high;
        k_limb_parts(0x1.fffffep3f, &limb, &low, &high);
        up[limb] -= low;
        up[limb + 1] -= high;
    }
    assert_true(sum(up) == 0x1p-101);
}

/* Integers that doubles add exactly. */
static void test_against_doubles(void **state) {
    (void)state;
    uint64_t limbs[K_LIMBS] = {0};
    double want = 0;
    uint32_t x = 1;
    for (int i = 0; i < 100000; i++) {
        x = x * 1664525u + 1013904223u;
        const float w = (float)(int32_t)(x >> 8) * 0x1p-30f;
        add(limbs, w);
        want += (double)w;
    }
    assert_true(sum(limbs) == want);
}

static void test_parts(void **state) {
    (void)state;
    StripSums sums = {.zeros = 3, .max_error = k_bits(0.75f)};
    add(sums.ww, 9.0f);
    add(sums.qq, 4.0f);
    add(sums.ee, 1.0f);
    KernelMetrics part = {.count = 5, .first_nonfinite = -1}, all = {.first_nonfinite = -1};
    metrics_from_sums(&sums, &part);
    assert_true(part.ww == 9 && part.qq == 4 && part.ee == 1 && part.wq == 6);
    assert_true(part.max_error == 0.75 && part.zeros == 3);
    kernel_metrics_add(&all, &part);
    part.nonfinite = 1;
    part.first_nonfinite = 70;
    part.max_error = 0.5;
    kernel_metrics_add(&all, &part);
    part.first_nonfinite = 60;
    kernel_metrics_add(&all, &part);
    assert_true(all.ww == 27 && all.wq == 18 && all.max_error == 0.75);
    assert_int_equal(all.zeros, 9);
    assert_int_equal(all.count, 15);
    assert_int_equal(all.nonfinite, 2);
    assert_int_equal(all.first_nonfinite, 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_against_doubles),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
