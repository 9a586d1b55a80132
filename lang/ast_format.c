/* The canonical form (morc fmt): two spaces, at most one blank line, what does not fit in 100
 * columns is broken at its arguments or its `|`. Literals stay as written, comments stay, the order
 * stays; formatting twice changes nothing. */
#include "lang/ast.h"

enum { WIDTH = 100 };

typedef struct Printer {
    Buf *out;
    size_t line; /* where the line being written began */
} Printer;

static void statement(Printer *f, const Ast *a, size_t indent);
static void value(Printer *f, const Ast *e, size_t indent, size_t tail);

static void newline(Printer *f, size_t indent) {
    buf_char(f->out, '\n');
    f->line = f->out->len;
    buf_repeat(f->out, ' ', indent);
}

static bool fits(const Printer *f, size_t more) {
    return f->out->len - f->line + more <= WIDTH;
}

static size_t flat_length(const Printer *f, const Ast *e) {
    ArenaMark mark = arena_mark(f->out->arena);
    Buf b = buf_on(f->out->arena);
    ast_format_expr(e, &b);
    arena_reset(f->out->arena, mark);
    return b.len;
}

static size_t flat_list_length(const Printer *f, const AstList *list) {
    size_t n = 0;
    for (size_t i = 0; i < list->len; i++) {
        n += flat_length(f, list->at[i]) + (i ? 2 : 0);
    }
    return n;
}

/* (a, b) or [a, b]: on one line when it fits with `tail` columns after it, else one a line. */
static void bracketed(Printer *f, const char brackets[2], const AstList *list, size_t indent,
                      size_t tail) {
    buf_char(f->out, brackets[0]);
    if (list->len == 0 || fits(f, flat_list_length(f, list) + 1 + tail)) {
        for (size_t i = 0; i < list->len; i++) {
            buf_str(f->out, i ? STR(", ") : STR(""));
            ast_format_expr(list->at[i], f->out);
        }
    } else {
        for (size_t i = 0; i < list->len; i++) {
            bool last = i + 1 == list->len;
            newline(f, indent + 2);
            value(f, list->at[i], indent + 2, last ? 0 : 1);
            buf_str(f->out, last ? STR("") : STR(","));
        }
        newline(f, indent);
    }
    buf_char(f->out, brackets[1]);
}

static void arguments(Printer *f, const AstList *list, size_t indent, size_t tail) {
    bracketed(f, "()", list, indent, tail);
}

/* Operators that continue the line before when they begin one. */
static bool may_lead(AstOp op) {
    return op == OP_OR || op == OP_AND || op == OP_UNION || op == OP_INTERSECT || op == OP_SUB;
}

static bool same_operator(const Ast *e, AstOp op) {
    return e->kind == AST_BINARY && e->op == op;
}

static bool begins_line(Span at) {
    uint32_t i = at.offset;
    while (i > 0 && (at.source->text.data[i - 1] == ' ' || at.source->text.data[i - 1] == '\t')) {
        i--;
    }
    return i > 0 && at.source->text.data[i - 1] == '\n';
}

/* The author wrote a | b over several lines: a list, and it stays one. */
static bool is_tall_list(const Ast *e) {
    for (; same_operator(e, OP_UNION); e = e->a) {
        if (begins_line(e->op_span)) {
            return true;
        }
    }
    return false;
}

/* a | b | c, each operand but the first on a line of its own, behind the operator. */
static void tall_list(Printer *f, const Ast *e, size_t indent, size_t tail) {
    Vec(const Ast *) right = {0};
    const Ast *first = e;
    for (; same_operator(first, e->op); first = first->a) {
        vec_push(f->out->arena, &right, first);
    }
    value(f, first, indent, 0);
    while (right.len) {
        const Ast *b = right.at[--right.len];
        newline(f, indent + 2);
        buf_printf(f->out, "%s ", ast_op_text[b->op]);
        value(f, b->b, indent + 2, right.len ? 0 : tail);
    }
}

static void tall_if(Printer *f, const Ast *e, size_t indent, size_t tail) {
    buf_str(f->out, STR("if "));
    value(f, e->a, indent, 0);
    newline(f, indent + 2);
    buf_str(f->out, STR("then "));
    value(f, e->b, indent + 2, 0);
    newline(f, indent + 2);
    buf_str(f->out, STR("else "));
    value(f, e->c, indent + 2, tail);
}

