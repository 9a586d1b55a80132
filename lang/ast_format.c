/* The canonical form (morc fmt): two spaces, at most one blank line, what does not fit in 100
 * columns is broken at its arguments or its `|`. Literals stay as written, comments stay, the order
 * stays; formatting twice changes nothing. */
#include "lang/ast.h"

enum { WIDTH = 100 };

static void expr(const Ast *e, Buf *out);

static void args(const AstList *list, Buf *out)
{
    for (size_t i = 0; i < list->len; i++) {
        if (i) {
            buf_str(out, STR(", "));
        }
        expr(list->at[i], out);
    }
}

static void call(const AstList *list, Buf *out)
{
    buf_char(out, '(');
    args(list, out);
    buf_char(out, ')');
}

static void binary(const Ast *e, Buf *out)
{
    expr(e->a, out);
    if (e->op == OP_RANGE) {
        buf_str(out, STR(".."));
    } else {
        buf_printf(out, " %s ", ast_op_text[e->op]);
    }
    expr(e->b, out);
}

static void postfix(const Ast *e, Buf *out)
{
    expr(e->a, out);
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
        expr(e->b, out);
        buf_char(out, ']');
    }
}

static void expr(const Ast *e, Buf *out)
{
    switch (e->kind) {
    case AST_IF:
        buf_str(out, STR("if "));
        expr(e->a, out);
        buf_str(out, STR(" then "));
        expr(e->b, out);
        buf_str(out, STR(" else "));
        expr(e->c, out);
        break;
    case AST_BINARY:
        binary(e, out);
        break;
    case AST_UNARY:
        buf_printf(out, "%s%s", ast_op_text[e->op], e->op == OP_NOT ? " " : "");
        expr(e->a, out);
        break;
    case AST_MEMBER: case AST_PER: case AST_SCALE: case AST_DYNAMIC: case AST_OPTIONAL:
    case AST_CALL: case AST_INDEX:
        postfix(e, out);
        break;
    case AST_ARG:
        if (e->name.len) {
            buf_printf(out, "%.*s = ", STR_ARG(e->name));
        }
        expr(e->a, out);
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
        expr(e->a, out);
        buf_char(out, ')');
        break;
    default: /* names and literals, as written */
        buf_str(out, span_text(e->span));
    }
}

void ast_format_expr(const Ast *e, Buf *out)
{
    expr(e, out);
}

typedef struct Printer {
    Buf *out;
    size_t line;   /* where the line being written began */
} Printer;

static void statement(Printer *f, const Ast *a, size_t indent);

static void newline(Printer *f, size_t indent)
{
    buf_char(f->out, '\n');
    f->line = f->out->len;
    buf_repeat(f->out, ' ', indent);
}

static bool fits(const Printer *f, size_t more)
{
    return f->out->len - f->line + more <= WIDTH;
}

static size_t flat_length(const Printer *f, const Ast *e)
{
    Buf b = buf_on(f->out->arena);
    expr(e, &b);
    return b.len;
}

/* Arguments: on one line when they fit with `tail` columns after them, else one a line. */
static void arguments(Printer *f, const AstList *list, size_t indent, size_t tail)
{
    Buf flat = buf_on(f->out->arena);
    call(list, &flat);
    if (fits(f, flat.len + tail) || list->len == 0) {
        buf_str(f->out, buf_view(&flat));
        return;
    }
    buf_char(f->out, '(');
    for (size_t i = 0; i < list->len; i++) {
        newline(f, indent + 2);
        expr(list->at[i], f->out);
        if (i + 1 < list->len) {
            buf_char(f->out, ',');
        }
    }
    newline(f, indent);
    buf_char(f->out, ')');
}

/* a | b | c over several lines when it does not fit. */
static void value(Printer *f, const Ast *e, size_t indent, size_t tail)
{
    if (fits(f, flat_length(f, e) + tail)) {
        expr(e, f->out);
    } else if (e->kind == AST_BINARY && e->op == OP_UNION) {
        value(f, e->a, indent, 0);
        newline(f, indent + 2);
        buf_str(f->out, STR("| "));
        expr(e->b, f->out);
    } else if (e->kind == AST_CALL) {
        expr(e->a, f->out);
        arguments(f, &e->kids, indent, tail);
    } else {
        expr(e, f->out);
    }
}

static void comment_lines(Printer *f, const Str *lines, size_t count, size_t indent, bool first)
{
    bool blank = first;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].len == 0) {
            if (!blank) {
                newline(f, 0);
            }
            blank = true;
        } else {
            if (f->out->len) {
                newline(f, indent);
            }
            buf_str(f->out, lines[i]);
            blank = false;
        }
    }
}

/* The statements of a file or of a pair of braces, each on its line. */
static void statements(Printer *f, const AstList *list, const AstComments *owner, size_t indent)
{
    for (size_t i = 0; i < list->len; i++) {
        const Ast *a = list->at[i];
        bool first = i == 0;
        if (a->comments) {
            comment_lines(f, a->comments->before.at, a->comments->before.len, indent, first);
        }
        if (f->out->len) {
            newline(f, indent);
        }
        statement(f, a, indent);
        if (a->comments && a->comments->after.len) {
            buf_str(f->out, STR("  "));
            buf_str(f->out, a->comments->after);
        }
    }
    if (owner) {
        comment_lines(f, owner->inside.at, owner->inside.len, indent, list->len == 0);
    }
}

