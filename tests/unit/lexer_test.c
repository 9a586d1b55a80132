/* Tokens: what each text becomes, where statements end, what is no token, how deep brackets go. */
#include "unit.h"
#include "lang/lexer.h"
#include "lang/parse.h"

/* The kinds of a text on one line: "LET ID ASSIGN NUMBER SEP END". */
static const char *kinds(Session *s, const char *text) {
    Lexer lexer;
    Buf b = buf_on(s->arena);
    lexer_open(&lexer, s, source_make(s->arena, STR("t.mor"), str_from(text), true));
    for (;;) {
        Token t = lexer_next(&lexer);
        buf_printf(&b, "%s%s", b.len ? " " : "", token_dump_name(t.kind));
        assert_true(t.offset + t.length <= strlen(text));
        if (t.kind == 0) {
            return b.data;
        }
    }
}

static void check(const char *text, const char *expected) {
    Session *s = session_open(&sys_real);
    assert_string_equal(kinds(s, text), expected);
    session_close(s);
}

static void words_and_signs(void **state) {
    (void)state;
    check("mor use param select format data fn transform target emit stage override include within "
          "expect per scale dynamic as",
          "MOR USE PARAM SELECT FORMAT DATA FN TRANSFORM TARGET EMIT STAGE OVERRIDE INCLUDE WITHIN "
          "EXPECT PER SCALE DYNAMIC AS SEP END");
    check("if then else and or not in on let x", "IF THEN ELSE AND OR NOT IN ON LET ID SEP END");
    check("true false truth _x x1", "TRUE FALSE ID ID ID SEP END");
    check("a..b a.b == != <= >= << >> < > = x", "ID DOTDOT ID ID DOT ID EQ NE LE GE SHL SHR LT GT "
                                                "ASSIGN ID SEP END");
    check("| & - + * / % ! , : ? x",
          "BAR AMP MINUS PLUS STAR SLASH PERCENT BANG COMMA COLON QUESTION "
          "ID SEP END");
    check("a-b", "ID MINUS ID SEP END");
}

static void literals(void **state) {
    (void)state;
    check("3 1_000 0.5 1e-5 2.5E+3 0x1F", "NUMBER NUMBER NUMBER NUMBER NUMBER NUMBER SEP END");
    check("2:4", "RATIO SEP END");
    check("5 GiB 5KiB 3 MiB", "NUMBER NUMBER NUMBER SEP END");
    check("0.0..1.0 3..5", "NUMBER DOTDOT NUMBER NUMBER DOTDOT NUMBER SEP END");
    check("\"a\\\"b\" re\"a\\\"b\" rex", "STRING REGEX ID SEP END");
    check("core\"x\"", "ID STRING SEP END");
}

static void line_ends(void **state) {
    (void)state;
    check("", "END");
    check("\n\n# only a comment\n", "END");
    check("a\nb", "ID SEP ID SEP END");
    check("a\r\nb\r\n", "ID SEP ID SEP END");
    check("a;;\n;b;", "ID SEP ID SEP END");
    check("a =\n b", "ID ASSIGN ID SEP END");
    check("f(a,\nb\n)\n[1\n,2]", "ID LPAREN ID COMMA ID RPAREN SEP LBRACK NUMBER COMMA NUMBER "
                                 "RBRACK SEP END");
    check("a\n  | b\n  & c\n  - d\nand e\nor f\nthen g\nelse h\ni",
          "ID BAR ID AMP ID MINUS ID AND ID OR ID THEN ID ELSE ID SEP ID SEP END");
    check("a\n# between\n\n  # more\n  | b", "ID BAR ID SEP END");
    check("a\nandy\norder", "ID SEP ID SEP ID SEP END");
    check("on x { skip }", "ON ID LBRACE ID SEP RBRACE SEP END");
    check("on x { }", "ON ID LBRACE RBRACE SEP END");
    check("a\n{", "ID SEP LBRACE END");
    check("\xef\xbb\xbf"
          "a",
          "ID SEP END");
}

static void no_tokens(void **state) {
    (void)state;
    check("$", "BAD_CHARACTER SEP END");
    check("\xc3\xa9\xc3\xa8", "BAD_CHARACTER SEP END");
    check("\"open", "BAD_STRING SEP END");
    check("\"open\\", "BAD_STRING BAD_CHARACTER SEP END");
    check("\"a\nb\"", "BAD_STRING SEP ID BAD_STRING SEP END");
    check("re\"open", "BAD_STRING SEP END");
    check("'a b'", "BAD_QUOTES SEP END");
    check("4bit 0x 0xg", "BAD_NUMBER BAD_NUMBER BAD_NUMBER SEP END");
}

static void zero_byte(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Lexer lexer;
    lexer_open(&lexer, s, source_make(s->arena, STR("t.mor"), (Str){"a\0b", 3}, true));
    assert_string_equal(token_dump_name(lexer_next(&lexer).kind), "ID");
    assert_int_equal(lexer_next(&lexer).kind, BAD_CHARACTER);
    assert_string_equal(token_dump_name(lexer_next(&lexer).kind), "ID");
    session_close(s);
}

/* 64 brackets of any kind may be open, the 65th may not. */
static void bracket_depth(void **state) {
    (void)state;
    for (size_t kind = 0; kind < 3; kind++) {
        Session *s = session_open(&sys_real);
        Buf b = buf_on(s->arena);
        buf_repeat(&b, "([{"[kind], LIMIT_BRACKET_DEPTH);
        assert_null(strstr(kinds(s, b.data), "BAD_DEPTH"));
        buf_char(&b, "([{"[kind]);
        assert_non_null(strstr(kinds(s, b.data), "BAD_DEPTH"));
        session_close(s);
    }
}

/* A megabyte of empty lines before a continuation is read once, not once a line. */
static void long_gap(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Buf b = buf_on(s->arena);
    buf_char(&b, 'a');
    buf_repeat(&b, '\n', 1000000);
    buf_str(&b, STR("| b"));
    assert_string_equal(kinds(s, b.data), "ID BAR ID SEP END");
    session_close(s);
}

static void comments(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Lexer lexer;
    const char *text = "# one\na # two\n(\n## three\n";
    lexer_open(&lexer, s, source_make(s->arena, STR("t.mor"), str_from(text), true));
    while (lexer_next(&lexer).kind != 0) {
    }
    assert_int_equal(lexer.comments.len, 3);
    Token last = lexer.comments.at[2];
    assert_str(((Str){text + last.offset, last.length}), "## three");
    session_close(s);
}

static void dump(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Buf b = buf_on(s->arena);
    tokens_dump(s, source_make(s->arena, STR("t.mor"), STR("let a = 1_0\n  | \"b\""), true), &b);
    assert_string_equal(b.data, "1:1 LET\n1:5 ID a\n1:7 ASSIGN\n1:9 NUMBER 1_0\n2:3 BAR\n"
                                "2:5 STRING \"b\"\n2:8 SEP\n2:8 END\n");
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_signs),
        cmocka_unit_test(literals),
        cmocka_unit_test(line_ends),
        cmocka_unit_test(no_tokens),
        cmocka_unit_test(zero_byte),
        cmocka_unit_test(bracket_depth),
        cmocka_unit_test(long_gap),
        cmocka_unit_test(comments),
        cmocka_unit_test(dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
