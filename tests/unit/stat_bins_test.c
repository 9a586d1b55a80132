/* stat_bins: where bins begin, grow, become wider, and are merged. */
#include "tests/unit/stat_law.h"
#include "runtime/base/alloc.h"
#include "runtime/calib/stat_bins.h"

static uint64_t total(const Stat *stat) {
    uint64_t sum = stat->zeros;
    for (int64_t b = 0; b < stat->bins; b++) {
        sum += stat->above[b] + stat->below[b];
    }
    return sum;
}

static void drop(Stat *stat) {
    mem_free(stat->above);
    mem_free(stat->below);
}

static void they_begin_at_the_first_range(void **state) {
    (void)state;
    Stat stat = {.zeros = 7};
    assert_true(bins_begin(&stat, 3.7f));
    assert_int_equal(stat.bins, 2048);
    assert_true(bins_top(&stat) == 3.7f && stat.width == 3.7f / 2048.0f);
    assert_int_equal(stat.above[0], 7);
    assert_int_equal(total(&stat), 7);
    assert_true(bins_edge(&stat, 3) == 3.0f * stat.width);
    drop(&stat);
    Stat tiny = {0};
    assert_true(bins_begin(&tiny, 1e-44f));
    assert_true(tiny.width == 0x1p-126f);
    assert_true(bins_widen(&tiny, 0x1.fffffep127f)); /* 239 times as wide as before, twice each */
    assert_true(bins_top(&tiny) >= 0x1.fffffep127f && tiny.bins <= STAT_BINS_MAX);
    drop(&tiny);
}

static void they_grow_with_the_same_width(void **state) {
    (void)state;
    Stat stat = {0};
    assert_true(bins_begin(&stat, 1.0f));
    stat.above[2047] = 5;
    stat.below[3] = 2;
    assert_true(bins_widen(&stat, 1.25f));
    assert_int_equal(stat.bins, 2560);
    assert_true(stat.width == 1.0f / 2048.0f);
    assert_int_equal(stat.above[2047], 5);
    assert_true(bins_widen(&stat, 100.0f)); /* 204,800 bins: 8 old ones make a new one */
    assert_int_equal(stat.bins, 25600);
    assert_true(stat.width == 8.0f / 2048.0f);
    assert_int_equal(stat.above[255], 5);
    assert_int_equal(stat.below[0], 2);
    assert_int_equal(total(&stat), 7);
    drop(&stat);
}

static Stat random_bins(float amax, int64_t bins) {
    Stat stat = {0};
    assert_true(bins_begin(&stat, amax));
    assert_true(bins_widen(&stat, (float)bins * stat.width));
    for (int64_t b = 0; b < stat.bins; b++) {
        stat.above[b] = law_random() % 1000;
        stat.below[b] = law_random() % 7;
    }
    return stat;
}

static void merging_loses_nothing(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        const float first = 0.1f + (float)(law_random() % 1000) * 0.01f;
        const float other = round % 4 == 0 ? first : 0.1f + (float)(law_random() % 1000) * 0.01f;
        Stat a = random_bins(first, 2048 + law_random() % 900);
        Stat b = random_bins(other, 2048 + law_random() % 900), c = {0}, d = {0};
        const uint64_t all = total(&a) + total(&b);
        uint64_t low = 0, low_before = 0;
        const float top = bins_top(&a) > bins_top(&b) ? bins_top(&a) : bins_top(&b);
        assert_true(bins_merge(&c, &a) && bins_merge(&d, &b));
        assert_int_equal(total(&c), total(&a));
        assert_true(bins_merge(&c, &b) && bins_merge(&d, &a));
        assert_int_equal(total(&c), all);
        assert_true(c.width == (a.width > b.width ? a.width : b.width));
        assert_true(bins_top(&c) >= top * 0.999999f);
        assert_int_equal(c.bins, d.bins); /* in the other order: the same */
        assert_memory_equal(c.above, d.above, (size_t)c.bins * sizeof *c.above);
        assert_memory_equal(c.below, d.below, (size_t)c.bins * sizeof *c.below);
        for (int64_t i = 0; i < c.bins / 2; i++) {
            low += c.above[i];
        }
        const Stat *from[] = {&a, &b};
        for (int k = 0; k < 2; k++) { /* values below the middle stay there, but for one bin's */
            for (int64_t i = 0; bins_edge(from[k], i + 1) <= bins_edge(&c, c.bins / 2); i++) {
                low_before += i < from[k]->bins ? from[k]->above[i] : 0;
                if (i >= from[k]->bins) {
                    break;
                }
            }
        }
        assert_in_range(low, low_before, low_before + 2000);
        drop(&a);
        drop(&b);
        drop(&c);
        drop(&d);
    }
}

static void zeros_wait_for_a_range(void **state) {
    (void)state;
    Stat a = {.zeros = 3}, b = {.zeros = 4}, c = {0};
    assert_true(bins_merge(&a, &b));
    assert_int_equal(a.zeros, 7);
    assert_true(bins_begin(&c, 1.0f));
    c.above[9] = 1;
    assert_true(bins_merge(&c, &a));
    assert_int_equal(c.above[0], 7);
    assert_int_equal(c.zeros, 0);
    assert_true(bins_merge(&a, &c));
    assert_int_equal(a.above[0], 14);
    assert_int_equal(a.above[9], 1);
    assert_int_equal(a.zeros, 0);
    drop(&a);
    drop(&c);
}

static void without_memory_all_stays(void **state) {
    (void)state;
    const int64_t live = alloc_live();
    Stat a = random_bins(1.0f, 3000), b = random_bins(2.0f, 3000);
    const uint64_t all = total(&a);
    for (int n = 1; n <= 2; n++) {
        Stat fresh = {.zeros = 1};
        alloc_fail_at(n, false);
        assert_false(bins_begin(&fresh, 1.0f));
        alloc_fail_at(n, false);
        assert_false(bins_widen(&a, 2.0f));
        alloc_fail_at(n, false);
        assert_false(bins_merge(&a, &b));
        alloc_fail_at(0, false);
        assert_int_equal(total(&a), all);
        assert_int_equal(fresh.zeros, 1);
    }
    drop(&a);
    drop(&b);
    assert_int_equal(alloc_live(), live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_begin_at_the_first_range),
        cmocka_unit_test(they_grow_with_the_same_width),
        cmocka_unit_test(merging_loses_nothing),
        cmocka_unit_test(zeros_wait_for_a_range),
        cmocka_unit_test(without_memory_all_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
