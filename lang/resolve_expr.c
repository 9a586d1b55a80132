/* Expressions. Constants fold at once: whole numbers stay whole and go on as floats where they
 * would overflow; a division of whole numbers is whole when it is exact. What needs a layer or a
 * result becomes a typed Expr. Types are checked here, once, for all who evaluate later. */
#include "lang/resolve_parts.h"
#include <math.h>

const Value poison_value = {.type = VALUE_POISON};

/* ---- values */

Value *value_new(Resolver *r, ValueType type, Span span) {
    Value *v = arena_new(r->s->arena, Value);
    v->type = type;
    v->span = span;
    return v;
}

const Value *value_int(Resolver *r, int64_t n, Span span) {
    Value *v = value_new(r, VALUE_INT, span);
    v->integer = n;
    v->number = (double)n;
    return v;
}

const Value *value_float(Resolver *r, double x, Span span) {
    Value *v = value_new(r, VALUE_FLOAT, span);
    v->number = x;
    return v;
}

static const Value *value_bool(Resolver *r, bool flag, Span span) {
    Value *v = value_new(r, VALUE_BOOL, span);
    v->flag = flag;
    return v;
}

const Value *value_expr(Resolver *r, Expr expr) {
    Expr *copy = arena_new(r->s->arena, Expr);
    *copy = expr;
    Value *v = value_new(r, VALUE_EXPR, expr.span);
    v->expr = copy;
    return v;
}

ValueType value_static_type(const Value *v) {
    return v->type == VALUE_EXPR ? v->expr->type : v->type;
}

bool value_is_number(const Value *v) {
    return v->type == VALUE_INT || v->type == VALUE_FLOAT;
}

double value_number(const Value *v) {
    return v->number;
}

const char *value_type_words(ValueType type) {
    static const char *const words[] = {
        [VALUE_POISON] = "nothing",      [VALUE_INT] = "a whole number",
        [VALUE_FLOAT] = "a number",      [VALUE_BOOL] = "true or false",
        [VALUE_STRING] = "a string",     [VALUE_RATIO] = "a ratio",
        [VALUE_RANGE] = "a range",       [VALUE_LIST] = "a list",
        [VALUE_SELECTOR] = "a selector", [VALUE_FORMAT] = "a format",
        [VALUE_DATA] = "data",           [VALUE_FN] = "a function",
        [VALUE_CHOICE] = "a word",       [VALUE_TARGET] = "a target",
        [VALUE_EXPR] = "a measurement",
    };
    return words[type];
}

const Ast *unwrap(const Ast *e) {
    while (e->kind == AST_PAREN) {
        e = e->a;
    }
    return e;
}

/* ---- budget */

bool resolver_enter(Resolver *r, Span at) {
    r->depth++;
    r->work++;
    bool deep = r->depth > LIMIT_DEPTH, much = r->work > LIMIT_RECIPE_WORK;
    if ((deep || much) && !r->spent) {
        r->spent = true;
        Diag *d = diag_error(r->s, "E0106", at,
                             deep ? "expressions and names are nested too deep"
                                  : "this recipe grows too large");
        diag_label(d, deep ? "at most %d inside one another" : "more than %d steps to work it out",
                   deep ? LIMIT_DEPTH : LIMIT_RECIPE_WORK);
    }
    return !r->spent;
}

void resolver_leave(Resolver *r) {
    r->depth--;
}

