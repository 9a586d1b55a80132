/* Selectors: built-in names, ONNX op types, patterns, set algebra and the functions on sets. A
 * string becomes a glob where a selector is expected. Whether something matches is for bind. */
#include "lang/resolve_parts.h"
#include "lang/pattern.h"

const char *const selector_names[] = {"all",  "linear", "conv",     "embedding", "attention",
                                      "norm", "head",   "residual", NULL};

static const Param of_set[] = {
    {.name = "set", .type = PARAM_SELECTOR, .required = true, .doc = "layers to start from"},
    {.name = NULL},
};
static const Param of_set_n[] = {
    {.name = "set", .type = PARAM_SELECTOR, .required = true, .doc = "layers to take from"},
    {.name = "n", .type = PARAM_INT, .initial = "1", .range = "1..", .doc = "how many"},
    {.name = NULL},
};
static const Param of_two[] = {
    {.name = "from", .type = PARAM_SELECTOR, .required = true, .doc = "layers upstream"},
    {.name = "to", .type = PARAM_SELECTOR, .required = true, .doc = "layers downstream"},
    {.name = NULL},
};
static const Param of_position[] = {
    {.name = "at", .type = PARAM_POSITION, .required = true, .doc = "0 is the first, -1 the last"},
    {.name = NULL},
};
static const Param of_name[] = {
    {.name = "type", .type = PARAM_STRING, .required = true, .doc = "\"domain::Type\" or \"Type\""},
    {.name = NULL},
};

/* In the order of `kinds`. */
const Schema selector_functions[] = {
    {.name = "op", .doc = "nodes of an op type of any domain", .params = of_name},
    {.name = "first", .doc = "the first layers of a set", .params = of_set_n},
    {.name = "last", .doc = "the last layers of a set", .params = of_set_n},
    {.name = "block", .doc = "layers of the repeated blocks", .params = of_position},
    {.name = "inputs", .doc = "layers whose result these read", .params = of_set},
    {.name = "users", .doc = "layers that read the result of these", .params = of_set},
    {.name = "upstream", .doc = "everything before these", .params = of_set},
    {.name = "downstream", .doc = "everything after these", .params = of_set},
    {.name = "siblings", .doc = "layers that read the same input", .params = of_set},
    {.name = "between", .doc = "layers on the way from one set to the other", .params = of_two},
    {.name = NULL},
};
static const SelectorKind kinds[] = {
    SELECT_OP,    SELECT_FIRST,    SELECT_LAST,       SELECT_BLOCK,    SELECT_INPUTS,
    SELECT_USERS, SELECT_UPSTREAM, SELECT_DOWNSTREAM, SELECT_SIBLINGS, SELECT_BETWEEN,
};

static const Value *selector_value(Resolver *r, Selector selector) {
    const Selector *a = selector.a, *b = selector.b;
    selector.size = 1 + (a ? a->size : 0) + (b ? b->size : 0);
    selector.depth = 1 + (a && (!b || a->depth > b->depth) ? a->depth : b ? b->depth : 0);
    if (selector.size > LIMIT_EXPRESSION_NODES || selector.depth > LIMIT_DEPTH) {
        if (!r->spent) {
            r->spent = true;
            diag_error(r->s, "E0106", selector.span,
                       "this selector has more than %d parts or %d levels", LIMIT_EXPRESSION_NODES,
                       LIMIT_DEPTH);
        }
        return POISON;
    }
    Selector *copy = arena_new(r->s->arena, Selector);
    *copy = selector;
    Value *v = value_new(r, VALUE_SELECTOR, selector.span);
    v->selector = copy;
    return v;
}

bool is_selector_like(const Value *v) {
    return v->type == VALUE_SELECTOR || v->type == VALUE_STRING;
}

static const Value *glob_value(Resolver *r, Str text, Span span) {
    Pattern *pattern = pattern_glob(r->s, text, span);
    if (!pattern) {
        return POISON;
    }
    return selector_value(
        r, (Selector){.kind = SELECT_GLOB, .span = span, .text = text, .pattern = pattern});
}

const Selector *as_selector(Resolver *r, const Value *v) {
    if (v->type == VALUE_STRING) {
        v = glob_value(r, v->text, v->span);
    }
    return v->type == VALUE_SELECTOR ? v->selector : NULL;
}

static bool is_op(const Resolver *r, Str name) {
    for (const char *const *op = r->options->ops; op && *op; op++) {
        if (str_is(name, *op)) {
            return true;
        }
    }
    return false;
}

const Value *selector_of_name(Resolver *r, Str name, Span span) {
    for (const char *const *word = selector_names; *word; word++) {
        if (str_is(name, *word)) {
            return selector_value(r,
                                  (Selector){.kind = SELECT_BUILTIN, .span = span, .name = name});
        }
    }
    if (is_op(r, name)) {
        return selector_value(r, (Selector){.kind = SELECT_OP, .span = span, .name = name});
    }
    return NULL;
}

