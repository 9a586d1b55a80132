/* See lexer.h. re2c makes the matcher; what a line end means is decided in two small functions. */
#include "lang/lexer.h"
#include "lang/grammar.h"

static const struct {
    const char *word;
    int kind;
} keywords[] = {
    {"mor", TK_MOR},               {"use", TK_USE},               {"as", TK_AS},
    {"param", TK_PARAM},           {"let", TK_LET},               {"select", TK_SELECT},
    {"format", TK_FORMAT},         {"data", TK_DATA},             {"fn", TK_FN},
    {"transform", TK_TRANSFORM},   {"target", TK_TARGET},         {"emit", TK_EMIT},
    {"stage", TK_STAGE},           {"on", TK_ON},                 {"override", TK_OVERRIDE},
    {"include", TK_INCLUDE},       {"within", TK_WITHIN},         {"expect", TK_EXPECT},
    {"if", TK_IF},                 {"then", TK_THEN},             {"else", TK_ELSE},
    {"and", TK_AND},               {"or", TK_OR},                 {"not", TK_NOT},
    {"in", TK_IN},                 {"per", TK_PER},               {"scale", TK_SCALE},
    {"dynamic", TK_DYNAMIC},       {"true", TK_TRUE},             {"false", TK_FALSE},
};

static int keyword(const char *text, size_t length) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (str_is((Str){text, length}, keywords[i].word)) {
            return keywords[i].kind;
        }
    }
    return TK_ID;
}

bool token_is_open_ended(int kind) {
    switch (kind) {
    case TK_LBRACE: case TK_LPAREN: case TK_LBRACK: case TK_COMMA: case TK_DOT: case TK_COLON:
    case TK_ASSIGN: case TK_IF: case TK_THEN: case TK_ELSE: case TK_AND: case TK_OR: case TK_NOT:
    case TK_IN: case TK_ON: case TK_LET: case TK_EQ: case TK_NE: case TK_LT: case TK_LE:
    case TK_GT: case TK_GE: case TK_DOTDOT: case TK_BAR: case TK_AMP: case TK_SHL: case TK_SHR:
    case TK_PLUS: case TK_MINUS: case TK_STAR: case TK_SLASH: case TK_PERCENT: case TK_BANG:
        return true;
    default:
        return false;
    }
}

static bool can_end(int kind) {
    return kind != 0 && kind != TK_SEP && !token_is_open_ended(kind);
}

static bool is_name_char(char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Does the next text that counts continue the line before: | & - and or then else? Remembers how
 * far it looked, so that a long run of empty lines is read once. */
static bool continues(Lexer *l, const char *p) {
    static const char *const words[] = {"and", "or", "then", "else"};
    const char *text = l->source->text.data;
    if ((size_t)(p - text) < l->joined) {
        return true;
    }
    for (;;) {
        p += strspn(p, " \t\r\n");
        if (*p != '#') {
            break;
        }
        p += strcspn(p, "\n");
    }
    bool found = *p == '|' || *p == '&' || *p == '-';
    for (size_t i = 0; i < sizeof words / sizeof *words && !found; i++) {
        size_t n = strlen(words[i]);
        found = strncmp(p, words[i], n) == 0 && !is_name_char(p[n]);
    }
    if (found) {
        l->joined = (uint32_t)(p - text);
    }
    return found;
}

void lexer_open(Lexer *lexer, Session *s, const Source *source) {
    memset(lexer, 0, sizeof *lexer);
    lexer->session = s;
    lexer->source = source;
    lexer->at = str_starts(source->text, STR("\xef\xbb\xbf")) ? 3 : 0; /* a byte order mark */
}

void lexer_forget_brackets(Lexer *lexer) {
    lexer->depth = 0;
}

static Token make(Lexer *l, int kind, const char *from, const char *to) {
    const char *text = l->source->text.data;
    Token t = {kind, (uint32_t)(from - text), (uint32_t)(to - from)};
    l->at = (uint32_t)(to - text);
    l->unmatched = false;
    l->last = kind; /* what is no token may still end its statement */
    return t;
}

static Token open_bracket(Lexer *l, int kind, const char *from) {
    if (l->depth + l->braces >= LIMIT_BRACKET_DEPTH) {
        return make(l, BAD_DEPTH, from, from + 1);
    }
    Token t = make(l, kind, from, from + 1);
    if (kind == TK_LBRACE) {
        l->brace[l->braces++] = t;
    } else {
        l->open[l->depth++] = t;
    }
    return t;
}

static Token close_bracket(Lexer *l, int kind, const char *from) {
    int *open = kind == TK_RBRACE ? &l->braces : &l->depth;
    bool unmatched = *open == 0;
    *open -= unmatched ? 0 : 1;
    Token t = make(l, kind, from, from + 1);
    l->unmatched = unmatched;
    return t;
}

Token lexer_next(Lexer *l) {
    const char *YYCURSOR = l->source->text.data + l->at, *YYMARKER = YYCURSOR, *start;
    const char *end = l->source->text.data + l->source->text.len;
    if (l->closing) {
        l->closing = false;
        return close_bracket(l, TK_RBRACE, YYCURSOR);
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
            if (l->depth == 0 && can_end(l->last) && !continues(l, YYCURSOR)) { TOKEN(TK_SEP); }
            continue;
        }
        ";"                       {
            if (l->last == TK_SEP || l->last == 0) { continue; }
            TOKEN(TK_SEP);
        }
        "\x00"                    {
            if (start < end) { TOKEN(BAD_CHARACTER); }
            return make(l, can_end(l->last) ? TK_SEP : 0, start, start);
        }
        [0-9]+ ":" [0-9]+         { TOKEN(TK_RATIO); }
        decimal ([ \t]* unit)?    { TOKEN(TK_NUMBER); }
        "0x" [0-9a-fA-F]+         { TOKEN(TK_NUMBER); }
        decimal [A-Za-z_][A-Za-z0-9_]* { TOKEN(BAD_NUMBER); }
        "re" text "\""            { TOKEN(TK_REGEX); }
        text "\""                 { TOKEN(TK_STRING); }
        "re"? text                { TOKEN(BAD_STRING); }
        "'" [^'\n\x00]* "'"        { TOKEN(BAD_QUOTES); }
        [A-Za-z_][A-Za-z0-9_]*    { TOKEN(keyword(start, (size_t)(YYCURSOR - start))); }
        "{"                       { return open_bracket(l, TK_LBRACE, start); }
        "}"                       {
            if (can_end(l->last)) {
                l->closing = true;
                return make(l, TK_SEP, start, start);
            }
            return close_bracket(l, TK_RBRACE, start);
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
        "&&" | "||" { TOKEN(BAD_OPERATOR); }
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
        [\x80-\xff]+             { TOKEN(BAD_CHARACTER); }
        *    { TOKEN(BAD_CHARACTER); }
        */
    }
}
