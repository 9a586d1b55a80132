/* The resolved recipe as data, limits, and hostile texts. What messages look like is shown by
 * tests/golden/recipe. */
#include "compiler/vocabulary.h"
#include "lang/parse.h"
#include "kernels/kernels.h"
#include "lang/resolve_parts.h"
#include "tests/unit/unit.h"

typedef struct Case {
    Session *s;
    Recipe *recipe;
    bool ok;
} Case;

static bool std_file(void *user, Str name, Str *text) {
    *text = *(Str *)user;
    return str_is(name, "test");
}

static Case resolve_with(const char *text, ResolveOptions options) {
    Case c = {.s = session_open(&sys_real)};
    options.vocabulary = &morc_vocabulary;
    options.elements = morc_elements;
    options.ops = morc_ops;
    options.targets = morc_targets;
    const Source *source = source_make(c.s->arena, STR("r.mor"), str_from(text), true);
    Ast *ast = NULL;
    if (!parse_file(c.s, source, &ast)) {
        fail_msg("%s", unit_diags(c.s));
    }
    c.ok = resolve(c.s, ast, &options, &c.recipe);
    assert_int_equal(c.ok, c.s->diags.errors == 0);
    return c;
}

static Case good(const char *text) {
    Case c = resolve_with(text, (ResolveOptions){0});
    if (!c.ok) {
        fail_msg("%s", unit_diags(c.s));
    }
    return c;
}

static const Value *first_arg(const Case *c, const char *name) {
    return step_arg(c->recipe->stages.at[0].rules.at[0].steps.at[0], name)->value;
}

static const FormatValue *weight(const char *format, Case *c) {
    char text[200];
    snprintf(text, sizeof text, "on linear { quantize(weight = %s) }", format);
    *c = good(text);
    return first_arg(c, "weight")->format;
}

static void block_formats_are_spelled_out(void **state) {
    (void)state;
    Case c;
    const FormatValue *f = weight("nvfp4", &c);
    assert_str(f->element, "e2m1");
    assert_str(f->spelled, "nvfp4");
    assert_int_equal(f->per, PER_BLOCK);
    assert_int_equal(f->block, 16);
    assert_str(f->scale->element, "e4m3");
    assert_int_equal(f->scale->per, PER_TENSOR);
    assert_str(f->scale->scale->element, "f32");
    assert_float_equal(format_bits(f, 16), 4.5, 0);
    session_close(c.s);
    f = weight("float(e = 2, m = 1) per block(16) scale e4m3 per tensor scale f32", &c);
    assert_int_equal(f->block, 16);
    assert_int_equal(f->scale->per, PER_TENSOR);
    assert_null(f->scale->scale->scale);
    session_close(c.s);
    f = weight("mxfp4", &c);
    assert_str(f->scale->element, "e8m0");
    assert_float_equal(format_bits(f, 32), 4.25, 0);
    session_close(c.s);
    f = weight("fp8", &c);
    assert_str(f->element, "e4m3");
    assert_int_equal(f->per, PER_DEFAULT);
    assert_null(f->scale);
    session_close(c.s);
    f = weight("uint(4) per block(max = 64)", &c);
    assert_str(f->element, "uint4");
    assert_int_equal(f->block_max, 64);
    assert_int_equal(f->block, 0);
    session_close(c.s);
}

static void elements_agree_with_the_kernels(void **state) {
    (void)state;
    for (int i = 0; i < format_count; i++) {
        const ElementInfo *e = morc_elements;
        while (e->name && strcmp(e->name, formats[i].name) != 0) {
            e++;
        }
        assert_non_null(e->name);
        assert_int_equal(e->bits, formats[i].bits);
        assert_int_equal(e->integer, formats[i].integer);
        assert_int_equal(e->scale_only, formats[i].scale_only);
        if (!e->integer) { /* a sign bit, but for e8m0 */
            assert_int_equal(e->bits, e->exponent + e->mantissa + !e->unsigned_);
        }
    }
}

