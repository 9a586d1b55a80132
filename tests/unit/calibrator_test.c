/* calibrator: what every calibrator must do, and each at a histogram whose answer is known by hand.
 * That they choose as the reference does is shown by tests/tools/calibrators.py. */
#include "tests/unit/stat_law.h"
#include "tests/unit/one_session.h"
#include "runtime/calib/calibrator.h"
#include "runtime/calib/stat_bins.h"

static const StatsIdentity identity;

static Stat *observe(const float *x, int64_t n) {
    Stat *stat = stats_add(stats_open(s, &identity), STR("x"), STAT_RANGE | STAT_HISTOGRAM);
    assert_null(stat_add(stat, 1, x, (StatView){n, 1, 1}, NULL));
    return stat;
}

static CalibRange range_of(const char *name, const Stat *stat, const char *format,
                           double percentile) {
    const CalibTarget target = {format_find(format, strlen(format))};
    const CalibArgs args = {percentile};
    CalibRange range;
    const Calibrator *calibrator = calibrator_find(str_from(name));
    assert_non_null(calibrator);
    assert_null(calibrator_range(calibrator, stat, &target, &args, &range));
    return range;
}

static void ranges_are_sound(void **state) {
    (void)state;
    enum { N = 5000 };
    float x[N];
    const char *names[] = {"int8", "uint8", "int4", "uint4", "e4m3", "e5m2", "e2m1"};
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < N; i++) {
            const float v = law_value() * (round % 4 == 3 ? 1e-30f : 1.0f);
            x[i] = round % 3 == 1 ? fabsf(v) : round % 3 == 2 ? -fabsf(v) : v;
        }
        const Stat *stat = observe(x, N);
        for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
            const bool asymmetric = names[f][0] == 'u';
            for (int c = 0; c < calibrator_count; c++) {
                const CalibRange r = range_of(calibrators[c]->name, stat, names[f], 99.0);
                assert_true(r.lo <= 0.0f && r.hi >= 0.0f && r.amax > 0.0f);
                assert_true(r.amax == fmaxf(-r.lo, r.hi));
                assert_true(r.amax <= stat_amax(stat) * 1.000001f);
                assert_true(asymmetric
                                ? r.lo >= fminf(stat->min, 0.0f) && r.hi <= fmaxf(stat->max, 0.0f)
                                : r.lo == -r.hi);
            }
        }
    }
}

static void known_answers(void **state) {
    (void)state;
    enum { N = 2048 };
    float x[N]; /* one value in each bin of [0, 2048) */
    for (int i = 0; i < N; i++) {
        x[i] = (float)i + 0.5f;
    }
    x[N - 1] = 2048.0f;
    const Stat *stat = observe(x, N);
    assert_true(stat->width == 1.0f);
    assert_true(range_of("max", stat, "int8", 0).amax == 2048.0f);
    /* 1,024 of 2,048 values: the sum reaches one half in bin 1,023 */
    assert_true(range_of("percentile", stat, "int8", 50.0).amax == 1023.0f);
    assert_true(range_of("percentile", stat, "uint8", 50.0).hi == 1023.0f);
    assert_true(range_of("percentile", stat, "int8", 0.0).amax == 1.0f); /* never 0 */
    assert_true(range_of("percentile", stat, "int8", 100.0).amax >= 2047.0f);
    /* an even spread loses by every cut; a 128th of it fits each code */
    assert_true(range_of("entropy", stat, "int8", 0).amax == 2048.0f);
    assert_true(range_of("mse", stat, "int8", 0).amax > 2030.0f);
    /* half of it below 0: each side loses a quarter of all, half of its own */
    for (int i = 0; i < N; i += 2) {
        x[i] = -x[i];
    }
    stat = observe(x, N);
    const CalibRange r = range_of("percentile", stat, "uint8", 50.0);
    assert_true(r.lo == -1022.0f && r.hi == 1023.0f && r.amax == 1023.0f);
}

/* One far value among many: what cuts, cuts it off. */
static void outliers_are_cut(void **state) {
    (void)state;
    enum { N = 100000 };
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++) {
        x[i] = (float)(law_random() >> 8) * 0x1p-23f - 1.0f;
    }
    x[77] = 15.0f;
    const Stat *stat = observe(x, N);
    for (int i = 0; i < 3; i++) {
        const char *format = i == 0 ? "int4" : i == 1 ? "uint4" : "int8";
        assert_true(range_of("max", stat, format, 0).hi == 15.0f);
        assert_true(range_of("percentile", stat, format, 99.99).hi < 1.1f);
        if (i < 2) { /* 255 codes leave it room enough */
            assert_true(range_of("mse", stat, format, 0).hi < 2.0f);
            assert_true(range_of("entropy", stat, format, 0).hi < 2.1f);
        }
    }
    assert_true(range_of("mse", stat, "uint4", 0).lo >= -1.0f);
    free(x);
}

static void what_is_missing_is_said(void **state) {
    (void)state;
    const CalibTarget target = {format_find("int8", 4)};
    const CalibArgs args = CALIB_ARGS_DEFAULT;
    Stats *set = stats_open(s, &identity);
    Stat *plain = stats_add(set, STR("x"), STAT_RANGE);
    Stat *fresh = stats_add(set, STR("y"), STAT_RANGE | STAT_HISTOGRAM);
    CalibRange r = {1, 1, 1};
    const float zeros[3] = {0};
    for (int c = 0; c < calibrator_count; c++) {
        const bool counts = (calibrators[c]->needs & STAT_HISTOGRAM) != 0;
        assert_string_equal(calibrator_range(calibrators[c], plain, &target, &args, &r),
                            counts ? "was observed without a histogram"
                                   : "has not been seen in any batch");
        assert_string_equal(calibrator_range(calibrators[c], fresh, &target, &args, &r),
                            "has not been seen in any batch");
    }
    assert_null(stat_add(fresh, 1, zeros, (StatView){3, 1, 1}, NULL));
    for (int c = 0; c < calibrator_count; c++) {
        assert_null(calibrator_range(calibrators[c], fresh, &target, &args, &r));
        assert_true(r.lo == 0.0f && r.hi == 0.0f && r.amax == 0.0f);
        assert_ptr_equal(calibrator_find(str_from(calibrators[c]->name)), calibrators[c]);
    }
    assert_null(calibrator_find(STR("best")));
    const float x[3] = {1, 2, 3};
    Stat *stat = observe(x, 3);
    const char *names[] = {"entropy", "mse", "mse"};
    for (int i = 0; i < 3; i++) {
        const CalibTarget to = {format_find("uint8", 5)};
        alloc_fail_at(i == 2 ? 2 : 1, false);
        const char *why =
            calibrator_range(calibrator_find(str_from(names[i])), stat, &to, &args, &r);
        alloc_fail_at(0, false);
        assert_string_equal(why, "is too large: out of memory");
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(ranges_are_sound), TEST(known_answers),
                                       TEST(outliers_are_cut), TEST(what_is_missing_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
