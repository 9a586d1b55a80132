/* compiler/args.c: what a command line means, and what a wrong one is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "compiler/args.h"

typedef struct Line {
    Session *s;
    Args args;
    bool ok;
    Str message;
} Line;

static Line parse(const char *const *words) {
    Line line = {.s = session_open(&sys_real)};
    int argc = 0;
    char *argv[16];
    while (words[argc]) {
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    argv[argc] = NULL;
    line.ok = args_parse(line.s, argc, argv, &line.args);
    Buf b = buf_on(line.s->arena);
    diags_render(&line.s->diags, &b, false);
    line.message = buf_view(&b);
    return line;
}

#define PARSE(...) parse((const char *const[]){"morc", __VA_ARGS__, NULL})

static void assert_says(const Line *line, const char *part) {
    assert_false(line->ok);
    if (!strstr(line->message.data, part)) {
        fail_msg("`%s` is not in:\n%s", part, line->message.data);
    }
}

static void flags_may_stand_anywhere(void **state) {
    (void)state;
    Line a = PARSE("r.mor", "-p", "alpha=0.5", "m.onnx", "-oout.onnx", "--threads=3", "-f",
                   "--cache-dir", "../cache");
    assert_true(a.ok);
    assert_int_equal(a.args.verb, VERB_RUN);
    assert_int_equal(a.args.files.len, 2);
    assert_true(str_is(a.args.output, "out.onnx"));
    assert_int_equal(a.args.threads, 3);
    assert_true(str_is(a.args.cache_dir, "../cache"));
    assert_true(a.args.force);
    assert_true(str_is(a.args.params.at[0].name, "alpha"));
    assert_true(str_is(a.args.params.at[0].expr, "0.5"));
    session_close(a.s);
}

static void a_recipe_is_told_from_a_verb(void **state) {
    (void)state;
    Line plan = PARSE("plan", "r.mor", "m.onnx"), file = PARSE("./plan", "m.onnx");
    assert_true(plan.ok && plan.args.verb == VERB_PLAN && plan.args.files.len == 2);
    assert_true(file.ok && file.args.verb == VERB_RUN);
    Line typo = PARSE("paln", "r.mor", "m.onnx");
    assert_says(&typo, "did you mean `plan`?");
    Line later = PARSE("repl");
    assert_says(&later, "not in this build");
    session_close(plan.s);
    session_close(file.s);
    session_close(typo.s);
    session_close(later.s);
}

static void inline_recipes_need_only_a_model(void **state) {
    (void)state;
    Line run = PARSE("-e", "on linear { skip }", "m.onnx");
    assert_true(run.ok && run.args.has_inline && run.args.verb == VERB_RUN);
    Line plan = PARSE("plan", "-e", "on linear { skip }", "m.onnx");
    assert_true(plan.ok && plan.args.verb == VERB_PLAN && plan.args.files.len == 1);
    session_close(run.s);
    session_close(plan.s);
}

static void dry_run_is_plan(void **state) {
    (void)state;
    Line a = PARSE("-n", "r.mor", "m.onnx");
    assert_true(a.ok && a.args.verb == VERB_PLAN);
    session_close(a.s);
}

static void sizes_have_units(void **state) {
    (void)state;
    Line a = PARSE("r.mor", "m.onnx", "--memory", "300MiB");
    assert_true(a.ok && a.args.memory == 300u << 20);
    static const char *const bad[] = {"300MB", "x", "0", "99999999999GiB"};
    for (size_t i = 0; i < 4; i++) {
        Line b = PARSE("r.mor", "m.onnx", "--memory", bad[i]);
        assert_says(&b, "a size such as 300MiB");
        session_close(b.s);
    }
    session_close(a.s);
}

static void nothing_is_ignored(void **state) {
    (void)state;
    static const struct {
        const char *words[7], *says;
    } cases[] = {
        {{"morc", "r.mor", "m.onnx", "--outptu", "x"}, "did you mean `--output`?"},
        {{"morc", "r.mor", "m.onnx", "-o"}, "takes FILE"},
        {{"morc", "r.mor", "m.onnx", "extra.onnx"}, "too many arguments"},
        {{"morc", "r.mor"}, "something is missing"},
        {{"morc", "r.mor", "m.onnx", "-ox", "-oy"}, "given twice"},
        {{"morc", "r.mor", "m.onnx", "-p", "alpha"}, "NAME=EXPR"},
        {{"morc", "fmt", "r.mor", "-f"}, "does not take `--force`"},
        {{"morc", "r.mor", "m.onnx", "--threads", "0"}, "a number from 1 to 256"},
        {{"morc", "r.mor", "m.onnx", "--color", "red"}, "auto, always or never"},
        {{"morc", "r.mor", "m.onnx", "--device", "cuda:"}, "auto, host, cuda or cuda:N"},
        {{"morc", "doctor", "--device", "cuda1"}, "auto, host, cuda or cuda:N"},
        {{"morc", "doctor", "--device", "cuda:-1"}, "auto, host, cuda or cuda:N"},
        {{"morc", "r.mor", "m.onnx", "--threads", "+3"}, "a number from 1 to 256"},
        {{"morc", "r.mor", "m.onnx", "--threads", "99999999999999999999"}, "a number from 1"},
        {{"morc", "r.mor", "m.onnx", "--quiet=yes"}, "no flag `--quiet=yes`"},
        {{"morc", "r.mor", "m.onnx", "--deny", "errors"}, "takes `warnings`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Line line = parse(cases[i].words);
        assert_says(&line, cases[i].says);
        assert_int_equal(line.s->diags.errors, 1);
        session_close(line.s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_may_stand_anywhere),
        cmocka_unit_test(a_recipe_is_told_from_a_verb),
        cmocka_unit_test(inline_recipes_need_only_a_model),
        cmocka_unit_test(dry_run_is_plan),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(nothing_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
