/* What a reader is told about text that does not parse: E0101 unexpected, E0102 bad text, E0104
 * unclosed bracket, E0106 too big. One error a statement: what follows it is often its echo. */
#ifndef LANG_SYNTAX_ERROR_H
#define LANG_SYNTAX_ERROR_H
#include "lang/build.h"

typedef struct SyntaxErrors {
    Parse *parse;
    const void *parser;
    bool (*accepts)(const void *parser, int token); /* would the grammar take this token now? */
    bool quiet;          /* this statement has its error */
    int quiet_depth;     /* braces that were open when it was reported */
    Token first;         /* first token of the statement */
    Token previous;
    Token braces[LIMIT_BRACKET_DEPTH];  /* { that are open */
    int brace_depth;
} SyntaxErrors;

bool syntax_text_ok(Session *s, const Source *source);     /* size, UTF-8 */
void syntax_bad_token(SyntaxErrors *e, Token t);
void syntax_unexpected(SyntaxErrors *e, Token t);
void syntax_after(SyntaxErrors *e, Token t);               /* call for every token: tracks statements */

#endif
