/* Expressions: constants are folded, what needs a layer or a result becomes an Expr. */
#include <math.h>
#include "lang/resolve_parts.h"

Value *value_new(Resolver *r, ValueType type, Span span)
{
    Value *v = arena_new(r->s->arena, Value);
    v->type = type;
    v->span = span;
    return v;
}

const Value *poison(Resolver *r, Span span)
{
    return value_new(r, VALUE_POISON, span);
}

const Ast *unparen(const Ast *e)
{
    while (e->kind == AST_PAREN) {
        e = e->a;
    }
    return e;
}

static const char *type_text(ValueType type)
{
    static const char *const texts[] = {"an error", "a number", "a number", "true or false", "a string",
                                        "a ratio", "a range", "a list", "a selector", "a format",
                                        "a data source", "a function", "a name", "a value of a layer"};
    return texts[type];
}

const char *value_type_text(const Value *v)
{
    return type_text(v->type == VALUE_EXPR ? v->expr->type : v->type);
}

const Value *wrong_type(Resolver *r, Span at, const char *wanted, const Value *got)
{
    if (got->type != VALUE_POISON) {
        Diag *d = diag_error(r->s, "E0203", at, "%s is needed here", wanted);
        diag_label(d, "this is %s", value_type_text(got));
    }
    return poison(r, at);
}

bool as_number(const Value *v, double *out)
{
    if (v->type == VALUE_INT || v->type == VALUE_FLOAT) {
        *out = v->type == VALUE_INT ? (double)v->integer : v->number;
        return true;
    }
    return false;
}

static const Value *number_value(Resolver *r, Span span, bool is_int, double x, int64_t i)
{
    Value *v = value_new(r, is_int ? VALUE_INT : VALUE_FLOAT, span);
    v->integer = i;
    v->number = is_int ? (double)i : x;
    return v;
}

static const Value *bool_value(Resolver *r, Span span, bool b)
{
    Value *v = value_new(r, VALUE_BOOL, span);
    v->flag = b;
    return v;
}

/* ---- symbolic expressions */

static const Expr *to_expr(Resolver *r, const Value *v)
{
    if (v->type == VALUE_EXPR) {
        return v->expr;
    }
    Expr *e = arena_new(r->s->arena, Expr);
    e->kind = EXPR_CONST;
    e->type = v->type;
    e->span = v->span;
    e->value = v;
    return e;
}

static ValueType type_of(const Value *v)
{
    return v->type == VALUE_EXPR ? v->expr->type : v->type;
}

static bool is_numeric(ValueType t)
{
    return t == VALUE_INT || t == VALUE_FLOAT;
}

static bool is_comparison(AstOp op)
{
    return op >= OP_EQ && op <= OP_GE;
}

static const Value *symbolic(Resolver *r, const Ast *e, const Value *a, const Value *b, ValueType type)
{
    Expr *x = arena_new(r->s->arena, Expr);
    x->kind = b ? EXPR_BINARY : EXPR_UNARY;
    x->type = type;
    x->op = e->op;
    x->span = e->span;
    x->a = to_expr(r, a);
    x->b = b ? to_expr(r, b) : NULL;
    Value *v = value_new(r, VALUE_EXPR, e->span);
    v->expr = x;
    return v;
}

/* ---- arithmetic on constants */

static const Value *integer_result(Resolver *r, const Ast *e, int64_t a, int64_t b)
{
    int64_t n = 0;
    bool bad = false;
    switch (e->op) {
    case OP_ADD:
        bad = __builtin_add_overflow(a, b, &n);
        break;
    case OP_SUB:
        bad = __builtin_sub_overflow(a, b, &n);
        break;
    case OP_MUL:
        bad = __builtin_mul_overflow(a, b, &n);
        break;
    case OP_SHL:
        bad = b < 0 || b > 62 || a < 0 || a > (INT64_MAX >> b);
        n = bad ? 0 : a << b;
        break;
    case OP_SHR:
        bad = b < 0 || b > 63 || a < 0;
        n = bad ? 0 : a >> b;
        break;
    case OP_UNION:
        n = a | b;
        break;
    case OP_INTERSECT:
        n = a & b;
        break;
    default: /* OP_MOD: of Euclid, so that the sign of b decides nothing */
        bad = b == 0 || (a == INT64_MIN && b == -1);
        n = bad ? 0 : a % b < 0 ? a % b + (b < 0 ? -b : b) : a % b;
    }
    if (bad) {
        diag_error(r->s, "E0206", e->span, "this has no value: out of range or divided by zero");
        return poison(r, e->span);
    }
    return number_value(r, e->span, true, 0, n);
}

