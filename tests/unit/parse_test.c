/* Trees: precedence, every statement, values of literals; errors: which, how many, where. */
#include "unit.h"
#include "lang/parse.h"
#include "runtime/base/limits.h"

static Ast *parse_text(Session *s, const char *text, bool expression, bool *ok) {
    Source *source = source_make(s->arena, STR("t.mor"), str_from(text), true);
    Ast *ast = NULL;
    *ok = expression ? parse_expr(s, source, &ast) : parse_file(s, source, &ast);
    assert_int_equal(*ok, s->diags.errors == 0);
    return ast;
}

/* An expression with all its parentheses, made here from the tree: a - b - c -> ((a - b) - c). */
static void explicit_form(const Ast *e, Buf *out) {
    if (e->kind == AST_BINARY) {
        buf_char(out, '(');
        explicit_form(e->a, out);
        buf_printf(out, " %s ", ast_op_text[e->op]);
        explicit_form(e->b, out);
        buf_char(out, ')');
    } else if (e->kind == AST_UNARY) {
        buf_printf(out, "(%s ", ast_op_text[e->op]);
        explicit_form(e->a, out);
        buf_char(out, ')');
    } else if (e->kind == AST_IF) {
        buf_printf(out, "(if ");
        explicit_form(e->a, out);
        buf_printf(out, " ? ");
        explicit_form(e->b, out);
        buf_printf(out, " : ");
        explicit_form(e->c, out);
        buf_char(out, ')');
    } else {
        ast_format_expr(e, out);
    }
}

static void groups(const char *text, const char *expected) {
    Session *s = session_open(&sys_real);
    Buf b = buf_on(s->arena);
    bool ok;
    Ast *e = parse_text(s, text, true, &ok);
    assert_true(ok);
    explicit_form(e, &b);
    assert_string_equal(b.data, expected);
    session_close(s);
}

static void precedence(void **state) {
    (void)state;
    groups("a - b - c", "((a - b) - c)");
    groups("x + y - z * w", "((x + y) - (z * w))");
    groups("a | b | c", "((a | b) | c)");
    groups("a * b / c % d", "(((a * b) / c) % d)");
    groups("-a * b", "((- a) * b)");
    groups("!a | b", "((! a) | b)");
    groups("a or b and not c == d", "(a or (b and (not (c == d))))");
    groups("x in 1..2 + 3", "(x in (1 .. (2 + 3)))");
    groups("if a then b else c or d", "(if a ? b : (c or d))");
    groups("if a then if b then c else d else e", "(if a ? (if b ? c : d) : e)");
    groups("not not a", "(not (not a))");
    groups("-2..-1", "((- 2) .. (- 1))");
    groups(".k % 128 == 0 and .dtype == \"float16\"",
           "(((.k % 128) == 0) and (.dtype == \"float16\"))");
    groups("a | b?", "(a | b?)");
    groups("target >= sm_90 or scale == per", "((target >= sm_90) or (scale == per))");
}

static void postfixes(void **state) {
    (void)state;
    static const char *const texts[] = {
        "float(e = 2, m = 1) per block(16) scale e4m3 per tensor scale f32",
        "int8 per token dynamic",
        "llm.router?",
        "linear[.k > 3][.n < 4]?",
        "f(1)(2)",
        "first(conv) | last(conv)",
        "[1, [2], x = 3]",
        "per per scale scale dynamic dynamic",
        "(a)",
        "F per block(max = 128, tail = short)",
        "2:4",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Session *s = session_open(&sys_real);
        Buf b = buf_on(s->arena);
        bool ok;
        ast_format_expr(parse_text(s, texts[i], true, &ok), &b);
        assert_true(ok);
        assert_string_equal(b.data, texts[i]);
        session_close(s);
    }
}

static Ast *literal(Session *s, const char *text) {
    bool ok;
    Ast *e = parse_text(s, text, true, &ok);
    assert_true(ok);
    return e;
}