static void braces(Printer *f, const AstList *list, const AstComments *comments, size_t indent)
{
    if (list->len == 0 && (!comments || comments->inside.len == 0)) {
        buf_str(f->out, STR("{ }"));
        return;
    }
    buf_char(f->out, '{');
    statements(f, list, comments, indent + 2);
    newline(f, indent);
    buf_char(f->out, '}');
}

static void block(Printer *f, const Ast *b, size_t indent)
{
    braces(f, &b->kids, b->comments, indent);
}

static void declaration(Printer *f, const Ast *a, const char *word, size_t indent)
{
    buf_printf(f->out, "%s %.*s = ", word, STR_ARG(a->name));
    value(f, a->a, indent, 0);
}

static void param(Printer *f, const Ast *a)
{
    buf_printf(f->out, "param %.*s: %.*s", STR_ARG(a->name), STR_ARG(a->type));
    if (a->a) {
        buf_str(f->out, STR(" in "));
        expr(a->a, f->out);
    }
    if (a->b) {
        buf_str(f->out, STR(" = "));
        expr(a->b, f->out);
    }
}

static void function(Printer *f, const Ast *a, size_t indent)
{
    buf_printf(f->out, "fn %.*s(", STR_ARG(a->name));
    size_t n = 0;
    while (n < a->kids.len && a->kids.at[n]->kind == AST_NAME) {
        buf_printf(f->out, "%s%.*s", n ? ", " : "", STR_ARG(a->kids.at[n]->name));
        n++;
    }
    if (!a->flag) {
        buf_str(f->out, STR(") = "));
        value(f, a->a, indent, 0);
        return;
    }
    buf_str(f->out, STR(") {"));
    for (; n < a->kids.len; n++) {
        newline(f, indent + 2);
        statement(f, a->kids.at[n], indent + 2);
    }
    newline(f, indent + 2);
    expr(a->a, f->out);
    newline(f, indent);
    buf_char(f->out, '}');
}

static void transform(Printer *f, const Ast *a, size_t indent)
{
    buf_printf(f->out, "transform %.*s(", STR_ARG(a->name));
    for (size_t i = 0; i < a->kids.len; i++) {
        const Ast *formal = a->kids.at[i];
        buf_printf(f->out, "%s%.*s: %.*s", i ? ", " : "", STR_ARG(formal->name), STR_ARG(formal->type));
        if (formal->b) {
            buf_str(f->out, STR(" = "));
            expr(formal->b, f->out);
        }
    }
    buf_str(f->out, STR(") "));
    block(f, a->a, indent);
}

static void step(Printer *f, const Ast *a, size_t indent)
{
    expr(a->a, f->out);
    if (a->flag) {
        arguments(f, &a->kids, indent, a->b ? 2 : 0);
    }
    if (a->b) {
        buf_char(f->out, ' ');
        block(f, a->b, indent);
    }
}

static void use(Printer *f, const Ast *a)
{
    buf_str(f->out, STR("use "));
    expr(a->a, f->out);
    if (a->name.len) {
        buf_printf(f->out, " as %.*s", STR_ARG(a->name));
    }
}

static void rule(Printer *f, const Ast *a, size_t indent)
{
    buf_printf(f->out, "%son ", a->flag ? "override " : "");
    value(f, a->a, indent, 2);
    buf_char(f->out, ' ');
    block(f, a->b, indent);
}

static void keyword_list(Printer *f, const char *word, const AstList *list)
{
    buf_printf(f->out, "%s ", word);
    args(list, f->out);
}

static void statement(Printer *f, const Ast *a, size_t indent)
{
    switch (a->kind) {
    case AST_EDITION:
        buf_str(f->out, STR("mor "));
        expr(a->a, f->out);
        break;
    case AST_USE:
        use(f, a);
        break;
    case AST_PARAM:
        param(f, a);
        break;
    case AST_LET:
        declaration(f, a, "let", indent);
        break;
    case AST_SELECT:
        declaration(f, a, "select", indent);
        break;
    case AST_FORMAT:
        declaration(f, a, "format", indent);
        break;
    case AST_DATA:
        declaration(f, a, "data", indent);
        break;
    case AST_FN:
        function(f, a, indent);
        break;
    case AST_TRANSFORM:
        transform(f, a, indent);
        break;
    case AST_TARGET:
        keyword_list(f, "target", &a->kids);
        break;
    case AST_EMIT:
        buf_str(f->out, STR("emit "));
        value(f, a->a, indent, 0);
        break;
    case AST_INCLUDE:
        buf_str(f->out, STR("include "));
        expr(a->a, f->out);
        if (a->flag) {
            arguments(f, &a->kids, indent, 0);
        }
        break;
    case AST_STAGE:
        buf_printf(f->out, "stage %.*s ", STR_ARG(a->name));
        braces(f, &a->kids, a->comments, indent);
        break;
    case AST_ON:
        rule(f, a, indent);
        break;
    case AST_WITHIN:
        buf_str(f->out, STR("within "));
        expr(a->a, f->out);
        buf_printf(f->out, "%s%.*s", a->name.len ? " " : "", STR_ARG(a->name));
        break;
    case AST_EXPECT:
        buf_str(f->out, STR("expect "));
        expr(a->a, f->out);
        if (a->b) {
            buf_str(f->out, STR(", "));
            expr(a->b, f->out);
        }
        break;
    case AST_STEP:
        step(f, a, indent);
        break;
    case AST_BLOCK:
        block(f, a, indent);
        break;
    default:
        expr(a, f->out);
    }
}

void ast_format(const Ast *ast, Buf *out)
{
    Printer f = {.out = out, .line = out->len};
    statements(&f, &ast->kids, ast->comments, 0);
    if (out->len) {
        buf_char(out, '\n');
    }
}