static const Value *arithmetic(Resolver *r, const Ast *e, const Value *a, const Value *b)
{
    double x = 0, y = 0;
    as_number(a, &x);
    as_number(b, &y);
    bool ints = a->type == VALUE_INT && b->type == VALUE_INT;
    if (ints && e->op != OP_DIV) {
        return integer_result(r, e, a->integer, b->integer);
    }
    double n = e->op == OP_ADD ? x + y : e->op == OP_SUB ? x - y : e->op == OP_MUL ? x * y : e->op == OP_DIV ? x / y : fmod(x, y);
    if (!isfinite(n)) {
        diag_error(r->s, "E0206", e->span, "this has no value: out of range or divided by zero");
        return poison(r, e->span);
    }
    if (ints && n == (double)(int64_t)n) {
        return number_value(r, e->span, true, 0, (int64_t)n);
    }
    return number_value(r, e->span, false, n, 0);
}

static const Value *compare(Resolver *r, const Ast *e, const Value *a, const Value *b)
{
    int order = 0;
    double x, y;
    if (as_number(a, &x) && as_number(b, &y)) {
        order = x < y ? -1 : x > y;
    } else if (a->type == VALUE_STRING && b->type == VALUE_STRING) {
        order = str_cmp(a->text, b->text);
    } else if (a->type == VALUE_CHOICE && b->type == VALUE_CHOICE && a->integer && b->integer) {
        order = a->integer < b->integer ? -1 : a->integer > b->integer; /* sm_89 < sm_90 */
    } else if (a->type == VALUE_BOOL && b->type == VALUE_BOOL && (e->op == OP_EQ || e->op == OP_NE)) {
        order = a->flag != b->flag;
    } else {
        Diag *d = diag_error(r->s, "E0203", e->op_span, "`%s` cannot compare %s with %s", ast_op_text[e->op], value_type_text(a), value_type_text(b));
        diag_span(d, a->span, "%s", value_type_text(a));
        diag_span(d, b->span, "%s", value_type_text(b));
        return poison(r, e->span);
    }
    switch (e->op) {
    case OP_EQ:
        return bool_value(r, e->span, order == 0);
    case OP_NE:
        return bool_value(r, e->span, order != 0);
    case OP_LT:
        return bool_value(r, e->span, order < 0);
    case OP_LE:
        return bool_value(r, e->span, order <= 0);
    case OP_GT:
        return bool_value(r, e->span, order > 0);
    default:
        return bool_value(r, e->span, order >= 0);
    }
}

static const Value *member_of(Resolver *r, const Ast *e, const Value *a, const Value *b)
{
    double x, y;
    if (b->type == VALUE_RANGE && as_number(a, &x)) {
        return bool_value(r, e->span, x >= b->number && x <= b->number2);
    }
    if (b->type != VALUE_LIST) {
        return wrong_type(r, b->span, "a range or a list", b);
    }
    bool found = false;
    for (size_t i = 0; i < b->items.len; i++) {
        const Value *item = b->items.at[i];
        found = found || (as_number(a, &x) && as_number(item, &y) && x == y) ||
                (a->type == VALUE_STRING && item->type == VALUE_STRING && str_eq(a->text, item->text));
    }
    return bool_value(r, e->span, found);
}

static const Value *range(Resolver *r, const Ast *e, const Value *a, const Value *b)
{
    double x, y;
    if (!as_number(a, &x) || !as_number(b, &y)) {
        return wrong_type(r, as_number(a, &x) ? b->span : a->span, "a number", as_number(a, &x) ? b : a);
    }
    if (x > y) {
        Diag *d = diag_error(r->s, "E0206", e->span, "this range is empty");
        diag_label(d, "the first number is the larger one");
        return poison(r, e->span);
    }
    Value *v = value_new(r, VALUE_RANGE, e->span);
    v->number = x;
    v->number2 = y;
    v->flag = a->type == VALUE_INT && b->type == VALUE_INT;
    return v;
}

