/* Names of tokens, for messages and for `-d tokens`. */
#include "lang/grammar.h"
#include "lang/lexer.h"
#include "lang/parse.h"
#include "runtime/base/sanitize.h"

static const struct {
    int kind;
    const char *dump, *name;
} names[] = {
    {0, "END", "the end of the text"},
    {TK_SEP, "SEP", "the end of the line"},
    {TK_ID, "ID", "a name"},
    {TK_NUMBER, "NUMBER", "a number"},
    {TK_RATIO, "RATIO", "a ratio"},
    {TK_STRING, "STRING", "a string"},
    {TK_REGEX, "REGEX", "a regex"},
    {TK_LBRACE, "LBRACE", "`{`"},
    {TK_RBRACE, "RBRACE", "`}`"},
    {TK_LPAREN, "LPAREN", "`(`"},
    {TK_RPAREN, "RPAREN", "`)`"},
    {TK_LBRACK, "LBRACK", "`[`"},
    {TK_RBRACK, "RBRACK", "`]`"},
    {TK_COMMA, "COMMA", "`,`"},
    {TK_DOT, "DOT", "`.`"},
    {TK_COLON, "COLON", "`:`"},
    {TK_ASSIGN, "ASSIGN", "`=`"},
    {TK_QUESTION, "QUESTION", "`?`"},
    {TK_DOTDOT, "DOTDOT", "`..`"},
    {TK_EQ, "EQ", "`==`"},
    {TK_NE, "NE", "`!=`"},
    {TK_LT, "LT", "`<`"},
    {TK_LE, "LE", "`<=`"},
    {TK_GT, "GT", "`>`"},
    {TK_GE, "GE", "`>=`"},
    {TK_BAR, "BAR", "`|`"},
    {TK_AMP, "AMP", "`&`"},
    {TK_SHL, "SHL", "`<<`"},
    {TK_SHR, "SHR", "`>>`"},
    {TK_PLUS, "PLUS", "`+`"},
    {TK_MINUS, "MINUS", "`-`"},
    {TK_STAR, "STAR", "`*`"},
    {TK_SLASH, "SLASH", "`/`"},
    {TK_PERCENT, "PERCENT", "`%`"},
    {TK_BANG, "BANG", "`!`"},
    {TK_MOR, "MOR", "`mor`"},
    {TK_USE, "USE", "`use`"},
    {TK_AS, "AS", "`as`"},
    {TK_PARAM, "PARAM", "`param`"},
    {TK_LET, "LET", "`let`"},
    {TK_SELECT, "SELECT", "`select`"},
    {TK_FORMAT, "FORMAT", "`format`"},
    {TK_DATA, "DATA", "`data`"},
    {TK_FN, "FN", "`fn`"},
    {TK_TRANSFORM, "TRANSFORM", "`transform`"},
    {TK_TARGET, "TARGET", "`target`"},
    {TK_EMIT, "EMIT", "`emit`"},
    {TK_STAGE, "STAGE", "`stage`"},
    {TK_ON, "ON", "`on`"},
    {TK_OVERRIDE, "OVERRIDE", "`override`"},
    {TK_INCLUDE, "INCLUDE", "`include`"},
    {TK_WITHIN, "WITHIN", "`within`"},
    {TK_EXPECT, "EXPECT", "`expect`"},
    {TK_IF, "IF", "`if`"},
    {TK_THEN, "THEN", "`then`"},
    {TK_ELSE, "ELSE", "`else`"},
    {TK_AND, "AND", "`and`"},
    {TK_OR, "OR", "`or`"},
    {TK_NOT, "NOT", "`not`"},
    {TK_IN, "IN", "`in`"},
    {TK_PER, "PER", "`per`"},
    {TK_SCALE, "SCALE", "`scale`"},
    {TK_DYNAMIC, "DYNAMIC", "`dynamic`"},
    {TK_TRUE, "TRUE", "`true`"},
    {TK_FALSE, "FALSE", "`false`"},
    {BAD_CHARACTER, "BAD_CHARACTER", "a bad character"},
    {TK_BROKEN, "BROKEN", "something"},
    {BAD_QUOTES, "BAD_QUOTES", "single quotes"},
    {BAD_OPERATOR, "BAD_OPERATOR", "a bad operator"},
    {BAD_STRING, "BAD_STRING", "an unclosed string"},
    {BAD_DEPTH, "BAD_DEPTH", "too many brackets"},
    {BAD_NUMBER, "BAD_NUMBER", "a bad number"},
};

static size_t row_of(int kind) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].kind == kind) {
            return i;
        }
    }
    return 0;
}

const char *token_name(int kind) {
    return names[row_of(kind)].name;
}

const char *token_dump_name(int kind) {
    return names[row_of(kind)].dump;
}

void tokens_dump(Session *s, const Source *source, Buf *out) {
    Lexer *lexer = arena_new(s->arena, Lexer);
    lexer_open(lexer, s, source);
    for (;;) {
        Token t = lexer_next(lexer);
        Place place = source_place(source, t.offset);
        Str text = str_slice(source->text, t.offset, t.offset + t.length);
        buf_printf(out, "%u:%u %s", place.line, place.column, token_dump_name(t.kind));
        if (t.kind == TK_ID || t.kind == TK_NUMBER || t.kind == TK_RATIO || t.kind == TK_STRING ||
            t.kind == TK_REGEX || t.kind >= BAD_CHARACTER) {
            buf_char(out, ' ');
            buf_safe(out, text);
        }
        buf_char(out, '\n');
        if (t.kind == 0) {
            return;
        }
    }
}
