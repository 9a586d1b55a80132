/* Bytes -> tokens. Line ends end statements (language.md 2.1): the lexer makes a SEP token of a
 * line end outside ( ) and [ ] when the statement can end there, and one before `}` and at the end
 * of the text. Comments are set aside with their place. Tokens are {kind, place}; kinds are
 * Lemon's. */
#ifndef LANG_LEXER_H
#define LANG_LEXER_H
#include "runtime/base/limits.h"
#include "runtime/base/session.h"

typedef struct Token {
    int kind;
    uint32_t offset, length;
} Token;

enum { /* what the lexer could not make a token of; above every kind of the grammar */
       BAD_CHARACTER = 240,
       BAD_STRING,
       BAD_QUOTES,
       BAD_OPERATOR,
       BAD_DEPTH,
       BAD_NUMBER
};

typedef struct Lexer {
    Session *session;
    const Source *source;
    uint32_t at;
    int last;          /* kind of the token before */
    uint32_t joined;   /* line ends before this offset end nothing: a continuation follows */
    bool closing;      /* a SEP was made before `}`: the brace comes next */
    bool unmatched;    /* the last token is a bracket that closes nothing */
    int depth, braces; /* ( and [ that are open; { that are open */
    Token open[LIMIT_BRACKET_DEPTH];  /* the `depth` open ( and [, outermost first */
    Token brace[LIMIT_BRACKET_DEPTH]; /* the `braces` open {, outermost first */
    Vec(Token) comments;
} Lexer;

void lexer_open(Lexer *lexer, Session *s, const Source *source);
Token lexer_next(Lexer *lexer);
/* A statement begins inside ( or [ that nobody closed: gives them up, so that line ends count. */
void lexer_forget_brackets(Lexer *lexer);
bool token_is_open_ended(int kind); /* a statement cannot end after it: operator, comma, ... */

const char *token_name(int kind);      /* "`(`", "a name", "the end of the line" */
const char *token_dump_name(int kind); /* "LPAREN" */

#endif
