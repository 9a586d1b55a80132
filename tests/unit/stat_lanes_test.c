/* stat_lanes: every variant gives the bits of the plain loops. */
#include "tests/unit/stat_law.h"

enum { MOST = 2100 };

static float x[MOST];

static int fill(void **state) {
    (void)state;
    for (int i = 0; i < MOST; i++) {
        x[i] = law_value();
    }
    return 0;
}

static void ranges(const StatLanes *lanes) {
    for (int64_t n = 0; n < 70; n++) {
        int32_t lo = INT32_MAX, hi = INT32_MIN, least = INT32_MAX, most = INT32_MIN;
        lanes->range(x + n, n, &lo, &hi);
        for (int64_t i = n; i < 2 * n; i++) {
            least = stat_key(k_bits(x[i])) < least ? stat_key(k_bits(x[i])) : least;
            most = stat_key(k_bits(x[i])) > most ? stat_key(k_bits(x[i])) : most;
        }
        assert_int_equal(lo, least);
        assert_int_equal(hi, most);
    }
    const float nan[2] = {k_float(0xffc00000u), k_float(0x7f800001u)};
    int32_t lo = 0, hi = 0;
    lanes->range(nan, 2, &lo, &hi);
    assert_true(lo < stat_key(0xff800000u) && hi > stat_key(0x7f800000u));
}

static void bins(const StatLanes *lanes) {
    uint32_t at[MOST];
    const float tops[] = {0.7f, 1.9f, 30.0f, 3e38f, 0x1p-115f};
    for (size_t t = 0; t < sizeof tops / sizeof *tops; t++) {
        for (uint32_t count = 2048; count < 40000; count += 12345) {
            lanes->bins(x, MOST, count, tops[t], at);
            for (int i = 0; i < MOST; i++) {
                const float bin = fabsf(x[i]) * (float)count / tops[t];
                uint32_t want = bin < (float)(count - 1) ? (uint32_t)bin : count - 1;
                want += x[i] < 0.0f ? count : 0;
                assert_int_equal(at[i], want);
            }
        }
    }
}

static void columns(const StatLanes *lanes) {
    for (int64_t width = 1; width < 40; width += 3) {
        float amax[40] = {0}, most[40] = {0};
        double sum[40] = {1}, sums[40] = {1}, sum_abs[40] = {2}, sums_abs[40] = {2};
        const int64_t stride = width + 5, rows = 33;
        lanes->columns(x, rows, stride, width, amax, sum, sum_abs);
        for (int64_t i = 0; i < rows * width; i++) {
            const float v = x[i / width * stride + i % width];
            most[i % width] = fmaxf(most[i % width], fabsf(v));
            sums[i % width] += (double)v;
            sums_abs[i % width] += (double)fabsf(v);
        }
        assert_memory_equal(amax, most, sizeof most);
        assert_memory_equal(sum, sums, sizeof sums);
        assert_memory_equal(sum_abs, sums_abs, sizeof sums_abs);
    }
}

static void planes(const StatLanes *lanes) {
    for (int64_t n = 0; n < 2048; n = n * 3 / 2 + 1) {
        float amax = 0, most = 0;
        double sum = 0, sums = 0, sum_abs = 0, sums_abs = 0;
        lanes->plane(x, n, &amax, &sum, &sum_abs);
        law_channels(x, (StatView){1, 1, n}, &most, &sums, &sums_abs);
        assert_memory_equal(&amax, &most, sizeof most);
        assert_memory_equal(&sum, &sums, sizeof sums);
        assert_memory_equal(&sum_abs, &sums_abs, sizeof sums_abs);
    }
}

static void magnitudes(const StatLanes *lanes) {
    for (int64_t width = 1; width < 40; width += 3) {
        int32_t first[40];
        uint32_t at[40 * 33];
        const int64_t stride = width + 5, rows = 33;
        for (int c = 0; c < 40; c++) { /* some begin below all values, some above most */
            first[c] = (int32_t)(0x40000000u >> STAT_MAGNITUDE_SHIFT) - c * 6;
        }
        lanes->magnitudes(x, rows, stride, width, first, at);
        for (int64_t i = 0; i < rows * width; i++) {
            const float v = x[i / width * stride + i % width];
            const uint32_t bits = k_bits(fabsf(v)) >> STAT_MAGNITUDE_SHIFT;
            int32_t want = (int32_t)bits - first[i % width];
            want = want > 0 ? want : 0;
            assert_int_equal(at[i], want + (v < 0.0f ? STAT_MAGNITUDE_BINS : 0));
        }
    }
}

static void blocks(const StatLanes *lanes) {
    enum { ROWS = 19, STRIDE = ROWS * STAT_PANEL + 8, WIDTH = 27 };
    static double a[ROWS * STAT_PANEL], b[STAT_PANELS * STRIDE];
    for (int i = 0; i < ROWS * STAT_PANEL; i++) {
        a[i] = (double)law_value();
    }
    for (int i = 0; i < STAT_PANELS * STRIDE; i++) {
        b[i] = (double)law_value();
    }
    for (int panels = 1; panels <= STAT_PANELS; panels++) {
        double c[STAT_PANEL * WIDTH], want[STAT_PANEL * WIDTH];
        for (int i = 0; i < STAT_PANEL * WIDTH; i++) {
            c[i] = want[i] = (double)law_value();
        }
        lanes->gram(a, b, STRIDE, panels, ROWS, c, WIDTH);
        for (int r = 0; r < ROWS; r++) {
            for (int i = 0; i < STAT_PANEL; i++) {
                for (int j = 0; j < panels * STAT_PANEL; j++) {
                    want[i * WIDTH + j] +=
                        a[r * STAT_PANEL + i] *
                        b[j / STAT_PANEL * STRIDE + r * STAT_PANEL + j % STAT_PANEL];
                }
            }
        }
        assert_memory_equal(c, want, sizeof want);
    }
}

static void variants_give_the_same_bits(void **state) {
    (void)state;
    int usable = 0;
    for (int i = 0; i < stat_lanes_count; i++) {
        const StatLanes *lanes = stat_lanes_all[i];
        if (!lanes->usable()) {
            print_message("skip stat_lanes_%s: this processor lacks it\n", lanes->name);
            continue;
        }
        ranges(lanes);
        bins(lanes);
        columns(lanes);
        planes(lanes);
        magnitudes(lanes);
        blocks(lanes);
        usable++;
    }
    assert_true(usable > 0);
    assert_true(stat_lanes_best()->usable());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(variants_give_the_same_bits, fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
