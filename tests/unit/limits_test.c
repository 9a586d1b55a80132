/* limits: the table is usable as constants and as rows, and no limit is absurd. */
#include "tests/unit/unit.h"
#include "runtime/base/limits.h"

static void every_limit_is_positive_and_described(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int value;
        const char *doc;
    } rows[] = {
#define X(name, value, doc) {#name, value, doc},
        LIMITS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(rows[i].value > 0);
        assert_true(strlen(rows[i].doc) > 5);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].name, rows[j].name);
        }
    }
    assert_int_equal(LIMIT_RANK, 32);
    assert_int_equal(LIMIT_MESSAGE_DEPTH, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_limit_is_positive_and_described)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
