/* The printer: its style on chosen texts, and three laws on hundreds of made-up recipes: the tree
 * of the printed text is the tree of the text, printing twice changes nothing, no comment is lost. */
#include "unit.h"
#include <glob.h>
#include "lang/lexer.h"
#include "lang/parse.h"

static Ast *parsed(Session *s, Str text) {
    Ast *ast = NULL;
    if (!parse_file(s, source_make(s->arena, STR("t.mor"), text, true), &ast)) {
        fail_msg("%s\n----\n%.*s", unit_diags(s), STR_ARG(text));
    }
    return ast;
}

static Str formatted(Session *s, Str text) {
    Buf b = buf_on(s->arena);
    buf_add(&b, "", 0);
    ast_format(parsed(s, text), &b);
    return buf_view(&b);
}

static int by_text(const void *a, const void *b) {
    return str_cmp(*(const Str *)a, *(const Str *)b);
}

/* All comments of a text, sorted, one a line. */
static Str comments_of(Session *s, Str text) {
    Lexer lexer;
    Vec(Str) all = {0};
    Buf b = buf_on(s->arena);
    buf_add(&b, "", 0);
    lexer_open(&lexer, s, source_make(s->arena, STR("t.mor"), text, true));
    while (lexer_next(&lexer).kind != 0) {
    }
    for (size_t i = 0; i < lexer.comments.len; i++) {
        Token t = lexer.comments.at[i];
        Str c = str_slice(text, t.offset, t.offset + t.length);
        while (c.len && (c.data[c.len - 1] == ' ' || c.data[c.len - 1] == '\r')) {
            c.len--;
        }
        vec_push(s->arena, &all, c);
    }
    if (all.len) {
        qsort(all.at, all.len, sizeof *all.at, by_text);
    }
    for (size_t i = 0; i < all.len; i++) {
        buf_printf(&b, "%.*s\n", STR_ARG(all.at[i]));
    }
    return buf_view(&b);
}

static void check_laws(Session *s, Str text) {
    Buf before = buf_on(s->arena), after = buf_on(s->arena);
    ast_dump(parsed(s, text), &before);
    Str once = formatted(s, text);
    ast_dump(parsed(s, once), &after);
    Str twice = formatted(s, once);
    if (!str_eq(buf_view(&before), buf_view(&after))) {
        fail_msg("the tree changed\n%.*s\n---- became\n%.*s", STR_ARG(text), STR_ARG(once));
    }
    if (!str_eq(once, twice)) {
        fail_msg("printed twice\n%.*s\n---- differs\n%.*s", STR_ARG(once), STR_ARG(twice));
    }
    if (!str_eq(comments_of(s, text), comments_of(s, once))) {
        fail_msg("comments\n%.*s\n---- became\n%.*s", STR_ARG(text), STR_ARG(once));
    }
}

static void prints(const char *text, const char *expected) {
    Session *s = session_open(&sys_real);
    const char *actual = str_c(s->arena, formatted(s, str_from(text)));
    assert_string_equal(actual, expected);
    check_laws(s, str_from(text));
    session_close(s);
}

static void layout(void **state) {
    (void)state;
    prints("", "");
    prints("\n\n\n", "");
    prints("mor   1", "mor 1\n");
    prints("\xef\xbb\xbf"
           "mor 1\r\n",
           "mor 1\n");
    prints("mor 1\n\n\n\n\nlet a=1;let b=2", "mor 1\n\nlet a = 1\nlet b = 2\n");
    prints("on a{skip}", "on a {\n  skip\n}\n");
    prints("on a{}", "on a { }\n");
    prints("on a {\n\n  skip\n\n\n  skip\n\n}", "on a {\n  skip\n\n  skip\n}\n");
    prints("let x=-a+ - b *c", "let x = -a + -b * c\n");
    prints("let x=not a and(b)", "let x = not a and (b)\n");
    prints("param a:int in 1 .. 4=2", "param a: int in 1..4 = 2\n");
    prints("let x = 5GiB\nlet y = 0x1F\nlet z = 1_000\nlet w = 5\t MiB",
           "let x = 5 GiB\nlet y = 0x1F\n"
           "let z = 1_000\nlet w = 5 MiB\n");
    prints("use  \"x\"as y\ninclude  a . b( k=1 , )", "use \"x\" as y\ninclude a.b(k = 1)\n");
    prints("fn f ( x ,s )=x\nfn g(x){let a=x;a}",
           "fn f(x, s) = x\nfn g(x) {\n  let a = x\n  a\n}\n");
    prints("within 5 GiB;within 4.6 bits", "within 5 GiB\nwithin 4.6 bits\n");
    prints("stage a{on b{c{skip;{skip}}}}", "stage a {\n  on b {\n    c {\n      skip\n      {\n   "
                                            "     skip\n      }\n    }\n  }\n}\n");
    prints("select a=b\n|c\n|d", "select a = b\n  | c\n  | d\n");
    prints("select a = b |\n c", "select a = b | c\n");
    prints("f(\n1\n)\n", "f(1)\n");
}

