/* engine_find: MORC_ORT as a file or a folder and nothing else then; otherwise beside the binary,
 * build/venv, the loader; newest version first. */
#include <errno.h>
#include <sys/stat.h>
#include "runtime/engine/engine_find.h"
#include "tests/unit/faulty_sys.h"
#include "tests/unit/unit.h"

static char *dir;
static char asked[4200]; /* MORC_ORT; empty: not set */

static const char *get(const char *variable) {
    assert_string_equal(variable, "MORC_ORT");
    return asked[0] ? asked : NULL;
}

static void touch(const char *name) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unit_write(path, "", 0);
}

static const char *below(Session *s, const char *name) {
    return str_format(s->arena, "%s/%s", dir, name).data;
}

static void versions_are_ordered(void **state) {
    (void)state;
    static const char *const ordered[] = {"libonnxruntime.so",        "libonnxruntime.so.1",
                                          "libonnxruntime.so.1.9.0",  "libonnxruntime.so.1.18",
                                          "libonnxruntime.so.1.18.0", "libonnxruntime.so.1.18.1",
                                          "libonnxruntime.so.1.32.0", "libonnxruntime.so.2"};
    for (size_t i = 0; i < sizeof ordered / sizeof *ordered; i++) {
        for (size_t k = 0; k < sizeof ordered / sizeof *ordered; k++) {
            assert_int_equal(engine_newer(str_from(ordered[i]), str_from(ordered[k])), i > k);
        }
    }
}

static void a_folder_gives_its_libraries(void **state) {
    (void)state;
    touch("libonnxruntime.so.1.9.2");
    touch("libonnxruntime.so.1.20.0");
    touch("libonnxruntime.so.1.20.0.debug");
    touch("libonnxruntime_providers_shared.so");
    touch("other.so");
    Session *s = session_open(&sys_real);
    snprintf(asked, sizeof asked, "%s", dir);
    const EngineCandidates list = engine_find(s, get);
    assert_int_equal(list.paths.len, 2);
    assert_str(list.paths.at[0], below(s, "libonnxruntime.so.1.20.0"));
    assert_str(list.paths.at[1], below(s, "libonnxruntime.so.1.9.2"));
    assert_str(list.asked, dir);
    session_close(s);
}

static void a_file_is_taken_as_it_is(void **state) {
    (void)state;
    touch("other.so");
    Session *s = session_open(&sys_real);
    snprintf(asked, sizeof asked, "%s/other.so", dir);
    EngineCandidates list = engine_find(s, get);
    assert_int_equal(list.paths.len, 1);
    assert_str(list.paths.at[0], asked);
    snprintf(asked, sizeof asked, "%s/none.so", dir);
    list = engine_find(s, get);
    assert_int_equal(list.paths.len, 0);
    assert_str(list.asked, asked);
    /* a bare name is a file here, not one for the loader to look for */
    char here[4200];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(dir), 0);
    snprintf(asked, sizeof asked, "other.so");
    list = engine_find(s, get);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(list.paths.len, 1);
    assert_str(list.paths.at[0], "./other.so");
    session_close(s);
}

static void otherwise_the_usual_places(void **state) {
    (void)state;
    asked[0] = 0;
    Session *s = session_open(&sys_real);
    for (int i = 0; i < 2; i++) {
        const EngineCandidates list = engine_find(s, i ? get : NULL);
        assert_true(list.paths.len >= 2);
        assert_str(list.paths.at[list.paths.len - 2], "libonnxruntime.so.1");
        assert_str(list.paths.at[list.paths.len - 1], "libonnxruntime.so");
        assert_int_equal(list.asked.len, 0);
        for (size_t k = 0; k + 2 < list.paths.len; k++) { /* the test lies in build/PRESET/tests */
            assert_true(strstr(list.paths.at[k].data, "/build/venv/lib/python3"));
            assert_true(strstr(list.paths.at[k].data, "/onnxruntime/capi/libonnxruntime.so"));
        }
    }
    session_close(s);
}

static void system_calls_may_fail(void **state) {
    (void)state;
    for (int with = 0; with < 2; with++) {
        snprintf(asked, sizeof asked, "%s", with ? dir : "");
        for (int64_t n = 1, calls = 1; n <= calls; n++) {
            Session *s = session_open(&sys_faulty);
            faulty_set(n, EIO, true);
            const EngineCandidates list = engine_find(s, get);
            calls = faulty_calls() > calls ? faulty_calls() : calls;
            assert_true(with || list.paths.len >= 2);
            session_close(s);
        }
    }
    faulty_set(0, 0, false);
}

static int set_up(void **state) {
    (void)state;
    dir = unit_directory();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unit_remove(dir);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_ordered),
        TEST(a_folder_gives_its_libraries),
        TEST(a_file_is_taken_as_it_is),
        TEST(otherwise_the_usual_places),
        TEST(system_calls_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