static void literals(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    assert_int_equal(literal(s, "1_000")->integer, 1000);
    assert_int_equal(literal(s, "0x1F")->integer, 31);
    assert_int_equal(literal(s, "9223372036854775807")->integer, INT64_MAX);
    assert_int_equal(literal(s, "5 GiB")->integer, INT64_C(5) << 30);
    assert_true(literal(s, "1.5 MiB")->number == 1.5 * 1048576);
    assert_false(literal(s, "1e3")->is_int);
    assert_true(literal(s, "1e3")->number == 1000);
    assert_true(literal(s, "3")->is_int);
    assert_int_equal(literal(s, "2:4")->integer, 2);
    assert_int_equal(literal(s, "2:4")->integer2, 4);
    assert_str(literal(s, "\"a\\\"\\\\\\n\\t\\u{e9}\\u{1F600}\"")->text,
               "a\"\\\n\t\xc3\xa9\xf0\x9f\x98\x80");
    assert_str(literal(s, "re\"\\d+\\.\\\"q\"")->text, "\\d+\\.\"q");
    assert_true(literal(s, "true")->flag);
    assert_false(literal(s, "false")->flag);
    session_close(s);
}

/* Every statement of the grammar, and the tree of each on one line. */
static void statements(void **state) {
    (void)state;
    static const struct {
        const char *text, *dump;
    } cases[] = {
        {"mor 1", "EDITION a: NUMBER 1"},
        {"use \"std/llm\"", "USE a: STRING \"std/llm\""},
        {"use \"./a.mor\" as b", "USE b a: STRING \"./a.mor\""},
        {"param a: int", "PARAM a: int"},
        {"param a: float in 0..1 = 0",
         "PARAM a: float a: BINARY .. a: NUMBER 0 b: NUMBER 1 b: NUMBER 0"},
        {"let per = 3", "LET per a: NUMBER 3"},
        {"select s = x?", "SELECT s a: OPTIONAL a: NAME x"},
        {"format f = int4 per channel", "FORMAT f a: PER channel a: NAME int4"},
        {"data d = npz(\"x\")", "DATA d a: CALL a: NAME npz ARG a: STRING \"x\""},
        {"fn f(w) = w", "FN f a: NAME w NAME w"},
        {"fn f(w, s) { let a = w; a }", "FN f {} a: NAME a NAME w NAME s LET a a: NAME w"},
        {"transform t(k: ratio = 2:4) { skip }",
         "TRANSFORM t a: BLOCK STEP a: PATH NAME skip FORMAL k: ratio b: RATIO 2:4"},
        {"transform t() { }", "TRANSFORM t a: BLOCK"},
        {"target sm_89, sm_90", "TARGET NAME sm_89 NAME sm_90"},
        {"emit qdq(opset = 21)", "EMIT a: CALL a: NAME qdq ARG opset a: NUMBER 21"},
        {"include a.b", "INCLUDE a: PATH NAME a NAME b"},
        {"include \"./x.mor\"(k = 1,)", "INCLUDE () a: STRING \"./x.mor\" ARG k a: NUMBER 1"},
        {"stage s { on a { skip } }", "STAGE s ON a: NAME a b: BLOCK STEP a: PATH NAME skip"},
        {"override on a { expect .bits < 5 }",
         "ON override a: NAME a b: BLOCK EXPECT a: BINARY < a: ATTR bits b: NUMBER 5"},
        {"on a { m.t(1) { { skip }; skip } }", "ON a: NAME a b: BLOCK STEP () a: PATH NAME m NAME "
                                               "t b: BLOCK BLOCK STEP a: PATH NAME skip "
                                               "STEP a: PATH NAME skip ARG a: NUMBER 1"},
        {"within 4.6 bits", "WITHIN bits a: NUMBER 4.6"},
        {"within 5 GiB", "WITHIN a: NUMBER 5368709120"},
        {"expect bits <= 5, \"too big\"",
         "EXPECT a: BINARY <= a: NAME bits b: NUMBER 5 b: STRING \"too big\""},
        {"calibrate(data = d)", "STEP () a: PATH NAME calibrate ARG data a: NAME d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Session *s = session_open(&sys_real);
        Buf b = buf_on(s->arena), line = buf_on(s->arena);
        bool ok;
        ast_dump(parse_text(s, cases[i].text, false, &ok), &b);
        assert_true(ok);
        assert_memory_equal(b.data, "RECIPE\n", 7);
        for (const char *p = b.data + 7; *p; p++) { /* indents and line ends become one space */
            if (*p != '\n' && !(*p == ' ' && (line.len == 0 || line.data[line.len - 1] == ' '))) {
                buf_char(&line, *p);
            } else if (*p == '\n' && p[1]) {
                buf_char(&line, ' ');
            }
        }
        assert_string_equal(line.data, cases[i].dump);
        session_close(s);
    }
}

static void doc_comments(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    bool ok;
    Ast *r = parse_text(s, "# plain\n## one\n## two\nparam a: int\n\nparam b: int ## after\n",
                        false, &ok);
    assert_true(ok);
    assert_str(r->kids.at[0]->doc, "one\ntwo");
    assert_str(r->kids.at[1]->doc, "");
    assert_str(r->kids.at[1]->comments->after, "## after");
    session_close(s);
}

static void spans(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    bool ok;
    Ast *r = parse_text(s, "on linear - head {\n  quantize(weight = int4 per block(8))\n}\n", false,
                        &ok);
    Ast *on = r->kids.at[0], *step = on->b->kids.at[0];
    assert_str(span_text(on->a->span), "linear - head");
    assert_str(span_text(on->a->op_span), "-");
    assert_str(span_text(step->span), "quantize(weight = int4 per block(8))");
    assert_str(span_text(step->kids.at[0]->name_span), "weight");
    assert_str(span_text(step->kids.at[0]->a->span), "int4 per block(8)");
    session_close(s);
}

/* ---- errors. Each case: text, the codes and places "CODE line:column", one string a text. */
static const char *places(Session *s) {
    Buf b = buf_on(s->arena);
    Diag **sorted = diags_sorted(&s->diags);
    for (size_t i = 0; i < s->diags.all.len; i++) {
        const Diag *d = sorted[i];
        Place at = d->primary.span.source
                       ? source_place(d->primary.span.source, d->primary.span.offset)
                       : (Place){0, 0};
        buf_printf(&b, "%s%.*s %u:%u", i ? ", " : "", STR_ARG(d->code), at.line, at.column);
    }
    return b.len ? b.data : "";
}

static void fails(const char *text, const char *expected) {
    Session *s = session_open(&sys_real);
    bool ok;
    parse_text(s, text, false, &ok);
    assert_string_equal(places(s), expected);
    session_close(s);
}

/* What follows an error is read again as soon as possible: each text has one more at its end. */
static void recovery(void **state) {
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {
        {"targt sm_90\n", "E0101 1:1"},
        {"let = 4\n", "E0101 1:5"},
        {"let x = \n\n\nlet y = 3\n", "E0101 1:8"},
        {"on linear { quantize(weight = int4 }\n", "E0104 1:21"},
        {"on linear {\n quantize(weight = int4\n}\n", "E0104 2:10"},
        {"on linear {\n smooth(a = 1\n quantize(weight = int4)\n}\n", "E0104 2:8"},
        {"on linear[.k == 0 { skip }\n", "E0101 1:19"},
        {"let x = (1 + 2\n", "E0104 1:9"},
        {"let x = [1, 2\nlet y = 2\n", "E0104 1:9"},
        {"let x = f(\n  a = 1\n  b = 2,\n  c = 3\n)\n", "E0101 3:3"},
        {"on a { on b { skip } }\n", "E0101 1:8"},
        {"on a b {\n  skip\n}\n", "E0101 1:6"},
        {"on a\n{\n  skip\n}\n", "E0101 1:5"},
        {"on linear { skip }}\n", "E0101 1:19"},
        {"let x = 5)\n", "E0101 1:10"},
        {"select a = \"open\n", "E0102 1:12"},
        {"let a = 'x' + 'y'\n", "E0102 1:9, E0102 1:15"},
        {"let a = 4bit\n", "E0102 1:9"},
        {"let a = b && c || d\n", "E0102 1:11"},
        {"let a = $ + $ + $\n", "E0102 1:9"},
        {"let a = a - b | c\n", "E0103 1:9"},
        {"let a = \"\\q\"\n", "E0102 1:10"},
        {"let a = 99999999999999999999\n", "E0102 1:9"},
        {"{\n}\n", "E0101 1:1"},
        {"on a {\n  quantize(weight = )\n  prune(2:4 0.5)\n  skip\n}\n", "E0101 2:21, E0101 3:13"},
        {"fn f(x) { let a = 1\n }\n", "E0101 2:2"},
        {"stage s {\n  on a b\n  emmit qdq\n}\n", "E0101 2:8, E0101 3:3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Session *s = session_open(&sys_real);
        Str text = str_format(s->arena, "%son x\n", cases[i].text);
        uint32_t line = 1;
        for (size_t k = 0; k < strlen(cases[i].text); k++) {
            line += cases[i].text[k] == '\n' ? 1 : 0;
        }
        Str expected = str_format(s->arena, "%s, E0101 %u:5", cases[i].place, line);
        fails(text.data, expected.data);
        session_close(s);
    }
}

static void ends(void **state) {
    (void)state;
    fails("on linear {\n  skip\n", "E0104 1:11");
    fails("stage a {\n  on b {\n    skip\n  }\n", "E0104 1:9");
    fails("stage a {\n  on b {\n    skip\n", "E0104 1:9, E0104 2:8");
    fails("let x = f(a", "E0104 1:10");
    fails("let b = not", "E0101 1:12");
    fails("let b = 3 +   # more\n", "E0101 1:12");
    fails("on", "E0101 1:3");
    fails("param", "E0101 1:6");
    fails("}", "E0101 1:1");
    fails(")", "E0101 1:1");
}

/* The message of the first error, and the label under it. */
static void says(const char *text, const char *message, const char *label) {
    Session *s = session_open(&sys_real);
    bool ok;
    parse_text(s, text, false, &ok);
    assert_true(s->diags.all.len > 0);
    Diag *d = diags_sorted(&s->diags)[0];
    assert_str(d->message, message);
    assert_str(d->primary.text, label);
    session_close(s);
}

static void expectations(void **state) {
    (void)state;
    says("on linear { quantize(weight = int8 input = int8) }", "I did not expect `input`",
         "expected `)` or `,`");
    says("param alpha float = 0.5", "I did not expect `float`", "expected `:`");
    says("mor one", "I did not expect `one`", "expected a number");
    says("use llm", "I did not expect `llm`", "expected a string");
    says("on head skip", "I did not expect `skip`", "expected `{`");
    says("let x =", "the text ends too early", "expected a selector, format or number");
    says("let x = if a then b", "the text ends too early", "expected `else`");
    says("expect a <= 5 \"m\"", "I did not expect `\"m\"`", "expected the end of the line or `,`");
    says("transform t(a: int b: int) { }", "I did not expect `b`", "expected `)`, `,` or `=`");
    says("on a { 3 }", "I did not expect `3`", "expected a step or `}`");
    says("3", "I did not expect `3`", "expected a statement");
    says("let a = b == c == d", "I did not expect `==`", "expected the end of the line");
    says("overide on a { skip }", "`overide` begins no statement", "did you mean `override`?");
    says("on a { expct .bits < 3 }", "`expct` begins no statement", "did you mean `expect`?");
    says("format f = int8 pre channel", "I did not expect `pre`", "did you mean `per`?");
    says("let x = if a thn b else c", "I did not expect `thn`", "did you mean `then`?");
    says("let x = 5)", "`)` closes nothing", "no `(` is open here");
    says("let x = f(1, 2]", "I did not expect `]`", "expected `)` or `,`");
    says("on 'a' { skip }", "strings are written with double quotes", "did you mean \"a\"?");
}

static void mixing(void **state) {
    (void)state;
    static const char *const wrong[] = {"a - b | c",  "a | b - c", "a & b | c",
                                        "a | b & c",  "a + b | c", "a << b >> c",
                                        "a - b << c", "a | b * c", "f(a | b - c)"};
    static const char *const right[] = {"(a - b) | c", "a | (b - c)",   "a - b - c",
                                        "a | b | c",   "a + b * c - d", "a - -b",
                                        "!a | b",      "a == b | c",    "a..b - c"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Session *s = session_open(&sys_real);
        bool ok;
        parse_text(s, wrong[i], true, &ok);
        assert_int_equal(s->diags.errors, 1);
        const Diag *d = s->diags.all.at[0];
        assert_str(d->code, "E0103");
        assert_int_equal(d->fixes.len, 2);
        for (size_t k = 0; k < 2;
             k++) { /* each reading is itself an expression without this fault */
            Session *again = session_open(&sys_real);
            parse_text(again, str_c(s->arena, d->fixes.at[k].text), true, &ok);
            assert_true(ok);
            session_close(again);
        }
        session_close(s);
    }
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        Session *s = session_open(&sys_real);
        bool ok;
        parse_text(s, right[i], true, &ok);
        assert_true(ok);
        session_close(s);
    }
}

static void expression_errors(void **state) {
    (void)state;
    static const char *const wrong[] = {"",       "1 2", "let x = 3", "(1",   "1)",    "a b c d",
                                        "\"open", "$",   "f(,)",      "1\n2", "skip }"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Session *s = session_open(&sys_real);
        bool ok;
        parse_text(s, wrong[i], true, &ok);
        assert_int_equal(s->diags.errors, 1);
        session_close(s);
    }
}

/* ---- limits */
static void too_much(Session *s, const char *text, bool expression) {
    bool ok;
    parse_text(s, text, expression, &ok);
    assert_false(ok);
    assert_str(vec_last(&s->diags.all)->code, "E0106");
    assert_true(s->diags.errors <= 2); /* a brace where no brace may be is an error of its own */
}

static const char *repeated(Session *s, const char *head, const char *part, size_t n,
                            const char *tail) {
    Buf b = buf_on(s->arena);
    buf_str(&b, str_from(head));
    for (size_t i = 0; i < n; i++) {
        buf_str(&b, str_from(part));
    }
    buf_str(&b, str_from(tail));
    return b.data;
}

static void limits(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    static const struct {
        const char *head, *part;
        size_t n;
        const char *tail;
    } cases[] = {
        {"", "a", LIMIT_RECIPE_BYTES + 1, ""},
        {"let x = ", "(", 100, "1"},
        {"", "{", 100, ""},
        {"on a ", "{", 100, ""},
        {"let x = a", " + a", 100000, ""},
        {"let x = a", "?", 500000, ""},
        {"let x = ", "not ", 200000, "a"},
        {"let x = ", "-", 900000, "a"},
        {"let x = ", "if a then ", 50000, "a"},
        {"let x = a", ".b", 300000, ""},
        {"target a", ", a", 300000, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        too_much(s, repeated(s, cases[i].head, cases[i].part, cases[i].n, cases[i].tail), false);
        diags_clear(&s->diags);
    }
    bool ok;
    parse_text(s, repeated(s, "", "(", LIMIT_BRACKET_DEPTH, "1"), true, &ok);
    assert_str(s->diags.all.at[0]->code, "E0104");
    diags_clear(&s->diags);
    Ast *e = parse_text(s, repeated(s, "a", " + a", 4900, ""), true, &ok);
    assert_true(ok);
    Buf b = buf_on(s->arena);
    ast_dump(e, &b);
    ast_format_expr(e, &b);
    session_close(s);
}

/* A text full of faults costs time and memory in proportion, and reading stops in the end. */
static void many_errors(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    bool ok;
    parse_text(s, repeated(s, "", ")\n", 500000, ""), false, &ok);
    assert_false(ok);
    assert_int_equal(s->diags.errors, DIAGS_KEPT);
    session_close(s);
}

static void not_text(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    bool ok;
    parse_text(s, "let a = \"\xff\"", false, &ok);
    assert_string_equal(places(s), "E0102 1:10");
    diags_clear(&s->diags);
    Ast *ast = NULL;
    assert_false(parse_file(s, source_make(s->arena, STR("t"), (Str){"a\0", 2}, true), &ast));
    assert_str(s->diags.all.at[0]->code, "E0102");
    session_close(s);
}

/* What could be parsed is there in spite of errors: names for completion, later. */
static void tree_of_broken_text(void **state) {
    (void)state;
    static const char *const texts[] = {"let a = 1\nlet b = \nlet c = 3\n", "let a = 1\nlet c = (3",
                                        "let a = 1\non x {\n  skip\n", "let a = 1\n}\n",
                                        "let a = 1\n$\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Session *s = session_open(&sys_real);
        bool ok;
        Ast *ast = parse_text(s, texts[i], false, &ok);
        assert_false(ok);
        assert_non_null(ast);
        assert_true(ast->kids.len >= 1);
        assert_str(ast->kids.at[0]->name, "a");
        session_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(postfixes),
        cmocka_unit_test(literals),
        cmocka_unit_test(statements),
        cmocka_unit_test(doc_comments),
        cmocka_unit_test(spans),
        cmocka_unit_test(recovery),
        cmocka_unit_test(ends),
        cmocka_unit_test(expectations),
        cmocka_unit_test(mixing),
        cmocka_unit_test(expression_errors),
        cmocka_unit_test(limits),
        cmocka_unit_test(many_errors),
        cmocka_unit_test(not_text),
        cmocka_unit_test(tree_of_broken_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