/* ---- operators */

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
    if (!isfinite(result)) {
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

static const Value *binary(Resolver *r, Context c, const Ast *e) {
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

static const Value *unary(Resolver *r, Context c, const Ast *e) {
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
static const Value *conditional(Resolver *r, Context c, const Ast *e) {
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

/* ---- leaves */

static const Value *list(Resolver *r, Context c, const Ast *e) {
    Value *v = value_new(r, VALUE_LIST, e->span);
    bool bad = false;
    for (size_t i = 0; i < e->kids.len; i++) {
        const Ast *arg = e->kids.at[i];
        if (arg->name.len) {
            diag_error(r->s, "E0204", arg->name_span, "the items of a list have no names");
            bad = true;
        }
        const Value *item = eval(r, c, arg->a);
        if (item->type == VALUE_LIST || item->type == VALUE_EXPR) {
            Diag *d = diag_error(r->s, "E0203", arg->a->span, "a list holds plain values");
            diag_label(d, "this is %s", value_type_words(item->type));
            bad = true;
        }
        bad = bad || item->type == VALUE_POISON;
        vec_push(r->s->arena, &v->items, item);
    }
    return bad ? POISON : v;
}

static const Value *leaf(Resolver *r, const Ast *e) {
    Value *v;
    switch (e->kind) {
    case AST_NUMBER:
        return e->is_int ? value_int(r, e->integer, e->span) : value_float(r, e->number, e->span);
    case AST_RATIO:
        v = value_new(r, VALUE_RATIO, e->span);
        v->integer = e->integer;
        v->integer2 = e->integer2;
        return v;
    case AST_BOOL:
        return value_bool(r, e->flag, e->span);
    case AST_STRING:
        v = value_new(r, VALUE_STRING, e->span);
        v->text = e->text;
        return v;
    default: { /* AST_REGEX */
        Selector *selector = arena_new(r->s->arena, Selector);
        *selector = (Selector){
            .kind = SELECT_REGEX, .span = e->span, .text = e->text, .size = 1, .depth = 1};
        selector->pattern = pattern_regex(r->s, e->text, e->span);
        v = value_new(r, VALUE_SELECTOR, e->span);
        v->selector = selector;
        return selector->pattern ? v : POISON;
    }
    }
}

/* ---- names and calls */

static const Value *target_value(Resolver *r, Span span) {
    if (!r->recipe->target) {
        if (!r->target_reported) {
            r->target_reported = true;
            Diag *d = diag_error(r->s, "E0211", span, "the target is not known here");
            diag_label(d, "which one?");
            diag_help(d, "write `target sm_90`, or pick one with --target sm_90");
        }
        return POISON;
    }
    Value *v = value_new(r, VALUE_TARGET, span);
    v->integer = r->recipe->target;
    return v;
}

int sm_number(Str word) {
    if (!str_starts(word, STR("sm_")) || word.len < 5 || word.len > 6) {
        return 0;
    }
    int n = 0;
    for (size_t i = 3; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') {
            return 0;
        }
        n = n * 10 + (word.data[i] - '0');
    }
    return n;
}

static const Value *function_without_call(Resolver *r, const Schema *f, Span span) {
    Diag *d = diag_error(r->s, "E0204", span, "`%s` is a function: it needs arguments", f->name);
    diag_label(d, "write `%s(...)`", f->name);
    return POISON;
}

static const Value *name(Resolver *r, Context c, const Ast *e) {
    Decl *decl = scope_find(c.scope, e->name);
    if (decl) {
        return decl_value(r, decl, e->span);
    }
    if (str_is(e->name, "target")) {
        return target_value(r, e->span);
    }
    if (sm_number(e->name)) {
        Value *v = value_new(r, VALUE_TARGET, e->span);
        v->integer = sm_number(e->name);
        return v;
    }
    const Value *v = format_of_name(r, e->name, e->span);
    v = v ? v : metric_name(r, c, e->name, e->span);
    v = v ? v : selector_of_name(r, e->name, e->span);
    if (v) {
        return v;
    }
    const Schema *f = selector_function(e->name);
    f = f ? f : format_function(e->name);
    if (f) {
        return function_without_call(r, f, e->span);
    }
    report_unknown(r, c.scope, c.position, e->name, e->span);
    return POISON;
}

static void eval_args(Resolver *r, Context c, const AstList *args) {
    for (size_t i = 0; i < args->len; i++) {
        eval(r, c, args->at[i]->a);
    }
}

static const Value *not_callable(Resolver *r, Context c, const Ast *e, const Decl *decl) {
    if (decl && decl->ast->kind == AST_FN) {
        return POISON; /* its declaration is E0001 */
    }
    Diag *d = diag_error(r->s, "E0203", e->a->span, "this cannot be called");
    bool transform = decl && decl->ast->kind == AST_TRANSFORM;
    diag_label(d, transform ? "a transform is a step: it stands in a rule" : "it is no function");
    eval_args(r, c, &e->kids);
    return POISON;
}

static const Value *call(Resolver *r, Context c, const Ast *e) {
    if (e->a->kind == AST_MEMBER) {
        Decl *decl = import_member(r, c.scope, e->a->a, e->a->name, e->a->name_span);
        return decl ? not_callable(r, c, e, decl) : POISON;
    }
    if (e->a->kind != AST_NAME) {
        return not_callable(r, c, e, NULL);
    }
    Str callee = e->a->name;
    Decl *decl = scope_find(c.scope, callee);
    if (decl) {
        return not_callable(r, c, e, decl);
    }
    const Schema *f = selector_function(callee);
    if (f) {
        return selector_call(r, c, e, f);
    }
    f = format_function(callee);
    if (f) {
        return format_call(r, c, e, f);
    }
    const Value *v = metric_call(r, c, e);
    if (v) {
        return v;
    }
    if (format_of_name(r, callee, e->a->span) || selector_of_name(r, callee, e->a->span)) {
        return not_callable(r, c, e, NULL);
    }
    report_unknown(r, c.scope, c.position, callee, e->a->span);
    return POISON;
}

/* xs[0] of a list; otherwise a filter */
static const Value *index_value(Resolver *r, Context c, const Ast *e) {
    const Value *a = eval(r, c, e->a);
    if (a->type != VALUE_LIST) {
        return selector_filter(r, c, e, a);
    }
    const Value *i = eval(r, (Context){c.scope, AT_CONSTANT}, e->b);
    if (i->type == VALUE_POISON) {
        return POISON;
    }
    if (i->type != VALUE_INT) {
        Diag *d = diag_error(r->s, "E0203", e->b->span, "the items of a list have whole numbers");
        diag_label(d, "this is %s", value_type_words(value_static_type(i)));
        return POISON;
    }
    if (i->integer < 0 || (uint64_t)i->integer >= a->items.len) {
        Diag *d = diag_error(r->s, "E0206", e->b->span, "this list has no such item");
        diag_label(d, "it has %zu, from 0", a->items.len);
        return POISON;
    }
    return a->items.at[i->integer];
}

static const Value *eval_kind(Resolver *r, Context c, const Ast *e) {
    switch (e->kind) {
    case AST_PAREN:
        return eval(r, c, e->a);
    case AST_NUMBER:
    case AST_RATIO:
    case AST_BOOL:
    case AST_STRING:
    case AST_REGEX:
        return leaf(r, e);
    case AST_LIST:
        return list(r, c, e);
    case AST_NAME:
        return name(r, c, e);
    case AST_ATTR:
        return attribute(r, c, e);
    case AST_MEMBER: {
        Decl *decl = import_member(r, c.scope, e->a, e->name, e->name_span);
        return decl ? decl_value(r, decl, e->span) : POISON;
    }
    case AST_CALL:
        return call(r, c, e);
    case AST_INDEX:
        return index_value(r, c, e);
    case AST_OPTIONAL: {
        const Value *a = eval(r, c, e->a);
        return a->type == VALUE_POISON ? POISON : selector_optional(r, e, a);
    }
    case AST_PER:
    case AST_SCALE:
    case AST_DYNAMIC:
        return format_postfix(r, c, e);
    case AST_IF:
        return conditional(r, c, e);
    case AST_UNARY:
        return unary(r, c, e);
    case AST_BINARY:
        return binary(r, c, e);
    default: /* AST_ERROR: the parser reported it */
        return POISON;
    }
}

const Value *eval(Resolver *r, Context c, const Ast *e) {
    const Value *v = resolver_enter(r, e->span) ? eval_kind(r, c, e) : POISON;
    resolver_leave(r);
    return v;
}

const Value *eval_constant(Resolver *r, Scope *scope, const Ast *e) {
    return eval(r, (Context){scope, AT_CONSTANT}, e);
}
