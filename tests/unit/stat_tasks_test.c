/* stat_tasks: ranges, histograms and channels have the bits of the law for all types, shapes and
 * numbers of threads. */
#include "tests/unit/stat_law.h"

static const int types[] = {1, 10, 11, 16};
static const StatView views[] = {{1, 1, 1},     {70000, 1, 1}, {33, 300, 1}, {5, 2100, 1},
                                 {3, 5, 40000}, {2, 700, 49},  {1, 3, 2048}, {100, 128, 1}};
enum { TYPES = sizeof types / sizeof *types, VIEWS = sizeof views / sizeof *views };

typedef struct Case {
    StatInput in;
    float *values;
    void *stored;
    const Spread *spread;
} Case;

static void check_range(const Case *c) {
    int32_t lo = 0, hi = 0, least = INT32_MAX, most = INT32_MIN;
    void *scratch = malloc(stat_range_scratch(&c->in));
    assert_true(stat_range(&c->in, c->spread, scratch, &lo, &hi));
    for (int64_t i = 0; i < c->in.count; i++) {
        const int32_t key = stat_key(k_bits(c->values[i]));
        least = key < least ? key : least;
        most = key > most ? key : most;
    }
    assert_int_equal(lo, least);
    assert_int_equal(hi, most);
    assert_false(stat_range(&c->in, &law_broken, scratch, &lo, &hi));
    free(scratch);
}

static void check_histogram(const Case *c, int64_t bins) {
    const float top = 2.5f;
    uint64_t *counts = calloc((size_t)bins * 4, sizeof *counts), *want = counts + 2 * bins;
    void *scratch = malloc(stat_histogram_scratch(bins));
    assert_true(stat_histogram(&c->in, c->spread, scratch, bins, top, counts, counts + bins));
    for (int64_t i = 0; i < c->in.count; i++) {
        const float bin = fabsf(c->values[i]) * (float)bins / top;
        const int64_t at = bin < (float)(bins - 1) ? (int64_t)bin : bins - 1;
        want[at + (c->values[i] < 0.0f ? bins : 0)]++;
    }
    assert_memory_equal(counts, want, (size_t)bins * 2 * sizeof *counts);
    assert_false(stat_histogram(&c->in, &law_broken, scratch, bins, top, counts, counts + bins));
    free(scratch);
    free(counts);
}

static void check_channels(const Case *c) {
    const size_t n = (size_t)c->in.view.channels;
    float *amax = calloc(n * 2, sizeof *amax);
    double *sums = calloc(n * 4, sizeof *sums);
    assert_true(stat_channels(&c->in, c->spread, amax, sums, sums + n));
    law_channels(c->values, c->in.view, amax + n, sums + 2 * n, sums + 3 * n);
    assert_memory_equal(amax, amax + n, n * sizeof *amax);
    assert_memory_equal(sums, sums + 2 * n, 2 * n * sizeof *sums);
    assert_false(stat_channels(&c->in, &law_broken, amax, sums, sums + n));
    free(amax);
    free(sums);
}

static void all_are_the_law(void **state) {
    (void)state;
    for (int i = 0; i < TYPES * VIEWS; i++) {
        const StatView v = views[i % VIEWS];
        const int type = types[i / VIEWS];
        Case c = {.in = {.type = type, .view = v, .count = v.outer * v.channels * v.inner}};
        law_data(type, c.in.count, &c.values, &c.stored);
        for (int round = 0; round < 2 * stat_lanes_count; round++) {
            c.spread = round % 2 ? &law_spread : NULL;
            c.in.x = c.stored;
            c.in.direct = type == 1 && round < 4; /* later: as if it were not aligned */
            c.in.lanes = stat_lanes_all[round / 2];
            if (c.in.lanes->usable()) {
                check_range(&c);
                check_histogram(&c, round % 2 ? 2048 : 3001 + i);
                check_channels(&c);
            }
        }
        check_histogram(&c, STAT_BINS_MAX);
        free(c.values);
        free(c.stored);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_are_the_law)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
