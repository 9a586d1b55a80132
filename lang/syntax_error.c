/* See syntax_error.h. */
#include "lang/syntax_error.h"
#include "lang/grammar.h"
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"
#include "runtime/base/schema.h"

enum { LOOK_AHEAD = 16384 }; /* bytes searched for a closing bracket */

static const struct {
    int kind;
    const char *word;
} statements[] = {
    {TK_MOR, "mor"},
    {TK_USE, "use"},
    {TK_PARAM, "param"},
    {TK_LET, "let"},
    {TK_SELECT, "select"},
    {TK_FORMAT, "format"},
    {TK_DATA, "data"},
    {TK_FN, "fn"},
    {TK_TRANSFORM, "transform"},
    {TK_TARGET, "target"},
    {TK_EMIT, "emit"},
    {TK_STAGE, "stage"},
    {TK_ON, "on"},
    {TK_OVERRIDE, "override"},
    {TK_INCLUDE, "include"},
    {TK_WITHIN, "within"},
    {TK_EXPECT, "expect"},
};
enum { STATEMENTS = sizeof statements / sizeof *statements };

static bool accepts(const SyntaxErrors *e, int token) {
    return grammar_accepts(e->grammar, token);
}

void syntax_begin(SyntaxErrors *e, const Parse *p, const void *grammar) {
    *e = (SyntaxErrors){.parse = p, .grammar = grammar, .top = true};
}

bool syntax_text_ok(Session *s, const Source *source) {
    size_t bad = 0;
    if (source->text.len > LIMIT_RECIPE_BYTES) {
        diag_error(s, "E0106", NO_SPAN, "%s has %zu bytes; a recipe has at most %d",
                   str_safe_c(s->arena, source->name), source->text.len, LIMIT_RECIPE_BYTES);
        return false;
    }
    if (!utf8_valid(source->text, &bad)) {
        Diag *d =
            diag_error(s, "E0102", (Span){source, (uint32_t)bad, 1}, "this is not UTF-8 text");
        diag_label(d, "byte 0x%02x", (unsigned char)source->text.data[bad]);
        return false;
    }
    return true;
}

void syntax_bad_token(SyntaxErrors *e, Token t) {
    Session *s = e->parse->session;
    Span at = token_span(e->parse, t);
    Str text = span_text(at);
    Diag *d;
    switch (t.kind) {
    case BAD_STRING:
        d = diag_error(s, "E0102", at, "this string has no closing quote");
        diag_label(d, "opened here, not closed on its line");
        diag_help(d, "inside a string a quote is written \\\"");
        break;
    case BAD_QUOTES:
        d = diag_error(s, "E0102", at, "strings are written with double quotes");
        text = str_slice(text, 1, text.len - 1);
        diag_label(d, "did you mean \"%.*s\"?", STR_ARG(text));
        diag_fix(d, false, at, "\"%.*s\"", STR_ARG(text));
        break;
    case BAD_NUMBER:
        d = diag_error(s, "E0102", at, "`%.*s` is neither a number nor a name", STR_ARG(text));
        diag_label(d, "names begin with a letter");
        break;
    case BAD_DEPTH:
        d = diag_error(s, "E0106", at, "brackets are nested more than %d deep",
                       LIMIT_BRACKET_DEPTH);
        diag_label(d, "one too many");
        break;
    case BAD_OPERATOR:
        d = diag_error(s, "E0102", at, "`%.*s` is no operator", STR_ARG(text));
        diag_label(d, "did you mean `%s`?", text.data[0] == '&' ? "and" : "or");
        diag_help(d, "conditions are joined by `and` and `or`, sets by `&` and `|`");
        break;
    default:
        d = diag_error(s, "E0102", at, "`%s` means nothing here", str_safe_c(s->arena, text));
        diag_label(d, "names are made of the letters a to z, digits and _");
    }
}

bool syntax_starts_statement(const SyntaxErrors *e, Token t) {
    const char *text = e->parse->source->text.data;
    uint32_t from = e->previous.offset + e->previous.length;
    if (t.offset <= from || !memchr(text + from, '\n', t.offset - from)) {
        return false;
    }
    const char *next =
        text + t.offset + t.length; /* data = x is an argument, data x = ... is not */
    next += strspn(next, " \t");
    for (int i = 0; i < STATEMENTS; i++) {
        if (statements[i].kind == t.kind) {
            return t.kind == TK_LET || t.kind == TK_ON || !strchr("=,)].", *next);
        }
    }
    return t.kind == TK_RBRACE;
}

Span syntax_statement(const SyntaxErrors *e) {
    return token_span(e->parse, e->first.length ? e->first : e->previous);
}

