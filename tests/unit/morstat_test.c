/* morstat: what is written comes back bit for bit, and a run goes on from it; damaged, foreign and
 * hostile files are refused; a failing write leaves the old file. */
#include "tests/unit/faulty_sys.h"
#include "tests/unit/stat_law.h"
#include "runtime/base/alloc.h"
#include "runtime/calib/morstat.h"
#include <errno.h>
#include <sodium.h>

static Session *s;
static char *dir;
static const StatsIdentity identity = {.model = {1}, .data = {2}, .asked = {3}};
enum { ROWS = 40, CHANNELS = 7, BATCHES = 6 };
static float data[BATCHES * ROWS * CHANNELS];

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_faulty);
    faulty_set(0, 0, false);
    dir = unit_memory_directory();
    for (int i = 0; i < BATCHES * ROWS * CHANNELS; i++) {
        data[i] = law_value() * (i > 2 * ROWS * CHANNELS ? 2.0f : 1.0f);
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    unit_remove(dir);
    return faulty_open_files() == 0 && alloc_live() == 0 ? 0 : -1;
}

static Str in_dir(const char *name) {
    return str_format(s->arena, "%s/%s", dir, name);
}

static Stats *new_set(void) {
    Stats *set = stats_open(s, &identity);
    set->engine = STR("ONNX Runtime 1.32.0, CPU");
    stats_add(set, STR("all"), STAT_ALL);
    stats_add(set, STR("conv/x"), STAT_GRAM | STAT_RANGE);
    stats_add(set, STR("range"), STAT_RANGE);
    stats_add(set, STR("histogram only, of zeros"), STAT_HISTOGRAM);
    stats_add(set, STR("never"), STAT_ALL);
    return set;
}

static void add_batch(Stats *set) {
    const float *x = data + set->batches * ROWS * CHANNELS;
    const StatConv conv = {1, ROWS / 20, CHANNELS, 1, {20}, {3}, {2}, {1}, {1}, {0}, false};
    static const float zeros[4];
    const StatView view = {ROWS, CHANNELS, 1};
    assert_null(stat_add(stats_find(set, STR("all")), 1, x, view, NULL));
    assert_null(stat_add_conv(stats_find(set, STR("conv/x")), 1, x, &conv, NULL));
    assert_null(stat_add(stats_find(set, STR("range")), 1, x, view, NULL));
    assert_null(stat_add(stats_at(set, 3), 1, zeros, (StatView){4, 1, 1}, NULL));
    assert_int_equal(stats_find(set, STR("conv/x"))->columns, 3 * CHANNELS);
    set->batches++;
    set->samples += ROWS;
}

static bool gather(void *user, const void *bytes, size_t size) {
    buf_add(user, bytes, size);
    return true;
}

static Str bytes_of(const Stats *set) {
    Buf b = buf_on(s->arena);
    assert_true(morstat_pieces(set, gather, &b));
    return buf_view(&b);
}

static void a_run_goes_on_where_it_stopped(void **state) {
    (void)state;
    Stats *whole = new_set(), *part = new_set();
    for (int i = 0; i < BATCHES; i++) {
        const char *why = "";
        add_batch(whole);
        add_batch(part);
        stat_gram(stats_at(part, 0), 0); /* what is filled in is not written */
        assert_true(morstat_write(part, in_dir("s.morstat")));
        stats_close(part);
        part = morstat_open(s, in_dir("s.morstat"), &identity, &why);
        assert_null(why);
        assert_non_null(part);
        assert_int_equal(part->batches, i + 1);
        assert_int_equal(part->samples, ROWS * (i + 1));
        assert_str(part->engine, "ONNX Runtime 1.32.0, CPU");
        assert_false(part->complete);
    }
    whole->complete = part->complete = true;
    assert_true(str_eq(bytes_of(whole), bytes_of(part)));
    assert_true(morstat_write(whole, in_dir("t.morstat")));
    size_t size = 0;
    char *file = unit_read(in_dir("t.morstat").data, &size);
    assert_true(str_eq(bytes_of(whole), (Str){file, size}));
    free(file);
    const char *why = "";
    Stats *again = morstat_read(s, bytes_of(whole), NULL, &why);
    assert_non_null(again);
    assert_true(again->complete);
    assert_int_equal(again->by_name.len, 5);
    assert_memory_equal(stat_gram(stats_at(again, 0), 0), stat_gram(stats_at(whole, 0), 0),
                        CHANNELS * CHANNELS * sizeof(double));
}