static bool set_like(const Value *v)
{
    return v->type == VALUE_SELECTOR;
}

static const Value *binary_expr(Resolver *r, const Ast *e, const Value *a, const Value *b)
{
    ValueType ta = type_of(a), tb = type_of(b);
    bool logic = e->op == OP_AND || e->op == OP_OR;
    if (logic) {
        if (ta != VALUE_BOOL || tb != VALUE_BOOL) {
            return wrong_type(r, ta != VALUE_BOOL ? a->span : b->span, "true or false", ta != VALUE_BOOL ? a : b);
        }
        return symbolic(r, e, a, b, VALUE_BOOL);
    }
    if (e->op == OP_IN) {
        if (tb != VALUE_RANGE && tb != VALUE_LIST) {
            return wrong_type(r, b->span, "a range or a list", b);
        }
        return symbolic(r, e, a, b, VALUE_BOOL);
    }
    if (is_comparison(e->op)) {
        bool same = (is_numeric(ta) && is_numeric(tb)) || (ta == tb && (ta == VALUE_STRING || ta == VALUE_BOOL || ta == VALUE_LIST));
        if (!same) {
            Diag *d = diag_error(r->s, "E0203", e->op_span, "`%s` cannot compare %s with %s", ast_op_text[e->op], type_text(ta), type_text(tb));
            diag_span(d, b->span, "%s", type_text(tb));
            return poison(r, e->span);
        }
        return symbolic(r, e, a, b, VALUE_BOOL);
    }
    if (!is_numeric(ta) || !is_numeric(tb)) {
        return wrong_type(r, is_numeric(ta) ? b->span : a->span, "a number", is_numeric(ta) ? b : a);
    }
    bool ints = ta == VALUE_INT && tb == VALUE_INT && e->op != OP_DIV;
    return symbolic(r, e, a, b, ints ? VALUE_INT : VALUE_FLOAT);
}

static const Value *binary(Resolver *r, const Ast *e)
{
    const Value *a = evaluate(r, e->a), *b = evaluate(r, e->b);
    if (a->type == VALUE_POISON || b->type == VALUE_POISON) {
        return poison(r, e->span);
    }
    bool set_op = e->op == OP_UNION || e->op == OP_INTERSECT || e->op == OP_SUB;
    if (set_op && (set_like(a) || set_like(b) || (a->type == VALUE_STRING && b->type == VALUE_STRING))) {
        return evaluate_set(r, e, a, b);
    }
    if (e->op == OP_RANGE) {
        return range(r, e, a, b);
    }
    if (a->type == VALUE_EXPR || b->type == VALUE_EXPR) {
        return binary_expr(r, e, a, b);
    }
    if (is_comparison(e->op)) {
        return compare(r, e, a, b);
    }
    if (e->op == OP_IN) {
        return member_of(r, e, a, b);
    }
    if (e->op == OP_AND || e->op == OP_OR) {
        if (a->type != VALUE_BOOL || b->type != VALUE_BOOL) {
            return wrong_type(r, a->type != VALUE_BOOL ? a->span : b->span, "true or false", a->type != VALUE_BOOL ? a : b);
        }
        return bool_value(r, e->span, e->op == OP_AND ? a->flag && b->flag : a->flag || b->flag);
    }
    double x, y;
    bool ints = a->type == VALUE_INT && b->type == VALUE_INT;
    bool integer_only = set_op && e->op != OP_SUB;
    integer_only = integer_only || e->op == OP_SHL || e->op == OP_SHR;
    if (!as_number(a, &x) || !as_number(b, &y) || (integer_only && !ints)) {
        Diag *d = diag_error(r->s, "E0203", e->op_span, set_op ? "`%s` needs two selectors or two numbers" : "`%s` needs two numbers", ast_op_text[e->op]);
        diag_span(d, a->span, "%s", value_type_text(a));
        diag_span(d, b->span, "%s", value_type_text(b));
        return poison(r, e->span);
    }
    return arithmetic(r, e, a, b);
}

