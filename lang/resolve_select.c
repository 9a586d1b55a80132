/* Selectors (language.md 2.5): typed trees, evaluated later on a model. */
#include "lang/pattern.h"
#include "lang/resolve_parts.h"

static const char *const builtins[] = {"all", "linear", "conv", "embedding", "attention", "norm", "head", "residual", NULL};

static const struct {
    const char *name;
    SelectorKind kind;
} calls[] = {
    {"op", SELECT_OP}, {"first", SELECT_FIRST}, {"last", SELECT_LAST}, {"block", SELECT_BLOCK},
    {"inputs", SELECT_INPUTS}, {"users", SELECT_USERS}, {"upstream", SELECT_UPSTREAM},
    {"downstream", SELECT_DOWNSTREAM}, {"between", SELECT_BETWEEN}, {"siblings", SELECT_SIBLINGS},
};
enum { CALLS = sizeof calls / sizeof *calls };

bool is_builtin_selector(Str name)
{
    for (int i = 0; builtins[i]; i++) {
        if (str_is(name, builtins[i])) {
            return true;
        }
    }
    return false;
}

bool is_selector_call(Str name)
{
    for (int i = 0; i < CALLS; i++) {
        if (str_is(name, calls[i].name)) {
            return true;
        }
    }
    return false;
}

static Selector *selector_new(Resolver *r, SelectorKind kind, Span span)
{
    Selector *sel = arena_new(r->s->arena, Selector);
    sel->kind = kind;
    sel->span = span;
    return sel;
}

static const Value *selector_value(Resolver *r, const Selector *sel)
{
    Value *v = value_new(r, VALUE_SELECTOR, sel->span);
    v->selector = sel;
    return v;
}

static bool is_op(const Resolver *r, Str name)
{
    for (const char *const *op = r->options->ops; op && *op; op++) {
        if (str_is(name, *op)) {
            return true;
        }
    }
    return false;
}

const Value *selector_name(Resolver *r, Str name, Span span)
{
    if (!is_builtin_selector(name) && !is_op(r, name)) {
        return NULL;
    }
    Selector *sel = selector_new(r, is_builtin_selector(name) ? SELECT_BUILTIN : SELECT_OP, span);
    sel->name = name;
    return selector_value(r, sel);
}

const Value *selector_of_text(Resolver *r, const Value *text, bool regex)
{
    Selector *sel = selector_new(r, regex ? SELECT_REGEX : SELECT_GLOB, text->span);
    sel->text = text->text;
    sel->pattern = regex ? pattern_regex(r->s, text->text, text->span) : pattern_glob(r->s, text->text, text->span);
    return sel->pattern ? selector_value(r, sel) : poison(r, text->span);
}

const Value *selector_wrap(Resolver *r, SelectorKind kind, Span span, const Value *a)
{
    Selector *sel = selector_new(r, kind, span);
    sel->a = a->selector;
    return selector_value(r, sel);
}

static const Value *as_set(Resolver *r, const Value *v)
{
    if (v->type == VALUE_STRING) {
        v = selector_of_text(r, v, false);
    }
    return v->type == VALUE_SELECTOR ? v : wrong_type(r, v->span, "a selector", v);
}

const Value *evaluate_set(Resolver *r, const Ast *e, const Value *a, const Value *b)
{
    a = as_set(r, a);
    b = as_set(r, b);
    if (a->type != VALUE_SELECTOR || b->type != VALUE_SELECTOR) {
        return poison(r, e->span);
    }
    SelectorKind kind = e->op == OP_UNION ? SELECT_UNION : e->op == OP_INTERSECT ? SELECT_INTERSECT : SELECT_DIFFERENCE;
    Selector *sel = selector_new(r, kind, e->span);
    sel->a = a->selector;
    sel->b = b->selector;
    return selector_value(r, sel);
}

const Value *evaluate_filter(Resolver *r, const Ast *e, const Value *set)
{
    Mode mode = r->mode;
    r->mode = MODE_LAYER;
    const Value *where = evaluate(r, e->b);
    r->mode = mode;
    if (where->type == VALUE_POISON) {
        return where;
    }
    bool symbolic = where->type == VALUE_EXPR && where->expr->type == VALUE_BOOL;
    if (!symbolic && where->type != VALUE_BOOL) {
        return wrong_type(r, e->b->span, "a condition on layers, such as .k > 512,", where);
    }
    Selector *sel = selector_new(r, SELECT_FILTER, e->span);
    sel->a = set->selector;
    if (symbolic) {
        sel->where = where->expr;
    } else {
        Expr *x = arena_new(r->s->arena, Expr);
        x->kind = EXPR_CONST;
        x->type = VALUE_BOOL;
        x->span = where->span;
        x->value = where;
        sel->where = x;
    }
    return selector_value(r, sel);
}