/* Is the ( or [ that is open closed behind t, before a brace or another statement? */
static bool closes_later(const SyntaxErrors *e, Token t) {
    Lexer ahead = *e->parse->lexer; /* reads on without moving the real one */
    SyntaxErrors lines = *e;
    int outer = ahead.depth;
    if (t.kind == TK_LPAREN || t.kind == TK_LBRACK) {
        outer--; /* counted already */
    } else if (t.kind == TK_RPAREN || t.kind == TK_RBRACK) {
        return true;
    }
    memset(&ahead.comments, 0, sizeof ahead.comments);
    for (;;) {
        if (t.kind == 0 || t.kind == TK_LBRACE || t.kind == TK_RBRACE || ahead.closing ||
            t.kind == BAD_DEPTH || t.offset > e->previous.offset + LOOK_AHEAD ||
            syntax_starts_statement(&lines, t)) {
            return false;
        }
        if (ahead.depth < outer) {
            return true;
        }
        lines.previous = t;
        t = lexer_next(&ahead);
    }
}

/* An open ( or [ that nothing closes: that is where the reader should look. */
static bool unclosed(SyntaxErrors *e, Token t) {
    Lexer *l = e->parse->lexer;
    Session *s = e->parse->session;
    const Source *source = e->parse->source;
    if (l->depth == 0 || closes_later(e, t)) {
        return false;
    }
    bool counted = t.kind == TK_LPAREN || t.kind == TK_LBRACK;
    if (counted && l->depth == 1) {
        return false;
    }
    Token open = l->open[l->depth - (counted ? 2 : 1)];
    uint32_t open_line = source_place(source, open.offset).line;
    bool brace = source->text.data[t.offset] == '}';
    if (!brace && t.kind != 0 && t.kind != TK_SEP &&
        source_place(source, t.offset).line == open_line) {
        lexer_forget_brackets(l);
        return false;
    }
    bool round = open.kind == TK_LPAREN;
    Diag *d =
        diag_error(s, "E0104", token_span(e->parse, open), "unclosed `%c`", round ? '(' : '[');
    diag_label(d, "opened here and never closed");
    if (t.offset < source->text.len) {
        diag_span(d, (Span){source, t.offset, 1}, "I was still inside the %s here",
                  round ? "parentheses" : "brackets");
    }
    uint32_t line = source_place(source, e->previous.offset).line;
    if (!token_is_open_ended(e->previous.kind)) {
        uint32_t end = e->previous.offset + e->previous.length;
        char closer = round ? ')' : ']';
        if (brace && source_place(source, t.offset).line == line) {
            diag_help(d, "add `%c` before `}`", closer);
        } else if (!source->is_file) {
            diag_help(d, "add `%c` at the end", closer);
        } else {
            diag_help(d, "add `%c` at the end of line %u", closer, line);
        }
        diag_fix(d, false, (Span){source, end, 0}, "%c", closer);
    }
    lexer_forget_brackets(l);
    return true;
}

/* The text ends inside { }: as many braces are missing as are open. */
static bool unclosed_brace(const SyntaxErrors *e, Token t) {
    const Lexer *l = e->parse->lexer;
    if (t.kind != 0 || l->braces == 0 || !accepts(e, TK_RBRACE)) {
        return false;
    }
    for (int i = 0; i < l->braces; i++) {
        Span at = token_span(e->parse, l->brace[i]);
        Diag *d = diag_error(e->parse->session, "E0104", at, "unclosed `{`");
        diag_label(d, "opened here and never closed");
    }
    return true;
}

/* `targt sm_90` was read as a step called targt: look at the first word before the token. */
static bool misspelt_statement(const SyntaxErrors *e) {
    Session *s = e->parse->session;
    Str candidates[STATEMENTS];
    size_t n = 0;
    for (int i = 0; i < STATEMENTS; i++) {
        if (e->top || statements[i].kind == TK_EXPECT) {
            candidates[n++] = str_from(statements[i].word);
        }
    }
    Span at = token_span(e->parse, e->first);
    Str near = e->first.kind == TK_ID ? nearest_of(span_text(at), candidates, n) : STR("");
    if (near.len == 0) {
        return false;
    }
    Diag *d = diag_error(s, "E0101", at, "`%.*s` begins no statement", STR_ARG(span_text(at)));
    diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
    diag_fix(d, false, at, "%.*s", STR_ARG(near));
    return true;
}

/* `int8 pre channel`: a word inside a statement that is nearly one that fits. */
static Str misspelt_word(const SyntaxErrors *e, Token t) {
    static const struct {
        int kind;
        const char *word;
    } inner[] = {{TK_PER, "per"},   {TK_SCALE, "scale"}, {TK_DYNAMIC, "dynamic"},
                 {TK_AS, "as"},     {TK_IN, "in"},       {TK_THEN, "then"},
                 {TK_ELSE, "else"}, {TK_AND, "and"},     {TK_OR, "or"},
                 {TK_NOT, "not"},   {TK_ON, "on"}};
    Str candidates[sizeof inner / sizeof *inner];
    size_t n = 0;
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
        if (accepts(e, inner[i].kind)) {
            candidates[n++] = str_from(inner[i].word);
        }
    }
    return t.kind == TK_ID ? nearest_of(span_text(token_span(e->parse, t)), candidates, n)
                           : STR("");
}

