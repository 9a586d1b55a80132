/* stats: a set through several batches against the law, what is refused, memory, merging. */
#include "tests/unit/stat_law.h"
#include "tests/unit/one_session.h"

static const StatsIdentity identity = {.model = {1}, .data = {2}, .asked = {3}};

static Stats *open_set(void) {
    return stats_open(s, &identity);
}

static Stats *set_of(Stat **stat, const char *name, unsigned what) {
    Stats *set = open_set();
    *stat = stats_add(set, str_from(name), what);
    return set;
}

/* Adds `x` in batches of some rows each. */
static void add_rows(Stat *stat, const float *x, int64_t rows, int64_t channels, int64_t each,
                     const Spread *spread) {
    for (int64_t r = 0; r < rows; r += each) {
        const int64_t n = each < rows - r ? each : rows - r;
        assert_null(stat_add(stat, 1, x + r * channels, (StatView){n, channels, 1}, spread));
    }
}

static void expect_same(const Stat *a, const Stat *b, bool histogram) {
    const size_t n = (size_t)a->channels;
    assert_int_equal(a->rows, b->rows);
    assert_memory_equal(&a->min, &b->min, sizeof a->min);
    assert_memory_equal(&a->max, &b->max, sizeof a->max);
    assert_memory_equal(a->channel_amax, b->channel_amax, n * sizeof(float));
    assert_memory_equal(a->channel_sum, b->channel_sum, n * sizeof(double));
    assert_memory_equal(a->channel_sum_abs, b->channel_sum_abs, n * sizeof(double));
    assert_memory_equal(a->magnitudes, b->magnitudes,
                        n * 2 * STAT_MAGNITUDE_BINS * sizeof *a->magnitudes);
    law_upper(a->gram, b->gram, 1, a->columns);
    if (histogram) {
        assert_int_equal(a->bins, b->bins);
        assert_memory_equal(a->above, b->above, (size_t)a->bins * sizeof *a->above);
        assert_memory_equal(a->below, b->below, (size_t)a->bins * sizeof *a->below);
    }
}

static void batches_and_threads_change_no_bit(void **state) {
    (void)state;
    enum { ROWS = 600, CHANNELS = 90 };
    float *x;
    void *stored;
    law_data(1, ROWS * CHANNELS, &x, &stored);
    x[5] = 100.0f; /* the first batch has the largest magnitude, so that all have the same bins */
    Stat *once, *threads, *cut;
    set_of(&once, "x", STAT_ALL);
    set_of(&threads, "x", STAT_ALL);
    set_of(&cut, "x", STAT_ALL);
    add_rows(once, x, ROWS, CHANNELS, ROWS, NULL);
    add_rows(threads, x, ROWS, CHANNELS, ROWS, &law_spread);
    add_rows(cut, x, ROWS, CHANNELS, 77, NULL);
    expect_same(once, threads, true);
    expect_same(once, cut, true);
    assert_int_equal(once->batches, 1);
    assert_int_equal(cut->batches, 8);
    assert_int_equal(once->rows, ROWS);
    float min = x[0], max = x[0];
    for (int i = 0; i < ROWS * CHANNELS; i++) {
        min = fminf(min, x[i]);
        max = fmaxf(max, x[i]);
    }
    assert_true(once->min == min && once->max == max && stat_amax(once) == fmaxf(-min, max));
    GramShape shape;
    assert_null(gram_shape_plain((StatView){ROWS, CHANNELS, 1}, &shape));
    double *want = calloc(CHANNELS * CHANNELS, sizeof *want);
    law_gram(x, &shape, want);
    law_upper(once->gram, want, 1, CHANNELS);
    const double *g = stat_gram(once, 0);
    assert_true(g[3 * CHANNELS + 80] == g[80 * CHANNELS + 3] && g[3 * CHANNELS + 80] != 0.0);
    assert_null(stat_gram(once, 1));
    assert_null(stat_gram(once, -1));
    free(want);
    free(x);
    free(stored);
}

