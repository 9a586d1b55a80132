/* Operators. Constants fold at once: whole numbers stay whole and go on as floats where they would
 * overflow; a division of whole numbers is whole when it is exact. What needs a layer or a result
 * becomes a typed Expr. Types are checked here, once, for all who evaluate later. */
#include "lang/resolve_parts.h"
#include <math.h>

static bool is_numeric(ValueType type) {
    return type == VALUE_INT || type == VALUE_FLOAT;
}

static const Value *type_error(Resolver *r, const Ast *e, const Value *a, const Value *b,
                               const char *needs) {
    Diag *d = diag_error(r->s, "E0203", e->op_span, "`%s` needs %s", ast_op_text[e->op], needs);
    diag_label(d, b ? "not %s and %s" : "not %s", value_type_words(value_static_type(a)),
               b ? value_type_words(value_static_type(b)) : "");
    return POISON;
}

static bool whole(AstOp op, int64_t x, int64_t y, int64_t *out) {
    switch (op) {
    case OP_ADD:
        return !__builtin_add_overflow(x, y, out);
    case OP_SUB:
        return !__builtin_sub_overflow(x, y, out);
    case OP_MUL:
        return !__builtin_mul_overflow(x, y, out);
    case OP_MOD:
        *out = y == -1 ? 0 : x % y;
        return true;
    default: /* OP_DIV */
        if (y == -1 || x % y) {
            return false;
        }
        *out = x / y;
        return true;
    }
}

static const Value *fold_arithmetic(Resolver *r, const Ast *e, const Value *a, const Value *b) {
    double x = a->number, y = b->number;
    if ((e->op == OP_DIV || e->op == OP_MOD) && y == 0.0) {
        diag_label(diag_error(r->s, "E0206", e->b->span, "division by zero"), "this is 0");
        return POISON;
    }
    int64_t n;
    if (a->type == VALUE_INT && b->type == VALUE_INT && whole(e->op, a->integer, b->integer, &n)) {
        return value_int(r, n, e->span);
    }
    double result = e->op == OP_ADD   ? x + y
                    : e->op == OP_SUB ? x - y
                    : e->op == OP_MUL ? x * y
                    : e->op == OP_DIV ? x / y
                                      : fmod(x, y);
    if (!(fabs(result) <= 1e300)) { /* what the lexer takes, too */
        diag_error(r->s, "E0206", e->span, "this number is too large");
        return POISON;
    }
    return value_float(r, result, e->span);
}

static bool same(const Value *a, const Value *b) {
    if (value_is_number(a) && value_is_number(b)) {
        return a->type == VALUE_INT && b->type == VALUE_INT ? a->integer == b->integer
                                                            : a->number == b->number;
    }
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case VALUE_BOOL:
        return a->flag == b->flag;
    case VALUE_STRING:
        return str_eq(a->text, b->text);
    case VALUE_LIST:
        if (a->items.len != b->items.len) {
            return false;
        }
        for (size_t i = 0; i < a->items.len; i++) {
            if (!same(a->items.at[i], b->items.at[i])) {
                return false;
            }
        }
        return true;
    default: /* RATIO, TARGET */
        return a->integer == b->integer && a->integer2 == b->integer2;
    }
}

static bool within(const Value *what, const Value *where) {
    if (where->type == VALUE_RANGE) {
        return what->number >= where->number && what->number <= where->number2;
    }
    for (size_t i = 0; i < where->items.len; i++) {
        if (same(what, where->items.at[i])) {
            return true;
        }
    }
    return false;
}

static bool fold_comparison(AstOp op, const Value *a, const Value *b) {
    if (op == OP_EQ || op == OP_NE) {
        return same(a, b) == (op == OP_EQ);
    }
    if (op == OP_IN) {
        return within(a, b);
    }
    double x = a->type == VALUE_TARGET ? (double)a->integer : a->number;
    double y = b->type == VALUE_TARGET ? (double)b->integer : b->number;
    return op == OP_LT ? x < y : op == OP_LE ? x <= y : op == OP_GT ? x > y : x >= y;
}