typedef struct Words {
    const char *at[24];
    size_t n;
} Words;

/* What the grammar would take instead, as words. An expression is one word, not fifteen; that any
 * operator may follow an operand is no news. */
static Words expected_words(const SyntaxErrors *e) {
    static const int shown[] = {TK_SEP,    TK_LBRACE, TK_RBRACE, TK_LPAREN, TK_RPAREN, TK_LBRACK,
                                TK_RBRACK, TK_COMMA,  TK_COLON,  TK_ASSIGN, TK_ID,     TK_STRING,
                                TK_NUMBER, TK_AS,     TK_IN,     TK_THEN,   TK_ELSE,   TK_ON};
    Words w = {.n = 0};
    bool operand_done = accepts(e, TK_BAR), value = accepts(e, TK_REGEX), name = accepts(e, TK_ID);
    bool statement = accepts(e, TK_LET) && accepts(e, TK_ON);
    bool step = name && !value && !statement && accepts(e, TK_RBRACE);
    if (value) {
        w.at[w.n++] = "a selector, format or number";
    } else if (statement || step) {
        w.at[w.n++] = statement ? "a statement" : "a step";
    }
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        int k = shown[i];
        bool told = (value && (k == TK_LPAREN || k == TK_LBRACK || k == TK_ID || k == TK_STRING ||
                               k == TK_NUMBER)) ||
                    ((statement || step) && (k == TK_ID || k == TK_ON || k == TK_LBRACE));
        bool no_news = operand_done && (k == TK_LPAREN || k == TK_LBRACK || k == TK_IN);
        bool any_name = k == TK_AS && name; /* stands for any name there */
        if (!told && !no_news && !any_name && accepts(e, k)) {
            w.at[w.n++] = token_name(k);
        }
    }
    return w;
}

static void label_expected(const SyntaxErrors *e, Diag *d) {
    Words w = expected_words(e);
    Buf b = buf_on(e->parse->session->arena);
    for (size_t i = 0; i < w.n; i++) {
        buf_printf(&b, "%s%s", i == 0 ? "expected " : i + 1 == w.n ? " or " : ", ", w.at[i]);
    }
    if (w.n) {
        diag_label(d, "%.*s", STR_ARG(buf_view(&b)));
    }
}

/* A closing bracket that has no opening one. */
static bool closes_nothing(const SyntaxErrors *e, Token t) {
    const char *text = e->parse->source->text.data;
    bool brace = t.kind == TK_RBRACE;
    if (!e->parse->lexer->unmatched) {
        return false;
    }
    Diag *d = diag_error(e->parse->session, "E0101", token_span(e->parse, t), "`%c` closes nothing",
                         text[t.offset]);
    diag_label(d, "no `%c` is open here", brace ? '{' : t.kind == TK_RPAREN ? '(' : '[');
    return true;
}

bool syntax_unexpected(SyntaxErrors *e, Token t) {
    if (unclosed(e, t)) {
        return true;
    }
    if (unclosed_brace(e, t) || closes_nothing(e, t) || misspelt_statement(e)) {
        return false;
    }
    Session *s = e->parse->session;
    Span at = token_span(e->parse, t);
    Diag *d;
    bool next = token_is_open_ended(e->previous.kind) && syntax_starts_statement(e, t);
    bool line_end = t.kind == TK_SEP && (t.length == 0 || span_text(at).data[0] != ';');
    if (t.kind == 0 || line_end || next) {
        bool text = t.offset >= e->parse->source->text.len;
        Span end = {at.source, e->previous.offset + e->previous.length, 1};
        d = diag_error(s, "E0101", end, "the %s ends too early", text ? "text" : "statement");
    } else {
        d = diag_error(s, "E0101", at, "I did not expect `%.*s`", STR_ARG(span_text(at)));
    }
    Str near = misspelt_word(e, t);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
        diag_fix(d, false, at, "%.*s", STR_ARG(near));
    } else {
        label_expected(e, d);
    }
    if (e->dangling.length && e->since_dangling < 2) {
        diag_span(d, token_span(e->parse, e->dangling), "the statement goes on after this");
    }
    return next;
}

void syntax_after(SyntaxErrors *e, Token t) {
    const char *text = e->parse->source->text.data;
    uint32_t from = e->previous.offset + e->previous.length;
    bool new_line = t.offset > from && memchr(text + from, '\n', t.offset - from) != NULL;
    if (t.kind == TK_SEP || t.kind == TK_LBRACE || t.kind == TK_RBRACE) {
        e->first = e->dangling = (Token){0};
    } else if (e->first.length == 0) {
        e->first = t;
    }
    if (e->first.length && new_line) {
        e->dangling = token_is_open_ended(e->previous.kind) ? e->previous : (Token){0};
        e->since_dangling = 0;
    }
    e->since_dangling++;
    e->previous = t;
    if (e->first.length == 0) {
        e->top = accepts(e, TK_LET);
    }
}
