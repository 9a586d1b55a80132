/* See build.h. */
#include "lang/build.h"
#include <errno.h>
#include <stdlib.h>
#include "lang/grammar.h"

Span token_span(const Parse *p, Token t) {
    return (Span){p->source, t.offset, t.length};
}

Ast *build(Parse *p, AstKind kind, Span from, Span to) {
    Ast *a = arena_new(p->session->arena, Ast);
    a->kind = kind;
    a->span = span_join(from, to);
    if (++p->nodes > LIMIT_EXPRESSION_NODES && !p->too_big) {
        p->too_big = true;
        Diag *d = diag_error(p->session, "E0106", (Span){from.source, from.offset, 1},
                             "this statement has more than %d parts", LIMIT_EXPRESSION_NODES);
        diag_label(d, "begins here");
    }
    return a;
}

Ast *build_named(Parse *p, AstKind kind, Token from, Token name, Span to) {
    Ast *a = build(p, kind, token_span(p, from), to);
    a->name_span = token_span(p, name);
    a->name = intern(&p->session->names, span_text(a->name_span));
    return a;
}

/* Digits without their underscores, NUL-terminated; a unit, KiB MiB GiB, is taken off. */
static const char *digits_of(Parse *p, Str text, int64_t *unit) {
    char *digits = arena_alloc(p->session->arena, text.len + 1);
    size_t n = 0;
    *unit = 1;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == 'K' || c == 'M' || c == 'G') {
            *unit = INT64_C(1) << (c == 'K' ? 10 : c == 'M' ? 20 : 30);
            break;
        }
        if (c != '_' && c != ' ' && c != '\t') {
            digits[n++] = c;
        }
    }
    return digits;
}

static void too_large(Parse *p, const Ast *a, const char *most) {
    Diag *d = diag_error(p->session, "E0102", a->span, "this number is too large");
    diag_label(d, "at most %s", most);
}

static void number(Parse *p, Ast *a) {
    int64_t unit;
    const char *digits = digits_of(p, span_text(a->span), &unit);
    bool hex = digits[0] == '0' && digits[1] == 'x';
    if (hex || strcspn(digits, ".eE") == strlen(digits)) {
        errno = 0;
        unsigned long long n = strtoull(digits, NULL, hex ? 16 : 10);
        a->is_int = true;
        if (errno || __builtin_mul_overflow(n, unit, &a->integer)) {
            too_large(p, a, "2^63 - 1");
            a->integer = 0;
        }
        a->number = (double)a->integer;
    } else {
        a->number = strtod(digits, NULL) * (double)unit;
        if (a->number > 1e300) {
            too_large(p, a, "1e300");
        }
    }
}

static void ratio(Parse *p, Ast *a) {
    Str text = span_text(a->span);
    size_t colon = (size_t)str_find(text, ':');
    int64_t *parts[2] = {&a->integer, &a->integer2};
    Str sides[2] = {str_slice(text, 0, colon), str_slice(text, colon + 1, text.len)};
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < sides[i].len; k++) {
            *parts[i] = *parts[i] * 10 + (sides[i].data[k] - '0');
            if (*parts[i] > 1000000) {
                Diag *d = diag_error(p->session, "E0102", a->span, "this ratio is too large");
                diag_label(d, "2:4 keeps two of four");
                *parts[i] = 1;
                return;
            }
        }
    }
}

static void add_utf8(Buf *b, uint32_t c) {
    if (c < 0x80) {
        buf_char(b, (char)c);
    } else if (c < 0x800) {
        buf_char(b, (char)(0xc0 | c >> 6));
        buf_char(b, (char)(0x80 | (c & 63)));
    } else {
        if (c < 0x10000) {
            buf_char(b, (char)(0xe0 | c >> 12));
        } else {
            buf_char(b, (char)(0xf0 | c >> 18));
            buf_char(b, (char)(0x80 | (c >> 12 & 63)));
        }
        buf_char(b, (char)(0x80 | (c >> 6 & 63)));
        buf_char(b, (char)(0x80 | (c & 63)));
    }
}

