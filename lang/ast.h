/* The syntax tree: one node type, a kind, up to three children and a list. What each kind keeps
 * where is said in AST_KINDS. Nodes and decoded texts live in the session's arena; spans point
 * into the Source. Comments ride on the node they belong to, so that `morc fmt` keeps them. */
#ifndef LANG_AST_H
#define LANG_AST_H
#include "runtime/base/session.h"

/* kind        what it is            fields */
#define AST_KINDS(X)                                                                               \
    X(RECIPE,    "recipe",           "kids: items")                                                \
    X(EDITION,   "mor 1",            "a: NUMBER")                                                  \
    X(USE,       "use \"x\" as n",   "a: STRING; name: alias, may be empty")                       \
    X(PARAM,     "param n: t in r = d", "name; type; a: range or list, may be NULL; b: default, may be NULL") \
    X(LET,       "let n = e",        "name; a")                                                    \
    X(SELECT,    "select n = e",     "name; a")                                                    \
    X(FORMAT,    "format n = e",     "name; a")                                                    \
    X(DATA,      "data n = e",       "name; a")                                                    \
    X(FN,        "fn n(p) = e",      "name; kids: NAME parameters, then LET locals; a: body; flag: block form") \
    X(TRANSFORM, "transform n(p) {}", "name; kids: FORMAL; a: BLOCK")                              \
    X(FORMAL,    "n: t = d",         "name; type; b: default, may be NULL")                        \
    X(TARGET,    "target e, e",      "kids: exprs")                                                \
    X(EMIT,      "emit e",           "a")                                                          \
    X(INCLUDE,   "include p(args)",  "a: PATH or STRING; kids: ARG; flag: has parentheses")        \
    X(STAGE,     "stage n {}",       "name; kids: items")                                          \
    X(ON,        "on e {}",          "a: selector; b: BLOCK; flag: override")                      \
    X(WITHIN,    "within e unit",    "a; name: unit")                                              \
    X(EXPECT,    "expect e, \"m\"",  "a; b: STRING, may be NULL")                                  \
    X(BLOCK,     "{ }",              "kids: STEP, BLOCK, EXPECT")                                  \
    X(STEP,      "p(args) {}",       "a: PATH; kids: ARG; b: BLOCK, may be NULL; flag: has parentheses") \
    X(ARG,       "n = e",            "name, may be empty; a")                                      \
    X(PATH,      "a.b",              "kids: NAME, one or two")                                     \
    X(IF,        "if then else",     "a, b, c")                                                    \
    X(BINARY,    "a op b",           "op; a; b; op_span")                                          \
    X(UNARY,     "op a",             "op: '-', '!' or not; a; op_span")                            \
    X(MEMBER,    "a.n",              "a; name")                                                    \
    X(CALL,      "a(args)",          "a; kids: ARG")                                               \
    X(INDEX,     "a[b]",             "a; b")                                                       \
    X(OPTIONAL,  "a?",               "a")                                                          \
    X(PER,       "a per n(args)",    "a; name; kids: ARG; flag: has parentheses")                  \
    X(SCALE,     "a scale n",        "a; name")                                                    \
    X(DYNAMIC,   "a dynamic",        "a")                                                          \
    X(NAME,      "n",                "name")                                                       \
    X(ATTR,      ".n",               "name")                                                       \
    X(NUMBER,    "3",                "number; is_int and integer; text as written by the span")    \
    X(RATIO,     "2:4",              "integer, integer2")                                          \
    X(STRING,    "\"x\"",            "text: decoded")                                              \
    X(REGEX,     "re\"x\"",          "text: decoded")                                              \
    X(BOOL,      "true",             "flag")                                                       \
    X(LIST,      "[a, b]",           "kids: ARG")                                                  \
    X(PAREN,     "(a)",              "a: kept so that fmt prints what was written")                \
    X(ERROR,     "?",                "stands where something could not be parsed; reported already")

typedef enum AstKind {
#define X(kind, text, fields) AST_##kind,
    AST_KINDS(X)
#undef X
    AST_KIND_COUNT
} AstKind;

typedef enum AstOp { /* of BINARY and UNARY, in the order of the precedence table */
    OP_OR, OP_AND, OP_NOT, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_RANGE, OP_UNION,
    OP_INTERSECT, OP_SHL, OP_SHR, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_NEG, OP_COMPLEMENT
} AstOp;

typedef struct Ast Ast;
typedef Vec(Ast *) AstList;

typedef struct AstComments {
    Vec(Str) before;  /* whole-line comments above, "#..." or "##...", no line end; "" = blank line */
    Str after;        /* comment at the end of the node's last line; empty if none */
    Vec(Str) inside;  /* before the closing brace of a BLOCK, STAGE or the end of the RECIPE */
} AstComments;

struct Ast {
    AstKind kind;
    AstOp op;
    bool flag, is_int;
    Span span;                 /* the whole node */
    Span name_span, op_span;   /* of `name`, of the operator */
    Str name, type, text;      /* interned names */
    Span type_span;
    double number;
    int64_t integer, integer2;
    Ast *a, *b, *c;
    AstList kids;
    Str doc;                   /* "##" text of a declaration, lines joined by \n */
    AstComments *comments;     /* NULL if none */
};

extern const char *const ast_op_text[];      /* "or", "and", "|", ... */
const char *ast_kind_name(AstKind kind);     /* "on", "binary", ... */

/* Indented dump for `-d ast` and golden files. */
void ast_dump(const Ast *ast, Buf *out);
/* Canonical source (morc fmt): keeps comments, idempotent, never reorders. */
void ast_format(const Ast *ast, Buf *out);
/* One expression as source, for messages: `linear - head`. */
void ast_format_expr(const Ast *expr, Buf *out);

#endif