static bool only_all(void *user, Str name) {
    ++*(int *)user;
    return str_is(name, "all");
}

/* Everything is read and checked, and of Gram matrices those are kept that are wanted. */
static void a_part_of_the_matrices(void **state) {
    (void)state;
    Stats *set = new_set();
    add_batch(set);
    assert_true(morstat_write(set, in_dir("s.morstat")));
    int asked = 0;
    const MorstatPart part = {only_all, &asked};
    const char *why = "";
    Stats *again = morstat_open_part(s, in_dir("s.morstat"), &identity, &part, &why);
    assert_null(why);
    assert_non_null(again);
    assert_int_equal(asked, 2);
    assert_int_equal(again->by_name.len, set->by_name.len);
    const Stat *conv = stats_find(again, STR("conv/x"));
    assert_true(!conv->gram && conv->columns == 3 * CHANNELS && conv->rows > 0);
    assert_memory_equal(stat_gram(stats_at(again, 0), 0), stat_gram(stats_at(set, 0), 0),
                        CHANNELS * CHANNELS * sizeof(double));
}

/* A large matrix goes to the file in pieces of its own. */
static void large_rows_are_written_whole(void **state) {
    (void)state;
    enum { WIDE = 9000 };
    Stats *set = stats_open(s, &identity);
    Stat *stat = stats_add(set, STR("wide"), STAT_CHANNELS);
    float *x = calloc(WIDE, sizeof *x);
    x[WIDE - 1] = 3.0f;
    assert_null(stat_add(stat, 1, x, (StatView){1, WIDE, 1}, NULL));
    faulty_short_writes(true);
    assert_true(morstat_write(set, in_dir("w.morstat")));
    faulty_short_writes(false);
    const char *why = "";
    Stats *again = morstat_open(s, in_dir("w.morstat"), &identity, &why);
    assert_non_null(again);
    assert_true(str_eq(bytes_of(set), bytes_of(again)));
    free(x);
}

static void expect_refused(Str bytes, const StatsIdentity *wanted, const char *expected) {
    const char *why = NULL;
    const int64_t live = alloc_live();
    const ArenaMark mark = arena_mark(s->arena);
    assert_null(morstat_read(s, bytes, wanted, &why));
    assert_string_equal(why, expected);
    arena_reset(s->arena, mark);
    assert_in_range(alloc_live(), 0, live);
}

static void what_is_not_whole_is_refused(void **state) {
    (void)state;
    Stats *set = new_set();
    add_batch(set);
    const Str good = bytes_of(set);
    StatsIdentity other = identity;
    other.data[31] = 1;
    expect_refused(good, &other, "is about another model, other data, or other statistics");
    expect_refused(STR(""), NULL, "is no .morstat file");
    expect_refused(STR("morstat\0but then something else"), NULL, "is no .morstat file");
    for (size_t size = 0; size < good.len; size += size < 300 ? 1 : 997) {
        expect_refused(str_slice(good, 0, size), NULL,
                       size < 136 + 32 ? "is no .morstat file" : "is damaged");
    }
    char *copy = malloc(good.len);
    for (size_t i = 0; i < good.len; i += i < 300 ? 1 : 31) {
        memcpy(copy, good.data, good.len);
        copy[i] ^= 4;
        expect_refused((Str){copy, good.len}, NULL,
                       i < 8    ? "is no .morstat file"
                       : i < 12 ? "is of another version of morc"
                                : "is damaged");
    }
    free(copy);
    const char *why = "";
    assert_null(morstat_open(s, in_dir("absent"), NULL, &why));
    assert_null(why);
    assert_non_null(strstr(unit_diags(s), "E1101"));
}