/* \u{1f600}: *i stands on the 'u', and on the '}' afterwards. */
static bool unicode_escape(Str body, size_t *i, Buf *out) {
    size_t at = *i + 1;
    uint32_t c = 0;
    if (at >= body.len || body.data[at] != '{') {
        return false;
    }
    size_t digits = 0;
    for (at++; at < body.len && body.data[at] != '}' && digits < 7; at++, digits++) {
        char h = body.data[at];
        int v = h >= '0' && h <= '9'                 ? h - '0'
                : (h | 32) >= 'a' && (h | 32) <= 'f' ? (h | 32) - 'a' + 10
                                                     : -1;
        if (v < 0) {
            return false;
        }
        c = c * 16 + (uint32_t)v;
    }
    if (at >= body.len || body.data[at] != '}' || digits == 0 || c == 0 || c > 0x10ffff ||
        (c >= 0xd800 && c < 0xe000)) {
        return false;
    }
    add_utf8(out, c);
    *i = at;
    return true;
}

static void string(Parse *p, Ast *a, bool regex) {
    Str text = span_text(a->span);
    size_t skip = regex ? 3 : 1;
    Str body = str_slice(text, skip, text.len - 1);
    Buf b = buf_on(p->session->arena);
    buf_add(&b, "", 0);
    for (size_t i = 0; i < body.len; i++) {
        char c = body.data[i];
        if (c != '\\') {
            buf_char(&b, c);
            continue;
        }
        char next = body.data[++i]; /* the lexer saw to it that there is one */
        size_t at = i;
        if (regex) {
            if (next != '"') {
                buf_char(&b, '\\');
            }
            buf_char(&b, next);
        } else if (next == '"' || next == '\\') {
            buf_char(&b, next);
        } else if (next == 'n' || next == 't') {
            buf_char(&b, next == 'n' ? '\n' : '\t');
        } else if (next != 'u' || !unicode_escape(body, &i, &b)) {
            i = at;
            Span span = {p->source, a->span.offset + (uint32_t)(skip + at - 1), 2};
            Diag *d = diag_error(p->session, "E0102", span, "this escape means nothing");
            diag_label(d, "known are \\\" \\\\ \\n \\t \\u{...}");
        }
    }
    a->text = buf_view(&b);
}

Ast *build_leaf(Parse *p, AstKind kind, Token t) {
    Span span = token_span(p, t);
    Ast *a = build(p, kind, span, span);
    a->name_span = span;
    switch (kind) {
    case AST_NUMBER:
        number(p, a);
        break;
    case AST_RATIO:
        ratio(p, a);
        break;
    case AST_STRING:
    case AST_REGEX:
        string(p, a, kind == AST_REGEX);
        break;
    case AST_BOOL:
        a->flag = span.length == 4;
        break;
    default:
        a->name = intern(&p->session->names, span_text(span));
    }
    return a;
}

Ast *build_attr(Parse *p, Token dot, Token name) {
    return build_named(p, AST_ATTR, dot, name, token_span(p, name));
}

/* Operators of sets: which of them binds first is what nobody remembers. */
static bool is_set_op(AstOp op) {
    return op == OP_UNION || op == OP_INTERSECT || op == OP_SUB || op == OP_ADD || op == OP_SHL ||
           op == OP_SHR;
}

static bool is_plain_set_op(AstOp op) {
    return op == OP_UNION || op == OP_INTERSECT || op == OP_SUB;
}

static bool may_meet(AstOp outer, AstOp inner) {
    bool sum = outer == OP_ADD || outer == OP_SUB;
    if (inner == outer || (sum && (inner == OP_ADD || inner == OP_SUB))) {
        return true;
    }
    if (inner == OP_MUL || inner == OP_DIV || inner == OP_MOD) {
        return sum || !is_set_op(outer);
    }
    return !is_set_op(outer) || !is_set_op(inner);
}

static Str reading(Parse *p, const Ast *a, AstOp first, const Ast *b, AstOp second, const Ast *c,
                   bool left) {
    Buf t = buf_on(p->session->arena);
    buf_printf(&t, "%s%.*s %s ", left ? "(" : "", STR_ARG(span_text(a->span)), ast_op_text[first]);
    buf_printf(&t, "%s%.*s%s", left ? "" : "(", STR_ARG(span_text(b->span)), left ? ")" : "");
    buf_printf(&t, " %s %.*s%s", ast_op_text[second], STR_ARG(span_text(c->span)), left ? "" : ")");
    return buf_view(&t);
}

