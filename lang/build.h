/* What grammar actions call: one constructor for each shape of node, and the state of one parse. */
#ifndef LANG_BUILD_H
#define LANG_BUILD_H
#include "lang/ast.h"
#include "lang/lexer.h"

typedef struct Parse {
    Session *session;
    const Source *source;
    Lexer *lexer;
    Ast *result;
    uint32_t nodes; /* of the current statement, see LIMIT_EXPRESSION_NODES */
    bool mixed;     /* E0103 was reported for the current statement */
    bool too_big;   /* E0106 was reported: reading stops */
    bool refused;   /* the grammar found an error in the last token; the driver knew before */
    bool overflow;  /* the parser's stack ran out: reading stops */
} Parse;

Span token_span(const Parse *p, Token t);
Ast *build(Parse *p, AstKind kind, Span from, Span to);
Ast *build_leaf(Parse *p, AstKind kind, Token t); /* NUMBER RATIO STRING REGEX BOOL NAME */
Ast *build_named(Parse *p, AstKind kind, Token from, Token name, Span to);
Ast *build_attr(Parse *p, Token dot, Token name);
Ast *build_binary(Parse *p, AstOp op, Token at, Ast *left, Ast *right);
Ast *build_unary(Parse *p, AstOp op, Token at, Ast *operand);
Ast *build_if(Parse *p, Token from, Ast *condition, Ast *then, Ast *otherwise);
Ast *build_postfix(Parse *p, AstKind kind, Ast *operand, Token to);         /* OPTIONAL DYNAMIC */
Ast *build_named_postfix(Parse *p, AstKind kind, Ast *operand, Token name); /* MEMBER SCALE PER */
Ast *build_call(Parse *p, Ast *callee, AstList *args, Token to);            /* also of a PER */
Ast *build_index(Parse *p, Ast *operand, Ast *index, Token to);
Ast *build_wrapped(Parse *p, AstKind kind, Token from, Ast *inner, AstList *list,
                   Token to); /* PAREN LIST BLOCK */
Ast *build_arg(Parse *p, Token *name, Ast *value);
AstList *build_list(Parse *p);
AstList *build_append(Parse *p, AstList *list, Ast *item); /* NULL items are left out */

/* The parser that Lemon makes of grammar.y, on the session's arena. */
void *grammar_open(Session *s, int mode, Parse *p);
bool grammar_accepts(const void *parser, int token); /* would it take this token now? */
void grammar_feed(void *parser, Token t, Parse *p);
void grammar_close(void *parser);

/* Comments and blank lines are handed to the statements they belong to (AstComments, doc). */
void attach_comments(Parse *p, Ast *recipe);

#endif