/* The default of every parameter parses and fits: each row of the vocabulary is used once. */
static void defaults_of_the_vocabulary_fit(void **state) {
    (void)state;
    Case c =
        resolve_with("data d = npz(\"x\")\nfn f(w) = w\nformat g = code(4, f, f)\n"
                     "calibrate(data = d, method = percentile)\nevaluate(d)\n"
                     "let n = [1]\ndata a = npy(\"x\")\ndata b = tokens(\"x\")\n"
                     "data e = images(\"x\")\ndata h = safetensors(\"x\")\ndata i = random()\n"
                     "on linear { smooth(); rotate(); awq(); prune(2:4, method = sparsegpt) }\n"
                     "on conv { choose { quantize(weight = int8, round = gptq) } }\n"
                     "on head { quantize(weight = int8, round = adaround); finetune(d, 3) }\n"
                     "emit hf(modelopt)\n",
                     (ResolveOptions){0});
    for (size_t i = 0; i < c.s->diags.all.len; i++) {
        assert_str(c.s->diags.all.at[i]->code, "E0001");
    }
    session_close(c.s);
}

static void ops_are_sorted(void **state) {
    (void)state;
    for (int i = 1; morc_ops[i]; i++) {
        assert_true(strcmp(morc_ops[i - 1], morc_ops[i]) < 0);
    }
}

static void every_argument_has_its_place(void **state) {
    (void)state;
    Case c = good("on linear { quantize(weight = int8 per channel) }");
    const Step *step = c.recipe->stages.at[0].rules.at[0].steps.at[0];
    for (size_t i = 0; i < step->args.len; i++) {
        assert_ptr_equal(step->args.at[i].param, &step->schema->params[i]);
    }
    assert_str(first_arg(&c, "method")->text, "max");
    assert_false(step_arg(step, "method")->given);
    assert_true(step_arg(step, "weight")->given);
    assert_true(first_arg(&c, "input")->format->none);
    assert_str(str_from(c.recipe->emit->schema->name), "qdq");
    assert_false(c.recipe->emit_written);
    session_close(c.s);
}

