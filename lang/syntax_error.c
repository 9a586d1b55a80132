/* See syntax_error.h. */
#include "lang/syntax_error.h"
#include "lang/grammar.h"
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"
#include "runtime/base/schema.h"

bool syntax_text_ok(Session *s, const Source *source)
{
    size_t bad = 0;
    if (source->text.len > LIMIT_RECIPE_BYTES) {
        diag_error(s, "E0106", NO_SPAN, "%s has %zu bytes; a recipe has at most %d",
                   str_safe_c(s->arena, source->name), source->text.len, LIMIT_RECIPE_BYTES);
        return false;
    }
    if (!utf8_valid(source->text, &bad)) {
        Diag *d = diag_error(s, "E0102", (Span){source, (uint32_t)bad, 1}, "this is not UTF-8 text");
        diag_label(d, "byte 0x%02x", (unsigned char)source->text.data[bad]);
        return false;
    }
    return true;
}

void syntax_bad_token(SyntaxErrors *e, Token t)
{
    Session *s = e->parse->session;
    Span at = token_span(e->parse, t);
    const char *text = str_safe_c(s->arena, span_text(at));
    Diag *d;
    switch (t.kind) {
    case BAD_STRING:
        d = diag_error(s, "E0102", at, "this string has no closing quote");
        diag_label(d, "opened here, not closed on its line");
        diag_help(d, "inside a string a quote is written \\\"");
        break;
    case BAD_NUMBER:
        d = diag_error(s, "E0102", at, "`%s` is neither a number nor a name", text);
        diag_label(d, "names begin with a letter");
        break;
    case BAD_DEPTH:
        d = diag_error(s, "E0106", at, "brackets are nested more than %d deep", LIMIT_BRACKET_DEPTH);
        diag_label(d, "one too many");
        break;
    default:
        d = diag_error(s, "E0102", at, "`%s` means nothing here", text);
        diag_label(d, "not a character of the language");
        if (text[0] == '\'') {
            diag_help(d, "strings are written with double quotes: \"**.q_proj\"");
        }
    }
    e->quiet = true;
    e->quiet_depth = e->brace_depth;
}

/* ( or [ opened on an earlier line: that is where the reader should look. */
static bool unclosed(SyntaxErrors *e, Token t)
{
    Lexer *l = e->parse->lexer;
    Session *s = e->parse->session;
    const Source *source = e->parse->source;
    if (l->depth == 0) {
        return false;
    }
    Token open = l->open[l->depth - 1];
    uint32_t open_line = source_place(source, open.offset).line;
    bool closer = t.kind == TK_RPAREN || t.kind == TK_RBRACK;
    if (closer || (t.kind != 0 && source_place(source, t.offset).line == open_line)) {
        return false;
    }
    Span at = token_span(e->parse, open);
    char bracket = source->text.data[open.offset];
    Diag *d = diag_error(s, "E0104", at, "unclosed `%c`", bracket);
    diag_label(d, "opened here and never closed");
    if (t.offset < source->text.len) {
        diag_span(d, (Span){source, t.offset, 1}, "I was still inside the %s here",
                  bracket == '(' ? "parentheses" : "brackets");
    }
    Str line = source_line(source, open_line);
    bool comma = false;
    for (size_t i = line.len; i > 0; i--) {
        if (line.data[i - 1] != ' ' && line.data[i - 1] != '\r') {
            comma = line.data[i - 1] == ',';
            break;
        }
    }
    if (!comma) {
        diag_help(d, "add `%c` at the end of line %u", bracket == '(' ? ')' : ']', open_line);
    }
    l->depth = 0; /* the next line end ends the statement again */
    return true;
}

/* The text ends inside { }: the brace that was opened last is the likely one. */
static bool unclosed_brace(SyntaxErrors *e, Token t)
{
    bool end = t.offset >= e->parse->source->text.len;
    if (!end || e->brace_depth == 0 || !e->accepts(e->parser, TK_RBRACE)) {
        return false;
    }
    Diag *d = diag_error(e->parse->session, "E0104",
                         token_span(e->parse, e->braces[e->brace_depth - 1]), "unclosed `{`");
    diag_label(d, "opened here and never closed");
    e->brace_depth = 0;
    return true;
}

