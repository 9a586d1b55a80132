/* What a reader is told about text that does not parse: E0101 unexpected, E0102 bad text, E0104
 * unclosed bracket, E0106 too big. The driver (parse.c) decides when; here is what it says. */
#ifndef LANG_SYNTAX_ERROR_H
#define LANG_SYNTAX_ERROR_H
#include "lang/build.h"

typedef struct SyntaxErrors {
    const Parse *parse;
    const void *grammar; /* asked what it would take, see grammar_accepts */
    Token previous;      /* last token */
    Token first;         /* first token of the statement, length 0 before it */
    bool top;            /* ... where statements stand, not only steps */
    Token dangling;      /* operator at the end of a line, while the next line is read */
    int since_dangling;  /* tokens since then */
} SyntaxErrors;

void syntax_begin(SyntaxErrors *e, const Parse *p, const void *grammar);
bool syntax_text_ok(Session *s, const Source *source); /* size, UTF-8 */
void syntax_bad_token(SyntaxErrors *e, Token t);       /* one of the BAD_ kinds */
/* Reports t, which the grammar does not take. True: t begins a new statement, the one before lacks
 * its end (a closing bracket, which the lexer has given up on, or an operand). */
bool syntax_unexpected(SyntaxErrors *e, Token t);
void syntax_after(SyntaxErrors *e, Token t);                  /* call for every token, in the end */
bool syntax_starts_statement(const SyntaxErrors *e, Token t); /* first on its line, and a keyword */
Span syntax_statement(const SyntaxErrors *e);                 /* first word of the one at hand */

#endif