static void comments(void **state) {
    (void)state;
    prints("# a\n\n\n#b  \nmor 1 # c\n\n# d", "# a\n\n#b\nmor 1  # c\n\n# d\n");
    prints("on a { # b\n  skip # c\n  # d\n}", "on a {\n  # b\n  skip  # c\n  # d\n}\n");
    prints("on a { # b\n}", "on a {\n  # b\n}\n");
    prints("skip;skip # c", "skip\nskip  # c\n");
    prints("let a = f( # why\n  1)", "# why\nlet a = f(1)\n");
    prints("select a = b # first\n  | c # second", "# first\nselect a = b\n  | c  # second\n");
    prints("fn f(x) {\n  # one\n  let a = x # two\n\n  # three\n  a # four\n  # five\n}",
           "fn f(x) {\n  # one\n  let a = x  # two\n\n  # three\n  a  # four\n  # five\n}\n");
    prints("## doc\nparam a: int\n# end", "## doc\nparam a: int\n# end\n");
}

static void long_lines(void **state) {
    (void)state;
    prints("on linear - head { quantize(weight = int4 per block(max = 128), method = mse, round = "
           "nearest, input = fp8 per token dynamic) }",
           "on linear - head {\n  quantize(\n    weight = int4 per block(max = 128),\n    method = "
           "mse,\n"
           "    round = nearest,\n    input = fp8 per token dynamic\n  )\n}\n");
    prints("select a = first(linear, n = 100000000) | last(linear, n = 100000000) | "
           "\"**.the_first_name\" | "
           "\"**.another\"",
           "select a = first(linear, n = 100000000)\n  | last(linear, n = 100000000)\n"
           "  | \"**.the_first_name\"\n  | \"**.another\"\n");
    prints("format f = code(bits = 4, encode = an_encoder, decode = a_decoder, scale = "
           "a_scale_function) "
           "per block(64) scale f16",
           "format f = code(\n  bits = 4,\n  encode = an_encoder,\n  decode = a_decoder,\n"
           "  scale = a_scale_function\n) per block(64) scale f16\n");
    prints(
        "let x = if target >= sm_100 and a_long_condition_here then a_long_consequence_here else "
        "a_long_alternative_here",
        "let x = if target >= sm_100 and a_long_condition_here\n  then a_long_consequence_here\n"
        "  else a_long_alternative_here\n");
    prints("expect count(first(linear, n = 100000000)) >= 1000000000 and count(last(linear, n = "
           "1000000000)) "
           "> 1, \"m\"",
           "expect count(first(linear, n = 100000000)) >= 1000000000\n"
           "  and count(last(linear, n = 1000000000)) > 1, \"m\"\n");
}

/* ---- made-up recipes */
typedef struct Maker {
    uint64_t state;
    Buf *out;
    bool inside; /* ( ) or [ ]: line ends do not count */
    int depth;
} Maker;

static uint32_t roll(Maker *m, uint32_t n) {
    m->state ^= m->state << 13;
    m->state ^= m->state >> 7;
    m->state ^= m->state << 17;
    return (uint32_t)(m->state >> 33) % n;
}

static void space(Maker *m) {
    static const char *const any[] = {"", " ", "  ", "\t", " "};
    static const char *const lines[] = {"\n", " # in between\n", "\r\n  ", "\n\n"};
    buf_str(m->out, str_from(m->inside && roll(m, 12) == 0 ? lines[roll(m, 4)] : any[roll(m, 5)]));
}

static void gap(Maker *m) {
    buf_char(m->out, ' ');
    space(m);
}

/* An operator, with a line end before or after it now and then. */
static void operator_between(Maker *m, const char *op, bool may_begin_line) {
    static const char *const breaks[] = {"\n", " # before\n", "\n\n# lone\n  "};
    gap(m);
    if (may_begin_line && roll(m, 6) == 0) {
        buf_str(m->out, str_from(breaks[roll(m, 3)]));
    }
    buf_str(m->out, str_from(op));
    if (roll(m, 10) == 0) {
        buf_str(m->out, str_from(breaks[roll(m, 3)]));
    }
    gap(m);
}

