/* str: slices, text under construction, edit distance, numbers for people. */
#include "tests/unit/one_arena.h"

static void slices_compare(void **state) {
    (void)state;
    Str s = STR("quantize");
    assert_true(str_eq(s, str_from("quantize")));
    assert_true(str_is(s, "quantize"));
    assert_false(str_is(s, "quant"));
    assert_true(str_is(str_from(NULL), ""));
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR(""), (Str){NULL, 0}), 0);
    assert_true(str_starts(s, STR("quant")));
    assert_false(str_starts(s, STR("quantizer")));
    assert_true(str_ends(s, STR("ize")));
    assert_false(str_ends(STR("ize"), s));
    assert_str(str_slice(s, 2, 5), "ant");
    assert_str(str_slice(s, 5, 100), "ize");
    assert_str(str_slice(s, 7, 3), "");
    assert_int_equal(str_find(s, 'z'), 6);
    assert_int_equal(str_find(s, 'x'), -1);
    assert_int_equal(str_find(STR(""), 'x'), -1);
    assert_string_equal(str_c(arena, str_slice(s, 0, 5)), "quant");
}

static void digits_make_a_number(void **state) {
    (void)state;
    uint64_t n = 1;
    assert_int_equal(str_digits(STR("300MiB"), &n), 3);
    assert_int_equal(n, 300);
    assert_int_equal(str_digits(STR("18446744073709551615"), &n), 20);
    assert_true(n == UINT64_MAX);
    assert_int_equal(str_digits(STR("18446744073709551616"), &n), 0);
    assert_int_equal(str_digits(STR("99999999999999999999999"), &n), 0);
    assert_int_equal(str_digits(STR("-1"), &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(str_digits(STR(""), &n), 0);
}

static void buffers_grow(void **state) {
    (void)state;
    Buf b = buf_on(arena);
    assert_string_equal(b.data, "");
    for (int i = 0; i < 1000; i++) {
        buf_printf(&b, "%d,", i);
        assert_int_equal(b.data[b.len], 0);
    }
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    buf_repeat(&b, '-', 3);
    buf_str(&b, STR("end"));
    buf_char(&b, '.');
    assert_true(str_ends(buf_view(&b), STR("998,999,---end.")));
    Str formatted = str_format(arena, "%s=%d", "bits", 4);
    assert_str(formatted, "bits=4");
    char large[5000];
    memset(large, 'x', sizeof large);
    large[4999] = 0;
    assert_int_equal(str_format(arena, "<%s>", large).len, 5001);
}

/* Plain recursion over all edits: the definition. */
static size_t distance_by_definition(const char *a, size_t n, const char *b, size_t m) {
    if (n == 0 || m == 0) {
        return n + m;
    }
    size_t best = distance_by_definition(a, n - 1, b, m - 1) + (a[n - 1] != b[m - 1]);
    size_t drop = distance_by_definition(a, n - 1, b, m) + 1;
    size_t add = distance_by_definition(a, n, b, m - 1) + 1;
    best = drop < best ? drop : best;
    best = add < best ? add : best;
    if (n > 1 && m > 1 && a[n - 1] == b[m - 2] && a[n - 2] == b[m - 1]) {
        size_t swap = distance_by_definition(a, n - 2, b, m - 2) + 1;
        best = swap < best ? swap : best;
    }
    return best;
}

static void distance_is_the_definition(void **state) {
    (void)state;
    assert_int_equal(str_distance(STR("aplha"), STR("alpha"), 5), 1);
    assert_int_equal(str_distance(STR("lm_haed"), STR("lm_head"), 2), 1);
    assert_int_equal(str_distance(STR(""), STR("abc"), 5), 3);
    assert_int_equal(str_distance(STR("int8"), STR("quantize"), 2), 3);
    srand(1);
    for (int round = 0; round < 3000; round++) {
        char a[7], b[7];
        size_t n = (size_t)rand() % 7, m = (size_t)rand() % 7, limit = (size_t)rand() % 7;
        for (int i = 0; i < 6; i++) {
            a[i] = (char)('a' + rand() % 3);
            b[i] = (char)('a' + rand() % 3);
        }
        size_t expected = distance_by_definition(a, n, b, m);
        expected = expected > limit ? limit + 1 : expected;
        assert_int_equal(str_distance((Str){a, n}, (Str){b, m}, limit), expected);
    }
    char large[300];
    memset(large, 'a', sizeof large);
    assert_int_equal(str_distance((Str){large, 300}, (Str){large, 300}, 9), 10);
}

static void numbers_are_for_people(void **state) {
    (void)state;
    assert_str(str_si(arena, 999), "999");
    assert_str(str_si(arena, 1234567), "1.2 M");
    assert_str(str_si(arena, 262.7e6), "262.7 M");
    assert_str(str_si(arena, 999960), "1.0 M");
    assert_str(str_si(arena, 1000), "1.0 k");
    assert_str(str_bytes(arena, 0), "0 B");
    assert_str(str_bytes(arena, 1023), "1023 B");
    assert_str(str_bytes(arena, 1024), "1.0 KiB");
    assert_str(str_bytes(arena, 4508877), "4.3 MiB");
    assert_str(str_bytes(arena, UINT64_MAX), "16384.0 PiB");
    assert_str(str_grouped(arena, 0), "0");
    assert_str(str_grouped(arena, 999), "999");
    assert_str(str_grouped(arena, 1482), "1,482");
    assert_str(str_grouped(arena, 1234567890), "1,234,567,890");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare),         cmocka_unit_test(digits_make_a_number),
        cmocka_unit_test(buffers_grow),           cmocka_unit_test(distance_is_the_definition),
        cmocka_unit_test(numbers_are_for_people),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
