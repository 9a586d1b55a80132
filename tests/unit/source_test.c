/* source: places and lines of a text, with CRLF, UTF-8 and no last newline. */
#include "tests/unit/unit.h"

static void places_count_characters(void **state) {
    (void)state;
    Arena *a = arena_open();
    const Source *s = source_make(a, STR("r.mor"), STR("on linear\r\n  \xc3\xa4\xe2\x86\x92x\n\nend"), true);
    assert_int_equal(s->line_count, 4);
    assert_str(source_line(s, 1), "on linear");
    assert_str(source_line(s, 2), "  \xc3\xa4\xe2\x86\x92x");
    assert_str(source_line(s, 3), "");
    assert_str(source_line(s, 4), "end");
    assert_str(source_line(s, 5), "");
    assert_str(source_line(s, 0), "");
    Place p = source_place(s, 0);
    assert_int_equal(p.line, 1);
    assert_int_equal(p.column, 1);
    p = source_place(s, 18); /* the x: two spaces and two characters of 2 and 3 bytes before it */
    assert_int_equal(p.line, 2);
    assert_int_equal(p.column, 5);
    p = source_place(s, 20);
    assert_int_equal(p.line, 3);
    p = source_place(s, 1000);
    assert_int_equal(p.line, 4);
    assert_int_equal(p.column, 4);
    assert_int_equal(s->text.data[s->text.len], 0);
    arena_close(a);
}

static void spans_join_and_show_their_text(void **state) {
    (void)state;
    Arena *a = arena_open();
    const Source *s = source_make(a, STR("r.mor"), STR("quantize(int8)"), true);
    Span name = {s, 0, 8}, argument = {s, 9, 4};
    assert_str(span_text(name), "quantize");
    assert_str(span_text(span_join(name, argument)), "quantize(int8");
    assert_str(span_text(span_join(argument, name)), "quantize(int8");
    assert_str(span_text(NO_SPAN), "");
    assert_ptr_equal(span_join(NO_SPAN, name).source, s);
    assert_str(span_text((Span){s, 9, 1000}), "int8)");
    arena_close(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_count_characters),
        cmocka_unit_test(spans_join_and_show_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