/* What follows the operand of a postfix form: " per block", ".name", "[...]". */
static void suffix(Printer *f, const Ast *e, size_t indent, size_t tail) {
    switch (e->kind) {
    case AST_CALL:
        arguments(f, &e->kids, indent, tail);
        break;
    case AST_PER:
        buf_printf(f->out, " per %.*s", STR_ARG(e->name));
        if (e->flag) {
            arguments(f, &e->kids, indent, tail);
        }
        break;
    case AST_INDEX:
        buf_char(f->out, '[');
        value(f, e->b, indent + 2, tail + 1);
        buf_char(f->out, ']');
        break;
    case AST_MEMBER:
        buf_printf(f->out, ".%.*s", STR_ARG(e->name));
        break;
    case AST_SCALE:
        buf_printf(f->out, " scale %.*s", STR_ARG(e->name));
        break;
    default:
        buf_str(f->out, e->kind == AST_DYNAMIC ? STR(" dynamic") : STR("?"));
    }
}

/* Does a call stand somewhere in a chain of postfix forms? Its arguments break first. */
static bool has_call(const Ast *e) {
    while (e && (e->kind == AST_PER || e->kind == AST_INDEX || e->kind == AST_MEMBER ||
                 e->kind == AST_SCALE || e->kind == AST_DYNAMIC || e->kind == AST_OPTIONAL)) {
        e = e->a;
    }
    return e && e->kind == AST_CALL;
}

static void tall_postfix(Printer *f, const Ast *e, size_t indent, size_t tail) {
    if (e->kind != AST_CALL && has_call(e->a)) {
        size_t rest = flat_length(f, e) - flat_length(f, e->a);
        value(f, e->a, indent, tail + rest);
    } else {
        value(f, e->a, indent, 0);
    }
    suffix(f, e, indent, tail);
}

/* An expression with `tail` columns after it: flat when it fits, else broken outside first. */
static void value(Printer *f, const Ast *e, size_t indent, size_t tail) {
    if (fits(f, flat_length(f, e) + tail) && !is_tall_list(e)) {
        ast_format_expr(e, f->out);
        return;
    }
    switch (e->kind) {
    case AST_BINARY:
        if (may_lead(e->op)) {
            tall_list(f, e, indent, tail);
        } else {
            ast_format_expr(e, f->out);
        }
        break;
    case AST_IF:
        tall_if(f, e, indent, tail);
        break;
    case AST_CALL:
    case AST_PER:
    case AST_INDEX:
    case AST_MEMBER:
    case AST_SCALE:
    case AST_DYNAMIC:
    case AST_OPTIONAL:
        tall_postfix(f, e, indent, tail);
        break;
    case AST_PAREN:
        buf_char(f->out, '(');
        value(f, e->a, indent + 2, tail + 1);
        buf_char(f->out, ')');
        break;
    case AST_LIST:
        bracketed(f, "[]", &e->kids, indent, tail);
        break;
    case AST_ARG:
        buf_printf(f->out, "%.*s%s", STR_ARG(e->name), e->name.len ? " = " : "");
        value(f, e->a, indent, tail);
        break;
    default:
        ast_format_expr(e, f->out);
    }
}

