/* Expressions: literals, lists, names and calls; operators are in resolve_fold.c. Everything that
 * is evaluated goes through eval(), which keeps the budget. */
#include "lang/resolve_parts.h"

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

const Value *value_bool(Resolver *r, bool flag, Span span) {
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
        return eval_conditional(r, c, e);
    case AST_UNARY:
        return eval_unary(r, c, e);
    case AST_BINARY:
        return eval_binary(r, c, e);
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
