/* cmd_stats: what a merged set says of its parts (samples, engines, data), and what is refused.
 * That its numbers are those of all data is shown by stats_test and end to end. */
#include "compiler/calibrate.h"
#include "compiler/morc.h"
#include "runtime/calib/morstat.h"
#include "tests/unit/one_session.h"

static char *dir;

static int begin(void **state) {
    dir = unit_memory_directory();
    return setup(state);
}

static int end(void **state) {
    unit_remove(dir);
    return teardown(state);
}

static const char *path_of(const char *name) {
    return str_format(s->arena, "%s/%s", dir, name).data;
}

/* A set about `data`: batches of two samples, the values 1 to 2 * batches. */
static void write_part(const char *name, uint8_t data, const char *engine, int batches,
                       bool complete) {
    const StatsIdentity identity = {.model = {1}, .data = {data}, .asked = {3}};
    Stats *set = stats_open(s, &identity);
    set->engine = str_from(engine);
    Stat *stat = stats_add(set, STR("x"), STAT_RANGE);
    for (int i = 0; i < batches; i++) {
        const float x[2] = {(float)(2 * i + 1), (float)(2 * i + 2)};
        assert_null(stat_add(stat, 1, x, (StatView){2, 1, 1}, NULL));
        set->batches++;
        set->samples += 2;
    }
    set->complete = complete;
    assert_true(morstat_write(set, str_from(path_of(name))));
    stats_close(set);
}

static const char *unset(const char *name) {
    (void)name;
    return NULL;
}

/* `morc stats merge` of these files into all.morstat; what it says, on the session's arena. */
static const char *merge(int expected, const char *const *names, const char *flag) {
    char *argv[12] = {"morc", "stats", "merge"}, *said = NULL;
    int argc = 3;
    size_t size = 0;
    for (; *names; names++) {
        argv[argc++] = (char *)(uintptr_t)path_of(*names);
    }
    argv[argc++] = "-o";
    argv[argc++] = (char *)(uintptr_t)path_of("all.morstat");
    if (flag) {
        argv[argc++] = (char *)(uintptr_t)flag;
    }
    FILE *stream = open_memstream(&said, &size);
    MorcEnv env = {.sys = &sys_real, .out = stream, .err = stream, .get = unset};
    const int code = morc_main(argc, argv, &env);
    fclose(stream);
    const char *text = str_c(s->arena, (Str){said, size});
    free(said);
    if (code != expected) {
        fail_msg("exit %d: %s", code, text);
    }
    return text;
}
#define MERGE(expected, flag, ...)                                                                 \
    merge((expected), (const char *const[]){__VA_ARGS__, NULL}, (flag))

static Stats *merged(void) {
    const char *why = NULL;
    Stats *set = morstat_open(s, str_from(path_of("all.morstat")), NULL, &why);
    assert_non_null(set);
    return set;
}

static void merged_sets_name_their_parts(void **state) {
    (void)state;
    write_part("a.morstat", 1, "ONNX Runtime 1.21.0, CPU", 3, true);
    write_part("b.morstat", 2, "ONNX Runtime 1.32.0, CPU", 2, true);
    write_part("c.morstat", 3, "ONNX Runtime 1.21.0, CPU", 1, true);
    assert_non_null(strstr(MERGE(0, NULL, "a.morstat", "b.morstat", "c.morstat"),
                           "all.morstat: 1 tensor of 12 samples"));
    Stats *all = merged();
    assert_true(all->complete);
    assert_int_equal(all->batches, 6);
    assert_int_equal(all->samples, 12);
    assert_str(all->engine, "ONNX Runtime 1.21.0, CPU; ONNX Runtime 1.32.0, CPU");
    assert_memory_equal(all->identity.data, STATS_MERGED, strlen(STATS_MERGED));
    assert_true(stats_at(all, 0)->min == 1 && stats_at(all, 0)->max == 6);
    const StatsIdentity first = all->identity;
    stats_close(all);
    MERGE(0, "-f", "b.morstat", "a.morstat", "c.morstat"); /* another order is another set */
    all = merged();
    assert_memory_not_equal(all->identity.data, first.data, 32);
    stats_close(all);
}

static void what_does_not_belong_together(void **state) {
    (void)state;
    write_part("a.morstat", 1, "e", 3, true);
    write_part("b.morstat", 2, "e", 2, false);
    unit_write(path_of("n.morstat"), "nothing", 7);
    assert_non_null(strstr(MERGE(1, NULL, "a.morstat", "a.morstat"), "it is about the same data"));
    assert_non_null(strstr(MERGE(1, NULL, "a.morstat", "b.morstat"), "finish it first"));
    assert_non_null(strstr(MERGE(1, NULL, "a.morstat", "n.morstat"), "is no .morstat file"));
    assert_non_null(strstr(MERGE(5, NULL, "a.morstat", "absent"), "E1101"));
    assert_non_null(strstr(MERGE(2, NULL, "a.morstat"), "merges at least two files"));
    assert_int_equal(access(path_of("all.morstat"), F_OK), -1);
    unit_write(path_of("all.morstat"), "mine", 4);
    write_part("b.morstat", 2, "e", 2, true);
    assert_non_null(strstr(MERGE(2, NULL, "a.morstat", "b.morstat"), "E1103"));
    MERGE(0, "-f", "a.morstat", "b.morstat");
    stats_close(merged());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(merged_sets_name_their_parts, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_belong_together, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
