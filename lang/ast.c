/* Names of kinds and operators, the dump of a tree, an expression as text on one line. */
#include "lang/ast.h"
#include <stdlib.h>
#include "runtime/base/sanitize.h"

enum { MAX_INDENT = 100 }; /* a + a + a + ... is as deep as it is long */

const char *const ast_op_text[] = {"or", "and", "not", "==", "!=", "<", "<=", ">", ">=", "in", "..",
                                   "|",  "&",   "<<",  ">>", "+",  "-", "*",  "/", "%",  "-",  "!"};

static const char *const kind_names[] = {
#define X(kind, text, fields) #kind,
    AST_KINDS(X)
#undef X
};

const char *ast_kind_name(AstKind kind) {
    return kind_names[kind];
}

static void dump_number(const Ast *a, Buf *out) {
    if (a->is_int) {
        buf_printf(out, " %lld", (long long)a->integer);
    } else {
        char text[32]; /* the shortest form that reads back, as 0.99 */
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, a->number);
            if (strtod(text, NULL) == a->number) {
                break;
            }
        }
        buf_printf(out, " %s", text);
    }
}

/* What a node has beside its name: its value, operator or flag. */
static void dump_value(const Ast *a, Buf *out) {
    switch (a->kind) {
    case AST_NUMBER:
        dump_number(a, out);
        break;
    case AST_RATIO:
        buf_printf(out, " %lld:%lld", (long long)a->integer, (long long)a->integer2);
        break;
    case AST_STRING:
    case AST_REGEX:
        buf_printf(out, " \"");
        buf_safe(out, a->text);
        buf_char(out, '"');
        break;
    case AST_BOOL:
        buf_printf(out, " %s", a->flag ? "true" : "false");
        break;
    case AST_BINARY:
    case AST_UNARY:
        buf_printf(out, " %s", ast_op_text[a->op]);
        break;
    case AST_ON:
        buf_printf(out, "%s", a->flag ? " override" : "");
        break;
    case AST_STEP:
    case AST_INCLUDE:
    case AST_PER:
        buf_printf(out, "%s", a->flag ? " ()" : "");
        break;
    case AST_FN:
        buf_printf(out, "%s", a->flag ? " {}" : "");
        break;
    default:
        break;
    }
}

static void dump(const Ast *a, int depth, const char *role, Buf *out) {
    buf_repeat(out, ' ', (size_t)(depth < MAX_INDENT ? depth : MAX_INDENT) * 2);
    buf_printf(out, "%s%s", role, ast_kind_name(a->kind));
    if (a->name.len) {
        buf_printf(out, " %.*s", STR_ARG(a->name));
    }
    if (a->type.len) {
        buf_printf(out, ": %.*s", STR_ARG(a->type));
    }
    dump_value(a, out);
    buf_char(out, '\n');
    const Ast *children[3] = {a->a, a->b, a->c};
    for (int i = 0; i < 3; i++) {
        if (children[i]) {
            const char role_of[4] = {(char)('a' + i), ':', ' ', 0};
            dump(children[i], depth + 1, role_of, out);
        }
    }
    for (size_t i = 0; i < a->kids.len; i++) {
        dump(a->kids.at[i], depth + 1, "", out);
    }
}

void ast_dump(const Ast *ast, Buf *out) {
    dump(ast, 0, "", out);
}

/* ---- an expression on one line; literals stay as they were written */
static void args(const AstList *list, Buf *out) {
    for (size_t i = 0; i < list->len; i++) {
        if (i) {
            buf_str(out, STR(", "));
        }
        ast_format_expr(list->at[i], out);
    }
}

static void call(const AstList *list, Buf *out) {
    buf_char(out, '(');
    args(list, out);
    buf_char(out, ')');
}

static void binary(const Ast *e, Buf *out) {
    ast_format_expr(e->a, out);
    if (e->op == OP_RANGE) {
        buf_str(out, STR(".."));
    } else {
        buf_printf(out, " %s ", ast_op_text[e->op]);
    }
    ast_format_expr(e->b, out);
}

static void postfix(const Ast *e, Buf *out) {
    ast_format_expr(e->a, out);
    switch (e->kind) {
    case AST_MEMBER:
        buf_printf(out, ".%.*s", STR_ARG(e->name));
        break;
    case AST_PER:
        buf_printf(out, " per %.*s", STR_ARG(e->name));
        if (e->flag) {
            call(&e->kids, out);
        }
        break;
    case AST_SCALE:
        buf_printf(out, " scale %.*s", STR_ARG(e->name));
        break;
    case AST_DYNAMIC:
        buf_str(out, STR(" dynamic"));
        break;
    case AST_OPTIONAL:
        buf_char(out, '?');
        break;
    case AST_CALL:
        call(&e->kids, out);
        break;
    default: /* AST_INDEX */
        buf_char(out, '[');
        ast_format_expr(e->b, out);
        buf_char(out, ']');
    }
}

/* As written, but one space before a unit: 5 GiB. */
static void number(Str text, Buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == 'K' || c == 'M' || c == 'G') {
            buf_char(out, ' ');
        }
        if (c != ' ' && c != '\t') {
            buf_char(out, c);
        }
    }
}

void ast_format_expr(const Ast *e, Buf *out) {
    switch (e->kind) {
    case AST_IF:
        buf_str(out, STR("if "));
        ast_format_expr(e->a, out);
        buf_str(out, STR(" then "));
        ast_format_expr(e->b, out);
        buf_str(out, STR(" else "));
        ast_format_expr(e->c, out);
        break;
    case AST_BINARY:
        binary(e, out);
        break;
    case AST_UNARY:
        buf_printf(out, "%s%s", ast_op_text[e->op], e->op == OP_NOT ? " " : "");
        ast_format_expr(e->a, out);
        break;
    case AST_MEMBER:
    case AST_PER:
    case AST_SCALE:
    case AST_DYNAMIC:
    case AST_OPTIONAL:
    case AST_CALL:
    case AST_INDEX:
        postfix(e, out);
        break;
    case AST_ARG:
        if (e->name.len) {
            buf_printf(out, "%.*s = ", STR_ARG(e->name));
        }
        ast_format_expr(e->a, out);
        break;
    case AST_ATTR:
        buf_printf(out, ".%.*s", STR_ARG(e->name));
        break;
    case AST_PATH:
        for (size_t i = 0; i < e->kids.len; i++) {
            buf_printf(out, "%s%.*s", i ? "." : "", STR_ARG(e->kids.at[i]->name));
        }
        break;
    case AST_LIST:
        buf_char(out, '[');
        args(&e->kids, out);
        buf_char(out, ']');
        break;
    case AST_PAREN:
        buf_char(out, '(');
        ast_format_expr(e->a, out);
        buf_char(out, ')');
        break;
    case AST_NUMBER:
        number(span_text(e->span), out);
        break;
    default: /* names and literals, as written */
        buf_str(out, span_text(e->span));
    }
}