/* One number of a signed file is another. */
static void what_makes_no_sense_is_refused(void **state) {
    (void)state;
    Stats *set = stats_open(s, &identity);
    float x[6] = {1, -2, 3, 4, 5, 6};
    Stat *stat = stats_add(set, STR("x"), STAT_ALL);
    assert_null(stat_add(stat, 1, x, (StatView){3, 2, 1}, NULL));
    stats_add(set, STR("y"), STAT_RANGE);
    const Str good = bytes_of(set);
    const uint64_t odd[] = {0, 1, 2, 7, 1 << 20, UINT64_MAX / 8, INT64_MAX, UINT64_MAX};
    char *copy = malloc(good.len);
    int refused = 0, taken = 0;
    for (size_t at = 128; at + 8 <= good.len - 32; at += 8) {
        if (at > 276 && at < good.len - 250) {
            continue; /* counts: one as good as another */
        }
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            const char *why = "";
            memcpy(copy, good.data, good.len);
            memcpy(copy + at, &odd[i], 8);
            crypto_hash_sha256((unsigned char *)copy + good.len - 32, (unsigned char *)copy,
                               good.len - 32);
            Stats *read = morstat_read(s, (Str){copy, good.len}, NULL, &why);
            if (read) { /* then it is what it says */
                assert_true(str_eq(bytes_of(read), (Str){copy, good.len}));
                stats_close(read);
                taken++;
            } else {
                assert_string_equal(why, "is damaged");
                refused++;
            }
        }
    }
    assert_true(refused > 100 && taken > 10);
    free(copy);
}

static void a_failing_write_leaves_the_old_file(void **state) {
    (void)state;
    Stats *set = new_set();
    add_batch(set);
    assert_true(morstat_write(set, in_dir("s.morstat")));
    const Str old = bytes_of(set);
    add_batch(set);
    int failed = 0;
    for (int64_t n = 1;; n++) {
        size_t size = 0;
        faulty_set(n, n % 2 ? ENOSPC : EIO, false);
        const bool done = morstat_write(set, in_dir("s.morstat"));
        const bool last = faulty_calls() < n;
        faulty_set(0, 0, false);
        char *file = unit_read(in_dir("s.morstat").data, &size);
        const Str now = {file, size};
        assert_true(str_eq(now, bytes_of(set)) || (!done && str_eq(now, old)));
        free(file);
        failed += !done;
        if (!done) {
            assert_int_equal(s->diags.errors, 1);
            assert_non_null(strstr(unit_diags(s), "E1102"));
            diags_clear(&s->diags);
        }
        if (last) {
            assert_true(done);
            break;
        }
    }
    assert_true(failed > 3);
}

static void memory_that_runs_out_leaves_nothing(void **state) {
    (void)state;
    Stats *set = new_set();
    add_batch(set);
    const Str good = bytes_of(set);
    volatile int failed = 0;
    for (volatile int n = 1;; n++) {
        AllocGuard guard;
        const char *why = "";
        Session *volatile other = session_open(&sys_real);
        volatile bool out = true;
        alloc_guard_push(&guard);
        if (setjmp(guard.jump) == 0) {
            alloc_fail_at(n, false);
            assert_non_null(morstat_read(other, good, &identity, &why));
            out = false;
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&guard);
        session_close(other);
        if (!out) {
            break;
        }
        failed++;
    }
    assert_true(failed >= 7);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_run_goes_on_where_it_stopped),
        TEST(large_rows_are_written_whole),
        TEST(a_part_of_the_matrices),
        TEST(what_is_not_whole_is_refused),
        TEST(what_makes_no_sense_is_refused),
        TEST(a_failing_write_leaves_the_old_file),
        TEST(memory_that_runs_out_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