static const Value *unary(Resolver *r, const Ast *e)
{
    const Value *a = evaluate(r, e->a);
    if (a->type == VALUE_POISON) {
        return a;
    }
    if (e->op == OP_COMPLEMENT) {
        if (a->type == VALUE_STRING) {
            a = selector_of_text(r, a, false);
        }
        return a->type == VALUE_SELECTOR ? selector_wrap(r, SELECT_COMPLEMENT, e->span, a) : wrong_type(r, a->span, "a selector", a);
    }
    if (e->op == OP_NOT) {
        if (type_of(a) != VALUE_BOOL) {
            return wrong_type(r, a->span, "true or false", a);
        }
        return a->type == VALUE_EXPR ? symbolic(r, e, a, NULL, VALUE_BOOL) : bool_value(r, e->span, !a->flag);
    }
    if (!is_numeric(type_of(a))) {
        return wrong_type(r, a->span, "a number", a);
    }
    if (a->type == VALUE_EXPR) {
        return symbolic(r, e, a, NULL, a->expr->type);
    }
    return number_value(r, e->span, a->type == VALUE_INT, -a->number, a->type == VALUE_INT ? -a->integer : 0);
}

static const Value *conditional(Resolver *r, const Ast *e)
{
    const Value *c = evaluate(r, e->a);
    if (c->type == VALUE_BOOL) {
        return evaluate(r, c->flag ? e->b : e->c);
    }
    if (type_of(c) != VALUE_BOOL) {
        return wrong_type(r, c->span, "true or false", c);
    }
    const Value *a = evaluate(r, e->b), *b = evaluate(r, e->c);
    if (a->type == VALUE_POISON || b->type == VALUE_POISON) {
        return poison(r, e->span);
    }
    if (type_of(a) != type_of(b) && !(is_numeric(type_of(a)) && is_numeric(type_of(b)))) {
        return wrong_type(r, b->span, value_type_text(a), b);
    }
    Expr *x = arena_new(r->s->arena, Expr);
    x->kind = EXPR_IF;
    x->type = type_of(a) == type_of(b) ? type_of(a) : VALUE_FLOAT;
    x->span = e->span;
    x->a = to_expr(r, c);
    x->b = to_expr(r, a);
    x->c = to_expr(r, b);
    Value *v = value_new(r, VALUE_EXPR, e->span);
    v->expr = x;
    return v;
}

/* ---- attributes and metrics */

static const struct {
    const char *name;
    ValueType type;
} attributes[] = {
    {"op", VALUE_STRING},   {"name", VALUE_STRING}, {"k", VALUE_INT},       {"n", VALUE_INT},
    {"shape", VALUE_LIST},  {"params", VALUE_INT},  {"bytes", VALUE_INT},   {"dtype", VALUE_STRING},
    {"rank", VALUE_INT},    {"kernel", VALUE_INT},  {"groups", VALUE_INT},  {"stride", VALUE_INT},
    {"depth", VALUE_INT},   {"block", VALUE_INT},   {"fanout", VALUE_INT},  {"const", VALUE_BOOL},
    {"domain", VALUE_STRING}, {"opset", VALUE_INT},
}, rule_metrics[] = {
    {"cosine", VALUE_FLOAT}, {"sqnr", VALUE_FLOAT}, {"mse", VALUE_FLOAT}, {"max_error", VALUE_FLOAT},
    {"bits", VALUE_FLOAT}, {"sparsity", VALUE_FLOAT},
};

static const Value *attribute(Resolver *r, const Ast *e)
{
    bool layer = r->mode == MODE_LAYER;
    size_t n = layer ? sizeof attributes / sizeof *attributes : sizeof rule_metrics / sizeof *rule_metrics;
    Str names[32];
    for (size_t i = 0; i < n; i++) {
        names[i] = str_from(layer ? attributes[i].name : rule_metrics[i].name);
        if (str_eq(names[i], e->name) && (layer || r->mode == MODE_RULE)) {
            Expr *x = arena_new(r->s->arena, Expr);
            x->kind = EXPR_ATTR;
            x->type = layer ? attributes[i].type : rule_metrics[i].type;
            x->span = e->span;
            x->name = e->name;
            Value *v = value_new(r, VALUE_EXPR, e->span);
            v->expr = x;
            return v;
        }
    }
    if (!layer && r->mode != MODE_RULE) {
        Diag *d = diag_error(r->s, "E0209", e->span, "`.%.*s` means nothing here", STR_ARG(e->name));
        diag_label(d, "no layer is at hand");
        diag_help(d, "attributes of a layer stand in a filter, linear[.k > 512]; its metrics in an `expect` inside a rule");
        return poison(r, e->span);
    }
    Diag *d = diag_error(r->s, "E0201", e->span, layer ? "a layer has no attribute `.%.*s`" : "a layer has no metric `.%.*s`", STR_ARG(e->name));
    Str near = nearest_of(e->name, names, n);
    if (near.len) {
        diag_label(d, "did you mean `.%.*s`?", STR_ARG(near));
        diag_fix(d, false, e->name_span, "%.*s", STR_ARG(near));
    }
    Buf all = buf_on(r->s->arena);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&all, "%s.%.*s", i ? " " : "", STR_ARG(names[i]));
    }
    diag_note(d, "there are %s", all.data);
    return poison(r, e->span);
}