/* The histogram of torch.histc, grown as ModelOpt does it, on the magnitudes. */
static void histograms_grow_as_the_reference(void **state) {
    (void)state;
    enum { N = 3000, BATCHES = 6 };
    Stat *stat;
    set_of(&stat, "x", STAT_HISTOGRAM);
    float x[N] = {0}, width = 0, top = 0;
    uint64_t want[STAT_BINS_MAX] = {N}; /* the first batch is all zeros */
    int64_t bins = 0;
    assert_null(stat_add(stat, 1, x, (StatView){N, 1, 1}, NULL));
    assert_int_equal(stat->bins, 0);
    for (int batch = 0; batch < BATCHES; batch++) {
        float amax = 0;
        for (int i = 0; i < N; i++) {
            x[i] = law_value() * (1.0f + 0.5f * (float)batch);
            amax = fmaxf(amax, fabsf(x[i]));
        }
        if (bins == 0) {
            bins = 2048;
            width = amax / 2048.0f;
            top = amax;
        } else if (amax > top) {
            bins = (int64_t)ceilf(amax / width);
            top = (float)((double)bins * (double)width);
        }
        for (int i = 0; i < N; i++) {
            const int64_t at = (int64_t)(fabsf(x[i]) * (float)bins / top);
            want[at < bins ? at : bins - 1]++;
        }
        assert_null(stat_add(stat, 1, x, (StatView){N, 1, 1}, NULL));
    }
    assert_int_equal(stat->bins, bins);
    assert_true(bins > 2048 && stat->width == width);
    for (int64_t b = 0; b < bins; b++) {
        assert_int_equal(stat->above[b] + stat->below[b], want[b]);
    }
    assert_null(stat->channel_amax);
    assert_null(stat->gram);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    const StatView four = {2, 2, 1};
    float x[4] = {1, 2, 3, 4};
    Stat *stat;
    set_of(&stat, "x", STAT_ALL);
    assert_string_equal(stat_add(stat, 7, x, four, NULL),
                        "is not float32, float16, bfloat16 or float64");
    assert_null(stat_add(stat, 1, x, (StatView){0, 2, 1}, NULL));
    assert_int_equal(stat->batches, 0);
    assert_null(stat_add(stat, 1, x, four, NULL));
    assert_string_equal(stat_add(stat, 1, x, (StatView){4, 1, 1}, NULL),
                        "has other channels than before");
    const uint32_t bad[] = {0x7fc00000u, 0xffc00000u, 0x7f800000u, 0xff800000u};
    for (int i = 0; i < 4; i++) {
        x[2] = k_float(bad[i]);
        assert_string_equal(stat_add(stat, 1, x, four, NULL),
                            i < 2 ? "holds a NaN"
                                  : "holds an infinity, or what float32 has no room for");
    }
    const double huge[4] = {0, 0, 1e300, 0};
    assert_string_equal(stat_add(stat, 11, huge, four, NULL),
                        "holds an infinity, or what float32 has no room for");
    assert_string_equal(stat_add(stat, 1, x, (StatView){INT64_MAX, 2, 2}, NULL),
                        "is too large: out of memory");
    assert_string_equal(stat_add(stat, 1, x, (StatView){-1, 2, 2}, NULL),
                        "is too large: out of memory");
    x[2] = 1.0f;
    assert_string_equal(stat_add(stat, 1, x, four, &law_broken),
                        "could not be read by all threads");
    assert_string_equal(stat_add(stat, 1, x, (StatView){1, STAT_COLUMNS_MAX + 1, 1}, NULL),
                        "has too many channels for a Gram matrix");
}