static const Expr *as_expr(Resolver *r, const Value *v) {
    if (v->type == VALUE_EXPR) {
        return v->expr;
    }
    Expr *e = arena_new(r->s->arena, Expr);
    *e = (Expr){.kind = EXPR_CONST, .type = v->type, .span = v->span, .value = v};
    return e;
}

static const Value *keep_binary(Resolver *r, const Ast *e, ValueType type, const Value *a,
                                const Value *b) {
    return value_expr(r, (Expr){.kind = EXPR_BINARY,
                                .type = type,
                                .op = e->op,
                                .span = e->span,
                                .a = as_expr(r, a),
                                .b = as_expr(r, b)});
}

/* What a comparison or a logic operator needs, or NULL if the types fit. */
static const char *comparison_needs(AstOp op, ValueType a, ValueType b) {
    bool numbers = is_numeric(a) && is_numeric(b);
    bool alike = a == b && (a == VALUE_STRING || a == VALUE_BOOL || a == VALUE_RATIO ||
                            a == VALUE_TARGET || a == VALUE_LIST);
    switch (op) {
    case OP_AND:
    case OP_OR:
        return a == VALUE_BOOL && b == VALUE_BOOL ? NULL : "true or false on both sides";
    case OP_EQ:
    case OP_NE:
        return numbers || alike ? NULL
                                : "two numbers, strings, targets or other values of one type";
    case OP_IN:
        return (b == VALUE_RANGE && is_numeric(a)) ||
                       (b == VALUE_LIST && (is_numeric(a) || a == VALUE_STRING || a == VALUE_BOOL ||
                                            a == VALUE_TARGET || a == VALUE_RATIO))
                   ? NULL
                   : "a number and a range, or a value and a list";
    default:
        return numbers || (a == VALUE_TARGET && b == VALUE_TARGET) ? NULL
                                                                   : "two numbers or two targets";
    }
}

static const Value *comparison(Resolver *r, const Ast *e, const Value *a, const Value *b) {
    const char *needs = comparison_needs(e->op, value_static_type(a), value_static_type(b));
    if (needs) {
        return type_error(r, e, a, b, needs);
    }
    if (a->type == VALUE_EXPR || b->type == VALUE_EXPR) {
        return keep_binary(r, e, VALUE_BOOL, a, b);
    }
    bool flag = e->op == OP_AND  ? a->flag && b->flag
                : e->op == OP_OR ? a->flag || b->flag
                                 : fold_comparison(e->op, a, b);
    return value_bool(r, flag, e->span);
}

static const Value *arithmetic(Resolver *r, const Ast *e, const Value *a, const Value *b) {
    ValueType x = value_static_type(a), y = value_static_type(b);
    if (!is_numeric(x) || !is_numeric(y)) {
        return type_error(r, e, a, b,
                          e->op == OP_SUB ? "two selectors or two numbers" : "two numbers");
    }
    if (a->type == VALUE_EXPR || b->type == VALUE_EXPR) {
        bool ints = x == VALUE_INT && y == VALUE_INT && e->op != OP_DIV;
        return keep_binary(r, e, ints ? VALUE_INT : VALUE_FLOAT, a, b);
    }
    return fold_arithmetic(r, e, a, b);
}

static const Value *range(Resolver *r, const Ast *e, const Value *a, const Value *b) {
    if (!value_is_number(a) || !value_is_number(b)) {
        return type_error(r, e, a, b, "two numbers");
    }
    if (a->number > b->number && !(a->number >= 0 && b->number < 0)) { /* 2..-1: up to the last */
        diag_label(diag_error(r->s, "E0206", e->span, "this range is empty"), "it goes down");
        return POISON;
    }
    Value *v = value_new(r, VALUE_RANGE, e->span);
    v->number = a->number;
    v->number2 = b->number;
    v->flag = a->type == VALUE_INT && b->type == VALUE_INT;
    v->integer = a->integer;
    v->integer2 = b->integer;
    return v;
}