static const Value *literal(Resolver *r, const Ast *e)
{
    Value *v;
    switch (e->kind) {
    case AST_NUMBER:
        return number_value(r, e->span, e->is_int, e->number, e->integer);
    case AST_RATIO:
        v = value_new(r, VALUE_RATIO, e->span);
        v->integer = e->integer;
        v->integer2 = e->integer2;
        return v;
    case AST_BOOL:
        return bool_value(r, e->span, e->flag);
    default:
        v = value_new(r, VALUE_STRING, e->span);
        v->text = e->text;
        return e->kind == AST_REGEX ? selector_of_text(r, v, true) : v;
    }
}

static const Value *list(Resolver *r, const Ast *e)
{
    Value *v = value_new(r, VALUE_LIST, e->span);
    for (size_t i = 0; i < e->kids.len; i++) {
        if (e->kids.at[i]->name.len) {
            diag_error(r->s, "E0203", e->kids.at[i]->name_span, "the items of a list have no names");
            return poison(r, e->span);
        }
        const Value *item = evaluate(r, e->kids.at[i]->a);
        if (item->type == VALUE_POISON) {
            return item;
        }
        vec_push(r->s->arena, &v->items, item);
    }
    return v;
}

static const Value *indexed(Resolver *r, const Ast *e)
{
    const Value *a = evaluate(r, e->a);
    if (a->type == VALUE_POISON) {
        return a;
    }
    if (a->type == VALUE_STRING) {
        a = selector_of_text(r, a, false);
    }
    if (a->type == VALUE_SELECTOR) {
        return evaluate_filter(r, e, a);
    }
    if (a->type != VALUE_LIST) {
        return wrong_type(r, a->span, "a selector or a list", a);
    }
    const Value *i = evaluate(r, e->b);
    if (i->type != VALUE_INT) {
        return wrong_type(r, i->span, "a whole number", i);
    }
    if (i->integer < 0 || (size_t)i->integer >= a->items.len) {
        Diag *d = diag_error(r->s, "E0206", i->span, "there is no item %lld", (long long)i->integer);
        diag_label(d, "the list has %zu", a->items.len);
        return poison(r, e->span);
    }
    return a->items.at[i->integer];
}

static const Value *metric_call(Resolver *r, const Ast *e, Str name)
{
    Expr *x = arena_new(r->s->arena, Expr);
    x->kind = EXPR_METRIC;
    x->type = str_is(name, "count") ? VALUE_INT : VALUE_FLOAT;
    x->span = e->span;
    x->name = name;
    if (e->kids.len != 1 || e->kids.at[0]->name.len) {
        diag_error(r->s, "E0204", e->span, "`%.*s` takes one selector", STR_ARG(name));
        return poison(r, e->span);
    }
    Mode mode = r->mode;
    r->mode = MODE_CONST;
    x->selector = want_selector(r, e->kids.at[0]->a);
    r->mode = mode;
    if (!x->selector) {
        return poison(r, e->span);
    }
    Value *v = value_new(r, VALUE_EXPR, e->span);
    v->expr = x;
    return v;
}

