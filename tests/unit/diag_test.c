/* diag: the text form, byte for byte, for each shape of diagnostic; JSON; limits; no duplicates. */
#include "tests/unit/unit.h"
#include "runtime/base/limits.h"
#include <cjson/cJSON.h>

static Session *s;

static int open_session(void **state) {
    (void)state;
    s = session_open(&sys_real);
    return 0;
}

static int close_session(void **state) {
    (void)state;
    session_close(s);
    return 0;
}

static Source *file(const char *name, int blank_lines, const char *text) {
    Buf b = buf_on(s->arena);
    buf_repeat(&b, '\n', (size_t)blank_lines);
    buf_str(&b, str_from(text));
    return source_make(s->arena, str_from(name), buf_view(&b), true);
}

/* The first place of `text` in a source, from its nth line on. */
static Span at(const Source *source, const char *text) {
    const char *found = strstr(source->text.data, text);
    assert_non_null(found);
    return (Span){source, (uint32_t)(found - source->text.data), (uint32_t)strlen(text)};
}

static void expect_text(const char *expected) {
    assert_string_equal(unit_diags(s), expected);
    diags_clear(&s->diags);
}

static void one_line(void **state) {
    (void)state;
    const Source *r = file("nvfp4.mor", 8, "on linear - \"**.lm_haed\" {\n");
    Diag *d = diag_error(s, "E0301", at(r, "\"**.lm_haed\""),
                         "this pattern matches no layer of %s", "llama-3.2-1b.onnx");
    diag_label(d, "0 of %s nodes", "1,482");
    diag_line(d, "nearest: `lm_head`");
    diag_note(d, "as written, lm_head (%s weights) would be quantized", "262.7 M");
    diag_help(d, "did you mean \"**.lm_head\"?  The built-in `head` finds it without a name.");
    expect_text("error[E0301]: this pattern matches no layer of llama-3.2-1b.onnx\n"
                "  --> nvfp4.mor:9:13\n"
                "   |\n"
                " 9 | on linear - \"**.lm_haed\" {\n"
                "   |             ^^^^^^^^^^^^ 0 of 1,482 nodes\n"
                "   |\n"
                "   = nearest: `lm_head`\n"
                "   = note: as written, lm_head (262.7 M weights) would be quantized\n"
                "   = help: did you mean \"**.lm_head\"?  The built-in `head` finds it without a name.\n");
}

static void continued_line_and_wide_gutter(void **state) {
    (void)state;
    const Source *r = file("sq.mor", 14, "  smooth(aplha = 0.5)\n");
    Diag *d = diag_error(s, "E0202", at(r, "aplha"), "`smooth` has no argument `aplha`");
    diag_label(d, "did you mean `alpha`?");
    diag_line(d, "arguments of `smooth`:\nalpha  float\nfold   auto | never");
    expect_text("error[E0202]: `smooth` has no argument `aplha`\n"
                "  --> sq.mor:15:10\n"
                "    |\n"
                " 15 |   smooth(aplha = 0.5)\n"
                "    |          ^^^^^ did you mean `alpha`?\n"
                "    |\n"
                "    = arguments of `smooth`:\n"
                "      alpha  float\n"
                "      fold   auto | never\n");
}

static void secondary_spans(void **state) {
    (void)state;
    const Source *r = file("mixed.mor", 11,
                           "on linear - head {\n  quantize(weight = int8)\n}\n\non \"**.down_proj\" {\n}");
    Diag *d = diag_error(s, "E0401", at(r, "on \"**"), "16 layers get two `encode` stacks");
    d->primary.span = at(r, "\"**.down_proj\"");
    diag_label(d, "second rule: 16 layers");
    diag_span(d, at(r, "linear - head"), "first rule: 112 layers");
    diag_span(d, at(r, "  quantize"), "here");
    diag_line(d, "layers.0");
    expect_text("error[E0401]: 16 layers get two `encode` stacks\n"
                "  --> mixed.mor:16:4\n"
                "    |\n"
                " 12 | on linear - head {\n"
                "    |    ------------- first rule: 112 layers\n"
                " 13 |   quantize(weight = int8)\n"
                "    | ---------- here\n"
                " ...\n"
                " 16 | on \"**.down_proj\" {\n"
                "    |    ^^^^^^^^^^^^^^ second rule: 16 layers\n"
                "    |\n"
                "    = layers.0\n");
}

