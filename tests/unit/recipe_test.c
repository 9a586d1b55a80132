/* What the printer writes is a recipe again: the same one. */
#include "compiler/vocabulary.h"
#include "lang/parse.h"
#include "tests/unit/unit.h"

static const char *print(Session *s, Str text) {
    const Source *source = source_make(s->arena, STR("r.mor"), text, true);
    const ResolveOptions options = {.vocabulary = &morc_vocabulary,
                                    .elements = morc_elements,
                                    .ops = morc_ops,
                                    .targets = morc_targets};
    Ast *ast = NULL;
    Recipe *recipe = NULL;
    if (!parse_file(s, source, &ast) || !resolve(s, ast, &options, &recipe)) {
        fail_msg("%.*s\n%s", STR_ARG(text), unit_diags(s));
    }
    Buf out = buf_on(s->arena);
    recipe_print(recipe, &out);
    return out.data;
}

static void printing_twice_changes_nothing(void **state) {
    (void)state;
    static const char *const texts[] = {
        "on linear - (head | first(conv, 3)) { prune(0.25); quantize(weight = int4 per block(32, "
        "tail = short)) }",
        "on !(\"**.{a,b}\" & re\"a\\\"\\d+\")? { skip }",
        "on op(\"com.x::Y\") | MatMul | block(-2..-1) | between(head, Conv) { quantize(weight = "
        "mxfp8) }",
        "on all[.k % 2 == 0 and (.op == \"a\\\"b\" or not .const) and .n in [1, 2] and .k in 3..9] "
        "{ skip }",
        "on all[(if .k > 3 then .n else -.k) + 1 > 0.5] { quantize(weight = e4m3 per block(8) "
        "scale e8m0) }",
        "on linear { prune(1:4); expect matches >= 1; expect .bits < 4.25 and .cosine > 1e-7, "
        "\"so\\n\" }\n"
        "expect bits(linear) + sparsity(\"a\") * 2 < 1000000000000000.0\nexpect size < 5 GiB\nemit "
        "ort(opset = 21)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Session *s = session_open(&sys_real);
        const char *once = print(s, str_from(texts[i]));
        assert_string_equal(print(s, str_from(once)), once);
        session_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(printing_twice_changes_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