static void convolutions_have_columns_of_their_own(void **state) {
    (void)state;
    enum { N = 2 * 4 * 5 * 5 };
    float *x;
    void *stored;
    law_data(1, N, &x, &stored);
    StatConv conv = {2, 2, 4, 2, {5, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false};
    Stat *stat;
    set_of(&stat, "x", STAT_ALL);
    assert_null(stat_add_conv(stat, 1, x, &conv, NULL));
    assert_null(stat_add_conv(stat, 1, x, &conv, &law_spread));
    assert_int_equal(stat->groups, 2);
    assert_int_equal(stat->columns, 18);
    assert_int_equal(stat->places, 100);
    assert_int_equal(stat->rows, 100);
    assert_int_equal(stat->channels, 4);
    GramShape shape;
    assert_null(gram_shape_conv(&conv, &shape));
    double *want = calloc(2 * 18 * 18, sizeof *want);
    law_gram(x, &shape, want);
    law_gram(x, &shape, want);
    law_upper(stat->gram, want, 2, 18);
    assert_ptr_equal(stat_gram(stat, 1), stat->gram + 18 * 18);
    conv.kernel[0] = 1;
    assert_string_equal(stat_add_conv(stat, 1, x, &conv, NULL), "has other columns than before");
    conv.size[0] = 0;
    assert_null(stat_add_conv(stat, 1, x, &conv, NULL));
    conv.size[0] = INT64_MAX;
    assert_non_null(stat_add_conv(stat, 1, x, &conv, NULL));
    conv.rank = 0;
    assert_string_equal(stat_add_conv(stat, 1, x, &conv, NULL), "is not what a convolution reads");
    free(want);
    free(x);
    free(stored);
}

static void names_are_found_once(void **state) {
    (void)state;
    Stats *set = open_set();
    Stat *a = stats_add(set, STR("a"), STAT_RANGE);
    stats_add(set, STR("b"), STAT_GRAM);
    assert_ptr_equal(stats_add(set, STR("a"), STAT_CHANNELS), a);
    assert_int_equal(a->what, STAT_RANGE | STAT_CHANNELS);
    assert_ptr_equal(stats_find(set, STR("a")), a);
    assert_null(stats_find(set, STR("c")));
    assert_str(stats_at(set, 1)->name, "b");
    stats_close(set);
    stats_close(NULL);
}

/* Every allocation of a batch fails once: a text, and nothing is lost. */
static void memory_that_runs_out_is_a_text(void **state) {
    (void)state;
    enum { N = 64 * 20 };
    float *x;
    void *stored;
    law_data(1, N, &x, &stored);
    int failed = 0;
    for (int n = 1;; n++) {
        Stat *stat;
        Stats *set = set_of(&stat, "x", STAT_ALL);
        alloc_fail_at(n, n % 2 == 0);
        const char *wrong = stat_add(stat, 1, x, (StatView){64, 20, 1}, NULL);
        alloc_fail_at(0, false);
        stats_close(set);
        if (!wrong) {
            break;
        }
        assert_string_equal(wrong, "is too large: out of memory");
        failed++;
    }
    assert_true(failed >= 9);
    free(x);
    free(stored);
}

static void parts_are_merged(void **state) {
    (void)state;
    enum { ROWS = 400, CHANNELS = 30 };
    float *x;
    void *stored;
    law_data(1, ROWS * CHANNELS, &x, &stored);
    Stat *all, *left, *right;
    Stats *whole = set_of(&all, "x", STAT_ALL), *a = set_of(&left, "x", STAT_ALL);
    Stats *b = set_of(&right, "x", STAT_ALL);
    add_rows(all, x, ROWS, CHANNELS, 100, NULL);
    add_rows(left, x, 200, CHANNELS, 100, NULL);
    add_rows(right, x + 200 * CHANNELS, 200, CHANNELS, 100, NULL);
    a->batches = b->batches = 2;
    a->complete = true;
    stat_gram(left, 0);
    assert_null(stats_merge(a, b));
    assert_int_equal(a->batches, 4);
    assert_false(a->complete);
    assert_int_equal(left->batches, 4);
    assert_int_equal(left->rows, ROWS);
    assert_true(left->min == all->min && left->max == all->max);
    assert_memory_equal(left->channel_amax, all->channel_amax, CHANNELS * sizeof(float));
    assert_memory_equal(left->magnitudes, all->magnitudes,
                        CHANNELS * 2 * STAT_MAGNITUDE_BINS * sizeof *all->magnitudes);
    for (int i = 0; i < CHANNELS; i++) {
        assert_true(fabs(left->channel_sum_abs[i] - all->channel_sum_abs[i]) < 1e-9);
        assert_true(fabs(left->channel_sum[i] - all->channel_sum[i]) < 1e-9);
        const double cell = stat_gram(left, 0)[i * CHANNELS + 3];
        assert_true(fabs(cell - stat_gram(all, 0)[i * CHANNELS + 3]) < 1e-9);
    }
    uint64_t counted = 0;
    for (int64_t i = 0; i < left->bins; i++) {
        counted += left->above[i] + left->below[i];
    }
    assert_int_equal(counted, ROWS * CHANNELS);
    Stat *empty;
    Stats *fresh = set_of(&empty, "x", STAT_ALL); /* what others have seen becomes its own */
    assert_null(stats_merge(fresh, whole));
    expect_same(empty, all, true);
    assert_string_equal(stats_merge(fresh, open_set()), "were not asked for the same");
    free(x);
    free(stored);
}

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    const float x[4] = {1, 2, 3, 4};
    Stat *stat, *other;
    Stats *set = set_of(&stat, "x", STAT_ALL), *from = set_of(&other, "x", STAT_ALL);
    assert_null(stat_add(stat, 1, x, (StatView){2, 2, 1}, NULL));
    assert_null(stat_add(other, 1, x, (StatView){1, 4, 1}, NULL));
    assert_string_equal(stats_merge(set, from), "are of tensors with other channels");
    from->identity.model[0] = 9;
    assert_string_equal(stats_merge(set, from), "are of another model");
    const char *asked = "were not asked for the same";
    Stats *less = set_of(&other, "x", STAT_RANGE), *named = set_of(&other, "y", STAT_ALL);
    assert_string_equal(stats_merge(set, less), asked);
    assert_string_equal(stats_merge(set, named), asked);
    less->identity.asked[5] = 1;
    assert_string_equal(stats_merge(set, less), asked);
    assert_int_equal(stat->rows, 2);
    Stat *much;
    const char *most = "have more values of one channel than can be counted";
    Stats *long_run = set_of(&much, "x", STAT_ALL);
    assert_null(stat_add(much, 1, x, (StatView){2, 2, 1}, NULL));
    much->rows = UINT32_MAX - 1;
    assert_string_equal(stats_merge(set, long_run), most);
    assert_string_equal(stat_add(much, 1, x, (StatView){2, 2, 1}, NULL),
                        "has more values of one channel than can be counted");
    assert_int_equal(stat->rows, 2);
    int failed = 0;
    for (int n = 1;; n++) {
        Stat *into, *with;
        Stats *to = set_of(&into, "x", STAT_ALL), *add = set_of(&with, "x", STAT_ALL);
        assert_null(stat_add(with, 1, x, (StatView){2, 2, 1}, NULL));
        alloc_fail_at(n, false);
        const char *wrong = stats_merge(to, add);
        alloc_fail_at(0, false);
        if (!wrong) {
            break;
        }
        assert_string_equal(wrong, "do not fit: out of memory");
        failed++;
    }
    assert_int_equal(failed, 8);
}