/* What the grammar would take instead, as words. An expression is one word, not fifteen. */
static Str expected_list(SyntaxErrors *e)
{
    static const int shown[] = {TK_SEP, TK_LBRACE, TK_RBRACE, TK_LPAREN, TK_RPAREN, TK_LBRACK,
                                TK_RBRACK, TK_COMMA, TK_COLON, TK_ASSIGN, TK_ID, TK_STRING,
                                TK_NUMBER, TK_AS, TK_IN, TK_THEN, TK_ELSE, TK_ON};
    Session *s = e->parse->session;
    const char *words[sizeof shown / sizeof *shown + 1];
    size_t n = 0;
    bool value = e->accepts(e->parser, TK_NUMBER) && e->accepts(e->parser, TK_STRING) &&
                 e->accepts(e->parser, TK_IF);
    if (value) {
        words[n++] = "a selector, format or number";
    }
    bool operand_done = e->accepts(e->parser, TK_BAR); /* any operator may follow: no news */
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        int k = shown[i];
        bool part_of_value = k == TK_LPAREN || k == TK_LBRACK || k == TK_ID || k == TK_STRING ||
                             k == TK_NUMBER;
        if ((value && part_of_value) || (operand_done && (k == TK_LPAREN || k == TK_LBRACK || k == TK_IN))) {
            continue;
        }
        bool contextual = k == TK_AS && e->accepts(e->parser, TK_ID); /* stands for any name */
        if (!contextual && e->accepts(e->parser, k)) {
            words[n++] = token_name(k);
        }
    }
    Buf b = buf_on(s->arena);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "%s%s", i == 0 ? "expected " : i + 1 == n ? " or " : ", ", words[i]);
    }
    return buf_view(&b);
}

/* `targt sm_90` was read as a step named targt: look at the first word before blaming the token. */
static void after_keyword(SyntaxErrors *e, Diag *d)
{
    static const char *const words[] = {"mor", "use", "param", "let", "select", "format", "data", "fn",
                                        "transform", "target", "emit", "stage", "on", "override",
                                        "include", "within", "expect"};
    enum { WORDS = sizeof words / sizeof *words };
    if (e->first.kind != TK_ID || e->first.length == 0) {
        return;
    }
    Str candidates[WORDS];
    for (size_t i = 0; i < WORDS; i++) {
        candidates[i] = str_from(words[i]);
    }
    Span at = token_span(e->parse, e->first);
    Str near = nearest_of(span_text(at), candidates, WORDS);
    if (near.len) {
        diag_span(d, at, "did you mean `%.*s`?", STR_ARG(near));
        diag_fix(d, false, at, "%.*s", STR_ARG(near));
    }
}

void syntax_unexpected(SyntaxErrors *e, Token t)
{
    if (e->quiet) {
        return;
    }
    e->quiet = true;
    e->quiet_depth = e->brace_depth;
    if (unclosed(e, t) || unclosed_brace(e, t)) {
        return;
    }
    Session *s = e->parse->session;
    Span at = token_span(e->parse, t);
    bool line_end = t.kind == TK_SEP && (t.length == 0 || span_text(at).data[0] != ';');
    Diag *d;
    if (t.kind == 0 || line_end) {
        Span end = {at.source, at.offset, 1};
        d = diag_error(s, "E0101", end, "%s", t.kind == 0 ? "the text ends too early" : "the line ends too early");
    } else {
        d = diag_error(s, "E0101", at, "I did not expect `%s`", str_safe_c(s->arena, span_text(at)));
    }
    Str expected = expected_list(e);
    if (expected.len) {
        diag_label(d, "%.*s", STR_ARG(expected));
    }
    after_keyword(e, d);
}

void syntax_after(SyntaxErrors *e, Token t)
{
    if (t.kind == TK_LBRACE && e->brace_depth < LIMIT_BRACKET_DEPTH) {
        e->braces[e->brace_depth++] = t;
    } else if (t.kind == TK_RBRACE && e->brace_depth > 0) {
        e->brace_depth--;
    }
    bool boundary = t.kind == TK_SEP || t.kind == TK_LBRACE || t.kind == TK_RBRACE;
    if (boundary) {
        e->quiet = e->quiet && (t.kind != TK_SEP || e->brace_depth > e->quiet_depth);
        e->first = (Token){0};
        e->parse->nodes = 0;
        e->parse->too_big = e->parse->mixed = false;
    } else if (e->previous.kind == 0 || e->previous.kind == TK_SEP || e->previous.kind == TK_LBRACE ||
               e->previous.kind == TK_RBRACE) {
        e->first = t;
    }
    e->previous = t;
}