static void adjacent_lines_and_the_same_line(void **state) {
    (void)state;
    const Source *r = file("fp8.mor", 2, "  quantize(weight = fp8\n}\n");
    Diag *d = diag_error(s, "E0104", at(r, "("), "unclosed `(`");
    diag_label(d, "opened here and never closed");
    diag_span(d, at(r, "}"), "I was still inside the parentheses here");
    diag_span(d, at(r, "fp8"), "twice");
    expect_text("error[E0104]: unclosed `(`\n"
                "  --> fp8.mor:3:11\n"
                "   |\n"
                " 3 |   quantize(weight = fp8\n"
                "   |           ^ opened here and never closed\n"
                "   |                     --- twice\n"
                " 4 | }\n"
                "   | - I was still inside the parentheses here\n");
}

static void pseudo_sources_have_no_lines(void **state) {
    (void)state;
    const Source *c = source_make(s->arena, STR("command line"),
                                  STR("morc sq.mor model.onnx -p aplha=0.7"), false);
    Diag *d = diag_error(s, "E0207", at(c, "aplha"), "this recipe has no parameter `aplha`");
    diag_label(d, "did you mean `alpha`?");
    diag_line(d, "parameters of sq.mor:\nalpha   float");
    expect_text("error[E0207]: this recipe has no parameter `aplha`\n"
                "  --> command line\n"
                "   |\n"
                "   | morc sq.mor model.onnx -p aplha=0.7\n"
                "   |                           ^^^^^ did you mean `alpha`?\n"
                "   |\n"
                "   = parameters of sq.mor:\n"
                "     alpha   float\n");
}

static void other_files_and_no_file(void **state) {
    (void)state;
    const Source *a = file("a.mor", 0, "use b\n"), *b = file("b.mor", 99, "skip\n");
    Diag *d = diag_error(s, "E0801", at(a, "b"), "import cycle");
    diag_span(d, at(b, "skip"), "from here");
    expect_text("error[E0801]: import cycle\n"
                "  --> a.mor:1:5\n"
                "     |\n"
                "   1 | use b\n"
                "     |     ^\n"
                "  ::: b.mor:100:1\n"
                "     |\n"
                " 100 | skip\n"
                "     | ---- from here\n");
    d = diag_error(s, "E1001", NO_SPAN, "truncated tensor");
    diag_where(d, "m\x1b.onnx: @0x1f40");
    diag_note(d, "why");
    diag_warning(s, "W0001", NO_SPAN, "only a message");
    expect_text("error[E1001]: truncated tensor\n"
                "  --> m\\x1b.onnx: @0x1f40\n"
                "   |\n"
                "   = note: why\n"
                "\n"
                "warning[W0001]: only a message\n");
}

static void hostile_text_stays_in_its_columns(void **state) {
    (void)state;
    const Source *r = file("t.mor", 0, "\ta\x1b[2J \xc3\xa4\xe2\x80\xae" "b c\n");
    Diag *d = diag_error(s, "E0101", at(r, "c"), "bad \x07 thing");
    diag_label(d, "here");
    diag_span(d, (Span){r, 1, 1000}, "to the end of this line");
    diag_span(d, (Span){r, 4000, 7}, "past the end");
    expect_text("error[E0101]: bad \\x07 thing\n"
                "  --> t.mor:1:12\n"
                "   |\n"
                " 1 |  a\\x1b[2J \xc3\xa4\\u{202e}b c\n"
                "   |                      ^ here\n"
                "   |  --------------------- to the end of this line\n"
                " 2 |\n"
                "   | - past the end\n");
}

static void long_lines_are_cut(void **state) {
    (void)state;
    Buf b = buf_on(s->arena);
    buf_repeat(&b, 'x', 5000);
    buf_str(&b, STR("HERE"));
    buf_repeat(&b, 'y', 5000);
    const Source *r = source_make(s->arena, STR("l.mor"), buf_view(&b), true);
    diag_error(s, "E0101", at(r, "HERE"), "m");
    const char *text = unit_diags(s);
    assert_true(strlen(text) < 700);
    const char *shown = strstr(text, "HERE"), *caret = strstr(text, "^^^^");
    assert_non_null(shown);
    assert_non_null(caret);
    const char *line = strstr(text, " 1 |"), *marks = strchr(line, '\n') + 1;
    assert_int_equal(shown - line, caret - marks);
    diags_clear(&s->diags);
}

