/* unpacked: bytes come back, nothing is left in the folder, every failing call is reported. */
#include "runtime/calib/unpacked.h"
#include <errno.h>
#include "tests/unit/faulty_sys.h"
#include "tests/unit/unit.h"

static Session *s;
static char *dir;

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_faulty);
    faulty_set(0, 0, false);
    dir = unit_directory();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    faulty_short_writes(false);
    const bool empty = rmdir(dir) == 0;
    free(dir);
    return empty && faulty_open_files() == 0 ? 0 : -1;
}

static bool write_all(Unpacked *u, const char *bytes, size_t size) {
    const bool put =
        unpacked_put(u, bytes, size / 3) && unpacked_put(u, bytes + size / 3, size - size / 3);
    return unpacked_map(u) && put; /* reports for unpacked_put, too */
}

static void bytes_come_back(void **state) {
    (void)state;
    faulty_short_writes(true);
    Unpacked *u = unpacked_open(s, str_from(dir), STR("`x` of y.npz"), 11);
    assert_non_null(u);
    assert_true(write_all(u, "hello world", 11));
    assert_memory_equal(u->data, "hello world", 11);
    unpacked_close(s, u);
    unpacked_close(s, NULL);
    Unpacked *empty = unpacked_open(s, str_from(dir), STR("nothing"), 0);
    assert_true(empty && unpacked_map(empty) && !empty->data);
}

static void each_call_may_fail(void **state) {
    (void)state;
    faulty_set(0, 0, false);
    assert_true(write_all(unpacked_open(s, str_from(dir), STR("x"), 9), "123456789", 9));
    const int64_t calls = faulty_calls();
    static const int errors[] = {ENOSPC, EIO, EOPNOTSUPP, EINTR};
    int reported = 0;
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        for (int64_t n = 1; n <= calls; n++) {
            faulty_set(n, errors[e], false);
            Unpacked *u = unpacked_open(s, str_from(dir), STR("x"), 9);
            const bool ok = u && write_all(u, "123456789", 9);
            assert_int_equal(s->diags.errors, ok ? 0 : 1);
            assert_true(!ok || memcmp(u->data, "123456789", 9) == 0);
            reported += !ok;
            faulty_set(0, 0, false);
            unpacked_close(s, u);
            diags_clear(&s->diags);
        }
    }
    assert_true(reported >= 6);
    assert_null(unpacked_open(s, STR("/absent/folder"), STR("x"), 9));
    assert_non_null(strstr(unit_diags(s), "E1102]: cannot unpack x into /absent/folder: No such"));
}

static void a_stop_is_obeyed(void **state) {
    (void)state;
    atomic_int stop = 2;
    Unpacked *u = unpacked_open(s, str_from(dir), STR("x"), 9);
    s->stop = &stop;
    assert_false(unpacked_put(u, "1234", 4));
    assert_false(unpacked_map(u)); /* nobody reports: the run knows */
    assert_int_equal(s->diags.errors, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(each_call_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_is_obeyed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
