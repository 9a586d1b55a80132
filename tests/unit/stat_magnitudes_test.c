/* stat_magnitudes: counts are the law's for all types, shapes, threads and batches; parts are
 * merged; the histogram of x / s is that of the values over their factors. */
#include "tests/unit/one_session.h"
#include "tests/unit/stat_law.h"
#include "runtime/calib/stat_magnitudes.h"

enum { BINS = STAT_MAGNITUDE_BINS };
static const StatsIdentity identity = {.model = {1}};

static Stat *new_stat(void) {
    return stats_add(stats_open(s, &identity), STR("x"), STAT_CHANNELS | STAT_MAGNITUDES);
}

/* In `cuts` batches along the first dimension. */
static Stat *counted(int type, const void *x, StatView v, int cuts, const Spread *spread) {
    Stat *stat = new_stat();
    const int64_t size = type == 11 ? 8 : type == 1 ? 4 : 2, each = (v.outer + cuts - 1) / cuts;
    for (int64_t o = 0; o < v.outer; o += each) {
        const StatView part = {o + each < v.outer ? each : v.outer - o, v.channels, v.inner};
        const char *from = (const char *)x + o * v.channels * v.inner * size;
        assert_null(stat_add(stat, type, from, part, spread));
    }
    return stat;
}

static void counts_are_the_law(void **state) {
    (void)state;
    static const int types[] = {1, 10, 11, 16};
    static const StatView views[] = {{1, 1, 1},   {3000, 1, 1}, {200, 100, 1}, {40, 33, 1},
                                     {6, 5, 400}, {7, 70, 49},  {2, 3, 2049},  {3, 2, 40000}};
    for (int i = 0; i < 32; i++) {
        const StatView v = views[i % 8];
        const size_t counters = (size_t)v.channels * 2 * BINS;
        float *x;
        void *stored;
        law_data(types[i / 8], v.outer * v.channels * v.inner, &x, &stored);
        uint32_t *want = calloc(counters, sizeof *want);
        law_magnitudes(x, v, want);
        for (int round = 0; round < 4; round++) {
            const Stat *stat =
                counted(types[i / 8], stored, v, round < 2 ? 1 : 5, round % 2 ? &law_spread : NULL);
            assert_memory_equal(stat->magnitudes, want, counters * sizeof *want);
        }
        free(want);
        free(x);
        free(stored);
    }
}

/* From one batch to the next by more bins than there are, from zeros, and down again. */
static void bins_follow_the_maximum(void **state) {
    (void)state;
    const float x[] = {0, 1e-42f, -1e-20f, 1, -1.03125f, 3e38f, -1e-3f, 0};
    Stat *stat = new_stat(), *back = new_stat();
    for (int i = 0; i < 8; i++) {
        uint32_t want[2 * BINS] = {0};
        law_magnitudes(x, (StatView){i + 1, 1, 1}, want);
        assert_null(stat_add(stat, 1, &x[i], (StatView){1, 1, 1}, NULL));
        assert_memory_equal(stat->magnitudes, want, sizeof want);
    }
    for (int i = 8; i-- > 0;) {
        assert_null(stat_add(back, 1, &x[i], (StatView){1, 1, 1}, NULL));
    }
    assert_memory_equal(stat->magnitudes, back->magnitudes, 2 * BINS * sizeof(uint32_t));
    assert_int_equal(stat->magnitudes[BINS - 1], 1);
    float low = 0, high = 0;
    magnitudes_edges(stat, 0, BINS - 1, &low, &high);
    assert_true(low <= 3e38f && high == 3e38f);
    magnitudes_edges(stat, 0, 0, &low, &high);
    assert_true(low == 0 && high > 0);
    Stat *fails = new_stat();
    assert_string_equal(stat_add(fails, 1, x, (StatView){4, 2, 1}, &law_broken),
                        "could not be read by all threads");
}