static void comment_lines(Printer *f, const Str *lines, size_t count, size_t indent, bool first) {
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
static void statements(Printer *f, const AstList *list, const AstComments *owner, size_t indent) {
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

static void braces(Printer *f, const AstList *list, const AstComments *comments, size_t indent) {
    if (list->len == 0 && (!comments || comments->inside.len == 0)) {
        buf_str(f->out, STR("{ }"));
        return;
    }
    buf_char(f->out, '{');
    statements(f, list, comments, indent + 2);
    newline(f, indent);
    buf_char(f->out, '}');
}

static void block(Printer *f, const Ast *b, size_t indent) {
    braces(f, &b->kids, b->comments, indent);
}

static void declaration(Printer *f, const Ast *a, const char *word, size_t indent) {
    buf_printf(f->out, "%s %.*s = ", word, STR_ARG(a->name));
    value(f, a->a, indent, 0);
}

static void param(Printer *f, const Ast *a) {
    buf_printf(f->out, "param %.*s: %.*s", STR_ARG(a->name), STR_ARG(a->type));
    if (a->a) {
        buf_str(f->out, STR(" in "));
        ast_format_expr(a->a, f->out);
    }
    if (a->b) {
        buf_str(f->out, STR(" = "));
        ast_format_expr(a->b, f->out);
    }
}

static void function(Printer *f, const Ast *a, size_t indent) {
    buf_printf(f->out, "fn %.*s(", STR_ARG(a->name));
    AstList body = {0};
    for (size_t i = 0; i < a->kids.len; i++) {
        Ast *kid = a->kids.at[i];
        if (kid->kind == AST_NAME) {
            buf_printf(f->out, "%s%.*s", i ? ", " : "", STR_ARG(kid->name));
        } else {
            vec_push(f->out->arena, &body, kid);
        }
    }
    if (a->flag) {
        vec_push(f->out->arena, &body, a->a);
        buf_str(f->out, STR(") "));
        braces(f, &body, a->comments, indent);
    } else {
        buf_str(f->out, STR(") = "));
        value(f, a->a, indent, 0);
    }
}

static void transform(Printer *f, const Ast *a, size_t indent) {
    buf_printf(f->out, "transform %.*s(", STR_ARG(a->name));
    for (size_t i = 0; i < a->kids.len; i++) {
        const Ast *formal = a->kids.at[i];
        buf_printf(f->out, "%s%.*s: %.*s", i ? ", " : "", STR_ARG(formal->name),
                   STR_ARG(formal->type));
        if (formal->b) {
            buf_str(f->out, STR(" = "));
            ast_format_expr(formal->b, f->out);
        }
    }
    buf_str(f->out, STR(") "));
    block(f, a->a, indent);
}

static void step(Printer *f, const Ast *a, size_t indent) {
    ast_format_expr(a->a, f->out);
    if (a->flag) {
        arguments(f, &a->kids, indent, a->b ? 2 : 0);
    }
    if (a->b) {
        buf_char(f->out, ' ');
        block(f, a->b, indent);
    }
}

static void use(Printer *f, const Ast *a) {
    buf_str(f->out, STR("use "));
    ast_format_expr(a->a, f->out);
    if (a->name.len) {
        buf_printf(f->out, " as %.*s", STR_ARG(a->name));
    }
}

static void rule(Printer *f, const Ast *a, size_t indent) {
    buf_printf(f->out, "%son ", a->flag ? "override " : "");
    value(f, a->a, indent, 2);
    buf_char(f->out, ' ');
    block(f, a->b, indent);
}

/* Statements that are a word and what follows it. */
static void short_statement(Printer *f, const Ast *a, size_t indent) {
    switch (a->kind) {
    case AST_EDITION:
        buf_str(f->out, STR("mor "));
        ast_format_expr(a->a, f->out);
        break;
    case AST_USE:
        use(f, a);
        break;
    case AST_TARGET:
        for (size_t i = 0; i < a->kids.len; i++) {
            buf_str(f->out, i ? STR(", ") : STR("target "));
            ast_format_expr(a->kids.at[i], f->out);
        }
        break;
    case AST_EMIT:
        buf_str(f->out, STR("emit "));
        value(f, a->a, indent, 0);
        break;
    case AST_INCLUDE:
        buf_str(f->out, STR("include "));
        ast_format_expr(a->a, f->out);
        if (a->flag) {
            arguments(f, &a->kids, indent, 0);
        }
        break;
    case AST_WITHIN:
        buf_str(f->out, STR("within "));
        ast_format_expr(a->a, f->out);
        buf_printf(f->out, "%s%.*s", a->name.len ? " " : "", STR_ARG(a->name));
        break;
    default: /* AST_EXPECT */
        buf_str(f->out, STR("expect "));
        value(f, a->a, indent, a->b ? 1 : 0);
        if (a->b) {
            buf_str(f->out, STR(", "));
            ast_format_expr(a->b, f->out);
        }
    }
}

static void statement(Printer *f, const Ast *a, size_t indent) {
    switch (a->kind) {
    case AST_EDITION:
    case AST_USE:
    case AST_TARGET:
    case AST_EMIT:
    case AST_INCLUDE:
    case AST_WITHIN:
    case AST_EXPECT:
        short_statement(f, a, indent);
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
    case AST_STAGE:
        buf_printf(f->out, "stage %.*s ", STR_ARG(a->name));
        braces(f, &a->kids, a->comments, indent);
        break;
    case AST_ON:
        rule(f, a, indent);
        break;
    case AST_STEP:
        step(f, a, indent);
        break;
    case AST_BLOCK:
        block(f, a, indent);
        break;
    default: /* the result of a function's block */
        value(f, a, indent, 0);
    }
}

void ast_format(const Ast *ast, Buf *out) {
    Printer f = {.out = out, .line = out->len};
    statements(&f, &ast->kids, ast->comments, 0);
    if (out->len) {
        buf_char(out, '\n');
    }
}