static const Value *call(Resolver *r, const Ast *e)
{
    const Ast *callee = unparen(e->a);
    if (callee->kind != AST_NAME) {
        diag_error(r->s, "E0203", e->span, "this cannot be called");
        return poison(r, e->span);
    }
    Str name = callee->name;
    if (r->mode == MODE_RECIPE && (str_is(name, "count") || str_is(name, "bits") || str_is(name, "sparsity"))) {
        return metric_call(r, e, name);
    }
    if (is_selector_call(name)) {
        return evaluate_selector_call(r, e);
    }
    if (is_format_call(name)) {
        return evaluate_format_call(r, e);
    }
    const char *what = NULL;
    if (is_builtin_name(r, name, &what)) {
        diag_error(r->s, "E0203", e->span, "`%.*s` is %s, it takes no arguments", STR_ARG(name), what);
        return poison(r, e->span);
    }
    const Value *v = evaluate(r, callee);
    if (v->type == VALUE_FN) {
        diag_error(r->s, "E0001", e->span, "calling a function is not in this build");
        return poison(r, e->span);
    }
    return wrong_type(r, callee->span, "something that can be called", v);
}

const Value *evaluate(Resolver *r, const Ast *e)
{
    switch (e->kind) {
    case AST_PAREN:
        return evaluate(r, e->a);
    case AST_NUMBER: case AST_RATIO: case AST_STRING: case AST_REGEX: case AST_BOOL:
        return literal(r, e);
    case AST_NAME:
        return evaluate_name(r, e);
    case AST_MEMBER:
        return evaluate_member(r, e);
    case AST_ATTR:
        return attribute(r, e);
    case AST_BINARY:
        return binary(r, e);
    case AST_UNARY:
        return unary(r, e);
    case AST_IF:
        return conditional(r, e);
    case AST_LIST:
        return list(r, e);
    case AST_INDEX:
        return indexed(r, e);
    case AST_CALL:
        return call(r, e);
    case AST_PER: case AST_SCALE: case AST_DYNAMIC:
        return evaluate_format(r, e);
    case AST_OPTIONAL: {
        const Value *a = evaluate(r, e->a);
        if (a->type == VALUE_STRING) {
            a = selector_of_text(r, a, false);
        }
        if (a->type == VALUE_POISON) {
            return a;
        }
        return a->type == VALUE_SELECTOR ? selector_wrap(r, SELECT_OPTIONAL, e->span, a) : wrong_type(r, a->span, "a selector", a);
    }
    default:
        return poison(r, e->span);
    }
}

/* Implicit conversions: int to float, string to selector. `what` names the place for messages. */
const Value *coerce(Resolver *r, const Value *v, ParamType wanted, const char *what)
{
    static const char *const wanted_text[] = {
        "a whole number", "a number", "true or false", "a string", "a ratio", "a range", "a list",
        "a selector", "a format", "a data source", "a function", "a name", "a pattern such as 2:4 or a number"};
    bool fits = false;
    switch (wanted) {
    case PARAM_INT: fits = v->type == VALUE_INT; break;
    case PARAM_FLOAT: fits = v->type == VALUE_INT || v->type == VALUE_FLOAT; break;
    case PARAM_BOOL: fits = v->type == VALUE_BOOL; break;
    case PARAM_STRING: fits = v->type == VALUE_STRING; break;
    case PARAM_RATIO: fits = v->type == VALUE_RATIO; break;
    case PARAM_RANGE: fits = v->type == VALUE_RANGE; break;
    case PARAM_LIST: fits = v->type == VALUE_LIST; break;
    case PARAM_FORMAT: fits = v->type == VALUE_FORMAT; break;
    case PARAM_DATA: fits = v->type == VALUE_DATA; break;
    case PARAM_FN: fits = v->type == VALUE_FN; break;
    case PARAM_CHOICE: fits = v->type == VALUE_CHOICE; break;
    case PARAM_PATTERN: fits = v->type == VALUE_RATIO || v->type == VALUE_FLOAT || v->type == VALUE_INT; break;
    case PARAM_SELECTOR:
        if (v->type == VALUE_STRING) {
            v = selector_of_text(r, v, false);
        }
        fits = v->type == VALUE_SELECTOR;
        break;
    }
    if (fits || v->type == VALUE_POISON) {
        if (fits && wanted == PARAM_FLOAT && v->type == VALUE_INT) {
            return number_value(r, v->span, false, (double)v->integer, 0);
        }
        return v;
    }
    Diag *d = diag_error(r->s, "E0203", v->span, "%s takes %s", what, wanted_text[wanted]);
    diag_label(d, "this is %s", value_type_text(v));
    if (wanted == PARAM_FORMAT && v->type == VALUE_LIST) {
        diag_note(d, "encoding a weight twice (a list of formats) is not in this build");
    }
    return poison(r, v->span);
}
