/* See lexer.h. re2c makes the matcher; what a line end means is decided in two small functions. */
#include "lang/lexer.h"
#include "lang/grammar.h"

static const struct {
    const char *word;
    int kind;
} keywords[] = {
    {"mor", TK_MOR},         {"use", TK_USE},       {"as", TK_AS},           {"param", TK_PARAM},
    {"let", TK_LET},         {"select", TK_SELECT}, {"format", TK_FORMAT},   {"data", TK_DATA},
    {"fn", TK_FN},           {"transform", TK_TRANSFORM}, {"target", TK_TARGET}, {"emit", TK_EMIT},
    {"stage", TK_STAGE},     {"on", TK_ON},         {"override", TK_OVERRIDE}, {"include", TK_INCLUDE},
    {"within", TK_WITHIN},   {"expect", TK_EXPECT}, {"if", TK_IF},           {"then", TK_THEN},
    {"else", TK_ELSE},       {"and", TK_AND},       {"or", TK_OR},           {"not", TK_NOT},
    {"in", TK_IN},           {"per", TK_PER},       {"scale", TK_SCALE},     {"dynamic", TK_DYNAMIC},
    {"true", TK_TRUE},       {"false", TK_FALSE},
};

static int keyword(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (str_is((Str){text, length}, keywords[i].word)) {
            return keywords[i].kind;
        }
    }
    return TK_ID;
}

/* May a statement end after this token? Operators, commas and opening brackets say no, and so do the
 * reserved words that need something after them. */
static bool can_end(int kind)
{
    switch (kind) {
    case 0: case TK_SEP: case TK_LBRACE: case TK_LPAREN: case TK_LBRACK: case TK_COMMA:
    case TK_DOT: case TK_COLON: case TK_ASSIGN: case TK_IF: case TK_THEN: case TK_ELSE:
    case TK_AND: case TK_OR: case TK_NOT: case TK_IN: case TK_ON: case TK_LET: case TK_EQ:
    case TK_NE: case TK_LT: case TK_LE: case TK_GT: case TK_GE: case TK_DOTDOT: case TK_BAR:
    case TK_AMP: case TK_SHL: case TK_SHR: case TK_PLUS: case TK_MINUS: case TK_STAR:
    case TK_SLASH: case TK_PERCENT: case TK_BANG:
        return false;
    default:
        return true;
    }
}

static bool is_name_char(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Does the next text that counts continue the line before: | & - and or then else? */
static bool continues(const char *p)
{
    static const char *const words[] = {"and", "or", "then", "else"};
    for (;;) {
        p += strspn(p, " \t\r\n");
        if (*p != '#') {
            break;
        }
        p += strcspn(p, "\n");
    }
    if (*p == '|' || *p == '&' || *p == '-') {
        return true;
    }
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(words[i]);
        if (strncmp(p, words[i], n) == 0 && !is_name_char(p[n])) {
            return true;
        }
    }
    return false;
}

void lexer_open(Lexer *lexer, Session *s, const Source *source)
{
    memset(lexer, 0, sizeof *lexer);
    lexer->session = s;
    lexer->source = source;
}

static Token make(Lexer *l, int kind, const char *from, const char *to)
{
    const char *text = l->source->text.data;
    Token t = {kind, (uint32_t)(from - text), (uint32_t)(to - from)};
    l->at = (uint32_t)(to - text);
    if (kind != BAD_BYTE && kind != BAD_DEPTH) {
        l->last = kind; /* a broken string or number may still end its statement */
    }
    return t;
}

static Token open_bracket(Lexer *l, int kind, const char *from)
{
    if (l->depth >= LIMIT_BRACKET_DEPTH) {
        return make(l, BAD_DEPTH, from, from + 1);
    }
    Token t = make(l, kind, from, from + 1);
    l->open[l->depth++] = t;
    return t;
}

static Token close_bracket(Lexer *l, int kind, const char *from)
{
    l->depth -= l->depth > 0 ? 1 : 0;
    return make(l, kind, from, from + 1);
}