const Value *eval_binary(Resolver *r, Context c, const Ast *e) {
    const Value *a = eval(r, c, e->a), *b = eval(r, c, e->b);
    if (a->type == VALUE_POISON || b->type == VALUE_POISON) {
        return POISON;
    }
    switch (e->op) {
    case OP_UNION:
    case OP_INTERSECT:
        return is_selector_like(a) && is_selector_like(b) ? selector_binary(r, e, a, b)
                                                          : type_error(r, e, a, b, "two selectors");
    case OP_SUB:
        return is_selector_like(a) && is_selector_like(b) ? selector_binary(r, e, a, b)
                                                          : arithmetic(r, e, a, b);
    case OP_ADD:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
        return arithmetic(r, e, a, b);
    case OP_RANGE:
        return range(r, e, a, b);
    case OP_SHL:
    case OP_SHR:
        return type_error(r, e, a, b, "the codes of a function");
    default:
        return comparison(r, e, a, b);
    }
}

const Value *eval_unary(Resolver *r, Context c, const Ast *e) {
    const Value *a = eval(r, c, e->a);
    ValueType type = value_static_type(a);
    if (type == VALUE_POISON) {
        return POISON;
    }
    if (e->op == OP_COMPLEMENT) {
        return is_selector_like(a) ? selector_complement(r, e, a)
                                   : type_error(r, e, a, NULL, "a selector");
    }
    bool logic = e->op == OP_NOT;
    if (logic ? type != VALUE_BOOL : !is_numeric(type)) {
        return type_error(r, e, a, NULL, logic ? "true or false" : "a number");
    }
    if (a->type == VALUE_EXPR) {
        return value_expr(
            r,
            (Expr){.kind = EXPR_UNARY, .type = type, .op = e->op, .span = e->span, .a = a->expr});
    }
    if (logic) {
        return value_bool(r, !a->flag, e->span);
    }
    return a->type == VALUE_INT && a->integer != INT64_MIN ? value_int(r, -a->integer, e->span)
                                                           : value_float(r, -a->number, e->span);
}

/* Both branches must be right; only the one taken counts. */
const Value *eval_conditional(Resolver *r, Context c, const Ast *e) {
    const Value *condition = eval(r, c, e->a);
    const Value *then = eval(r, c, e->b), *otherwise = eval(r, c, e->c);
    if (condition->type == VALUE_POISON) {
        return POISON;
    }
    if (value_static_type(condition) != VALUE_BOOL) {
        Diag *d = diag_error(r->s, "E0203", e->a->span, "the condition of `if` is true or false");
        diag_label(d, "this is %s", value_type_words(value_static_type(condition)));
        return POISON;
    }
    if (condition->type == VALUE_BOOL) {
        return condition->flag ? then : otherwise;
    }
    ValueType a = value_static_type(then), b = value_static_type(otherwise);
    if (a == VALUE_POISON || b == VALUE_POISON) {
        return POISON;
    }
    bool plain = is_numeric(a) || a == VALUE_BOOL || a == VALUE_STRING;
    if (!plain || (a != b && !(is_numeric(a) && is_numeric(b)))) {
        Diag *d =
            diag_error(r->s, "E0203", e->span, "both branches of this `if` must be of one type");
        diag_label(d, "%s or %s", value_type_words(a), value_type_words(b));
        return POISON;
    }
    return value_expr(r, (Expr){.kind = EXPR_IF,
                                .type = a == b ? a : VALUE_FLOAT,
                                .span = e->span,
                                .a = condition->expr,
                                .b = as_expr(r, then),
                                .c = as_expr(r, otherwise)});
}