const Selector *want_selector(Resolver *r, const Ast *e)
{
    const Value *v = as_set(r, evaluate(r, e));
    return v->type == VALUE_SELECTOR ? v->selector : NULL;
}

static const Value *usage(Resolver *r, const Ast *e, const char *text)
{
    Diag *d = diag_error(r->s, "E0204", e->span, "wrong arguments");
    diag_label(d, "it is written %s", text);
    return poison(r, e->span);
}

/* first(S), first(S, 2), first(S, n = 2) */
static const Value *by_position(Resolver *r, const Ast *e, Selector *sel)
{
    sel->count = 1;
    if (e->kids.len < 1 || e->kids.len > 2 || e->kids.at[0]->name.len) {
        return usage(r, e, "first(S) or first(S, 2)");
    }
    sel->a = want_selector(r, e->kids.at[0]->a);
    if (!sel->a) {
        return poison(r, e->span);
    }
    if (e->kids.len == 2) {
        const Ast *arg = e->kids.at[1];
        if (arg->name.len && !str_is(arg->name, "n")) {
            return usage(r, e, "first(S, n = 2)");
        }
        const Value *n = evaluate(r, arg->a);
        if (n->type != VALUE_INT) {
            return wrong_type(r, arg->a->span, "a whole number", n);
        }
        if (n->integer < 1) {
            diag_error(r->s, "E0206", arg->a->span, "at least one layer");
            return poison(r, e->span);
        }
        sel->count = n->integer;
    }
    return selector_value(r, sel);
}

/* block(0), block(-2..-1) */
static const Value *by_block(Resolver *r, const Ast *e, Selector *sel)
{
    if (e->kids.len != 1 || e->kids.at[0]->name.len) {
        return usage(r, e, "block(0) or block(-2..-1)");
    }
    const Value *v = evaluate(r, e->kids.at[0]->a);
    if (v->type == VALUE_INT) {
        sel->from = sel->to = v->integer;
    } else if (v->type == VALUE_RANGE && v->flag) {
        sel->from = (int64_t)v->number;
        sel->to = (int64_t)v->number2;
    } else {
        return wrong_type(r, v->span, "a whole number or a range of them", v);
    }
    if ((sel->from < 0) != (sel->to < 0)) {
        Diag *d = diag_error(r->s, "E0206", v->span, "a range of blocks counts from one end");
        diag_label(d, "0.. from the first, ..-1 to the last, not both");
        return poison(r, e->span);
    }
    return selector_value(r, sel);
}

/* op("com.microsoft::Attention") */
static const Value *by_op(Resolver *r, const Ast *e, Selector *sel)
{
    const Ast *arg = e->kids.len == 1 ? unparen(e->kids.at[0]->a) : NULL;
    if (!arg || arg->kind != AST_STRING || arg->text.len == 0) {
        return usage(r, e, "op(\"com.microsoft::Attention\")");
    }
    Str text = arg->text;
    sel->name = text;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] == ':' && text.data[i + 1] == ':') {
            sel->domain = str_slice(text, 0, i);
            sel->name = str_slice(text, i + 2, text.len);
        }
    }
    if (str_is(sel->domain, "ai.onnx")) {
        sel->domain = (Str){"", 0};
    }
    if (sel->domain.len == 0 && !is_op(r, sel->name)) {
        diag_error(r->s, "E0201", arg->span, "ONNX has no op `%.*s`", STR_ARG(sel->name));
        return poison(r, e->span);
    }
    return selector_value(r, sel);
}

const Value *evaluate_selector_call(Resolver *r, const Ast *e)
{
    Str name = unparen(e->a)->name;
    SelectorKind kind = SELECT_OP;
    for (int i = 0; i < CALLS; i++) {
        if (str_is(name, calls[i].name)) {
            kind = calls[i].kind;
        }
    }
    Selector *sel = selector_new(r, kind, e->span);
    if (kind == SELECT_FIRST || kind == SELECT_LAST) {
        return by_position(r, e, sel);
    }
    if (kind == SELECT_BLOCK) {
        return by_block(r, e, sel);
    }
    if (kind == SELECT_OP) {
        return by_op(r, e, sel);
    }
    size_t want = kind == SELECT_BETWEEN ? 2 : 1;
    if (e->kids.len != want || e->kids.at[0]->name.len || e->kids.at[want - 1]->name.len) {
        return usage(r, e, want == 2 ? "between(A, B)" : "inputs(S), users(S), upstream(S), downstream(S), siblings(S)");
    }
    sel->a = want_selector(r, e->kids.at[0]->a);
    sel->b = want == 2 ? want_selector(r, e->kids.at[1]->a) : NULL;
    if (!sel->a || (want == 2 && !sel->b)) {
        return poison(r, e->span);
    }
    return selector_value(r, sel);
}