static void sorted_limited_and_none_twice(void **state) {
    (void)state;
    const Source *r = file("r.mor", 0, "abcdefghijklmnopqrstuvwxyz0123456789\n");
    for (uint32_t i = 30; i-- > 0;) {
        diag_error(s, "E0101", (Span){r, i, 1}, "bad");
        diag_error(s, "E0101", (Span){r, i, 1}, "bad");
        diag_warning(s, "W0101", (Span){r, i, 1}, "odd");
    }
    assert_int_equal(s->diags.errors, 30);
    assert_int_equal(s->diags.warnings, 30);
    const char *text = unit_diags(s);
    int shown = 0;
    for (const char *p = text; (p = strstr(p, "error[")); p++) {
        shown++;
    }
    assert_int_equal(shown, LIMIT_DIAGNOSTICS);
    assert_true(strstr(text, "r.mor:1:1\n") < strstr(text, "r.mor:1:2\n"));
    assert_non_null(strstr(text, "\n... and 10 more errors\n"));
    diags_clear(&s->diags);
    assert_int_equal(s->diags.errors, 0);
    for (int i = 0; i < DIAGS_KEPT * 2; i++) {
        diag_label(diag_error(s, "E0101", NO_SPAN, "bad %d", i), "label");
    }
    assert_int_equal(s->diags.errors, DIAGS_KEPT * 2);
    diags_clear(&s->diags);
}

static void colours_wrap_the_same_text(void **state) {
    (void)state;
    const Source *r = file("c.mor", 0, "on x\n");
    diag_label(diag_error(s, "E0301", at(r, "x"), "m"), "l");
    Buf coloured = buf_on(s->arena), stripped = buf_on(s->arena);
    diags_render(&s->diags, &coloured, true);
    for (size_t i = 0; i < coloured.len; i++) {
        if (coloured.data[i] == 0x1b) {
            while (coloured.data[i] != 'm') {
                i++;
            }
        } else {
            buf_char(&stripped, coloured.data[i]);
        }
    }
    assert_true(coloured.len > stripped.len);
    assert_string_equal(stripped.data, unit_diags(s));
    diags_clear(&s->diags);
}

static void json_is_one_line(void **state) {
    (void)state;
    const Source *r = file("r.mor", 8, "on linear - \"**.lm_haed\" {\n");
    Diag *d = diag_error(s, "E0301", at(r, "\"**.lm_haed\""), "no \"layer\"");
    diag_label(d, "0 nodes");
    diag_span(d, at(r, "linear"), "all");
    diag_help(d, "line\none");
    diag_fix(d, false, d->primary.span, "\"**.lm_head\"");
    Buf b = buf_on(s->arena);
    diag_json(d, &b);
    assert_string_equal(
        b.data, "{\"type\":\"diagnostic\",\"level\":\"error\",\"code\":\"E0301\",\"message\":\"no "
                "\\\"layer\\\"\",\"spans\":[{\"file\":\"r.mor\",\"start\":20,\"end\":32,\"line\":9,"
                "\"col\":13,\"primary\":true,\"label\":\"0 nodes\"},{\"file\":\"r.mor\",\"start\":11,"
                "\"end\":17,\"line\":9,\"col\":4,\"primary\":false,\"label\":\"all\"}],\"notes\":["
                "\"help: line\\u000aone\"],\"fixes\":[{\"applicability\":\"maybe\",\"edits\":[{"
                "\"start\":20,\"end\":32,\"text\":\"\\\"**.lm_head\\\"\"}]}]}\n");
    cJSON *parsed = cJSON_Parse(b.data);
    assert_non_null(parsed);
    cJSON_Delete(parsed);
    diags_clear(&s->diags);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line),
        cmocka_unit_test(continued_line_and_wide_gutter),
        cmocka_unit_test(secondary_spans),
        cmocka_unit_test(adjacent_lines_and_the_same_line),
        cmocka_unit_test(pseudo_sources_have_no_lines),
        cmocka_unit_test(other_files_and_no_file),
        cmocka_unit_test(hostile_text_stays_in_its_columns),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(sorted_limited_and_none_twice),
        cmocka_unit_test(colours_wrap_the_same_text),
        cmocka_unit_test(json_is_one_line),
    };
    return cmocka_run_group_tests(tests, open_session, close_session);
}
