/* kept_stats: which file has what; whole and partial passes, other cuts, other data, files that are
 * not statistics, passes behind encoded layers. */
#include "compiler/kept_stats.h"
#include "runtime/calib/data.h"
#include "runtime/calib/morstat.h"
#include "tests/unit/world.h"

enum { VALUES = 4, K = 8 };
#define GRAM (K * K * sizeof(double))

static Session *s;
static char *dir;
static ValueInfo values[VALUES];
static Graph graph;
static ObservationList seen;
static DataPasses passes;
static Dataset *data; /* four batches of one sample */

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_real);
    dir = unit_directory();
    seen = (ObservationList){0};
    static const int64_t dims[] = {-1, K};
    static const DataInput input = {.name = {"x", 1}, .type = 1, .rank = 2, .dims = dims};
    const DataWish wish = {.loader = STR("random"), .samples = 4, .batch = 1};
    data = dataset_open(s, &wish, &input, 1);
    if (!data) {
        fail_msg("%s", unit_diags(s));
    }
    for (int i = 0; i < VALUES; i++) {
        values[i] = (ValueInfo){.name = str_format(s->arena, "v%d", i)};
        vec_push(s->arena, &seen,
                 ((Observation){.name = values[i].name,
                                .value = &values[i],
                                .graph = &graph,
                                .what = STAT_GRAM,
                                .channels = true,
                                .unit = i,
                                .bytes = GRAM,
                                .level = i}));
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    unit_remove(dir);
    return 0;
}

static KeptStats find(int fit, bool encoded) {
    passes = (DataPasses){.budget = (uint64_t)fit * GRAM};
    KeptStats kept = {.s = s,
                      .path = str_format(s->arena, "%s/out.morstat", dir),
                      .id = {.model = {1}, .data = {2}},
                      .data = data,
                      .seen = &seen,
                      .passes = &passes,
                      .encoded = encoded};
    if (!kept_stats_find(&kept)) {
        fail_msg("%s", unit_diags(s));
    }
    assert_int_equal(kept.all.len, passes.all.len);
    return kept;
}

/* Adds a batch to what the pass measures; the matrices differ by value. */
static void measure(Stats *stats, int pass) {
    for (int i = 0; i < VALUES; i++) {
        float x[K] = {(float)i + 1.0f};
        if (seen.at[i].pass == pass) {
            Stat *stat = stats_find(stats, seen.at[i].name);
            assert_null(stat_add(stat, 1, x, (StatView){1, K, 1}, NULL));
        }
    }
    stats->batches++;
    stats->samples++;
}

static void measure_all(KeptStats *kept, int from, int until) {
    for (int pass = from; pass < until; pass++) {
        Stats *stats = kept_stats_take(kept, pass, NULL);
        assert_non_null(stats);
        assert_int_equal(stats->batches, 0);
        measure(stats, pass);
        stats->complete = true;
        assert_true(kept_stats_write(kept, pass, stats));
        stats_close(stats);
    }
}

/* What the pass reads from its file is what was measured, and no other matrix is held. */
static void expect_whole(KeptStats *kept, int pass) {
    assert_true(kept->all.at[pass].kept && kept->all.at[pass].complete);
    Stats *stats = kept_stats_take(kept, pass, NULL);
    assert_non_null(stats);
    for (int i = 0; i < VALUES; i++) {
        Stat *stat = stats_find(stats, seen.at[i].name);
        const bool own = seen.at[i].pass == pass;
        assert_true(!own || stat);
        if (stat) {
            assert_true((stat->gram != NULL) == own);
            assert_true(!own || stat->gram[0] == (i + 1.0) * (i + 1.0));
        }
    }
    stats_close(stats);
}

static void names(void **state) {
    (void)state;
    const KeptStats a = {.s = s, .path = STR("d/out.morstat")}, b = {.s = s, .path = STR("stats")};
    assert_str(kept_stats_path(&a, 0), "d/out.morstat");
    assert_str(kept_stats_path(&a, 1), "d/out.2.morstat");
    assert_str(kept_stats_path(&b, 0), "stats");
    assert_str(kept_stats_path(&b, 11), "stats.12");
}

static void files_serve_any_cut(void **state) {
    (void)state;
    KeptStats kept = find(2, false);
    assert_int_equal(passes.all.len, 2);
    measure_all(&kept, 0, 2);
    for (int fit = 1; fit <= 4; fit++) {
        kept = find(fit, false);
        assert_int_equal(passes.all.len, fit == 1 ? 4 : 2); /* files are not joined */
        assert_null(kept.why_new);
        for (int pass = 0; pass < (int)passes.all.len; pass++) {
            expect_whole(&kept, pass);
            assert_int_equal(kept.all.at[pass].file, fit == 1 ? pass / 2 : pass);
        }
    }
}

