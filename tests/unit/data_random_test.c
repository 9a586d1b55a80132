/* data_random: values pinned for ever, moments and quantiles, permutations. */
#include "runtime/calib/data_random.h"
#include <math.h>
#include "tests/unit/unit.h"

static void bits_are_pinned(void **state) {
    (void)state;
    /* SplitMix64 from 0, as published with it */
    assert_true(data_random_mix(UINT64_C(0x9e3779b97f4a7c15)) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(data_random_mix(UINT64_C(0x3c6ef372fe94f82a)) == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(data_random_bits(0, 0, 0) != data_random_bits(0, 1, 0));
    assert_true(data_random_bits(0, 0, 0) != data_random_bits(1, 0, 0));
}

static void integers_are_uniform(void **state) {
    (void)state;
    assert_true(data_random_below(UINT64_MAX, 7) == 6 && data_random_below(0, 7) == 0);
    assert_true(data_random_below(UINT64_MAX, UINT64_MAX) == UINT64_MAX - 1);
    assert_true(data_random_below(UINT64_C(1) << 63, UINT64_C(1) << 40) == UINT64_C(1) << 39);
    int counts[10] = {0};
    for (uint64_t i = 0; i < 100000; i++) {
        counts[data_random_below(data_random_bits(3, 0, i), 10)]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(counts[i], 9600, 10400);
    }
}

/* bits whose quantile is p */
static double quantile(double p) {
    return data_random_normal((uint64_t)(p * 9007199254740992.0) << 11);
}

static void normals_are_normal(void **state) {
    (void)state;
    static const struct {
        double p, x;
    } known[] = {
        {0.5, 0},
        {0.975, 1.959963984540054},
        {0.99, 2.326347874040841},
        {0.001, -3.090232306167813},
        {0.841344746068543, 1},
        {1e-9, -5.997807015007686},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_true(fabs(quantile(known[i].p) - known[i].x) < 1e-7);
    }
    assert_true(isfinite(data_random_normal(0)) && isfinite(data_random_normal(UINT64_MAX)));
    assert_true(data_random_normal(0) < -8 && data_random_normal(UINT64_MAX) > 8);
    double sum = 0, squares = 0, fourth = 0;
    const int n = 1000000;
    for (int i = 0; i < n; i++) {
        const double x = data_random_normal(data_random_bits(7, 2, (uint64_t)i));
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
    }
    assert_true(fabs(sum / n) < 0.004 && fabs(squares / n - 1) < 0.006);
    assert_true(fabs(fourth / n - 3) < 0.05);
}

static void places_are_a_permutation(void **state) {
    (void)state;
    static const uint64_t counts[] = {1, 2, 3, 4, 5, 16, 17, 100, 1000, 4097};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const uint64_t n = counts[c];
        for (uint64_t seed = 0; seed < 3; seed++) {
            uint8_t *seen = calloc(n, 1);
            uint64_t moved = 0;
            for (uint64_t i = 0; i < n; i++) {
                const uint64_t at = data_random_place(seed, n, i);
                assert_true(at < n && !seen[at]);
                seen[at] = 1;
                moved += at != i;
            }
            assert_true(n < 100 || moved > n * 9 / 10);
            free(seen);
        }
    }
    int same = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        same += data_random_place(1, 1000, i) == data_random_place(2, 1000, i);
    }
    assert_true(same < 20);
    assert_true(data_random_place(5, UINT64_C(1) << 40, 12345) < UINT64_C(1) << 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_pinned),
        cmocka_unit_test(integers_are_uniform),
        cmocka_unit_test(normals_are_normal),
        cmocka_unit_test(places_are_a_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