const Value *selector_binary(Resolver *r, const Ast *e, const Value *a, const Value *b) {
    const Selector *x = as_selector(r, a), *y = as_selector(r, b);
    if (!x || !y) {
        return POISON;
    }
    SelectorKind kind = e->op == OP_UNION       ? SELECT_UNION
                        : e->op == OP_INTERSECT ? SELECT_INTERSECT
                                                : SELECT_DIFFERENCE;
    return selector_value(r, (Selector){.kind = kind, .span = e->span, .a = x, .b = y});
}

const Value *selector_complement(Resolver *r, const Ast *e, const Value *a) {
    const Selector *x = as_selector(r, a);
    return x ? selector_value(r, (Selector){.kind = SELECT_COMPLEMENT, .span = e->span, .a = x})
             : POISON;
}

const Value *selector_optional(Resolver *r, const Ast *e, const Value *a) {
    if (!is_selector_like(a)) {
        Diag *d = diag_error(r->s, "E0203", e->span, "`?` belongs to a selector");
        diag_label(d, "this is %s", value_type_words(value_static_type(a)));
        return POISON;
    }
    const Selector *x = as_selector(r, a);
    return x ? selector_value(r, (Selector){.kind = SELECT_OPTIONAL, .span = e->span, .a = x})
             : POISON;
}

const Value *selector_filter(Resolver *r, Context c, const Ast *e, const Value *a) {
    const Value *where = eval(r, (Context){c.scope, AT_LAYER}, e->b);
    if (a->type != VALUE_POISON && !is_selector_like(a)) {
        Diag *d = diag_error(r->s, "E0203", e->a->span, "only a selector has a filter in brackets");
        diag_label(d, "this is %s", value_type_words(value_static_type(a)));
        return POISON;
    }
    ValueType type = value_static_type(where);
    if (type != VALUE_POISON && type != VALUE_BOOL) {
        Diag *d = diag_error(r->s, "E0203", e->b->span, "a filter is true or false for each layer");
        diag_label(d, "this is %s", value_type_words(type));
        diag_help(
            d,
            "as in linear[.k %% 128 == 0]; for a position there are first(), last() and block()");
        return POISON;
    }
    const Selector *x = as_selector(r, a);
    if (!x || type == VALUE_POISON) {
        return POISON;
    }
    Expr *constant = arena_new(r->s->arena, Expr);
    *constant = (Expr){.kind = EXPR_CONST, .type = VALUE_BOOL, .span = e->b->span, .value = where};
    const Expr *condition = where->type == VALUE_EXPR ? where->expr : constant;
    return selector_value(
        r, (Selector){.kind = SELECT_FILTER, .span = e->span, .a = x, .where = condition});
}

const Schema *selector_function(Str name) {
    for (const Schema *f = selector_functions; f->name; f++) {
        if (str_is(name, f->name)) {
            return f;
        }
    }
    return NULL;
}

/* op("com.microsoft::Attention"): other domains are not closed, so only domain "" is checked. */
static const Value *op_call(Resolver *r, Selector selector, const BoundArg *arg) {
    Str text = arg->value->text;
    int64_t colon = str_find(text, ':');
    if (colon >= 0 && (size_t)colon + 1 < text.len && text.data[colon + 1] == ':') {
        selector.domain = str_slice(text, 0, (size_t)colon);
        selector.name = str_slice(text, (size_t)colon + 2, text.len);
    } else {
        selector.name = text;
    }
    if (str_is(selector.domain, "ai.onnx")) {
        selector.domain = STR("");
    }
    if (selector.domain.len == 0 && !is_op(r, selector.name)) {
        report_unknown(r, NULL, AT_CONSTANT, selector.name, arg->span);
        return POISON;
    }
    return selector_value(r, selector);
}

const Value *selector_call(Resolver *r, Context c, const Ast *e, const Schema *function) {
    ArgList args = {0};
    if (!bind_args(r, (Context){c.scope, AT_CONSTANT}, function, &e->kids, e->a->span, &args)) {
        return POISON;
    }
    Selector selector = {.kind = kinds[function - selector_functions], .span = e->span};
    const Value *first = args.at[0].value;
    switch (selector.kind) {
    case SELECT_OP:
        return op_call(r, selector, &args.at[0]);
    case SELECT_BLOCK:
        selector.from = first->integer;
        selector.to = first->type == VALUE_RANGE ? first->integer2 : first->integer;
        return selector_value(r, selector);
    case SELECT_FIRST:
    case SELECT_LAST:
        selector.count = args.at[1].value->integer;
        break;
    case SELECT_BETWEEN:
        selector.b = args.at[1].value->selector;
        break;
    default:
        break;
    }
    selector.a = first->selector;
    return selector_value(r, selector);
}
