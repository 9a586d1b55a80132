/* Names of kinds and operators, and the dump of a tree. */
#include "lang/ast.h"
#include "runtime/base/sanitize.h"

const char *const ast_op_text[] = {"or", "and", "not", "==", "!=", "<", "<=", ">", ">=", "in", "..",
                                   "|",  "&",   "<<",  ">>", "+",  "-", "*",  "/", "%",  "-",  "!"};

static const char *const kind_names[] = {
#define X(kind, text, fields) #kind,
    AST_KINDS(X)
#undef X
};

const char *ast_kind_name(AstKind kind)
{
    return kind_names[kind];
}

static void dump(const Ast *a, int depth, const char *role, Buf *out)
{
    buf_repeat(out, ' ', (size_t)depth * 2);
    buf_printf(out, "%s%s", role, ast_kind_name(a->kind));
    if (a->name.len) {
        buf_printf(out, " %.*s", STR_ARG(a->name));
    }
    if (a->type.len) {
        buf_printf(out, ": %.*s", STR_ARG(a->type));
    }
    switch (a->kind) {
    case AST_NUMBER:
        if (a->is_int) {
            buf_printf(out, " %lld", (long long)a->integer);
        } else {
            buf_printf(out, " %.17g", a->number);
        }
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
    default:
        break;
    }
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

void ast_dump(const Ast *ast, Buf *out)
{
    dump(ast, 0, "", out);
}