static void numbers_fold(void **state) {
    (void)state;
    static const struct {
        const char *text, *printed;
    } rows[] = {
        {"7 / 2", "3.5"},
        {"8 / 2", "4"},
        {"7 % 4", "3"},
        {"-7 % 4", "-3"},
        {"1e0 + 1", "2.0"},
        {"2 * 3 - 10", "-4"},
        {"0x1f", "31"},
        {"-(3 - 5)", "2"},
        {"9223372036854775807 + 1", "9.223372036854776e+18"},
        {"1e-9", "1e-09"},
        {"7.5 % 2", "1.5"},
        {"[3, 4][1]", "4"},
        {"if 1 < 2 then 5 else 6", "5"},
        {"5 MiB", "5242880"},
        {"0.1 + 0.2", "0.30000000000000004"},
        {"1e6 / 1", "1000000.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        snprintf(text, sizeof text, "let x = %s\nexpect bits(linear) < x", rows[i].text);
        Case c = good(text);
        const Expr *e = c.recipe->expects.at[0].condition;
        Buf out = buf_on(c.s->arena);
        value_print(e->b->value, &out);
        assert_string_equal(out.data, rows[i].printed);
        session_close(c.s);
    }
}

static void conditions_fold(void **state) {
    (void)state;
    static const char *const true_ones[] = {
        "1 == 1.0",          "\"a\" != \"b\"",
        "not (2:4 == 1:4)",  "3 in 1..4 and not 5 in 1..4",
        "4 in 1..4",         "\"x\" in [\"x\", \"y\"]",
        "sm_90 < sm_100",    "target == sm_90",
        "true or false",     "[1, 2] == [1, 2]",
        "not [1] == [1, 2]", "2:4 in [1:4, 2:4]",
        "1 < 2 and 2 >= 2",
    };
    for (size_t i = 0; i < sizeof true_ones / sizeof *true_ones; i++) {
        char text[200];
        snprintf(text, sizeof text, "target sm_90\nexpect %s", true_ones[i]);
        Case c = good(text);
        const Expr *e = c.recipe->expects.at[0].condition;
        assert_int_equal(e->kind, EXPR_CONST);
        assert_true(e->value->flag);
        session_close(c.s);
    }
}

static void targets_are_picked(void **state) {
    (void)state;
    const char *text = "target sm_89, sm_90\non linear { skip }";
    Case c = resolve_with(text, (ResolveOptions){.target = STR("sm_90"), .local_sm = 89});
    assert_int_equal(c.recipe->target, 90);
    session_close(c.s);
    c = resolve_with(text, (ResolveOptions){.local_sm = 90});
    assert_int_equal(c.recipe->target, 90);
    session_close(c.s);
    c = resolve_with(text, (ResolveOptions){.local_sm = 120});
    assert_int_equal(c.recipe->target, 89);
    session_close(c.s);
    c = resolve_with("on linear { skip }", (ResolveOptions){0});
    assert_int_equal(c.recipe->target, 0);
    session_close(c.s);
}

static void parameters_come_from_outside(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    ParamGiven given = {STR("f"), NO_SPAN,
                        source_make(s->arena, STR("x"), STR("int4 per block(n)"), false)};
    Case c = resolve_with("param n: int in [16, 32] = 32\nparam f: format = fp8\n"
                          "on linear { quantize(weight = f) }",
                          (ResolveOptions){.params = &given, .param_count = 1});
    assert_true(c.ok);
    assert_int_equal(first_arg(&c, "weight")->format->block, 32);
    assert_true(c.recipe->params.at[1].given);
    assert_str(c.recipe->params.at[1].initial->format->spelled, "fp8");
    assert_str(c.recipe->params.at[0].type_text, "int in [16, 32]");
    session_close(c.s);
    given = (ParamGiven){STR("m"), NO_SPAN, source_make(s->arena, STR("x"), STR("1"), false)};
    c = resolve_with("param n: int = 1\non linear { skip }",
                     (ResolveOptions){.params = &given, .param_count = 1});
    assert_non_null(strstr(unit_diags(c.s), "| -p m=1\n   |    ^")); /* a place of its own */
    session_close(c.s);
    session_close(s);
}

static void std_is_read_through_the_options(void **state) {
    (void)state;
    Str text = STR("select s = linear[.n > 4]\ntransform t() { prune(0.5) }\n");
    Case c = resolve_with("use \"std/test\" as x\non x.s { x.t() }",
                          (ResolveOptions){.std_file = std_file, .user = &text});
    assert_true(c.ok);
    assert_int_equal(c.recipe->stages.at[0].rules.at[0].selector->kind, SELECT_FILTER);
    assert_int_equal(c.recipe->sources.len, 2);
    session_close(c.s);
    text = STR("use \"./r.mor\"\n"); /* std reaches only std */
    c = resolve_with("use \"std/test\" as x\non linear { skip }",
                     (ResolveOptions){.std_file = std_file, .user = &text});
    assert_false(c.ok);
    assert_str(c.s->diags.all.at[0]->code, "E0805");
    session_close(c.s);
}

static void stages_keep_their_order(void **state) {
    (void)state;
    Case c = good("stage a { on linear { skip }\n on conv { skip\n expect matches > 0 } }\n"
                  "expect count(linear) > 0\non linear { skip }\non conv { skip }\n");
    assert_int_equal(c.recipe->stages.len, 2);
    assert_str(c.recipe->stages.at[0].name, "a");
    assert_str(c.recipe->stages.at[1].name, "main"); /* where its first rule stands */
    assert_int_equal(c.recipe->stages.at[1].rules.len, 2);
    assert_int_equal(c.recipe->expects.at[0].stage, 0);
    assert_int_equal(c.recipe->expects.at[0].rule, 1);
    assert_int_equal(c.recipe->expects.at[1].rule, -1);
    session_close(c.s);
    static const char *const wrong[][2] = {
        {"stage a { on linear { skip } }\nstage a { on conv { skip } }\n", "E0205"},
        {"on linear { skip }\nstage main { on conv { skip } }\n", "E0205"},
        {"stage main { on conv { skip } }\non linear { skip }\n", "E0205"},
        {"on linear { skip }\nstage a { on conv { skip } }\non conv { skip }\non MatMul { skip }\n",
         "E0209"},
        {"stage a { stage b { on conv { skip } } }\n", "E0209"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        c = resolve_with(wrong[i][0], (ResolveOptions){0});
        assert_false(c.ok);
        assert_int_equal(c.s->diags.errors, 1);
        assert_str(c.s->diags.all.at[0]->code, wrong[i][1]);
        session_close(c.s);
    }
}

static void links_do_not_lead_out(void **state) {
    (void)state;
    char *outside = unit_directory(), *inside = unit_directory(), path[4200], text[100];
    snprintf(path, sizeof path, "%s/secret.mor", outside);
    unit_write(path, "let a = 1\n", 10);
    char link[4200];
    snprintf(link, sizeof link, "%s/link.mor", inside);
    assert_int_equal(symlink(path, link), 0);
    snprintf(path, sizeof path, "%s/r.mor", inside);
    snprintf(text, sizeof text, "use \"./link.mor\" as x\non linear { skip }\n");
    Session *s = session_open(&sys_real);
    const Source *source = source_make(s->arena, str_from(path), str_from(text), true);
    ResolveOptions options = {.vocabulary = &morc_vocabulary, .elements = morc_elements};
    Ast *ast;
    Recipe *recipe;
    assert_true(parse_file(s, source, &ast));
    assert_false(resolve(s, ast, &options, &recipe));
    assert_str(s->diags.all.at[0]->code, "E0805");
    session_close(s);
    unit_remove(inside);
    unit_remove(outside);
}

static void expect_code(const char *text, const char *code) {
    Case c = resolve_with(text, (ResolveOptions){0});
    assert_int_equal(c.s->diags.errors, 1);
    assert_str(c.s->diags.all.at[0]->code, code);
    session_close(c.s);
}

/* A wrong value is told once, where it is wrong, and not by those who use it. */
static void errors_do_not_cascade(void **state) {
    (void)state;
    expect_code(
        "let a = nothing\nlet b = a + 1\nselect c = linear[.k > b]\nformat d = int4 per block(a)\n"
        "on c { prune(2:4); quantize(weight = d, method = mse) }\non b { quantize(weight = a) }\n"
        "expect bits < a",
        "E0201");
    expect_code("use \"./nothing.mor\" as x\non x.a { x.b(); quantize(weight = x.c) }\ninclude x\n",
                "E0802");
    expect_code("transform t(a: nothing) { prune(a) }\non linear { t(3) }", "E0201");
}

static char *doubled(const char *first, const char *pattern, int count, const char *last) {
    size_t size = strlen(first) + strlen(last) + (size_t)count * 64 + 1, n;
    char *text = malloc(size);
    n = (size_t)snprintf(text, size, "%s", first);
    for (int i = 0; i < count; i++) {
        n += (size_t)snprintf(text + n, size - n, pattern, i + 1, i, i);
    }
    snprintf(text + n, size - n, "%s", last);
    return text;
}

/* 2^60 parts, chains of 30,000 names, transforms in transforms: E0106, soon. */
static void growth_is_bounded(void **state) {
    (void)state;
    static const struct {
        const char *first, *pattern, *last;
        int count;
    } rows[] = {
        {"select s0 = linear\n", "select s%d = s%d & s%d\n", "on s60 { skip }", 60},
        {"transform t0() { }\n", "transform t%d() { t%d(); t%d() }\n", "on linear { t60() }", 60},
        {"let a0 = 1\n", "let a%d = a%d + 0 * a%d\n", "", 30000},
    };
    for (size_t i = 0; i < 2; i++) {
        char *text = doubled(rows[i].first, rows[i].pattern, rows[i].count, rows[i].last);
        expect_code(text, "E0106");
        free(text);
    }
    Buf back = buf_on(arena_open()); /* each needs the next: as deep as it is long */
    for (int i = 0; i < 20000; i++) {
        buf_printf(&back, "let a%d = a%d\n", i, i + 1);
    }
    buf_printf(&back, "let a20000 = 1\n");
    expect_code(back.data, "E0106");
    arena_close(back.arena);
    char *text = doubled(rows[2].first, rows[2].pattern, rows[2].count, "on linear { skip }");
    Case c = good(text); /* forwards it is shallow, and long is fine */
    session_close(c.s);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_formats_are_spelled_out),
        cmocka_unit_test(elements_agree_with_the_kernels),
        cmocka_unit_test(defaults_of_the_vocabulary_fit),
        cmocka_unit_test(ops_are_sorted),
        cmocka_unit_test(every_argument_has_its_place),
        cmocka_unit_test(numbers_fold),
        cmocka_unit_test(conditions_fold),
        cmocka_unit_test(targets_are_picked),
        cmocka_unit_test(parameters_come_from_outside),
        cmocka_unit_test(std_is_read_through_the_options),
        cmocka_unit_test(stages_keep_their_order),
        cmocka_unit_test(links_do_not_lead_out),
        cmocka_unit_test(errors_do_not_cascade),
        cmocka_unit_test(growth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