static void moved_whole(void **state) {
    (void)state;
    Stat *stat, *other;
    Stats *from = set_of(&stat, "x", STAT_ALL), *into = set_of(&other, "x", STAT_ALL);
    const float x[] = {1, -2, 3, 4}, y[] = {9, 9};
    assert_null(stat_add(stat, 1, x, (StatView){2, 2, 1}, NULL));
    assert_null(stat_add(other, 1, y, (StatView){1, 2, 1}, NULL)); /* it is replaced */
    const double *gram = stat->gram;
    stats_move(into, from, STR("x"));
    assert_ptr_equal(stats_find(into, STR("x")), other);
    assert_true(other->set == into && other->rows == 2 && other->gram == gram && other->max == 4);
    assert_true(stat->rows == 0 && !stat->gram && !stat->above && stat->what == STAT_ALL);
    stats_close(from);
    assert_true(stat_gram(other, 0)[1] == -2.0 + 12.0);
    stat_free_gram(other);
    assert_null(stat_gram(other, 0));
    assert_int_equal(other->channel_amax[1], 4);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(batches_and_threads_change_no_bit),
        TEST(histograms_grow_as_the_reference),
        TEST(what_is_wrong_is_said),
        TEST(convolutions_have_columns_of_their_own),
        TEST(names_are_found_once),
        TEST(memory_that_runs_out_is_a_text),
        TEST(parts_are_merged),
        TEST(what_does_not_fit_is_said),
        TEST(moved_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
