/* ort_log: the newest warning or error is kept, cut to its size, and given once. */
#include "runtime/engine/ort_log.h"
#include "tests/unit/unit.h"

static void log_line(int severity, const char *message) {
    ort_log_keep(NULL, severity, "category", "id", "here", message);
}

static void the_newest_is_kept(void **state) {
    (void)state;
    char out[ORT_LOG_BYTES] = "old";
    assert_int_equal(ort_log_take(out), 0);
    assert_string_equal(out, "");
    log_line(ORT_LOG_WARNING, "first");
    log_line(ORT_LOG_WARNING + 1, "second");
    log_line(ORT_LOG_WARNING - 1, "information");
    log_line(ORT_LOG_WARNING, NULL);
    assert_int_equal(ort_log_take(out), 6);
    assert_string_equal(out, "second");
    assert_int_equal(ort_log_take(out), 0);
}

static void long_ones_are_cut(void **state) {
    (void)state;
    char text[2 * ORT_LOG_BYTES], out[ORT_LOG_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    log_line(4, text);
    assert_int_equal(ort_log_take(out), ORT_LOG_BYTES - 1);
    assert_int_equal(strlen(out), ORT_LOG_BYTES - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_is_kept),
        cmocka_unit_test(long_ones_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
