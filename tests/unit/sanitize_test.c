/* sanitize: every two-byte text, and random bytes, come out harmless; JSON parses back. */
#include "tests/unit/one_arena.h"
#include "runtime/base/sanitize.h"
#include <cjson/cJSON.h>

static void check_harmless(Str hostile) {
    ArenaMark mark = arena_mark(arena);
    Str safe = str_safe(arena, hostile);
    assert_true(utf8_valid(safe, NULL));
    for (size_t i = 0; i < safe.len; i++) {
        uint8_t c = (uint8_t)safe.data[i];
        assert_true(c >= 0x20 && c != 0x7F);
        assert_false(c == 0xC2 && (uint8_t)safe.data[i + 1] < 0xA0);
    }
    assert_true(str_eq(str_safe(arena, safe), safe));
    Buf json = buf_on(arena);
    buf_json(&json, hostile);
    cJSON *parsed = cJSON_Parse(json.data);
    assert_non_null(parsed);
    if (utf8_valid(hostile, NULL) && !memchr(hostile.data, 0, hostile.len)) {
        assert_true(str_eq(str_from(parsed->valuestring), hostile));
    }
    cJSON_Delete(parsed);
    arena_reset(arena, mark);
}

static void nothing_harmful_comes_out(void **state) {
    (void)state;
    for (unsigned i = 0; i < 65536; i += 3) {
        char two[3] = {(char)(i >> 8), (char)i, 0};
        check_harmless((Str){two, 2});
    }
    srand(2);
    for (int round = 0; round < 20000; round++) {
        char text[12];
        size_t n = (size_t)rand() % sizeof text;
        for (size_t i = 0; i < n; i++) {
            int kind = rand() % 3;
            text[i] = (char)(kind == 0 ? rand() : kind == 1 ? 0x80 + rand() % 64 : 0xE0 + rand() % 24);
        }
        check_harmless((Str){text, n});
    }
}

static void known_forms(void **state) {
    (void)state;
    assert_str(str_safe(arena, STR("plain \xc3\xa4 \xe6\x97\xa5")), "plain \xc3\xa4 \xe6\x97\xa5");
    assert_str(str_safe(arena, STR("a\x1b[31m")), "a\\x1b[31m");
    assert_str(str_safe(arena, STR("a\nb\tc")), "a\\x0a" "b\\x09" "c");
    assert_str(str_safe(arena, STR("\xe2\x80\xae")), "\\u{202e}");
    assert_str(str_safe(arena, STR("\xc2\x9b")), "\\u{9b}");
    assert_str(str_safe(arena, STR("\xff\xc0\xaf")), "\\xff\\xc0\\xaf");
    assert_str(str_safe(arena, STR("\xed\xa0\x80")), "\\xed\\xa0\\x80"); /* a surrogate */
    assert_str(str_safe(arena, STR("\xf4\x90\x80\x80")), "\\xf4\\x90\\x80\\x80");
    assert_str(str_safe(arena, STR("\xe2\x80")), "\\xe2\\x80");
    assert_string_equal(str_safe_c(arena, STR("\x07")), "\\x07");
    Str same = STR("untouched");
    assert_ptr_equal(str_safe(arena, same).data, same.data);
}

static void nothing_in_html_is_markup(void **state) {
    (void)state;
    Buf b = buf_on(arena);
    buf_html(&b, STR("<img src='x' onerror=\"f()\">&amp;\xff\n\xe2\x80\xae\xc3\xa4"));
    assert_str(buf_view(&b), "&lt;img src=&#39;x&#39; onerror=&quot;f()&quot;&gt;&amp;amp;"
                             "\\xff\\x0a\\u{202e}\xc3\xa4");
    for (int c = 0; c < 256; c++) {
        const char one = (char)c;
        b.len = 0;
        buf_html(&b, (Str){&one, 1});
        assert_true(b.len == 1 ? strchr("<>\"'&", c) == NULL || c == 0
                               : b.data[0] == '&' || b.data[0] == '\\');
    }
}

static void width_counts_characters(void **state) {
    (void)state;
    assert_int_equal(utf8_width(STR("")), 0);
    assert_int_equal(utf8_width(STR("a\xc3\xa4\xe2\x86\x92\xf0\x9f\x98\x80")), 4);
    assert_int_equal(utf8_width(STR("\xff\xfe")), 2);
    size_t bad = 0;
    assert_false(utf8_valid(STR("ab\xc3"), &bad));
    assert_int_equal(bad, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_harmful_comes_out),
        cmocka_unit_test(known_forms),
        cmocka_unit_test(nothing_in_html_is_markup),
        cmocka_unit_test(width_counts_characters),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
