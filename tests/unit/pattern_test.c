/* Globs and regexes over layer paths: what matches, what is refused, and that nothing is slow. */
#include "lang/pattern.h"
#include "tests/unit/unit.h"

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

static bool glob(const char *pattern, const char *path) {
    Pattern *p = pattern_glob(s, str_from(pattern), NO_SPAN);
    if (!p) {
        fail_msg("%s: %s", pattern, unit_diags(s));
    }
    return pattern_match(p, str_from(path));
}

static bool regex(const char *pattern, const char *path) {
    Pattern *p = pattern_regex(s, str_from(pattern), NO_SPAN);
    if (!p) {
        fail_msg("%s: %s", pattern, unit_diags(s));
    }
    return pattern_match(p, str_from(path));
}

static void stars_stay_in_their_segment(void **state) {
    (void)state;
    assert_true(glob("layers.*.mlp", "layers.12.mlp"));
    assert_false(glob("layers.*.mlp", "layers.1.2.mlp"));
    assert_true(glob("layers.1*", "layers.1"));
    assert_true(glob("*_proj", "q_proj"));
    assert_false(glob("*_proj", "a.q_proj"));
    assert_true(glob("?_proj", "q_proj"));
    assert_false(glob("?_proj", "_proj"));
    assert_false(glob("a?b", "a.b"));
    assert_true(glob("a?b", "a\xc3\xa9"
                            "b")); /* one character, two bytes */
    assert_false(glob("a??b", "a\xc3\xa9"
                              "b"));
    assert_false(glob("layers.1", "layers.10"));
    assert_false(glob("layers", "layers.1"));
}

static void double_stars_are_whole_segments(void **state) {
    (void)state;
    const char *any = "**.lm_head";
    assert_true(glob(any, "lm_head"));
    assert_true(glob(any, "model.lm_head"));
    assert_true(glob(any, "a.b.lm_head"));
    assert_false(glob(any, "a.xlm_head"));
    assert_true(glob("layers.1.**", "layers.1"));
    assert_true(glob("layers.1.**", "layers.1.mlp.up"));
    assert_false(glob("layers.1.**", "layers.10.mlp"));
    assert_true(glob("a.**.z", "a.z"));
    assert_true(glob("a.**.z", "a.b.c.z"));
    assert_false(glob("a.**.z", "a.bz"));
    assert_true(glob("**", "a"));
    assert_true(glob("**", "a.b.c"));
    assert_true(glob("**.**", "a.b.c"));
    assert_true(glob("a.**.**", "a.b"));
    assert_true(glob("**.{vision,visual}.**", "model.visual.blocks.0"));
    assert_true(glob("{a.**,b}.c", "a.x.c"));
    assert_true(glob("{a.**,b}.c", "b.c"));
    assert_false(glob("{a.**,b}.c", "b.x.c"));
}

static void braces_list_texts_and_numbers(void **state) {
    (void)state;
    const char *pattern = "layers.{0..3,28}.{gate,up}_proj";
    assert_true(glob(pattern, "layers.0.gate_proj"));
    assert_true(glob(pattern, "layers.28.up_proj"));
    assert_false(glob(pattern, "layers.4.up_proj"));
    assert_false(glob(pattern, "layers.2.down_proj"));
    assert_false(glob(pattern, "layers.02.up_proj"));
    assert_true(glob("{a,}b", "b"));
    assert_true(glob("x{a,{b,c}d}y", "xcdy"));
    assert_false(glob("x{a,{b,c}d}y", "xcy"));
    assert_true(glob("{8..11}", "10"));
}

static void hard_patterns_are_quick(void **state) {
    (void)state;
    char path[4001], pattern[2001];
    memset(path, 'a', 4000);
    path[4000] = 0;
    for (int i = 0; i < 1000; i++) {
        memcpy(pattern + 2 * i, "*a", 2);
    }
    pattern[2000] = 0;
    assert_true(glob(pattern, path));
    pattern[1999] = 'b';
    assert_false(glob(pattern, path)); /* exponential for a backtracking matcher */
    assert_false(regex("(a*)*b", path));
}

static void regexes_match_whole_paths(void **state) {
    (void)state;
    assert_true(regex(".*\\.(gate|up)_proj", "layers.0.up_proj"));
    assert_false(regex("up_proj", "layers.0.up_proj"));
    assert_false(regex("a|b", "ab")); /* the alternatives are anchored together */
    assert_true(regex("layers\\.\\d{1,2}\\.\\w+", "layers.12.q_proj"));
    assert_true(regex("(layers\\.[0-9]{1,3}\\.){1,3}x", "layers.1.layers.22.x"));
    assert_true(regex("[[:alpha:])]{3}[]x]\\)", "a)b])"));
    assert_true(regex("[]^]x", "]x"));
}

static void refused(const char *text, bool is_regex, const char *message) {
    session_close(s);
    s = session_open(&sys_real);
    Str t = str_from(text);
    assert_null(is_regex ? pattern_regex(s, t, NO_SPAN) : pattern_glob(s, t, NO_SPAN));
    assert_int_equal(s->diags.errors, 1);
    assert_str(s->diags.all.at[0]->code, "E0105");
    assert_str(s->diags.all.at[0]->message, message);
}

static void bad_patterns_are_refused(void **state) {
    (void)state;
    refused("", false, "this pattern is empty");
    refused("a**", false, "`**` stands for whole segments");
    refused("{a", false, "this `{` is never closed");
    refused("{0..1x}", false, "this `{` is never closed");
    refused("a]", false, "globs have no [...] classes");
    refused("{0..400,0..800}", false, "this glob has too many alternatives");
    refused("(a)\\1", true, "regexes have no back-references");
    refused("a{~1}", true, "bounds are written {3}, {3,} or {3,7}");
    refused("((a{100}){100}){2}", true, "this regex repeats its parts too often");
    refused("((a{100})*{100})*{2}", true, "this regex repeats its parts too often");
    refused("(a", true, "this regex cannot be read");
    refused("h(a{99}){99}){98}", true, "this `)` closes no group");
    refused("((a{99}[[:alpha:])]){99}){99}", true, "this regex repeats its parts too often");
    refused("((a{99}\\Q(\\E){99}){99}", true, "regexes have no \\Q: write \\ before each sign");
    refused("((a{99}(?#()){99}){99}", true, "regexes have no comments");
    char deep[400] = "";
    memset(deep, '(', 100);
    refused(deep, true, "groups are nested too deep");
    memset(deep, '{', 100);
    refused(deep, false, "braces are nested too deep");
}

static void errors_point_into_the_literal(void **state) {
    (void)state;
    const Source *source = source_make(s->arena, STR("r.mor"), STR("on \"a.[b]\""), true);
    assert_null(pattern_glob(s, STR("a.[b]"), (Span){source, 3, 7}));
    assert_int_equal(s->diags.all.at[0]->primary.span.offset, 6);
    const Source *escaped = source_make(s->arena, STR("r.mor"), STR("on \"\\\"a[\""), true);
    assert_null(pattern_glob(s, STR("\"a["), (Span){escaped, 3, 6}));
    assert_int_equal(s->diags.all.at[1]->primary.span.offset, 3); /* cannot be told: all of it */
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_session, close_session)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(stars_stay_in_their_segment),   T(double_stars_are_whole_segments),
        T(braces_list_texts_and_numbers), T(hard_patterns_are_quick),
        T(regexes_match_whole_paths),     T(bad_patterns_are_refused),
        T(errors_point_into_the_literal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