static void what_is_missing_is_new(void **state) {
    (void)state;
    KeptStats kept = find(1, false);
    assert_int_equal(passes.all.len, 4);
    measure_all(&kept, 0, 2);
    kept = find(4, false);
    assert_int_equal(passes.all.len, 3);
    expect_whole(&kept, 0);
    expect_whole(&kept, 1);
    assert_true(!kept.all.at[2].kept && kept.all.at[2].file == 2);
    assert_true(seen.at[2].pass == 2 && seen.at[3].pass == 2);
    measure_all(&kept, 2, 3);
    kept = find(1, false);
    assert_int_equal(passes.all.len, 4);
    for (int pass = 0; pass < 4; pass++) {
        expect_whole(&kept, pass);
    }
}

static void a_part_goes_on(void **state) {
    (void)state;
    KeptStats kept = find(2, false);
    measure_all(&kept, 0, 1);
    Stats *stats = kept_stats_take(&kept, 1, NULL);
    measure(stats, 1);
    assert_true(kept_stats_write(&kept, 1, stats));
    stats_close(stats);
    kept = find(4, false);
    assert_int_equal(passes.all.len, 2);
    expect_whole(&kept, 0);
    assert_true(kept.all.at[1].kept && !kept.all.at[1].complete);
    stats = kept_stats_take(&kept, 1, NULL);
    assert_int_equal(stats->batches, 1);
    assert_non_null(stats_find(stats, seen.at[3].name)->gram);
    stats_close(stats);
    kept = find(1, false); /* a part cannot be cut: it is measured anew */
    assert_int_equal(passes.all.len, 4);
    expect_whole(&kept, 0);
    expect_whole(&kept, 1);
    assert_true(!kept.all.at[2].kept && kept.all.at[2].file == 1);
    assert_true(!kept.all.at[3].kept && kept.all.at[3].file == 2);
}

/* Parts of other batches and of other engines are measured anew. */
static void what_cannot_go_on(void **state) {
    (void)state;
    KeptStats kept = find(4, false);
    Stats *stats = kept_stats_take(&kept, 0, NULL);
    stats->engine = STR("one");
    measure(stats, 0);
    assert_true(kept_stats_write(&kept, 0, stats));
    kept = find(4, false);
    assert_true(kept.all.at[0].kept);
    assert_str(kept.all.at[0].engine, "one");
    kept.engine = STR("two");
    assert_true(kept_stats_find(&kept)); /* once more, now that there is one */
    assert_false(kept.all.at[0].kept);
    assert_string_equal(kept.why_new, "was begun by another engine");
    stats->samples = 2;
    assert_true(kept_stats_write(&kept, 0, stats));
    kept = find(4, false);
    assert_false(kept.all.at[0].kept);
    assert_string_equal(kept.why_new, "was begun with batches of another size");
    stats_close(stats);
}

static void other_statistics_are_not_taken(void **state) {
    (void)state;
    KeptStats kept = find(4, false);
    measure_all(&kept, 0, 1);
    seen.at[1].what |= STAT_CHANNELS;
    kept = find(4, false);
    assert_true(!kept.all.at[0].kept);
    assert_string_equal(kept.why_new, "is about another model, other data, or other statistics");
    seen.at[1].what = STAT_GRAM;
    seen.at[2].channels = false; /* asked in another way */
    kept = find(4, false);
    assert_true(!kept.all.at[0].kept);
}

static void nothing_else_is_replaced(void **state) {
    (void)state;
    KeptStats kept = find(1, false);
    measure_all(&kept, 0, 1);
    unit_write(str_format(s->arena, "%s/out.3.morstat", dir).data, "mine", 4);
    assert_false(kept_stats_find(&kept));
    assert_true(str_is(s->diags.all.at[0]->code, "E1103"));
    assert_non_null(strstr(unit_diags(s), "out.3.morstat"));
}

static void behind_encoded_layers(void **state) {
    (void)state;
    const uint8_t first[32] = {1}, other[32] = {2};
    KeptStats kept = find(4, true);
    assert_int_equal(passes.all.len, 4);
    Stats *stats = kept_stats_take(&kept, 0, first);
    measure(stats, 0);
    stats->complete = true;
    assert_memory_equal(stats->identity.asked, STATS_ENCODED, strlen(STATS_ENCODED));
    assert_true(kept_stats_write(&kept, 0, stats));
    stats_close(stats);
    kept = find(1, true);
    stats = kept_stats_take(&kept, 0, first);
    assert_true(stats->complete && kept.all.at[0].kept && !kept.why_new);
    stats_close(stats);
    kept = find(1, true);
    stats = kept_stats_take(&kept, 0, other); /* behind other weights it is of no use */
    assert_true(!stats->complete && stats->batches == 0 && kept.why_new);
    stats_close(stats);
    kept = find(4, false); /* nor of the float model */
    assert_false(kept.all.at[0].kept);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(files_serve_any_cut),
        TEST(what_is_missing_is_new),
        TEST(a_part_goes_on),
        TEST(what_cannot_go_on),
        TEST(other_statistics_are_not_taken),
        TEST(nothing_else_is_replaced),
        TEST(behind_encoded_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