/* E0103: two different set operators side by side without parentheses. */
static void check_mixing(Parse *p, const Ast *outer) {
    for (int side = 0; side < 2 && !p->mixed; side++) {
        const Ast *inner = side ? outer->b : outer->a;
        if (inner->kind != AST_BINARY || may_meet(outer->op, inner->op)) {
            continue;
        }
        p->mixed = true;
        const Ast *a = side ? outer->a : inner->a, *b = side ? inner->a : inner->b;
        const Ast *c = side ? inner->b : outer->b;
        AstOp first = side ? outer->op : inner->op, second = side ? inner->op : outer->op;
        Diag *d = diag_error(p->session, "E0103", outer->span, "`%s` and `%s` need parentheses",
                             ast_op_text[first], ast_op_text[second]);
        diag_label(d, "two readings");
        for (int left = 1; left >= 0; left--) {
            Str text = reading(p, a, first, b, second, c, left != 0);
            diag_help(d, "%.*s", STR_ARG(text));
            diag_fix(d, false, outer->span, "%.*s", STR_ARG(text));
        }
        diag_note(d,
                  ".mor has no precedence between %s: nobody remembers it, and it decides what is "
                  "quantized",
                  is_plain_set_op(first) && is_plain_set_op(second) ? "set operators" : "these");
    }
}

Ast *build_binary(Parse *p, AstOp op, Token at, Ast *left, Ast *right) {
    Ast *a = build(p, AST_BINARY, left->span, right->span);
    a->op = op;
    a->op_span = token_span(p, at);
    a->a = left;
    a->b = right;
    check_mixing(p, a);
    return a;
}

Ast *build_unary(Parse *p, AstOp op, Token at, Ast *operand) {
    Ast *a = build(p, AST_UNARY, token_span(p, at), operand->span);
    a->op = op;
    a->op_span = token_span(p, at);
    a->a = operand;
    return a;
}

Ast *build_if(Parse *p, Token from, Ast *condition, Ast *then, Ast *otherwise) {
    Ast *a = build(p, AST_IF, token_span(p, from), otherwise->span);
    a->a = condition;
    a->b = then;
    a->c = otherwise;
    return a;
}

Ast *build_postfix(Parse *p, AstKind kind, Ast *operand, Token to) {
    Ast *a = build(p, kind, operand->span, token_span(p, to));
    a->op_span = token_span(p, to);
    a->a = operand;
    return a;
}

Ast *build_named_postfix(Parse *p, AstKind kind, Ast *operand, Token name) {
    Ast *a = build_named(p, kind, name, name, token_span(p, name));
    a->span = span_join(operand->span, a->name_span);
    a->a = operand;
    return a;
}

Ast *build_call(Parse *p, Ast *callee, AstList *args, Token to) {
    if (callee->kind == AST_PER && !callee->flag) {
        callee->kids = *args;
        callee->flag = true;
        callee->span = span_join(callee->span, token_span(p, to));
        return callee;
    }
    Ast *a = build(p, AST_CALL, callee->span, token_span(p, to));
    a->a = callee;
    a->kids = *args;
    return a;
}

Ast *build_index(Parse *p, Ast *operand, Ast *index, Token to) {
    Ast *a = build(p, AST_INDEX, operand->span, token_span(p, to));
    a->a = operand;
    a->b = index;
    return a;
}

Ast *build_wrapped(Parse *p, AstKind kind, Token from, Ast *inner, AstList *list, Token to) {
    Ast *a = build(p, kind, token_span(p, from), token_span(p, to));
    a->a = inner;
    if (list) {
        a->kids = *list;
    }
    if (kind == AST_RECIPE) {
        a->span = (Span){p->source, 0, (uint32_t)p->source->text.len};
    }
    return a;
}

Ast *build_arg(Parse *p, Token *name, Ast *value) {
    if (!name) {
        Ast *a = build(p, AST_ARG, value->span, value->span);
        a->a = value;
        return a;
    }
    Ast *a = build_named(p, AST_ARG, *name, *name, value->span);
    a->a = value;
    return a;
}

AstList *build_list(Parse *p) {
    return arena_new(p->session->arena, AstList);
}

AstList *build_append(Parse *p, AstList *list, Ast *item) {
    if (item) {
        vec_push(p->session->arena, list, item);
    }
    return list;
}
