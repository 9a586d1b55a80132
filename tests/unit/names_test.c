/* names: many paths in few words. What is printed is a glob that matches the paths it stands for
 * and no other; limits, ranges, sanitised text. */
#include "compiler/names.h"
#include "lang/pattern.h"
#include "tests/unit/one_session.h"

static StrList list_of(const char *words) {
    StrList out = {0};
    char *copy = (char *)(uintptr_t)str_c(s->arena, str_from(words));
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        vec_push(s->arena, &out, str_from(word));
    }
    return out;
}

static void braces(const char *paths, size_t limit, const char *expected) {
    const StrList all = list_of(paths);
    Buf b = buf_on(s->arena);
    names_braces(s->arena, &all, limit, &b);
    assert_str(buf_view(&b), expected);
}

static void paths_become_patterns(void **state) {
    (void)state;
    braces("", 4, "");
    braces("head", 4, "head");
    braces("l.0.up l.1.up l.2.up l.5.up l.6.up", 4, "l.{0..2,5,6}.up");
    braces("l.2.up l.0.up l.1.up", 4, "l.{0..2}.up");
    braces("l.0.up l.0.down l.1.up l.1.down", 4, "l.{0,1}.{up,down}");
    braces("l.0.up l.0.down l.1.up", 4, "l.{0,1}.up, l.0.down");
    braces("l.0.a.q l.0.b.q", 4, "l.0.a.q, l.0.b.q");
    braces("0.w 1.w", 4, "{0,1}.w");
    braces("a.0 a.1 a.2", 4, "a.{0..2}");
    braces("l.0.m.3.w l.1.m.3.w", 4, "l.{0,1}.m.3.w");
    braces("l.00.w l.01.w", 4, "l.00.w, l.01.w"); /* not the numbers 0 and 1 */
    braces("l.1234567890.w l.1234567891.w", 4, "l.1234567890.w, l.1234567891.w");
    braces("v1.w v2.w", 4, "v1.w, v2.w");
    braces("a b c d", 2, "a, b, ...");
    braces("a b", 2, "a, b");
}

/* Random paths of few words, so that many of them go together. */
static void patterns_match_what_they_stand_for(void **state) {
    (void)state;
    static const char *const words[] = {"l", "m", "up", "down"};
    uint32_t seed = 7;
    for (int round = 0; round < 300; round++) {
        bool in[2][5][4];
        StrList paths = {0}, others = {0};
        for (int i = 0; i < 2 * 5 * 4; i++) {
            seed = seed * 1664525u + 1013904223u;
            const int a = i / 20, n = i / 4 % 5, t = i % 4;
            in[a][n][t] = seed >> 28 < 7;
            const Str path = str_format(s->arena, "%s.%d.%s", words[a], n, words[t]);
            if (in[a][n][t]) {
                vec_push(s->arena, &paths, path);
            } else {
                vec_push(s->arena, &others, path);
            }
        }
        Buf b = buf_on(s->arena);
        names_braces(s->arena, &paths, 100, &b);
        const StrList patterns = list_of(b.data ? b.data : "");
        size_t hits = 0;
        for (size_t k = 0; k < patterns.len; k++) {
            Str text = patterns.at[k];
            text.len -= text.data[text.len - 1] == ',';
            Pattern *p = pattern_glob(s, text, NO_SPAN);
            assert_non_null(p);
            for (size_t i = 0; i < paths.len; i++) {
                hits += pattern_match(p, paths.at[i]);
            }
            for (size_t i = 0; i < others.len; i++) {
                assert_false(pattern_match(p, others.at[i]));
            }
        }
        assert_int_equal(hits, paths.len); /* each by one */
    }
}

static void the_first_two_and_the_last(void **state) {
    (void)state;
    static const char *const rows[][2] = {{"", ""},
                                          {"a", "a"},
                                          {"a b c", "a, b, c"},
                                          {"a b c d", "a, b, ... d"},
                                          {"a b c d e\x1b[1m", "a, b, ... e\\x1b[1m"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const StrList all = list_of(rows[i][0]);
        Buf b = buf_on(s->arena);
        names_few(s->arena, &all, &b);
        assert_str(buf_view(&b), rows[i][1]);
    }
}

static void numbers_of_things(void **state) {
    (void)state;
    assert_str(plural(s->arena, 0, "layer"), "0 layers");
    assert_str(plural(s->arena, 1, "layer"), "1 layer");
    assert_str(plural(s->arena, 1482, "node"), "1,482 nodes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths_become_patterns, setup, teardown),
        cmocka_unit_test_setup_teardown(patterns_match_what_they_stand_for, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_two_and_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_of_things, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