static void name(Maker *m) {
    static const char *const names[] = {
        "linear", "head",  "a",        "scale", "per",
        "data",   "mor",   "quantize", "x_1",   "a_rather_long_name_of_something",
        "target", "format"};
    buf_str(m->out, str_from(names[roll(m, 12)]));
}

static void expression(Maker *m);

static void arguments(Maker *m, const char *brackets) {
    bool outer = m->inside;
    m->inside = true;
    buf_char(m->out, brackets[0]);
    uint32_t n = roll(m, 5);
    for (uint32_t i = 0; i < n; i++) {
        space(m);
        if (roll(m, 2)) {
            name(m);
            space(m);
            buf_char(m->out, '=');
            space(m);
        }
        expression(m);
        space(m);
        if (i + 1 < n || roll(m, 8) == 0) {
            buf_char(m->out, ',');
        }
    }
    space(m);
    buf_char(m->out, brackets[1]);
    m->inside = outer;
}

static void primary(Maker *m) {
    static const char *const literals[] = {
        "3",        "0.5",           "1e-5",         "0x1f", "2:4",    "5 GiB", "true",
        "false",    "\"**.q_proj\"", "re\"a.*\\d\"", ".k",   ".dtype", "1_000", "\"\\u{e9}\\n#\"",
        "\"a # b\""};
    bool outer = m->inside;
    uint32_t kind = m->depth > 4 ? roll(m, 6) : roll(m, 9);
    if (kind < 3) {
        name(m);
    } else if (kind < 6) {
        buf_str(m->out, str_from(literals[roll(m, 15)]));
    } else if (kind < 7) {
        arguments(m, "[]");
    } else {
        buf_char(m->out, '(');
        m->inside = true;
        expression(m);
        m->inside = outer;
        buf_char(m->out, ')');
    }
}

static void postfix(Maker *m) {
    primary(m);
    for (uint32_t n = roll(m, 3); n > 0; n--) {
        switch (roll(m, 7)) {
        case 0:
            buf_char(m->out, '?');
            break;
        case 1:
            buf_str(m->out, STR(" dynamic"));
            break;
        case 2:
            buf_str(m->out, STR(" scale "));
            name(m);
            break;
        case 3:
            buf_str(m->out, STR(" per "));
            name(m);
            buf_char(m->out, ' ');
            if (roll(m, 2)) {
                arguments(m, "()");
            }
            break;
        case 4:
            buf_char(m->out, '[');
            expression(m);
            buf_char(m->out, ']');
            break;
        case 5:
            buf_str(m->out, STR(" ."));
            name(m);
            break;
        default:
            arguments(m, "()");
        }
    }
}

static void chain(Maker *m, const char *op, bool may_begin_line) {
    postfix(m);
    for (uint32_t n = 1 + roll(m, 3); n > 0; n--) {
        operator_between(m, op, may_begin_line);
        postfix(m);
    }
}

static void expression(Maker *m) {
    static const char *const leading[] = {"|", "&", "-", "and", "or"};
    static const char *const others[] = {"+", "*", "/", "%", "<<", ">>"};
    static const char *const comparisons[] = {"==", "!=", "<", "<=", ">", ">=", "in", ".."};
    m->depth++;
    switch (m->depth > 4 ? 9 : roll(m, 12)) {
    case 0:
    case 1:
        chain(m, leading[roll(m, 5)], true);
        break;
    case 2:
        chain(m, others[roll(m, 6)], false);
        break;
    case 3:
        postfix(m);
        operator_between(m, comparisons[roll(m, 8)], false);
        postfix(m);
        break;
    case 4:
        buf_str(m->out, str_from(roll(m, 2) ? "not " : roll(m, 2) ? "-" : "!"));
        postfix(m);
        break;
    case 5:
        buf_str(m->out, STR("if "));
        postfix(m);
        operator_between(m, "then", true);
        expression(m);
        operator_between(m, "else", true);
        expression(m);
        break;
    default:
        postfix(m);
    }
    m->depth--;
}

static void end_statement(Maker *m) {
    static const char *const ends[] = {
        "\n", "\n\n", " # after\n", " ;", "\n## doc\n", "\n\n\n# lone\n\n", "\r\n", "\n", "\n"};
    buf_str(m->out, str_from(ends[roll(m, 9)]));
}

