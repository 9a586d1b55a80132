/* output_names: what stands beside a model, with and without a folder and a suffix. */
#include "compiler/output_names.h"
#include "tests/unit/unit.h"

static void names(void **state) {
    (void)state;
    Arena *arena = arena_open();
    assert_true(str_is(output_stem(STR("a/b/model.onnx")), "model"));
    assert_true(str_is(output_stem(STR("model.bin")), "model.bin"));
    assert_true(str_is(output_stem(STR("a/.onnx")), ""));
    assert_true(str_is(output_rejected(arena, STR("a/b.onnx")), "a/b.rejected.onnx"));
    assert_true(str_is(output_rejected(arena, STR("b")), "b.rejected.onnx"));
    Args args = {.verb = VERB_RUN};
    assert_true(str_is(output_stats(arena, &args, STR("a/b.mor.onnx")), "a/b.mor.morstat"));
    args.stats = STR("kept");
    assert_true(str_is(output_stats(arena, &args, STR("a/b.onnx")), "kept"));
    args.stats = STR("none");
    assert_int_equal(output_stats(arena, &args, STR("a/b.onnx")).len, 0);
    args = (Args){.verb = VERB_BENCH};
    assert_int_equal(output_stats(arena, &args, STR("a/b.onnx")).len, 0);
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