/* Of values that are known one by one: how far the edges of the scaled histogram are off. */
static void expect_histogram(const Stat *scaled, const float *x, int64_t n, const float *factors,
                             int64_t channels) {
    uint64_t seen = 0;
    for (int64_t b = 0; b < scaled->bins; b++) {
        seen += scaled->above[b] + scaled->below[b];
        const double edge = (double)(b + 1) * (double)scaled->width;
        int64_t least = 0, most = 0; /* a bin of magnitudes is up to 1/16 wide */
        for (int64_t i = 0; b % 64 == 63 && i < n; i++) {
            const double v = fabs((double)x[i] / (double)factors[i % channels]);
            least += v < edge / 1.07;
            most += v < edge * 1.07;
        }
        assert_true(b % 64 != 63 || (seen + 3 >= (uint64_t)least && seen <= (uint64_t)most + 3));
    }
    assert_int_equal(seen, n);
}

static void the_scaled_histogram(void **state) {
    (void)state;
    enum { ROWS = 500, CHANNELS = 9 };
    float *x, factors[CHANNELS];
    void *stored;
    law_data(1, ROWS * CHANNELS, &x, &stored);
    for (int c = 0; c < CHANNELS; c++) {
        factors[c] = c % 2 ? 0.125f * (float)(c + 1) : 3.0f;
        x[c] *= 50.0f;
    }
    const Stat *stat = counted(1, x, (StatView){ROWS, CHANNELS, 1}, 3, NULL);
    const Stat *scaled = magnitudes_scaled(s->arena, stat, factors, NULL);
    float min = 0, max = 0, amax = 0;
    for (int i = 0; i < ROWS * CHANNELS; i++) {
        min = fminf(min, x[i] / factors[i % CHANNELS]);
        max = fmaxf(max, x[i] / factors[i % CHANNELS]);
    }
    amax = fmaxf(-min, max);
    assert_true(scaled->min <= min && scaled->min >= min * 1.07f);
    assert_true(scaled->max >= max * 0.9999f && scaled->max <= max * 1.07f);
    assert_true(fabsf(stat_amax(scaled) - amax) < 1e-5f * amax);
    assert_int_equal(scaled->bins, STAT_BINS);
    expect_histogram(scaled, x, ROWS * CHANNELS, factors, CHANNELS);
    free(x);
    free(stored);
}

/* A value counts as its weight says: squares 0, 1, 4 of channels with one value each. */
static void values_have_weights(void **state) {
    (void)state;
    const float x[3] = {1.0f, -0.5f, 0.25f}, factors[3] = {1, 1, 2}, none[3] = {1, 2, 4};
    const double squares[3] = {0, 1, 1}, zeros[3] = {0};
    const Stat *stat = counted(1, x, (StatView){1, 3, 1}, 1, NULL);
    const Stat *scaled = magnitudes_scaled(s->arena, stat, factors, squares);
    uint64_t above = 0, below = 0, small = 0;
    for (int64_t b = 0; b < scaled->bins; b++) {
        above += scaled->above[b];
        below += scaled->below[b];
        small += b < scaled->bins / 2 ? scaled->above[b] : 0;
    }
    assert_int_equal(above - small, 1); /* the least that a value counts */
    assert_true((double)small / (double)below > 3.999 && (double)small / (double)below < 4.001);
    scaled = magnitudes_scaled(s->arena, stat, none, zeros);
    assert_int_equal(scaled->above[STAT_BINS - 1], 1);
    const float nothing[3] = {0};
    stat = counted(1, nothing, (StatView){1, 3, 1}, 1, NULL);
    scaled = magnitudes_scaled(s->arena, stat, none, NULL);
    assert_true(scaled->min == 0 && scaled->max == 0 && scaled->bins == 0 && scaled->zeros == 3);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(counts_are_the_law),
        TEST(bins_follow_the_maximum),
        TEST(the_scaled_histogram),
        TEST(values_have_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
