/* schema: lookup, suggestions, description. */
#include "tests/unit/unit.h"
#include "runtime/base/schema.h"

static const Param smooth_params[] = {
    {.name = "alpha", .type = PARAM_FLOAT, .initial = "0.5", .range = "0.0..1.0",
     .doc = "how much difficulty moves into the weights"},
    {.name = "fold", .type = PARAM_CHOICE, .choices = "auto | never*", .initial = "auto",
     .doc = "where the inverse scale goes", .later = true},
    {.name = "data", .type = PARAM_DATA, .required = true, .doc = "what to measure on"},
    {0},
};
static const Schema smooth = {"smooth", "doc", SCHEMA_STEP, PHASE_EDIT, false, false, smooth_params};
static const Schema skip = {"skip", "doc", SCHEMA_STEP, PHASE_SKIP, false, false, NULL};
static const Schema seed = {"smooth", "doc", SCHEMA_SETTING, PHASE_SETTING, false, false, NULL};
static const Schema *const rows[] = {&smooth, &skip, &seed, NULL};
static const Vocabulary words = {rows};

static void names_are_found_by_kind(void **state) {
    (void)state;
    assert_ptr_equal(vocabulary_find(&words, SCHEMA_STEP, STR("smooth")), &smooth);
    assert_ptr_equal(vocabulary_find(&words, SCHEMA_SETTING, STR("smooth")), &seed);
    assert_null(vocabulary_find(&words, SCHEMA_DATA, STR("smooth")));
    assert_null(vocabulary_find(&words, SCHEMA_STEP, STR("smoot")));
    assert_ptr_equal(schema_param(&smooth, STR("fold")), &smooth_params[1]);
    assert_null(schema_param(&smooth, STR("beta")));
    assert_null(schema_param(&skip, STR("beta")));
}

static void suggestions_are_near(void **state) {
    (void)state;
    assert_str(vocabulary_nearest(&words, SCHEMA_STEP, STR("smoohT")), "smooth");
    assert_str(vocabulary_nearest(&words, SCHEMA_STEP, STR("sikp")), "skip");
    assert_str(vocabulary_nearest(&words, SCHEMA_STEP, STR("quantize")), "");
    assert_str(schema_nearest(&smooth, STR("aplha")), "alpha");
    assert_str(schema_nearest(&smooth, STR("x")), "");
    const Str layers[] = {STR("lm_head"), STR("lm_bed"), STR("embed")};
    assert_str(nearest_of(STR("lm_haed"), layers, 3), "lm_head");
    assert_str(nearest_of(STR("lm_bed"), layers, 3), "lm_bed");
    assert_str(nearest_of(STR("lm_bed"), layers, 0), "");
}

static void description_is_aligned(void **state) {
    (void)state;
    Arena *a = arena_open();
    Buf b = buf_on(a);
    schema_describe(&smooth, &b);
    assert_string_equal(b.data,
                        "alpha  float in 0.0..1.0 = 0.5       how much difficulty moves into the weights\n"
                        "fold   auto | never      = auto      where the inverse scale goes (not in this build)\n"
                        "data   data              required    what to measure on");
    Buf empty = buf_on(a);
    schema_describe(&skip, &empty);
    assert_string_equal(empty.data, "");
    arena_close(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_by_kind),
        cmocka_unit_test(suggestions_are_near),
        cmocka_unit_test(description_is_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
