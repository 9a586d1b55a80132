/* code_levels: the values of all formats that hold weights, and the bins that round to them. */
#include "tests/unit/unit.h"
#include "runtime/calib/code_levels.h"

static void values_are_those_of_the_codes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int count;
        float last;
    } known[] = {{"int8", 128, 127.0f}, {"uint8", 256, 255.0f},  {"int4", 8, 7.0f},
                 {"e4m3", 127, 448.0f}, {"e5m2", 124, 57344.0f}, {"e2m1", 8, 6.0f}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CodeLevels levels;
        code_levels_make(format_find(known[i].name, strlen(known[i].name)), &levels);
        assert_int_equal(levels.count, known[i].count);
        assert_true(levels.value[levels.count - 1] == known[i].last && levels.value[0] == 0.0f);
    }
}

static void bins_begin_where_values_round(void **state) {
    (void)state;
    for (int f = 0; f < format_count; f++) {
        CodeLevels levels;
        if (formats[f].scale_only || formats[f].integer) {
            continue;
        }
        code_levels_make(&formats[f], &levels);
        for (int64_t n = 128; n < 70000; n = n * 3 + 1) {
            const double most = (double)levels.value[levels.count - 1];
            for (int k = 1; k < levels.count; k++) {
                const int64_t at = code_levels_start(&levels, k, n);
                for (int64_t b = at > 0 ? at - 1 : 0; b <= at; b++) {
                    /* the center, as a float: exact where it matters, on a middle */
                    const float center = (float)(((double)b + 0.5) * most / (double)n);
                    const float got = formats[f].decode(formats[f].encode(center));
                    if ((double)center != levels.middle[k] ||
                        ((double)b + 0.5) * most == levels.middle[k] * (double)n) {
                        assert_true((got >= levels.value[k]) == (b >= at));
                    }
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_the_codes),
        cmocka_unit_test(bins_begin_where_values_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