Token lexer_next(Lexer *l)
{
    const char *YYCURSOR = l->source->text.data + l->at, *YYMARKER = YYCURSOR, *start;
    const char *end = l->source->text.data + l->source->text.len;
    if (l->closing) {
        l->closing = false;
        return make(l, TK_RBRACE, YYCURSOR, YYCURSOR + 1);
    }
    for (;;) {
        start = YYCURSOR;
#define TOKEN(kind) return make(l, kind, start, YYCURSOR)
        /*!re2c
        re2c:yyfill:enable = 0;
        re2c:flags:input = custom;
        re2c:api:style = free-form;
        re2c:define:YYCTYPE = "unsigned char";
        re2c:define:YYPEEK = "*(const unsigned char *)YYCURSOR";
        re2c:define:YYSKIP = "++YYCURSOR;";
        re2c:define:YYBACKUP = "YYMARKER = YYCURSOR;";
        re2c:define:YYRESTORE = "YYCURSOR = YYMARKER;";

        decimal = [0-9][0-9_]* ("." [0-9][0-9_]*)? ([eE] [-+]? [0-9]+)?;
        unit    = "KiB" | "MiB" | "GiB";
        text    = "\"" ([^"\\\n\x00] | "\\" [^\n\x00])*;

        [ \t\r]+                  { continue; }
        "#" [^\n\x00]*            {
            Token c = {0, (uint32_t)(start - l->source->text.data), (uint32_t)(YYCURSOR - start)};
            vec_push(l->session->arena, &l->comments, c);
            continue;
        }
        "\n"                      {
            if (l->depth == 0 && can_end(l->last) && !continues(YYCURSOR)) { TOKEN(TK_SEP); }
            continue;
        }
        ";"                       { if (l->last == TK_SEP || l->last == 0) { continue; } TOKEN(TK_SEP); }
        "\x00"                    {
            if (start < end) { TOKEN(BAD_BYTE); }
            return make(l, can_end(l->last) ? TK_SEP : 0, start, start);
        }
        [0-9]+ ":" [0-9]+         { TOKEN(TK_RATIO); }
        decimal ([ \t]* unit)?    { TOKEN(TK_NUMBER); }
        "0x" [0-9a-fA-F]+         { TOKEN(TK_NUMBER); }
        decimal [A-Za-z_][A-Za-z0-9_]* { TOKEN(BAD_NUMBER); }
        "re" text "\""            { TOKEN(TK_REGEX); }
        text "\""                 { TOKEN(TK_STRING); }
        "re"? text                { TOKEN(BAD_STRING); }
        [A-Za-z_][A-Za-z0-9_]*    { TOKEN(keyword(start, (size_t)(YYCURSOR - start))); }
        "{"                       { TOKEN(TK_LBRACE); }
        "}"                       {
            if (can_end(l->last)) {
                l->closing = true;
                return make(l, TK_SEP, start, start);
            }
            TOKEN(TK_RBRACE);
        }
        "("  { return open_bracket(l, TK_LPAREN, start); }
        "["  { return open_bracket(l, TK_LBRACK, start); }
        ")"  { return close_bracket(l, TK_RPAREN, start); }
        "]"  { return close_bracket(l, TK_RBRACK, start); }
        ".." { TOKEN(TK_DOTDOT); }
        "==" { TOKEN(TK_EQ); }
        "!=" { TOKEN(TK_NE); }
        "<=" { TOKEN(TK_LE); }
        ">=" { TOKEN(TK_GE); }
        "<<" { TOKEN(TK_SHL); }
        ">>" { TOKEN(TK_SHR); }
        "<"  { TOKEN(TK_LT); }
        ">"  { TOKEN(TK_GT); }
        "="  { TOKEN(TK_ASSIGN); }
        "|"  { TOKEN(TK_BAR); }
        "&"  { TOKEN(TK_AMP); }
        "-"  { TOKEN(TK_MINUS); }
        "+"  { TOKEN(TK_PLUS); }
        "*"  { TOKEN(TK_STAR); }
        "/"  { TOKEN(TK_SLASH); }
        "%"  { TOKEN(TK_PERCENT); }
        "!"  { TOKEN(TK_BANG); }
        ","  { TOKEN(TK_COMMA); }
        "."  { TOKEN(TK_DOT); }
        ":"  { TOKEN(TK_COLON); }
        "?"  { TOKEN(TK_QUESTION); }
        *    { TOKEN(BAD_BYTE); }
        */
    }
}