static void block(Maker *m) {
    static const char *const begins[] = {" {", "{\n", " { # opened\n", " {\n\n"};
    buf_str(m->out, str_from(begins[roll(m, 4)]));
    m->depth++;
    for (uint32_t n = m->depth > 4 ? 0 : roll(m, 4); n > 0; n--) {
        space(m);
        if (roll(m, 6) == 0) {
            buf_str(m->out, STR("expect "));
            expression(m);
        } else if (roll(m, 8) == 0) {
            block(m);
        } else {
            name(m);
            if (roll(m, 5)) {
                arguments(m, "()");
            }
            if (roll(m, 6) == 0) {
                block(m);
            }
        }
        end_statement(m);
    }
    m->depth--;
    buf_char(m->out, '}');
}

static void declaration(Maker *m, const char *word) {
    buf_str(m->out, str_from(word));
    gap(m);
    name(m);
    space(m);
    buf_char(m->out, '=');
    space(m);
    expression(m);
}

static void function(Maker *m) {
    buf_str(m->out, STR("fn f(x , w)"));
    if (roll(m, 2)) {
        buf_str(m->out, STR("="));
        expression(m);
        return;
    }
    buf_str(m->out, STR(" {"));
    for (uint32_t n = roll(m, 3); n > 0; n--) {
        space(m);
        declaration(m, "let");
        end_statement(m);
    }
    postfix(m); /* a leading `-` would continue the line above */
    end_statement(m);
    buf_str(m->out, STR("}"));
}

static void statement(Maker *m) {
    static const char *const words[] = {"let", "select", "format", "data"};
    static const char *const plain[] = {"mor 1",
                                        "use \"std/llm\"",
                                        "use \"./a.mor\"  as b",
                                        "param a:int",
                                        "param b : float in 0..1=0.5",
                                        "target sm_90 , sm_100",
                                        "emit qdq(opset=21)",
                                        "include a.b",
                                        "include \"./x.mor\"(k=1)",
                                        "within 5 GiB",
                                        "within 4.6   bits"};
    switch (roll(m, 10)) {
    case 0:
    case 1:
        declaration(m, words[roll(m, 4)]);
        break;
    case 2:
    case 3:
        buf_str(m->out, str_from(plain[roll(m, 11)]));
        break;
    case 4:
        function(m);
        break;
    case 5:
        buf_str(m->out, STR("transform t( a : int=3, b:format )"));
        block(m);
        break;
    case 6:
        if (m->depth < 3) {
            buf_str(m->out, STR("stage s {"));
            m->depth++;
            for (uint32_t n = roll(m, 3); n > 0; n--) {
                statement(m);
                end_statement(m);
            }
            m->depth--;
            buf_str(m->out, STR("}"));
            break;
        }
        /* fall through */
    case 7:
        buf_str(m->out, STR("expect "));
        expression(m);
        buf_str(m->out, str_from(roll(m, 2) ? ",\"why\"" : ""));
        break;
    default:
        buf_str(m->out, str_from(roll(m, 3) ? "on " : "override  on "));
        expression(m);
        block(m);
    }
}

static void made_up_recipes(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        Session *s = session_open(&sys_real);
        Buf text = buf_on(s->arena);
        Maker m = {.state = seed * 0x9e3779b97f4a7c15u, .out = &text};
        buf_add(&text, "", 0);
        for (uint32_t n = 1 + roll(&m, 6); n > 0; n--) {
            statement(&m);
            end_statement(&m);
        }
        check_laws(s, buf_view(&text));
        session_close(s);
    }
}

/* The recipes of the tree obey the laws too, and those of recipes/ are in canonical form. */
static void stored_recipes(void **state) {
    (void)state;
    static const char *const patterns[] = {"/recipes/*.mor", "/stdlib/*.mor",
                                           "/tests/golden/fmt/*.mor"};
    size_t count = 0;
    for (size_t k = 0; k < 3; k++) {
        glob_t found = {0};
        char pattern[1024];
        snprintf(pattern, sizeof pattern, "%s%s", MORC_SOURCE_DIR, patterns[k]);
        glob(pattern, 0, NULL, &found);
        for (size_t i = 0; i < found.gl_pathc; i++, count++) {
            Session *s = session_open(&sys_real);
            size_t size = 0;
            char *text = unit_read(found.gl_pathv[i], &size);
            check_laws(s, (Str){text, size});
            if (k == 0) {
                assert_str(formatted(s, (Str){text, size}), text);
            }
            free(text);
            session_close(s);
        }
        globfree(&found);
    }
    assert_true(count >= 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout),         cmocka_unit_test(comments),
        cmocka_unit_test(long_lines),     cmocka_unit_test(made_up_recipes),
        cmocka_unit_test(stored_recipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
