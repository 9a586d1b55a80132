/* Expressions over layers: predicates of filters and conditions of expects. Total: an attribute
 * that an op does not have is 0 or empty. Integers stay exact; where they would overflow they go on
 * as floats. Types were checked by resolve; what depends on values (division by zero) is E0304. */
#include <math.h>
#include "compiler/select.h"

typedef struct Context {
    Session *s;
    const Layers *layers;
    const Layer *layer;
    MetricLookup metric;
    void *user;
} Context;

static bool value_of(const Context *c, const Expr *e, Value *out);

bool value_is_true(const Value *value) {
    return value->type == VALUE_BOOL  ? value->flag
           : value->type == VALUE_INT ? value->integer != 0
                                      : value->type == VALUE_FLOAT && value->number != 0.0;
}

static Value of_int(int64_t n) {
    return (Value){.type = VALUE_INT, .integer = n, .number = (double)n};
}

static Value of_float(double x) {
    return (Value){.type = VALUE_FLOAT, .number = x};
}

static Value of_bool(bool flag) {
    return (Value){.type = VALUE_BOOL, .flag = flag};
}

static Value of_text(Str text) {
    return (Value){.type = VALUE_STRING, .text = text};
}

static bool is_number(const Value *v) {
    return v->type == VALUE_INT || v->type == VALUE_FLOAT;
}

static double number(const Value *v) {
    return v->type == VALUE_INT ? (double)v->integer : v->number;
}

/* ---- attributes */

static int opset_of(const Context *c) {
    const Onnx__ModelProto *model = c->layers->model->proto;
    for (size_t i = 0; model && i < model->n_opset_import; i++) {
        const char *domain = model->opset_import[i]->domain;
        if (str_is(c->layer->node->domain, domain ? domain : "")) {
            return (int)model->opset_import[i]->version;
        }
    }
    return (int)c->layers->model->opset;
}

static Value shape_of(const Context *c, const int64_t *dims, int rank) {
    Value list = {.type = VALUE_LIST};
    for (int i = 0; i < rank; i++) {
        Value *item = arena_new(c->s->arena, Value);
        *item = of_int(dims[i]);
        vec_push(c->s->arena, &list.items, item);
    }
    return list;
}

/* shape, rank and dtype are the weight's; without one, those of the first output where known. */
static bool tensor_attribute(const Context *c, Str name, Value *out) {
    const Tensor *w = c->layer->weight;
    const Node *node = c->layer->node;
    const ValueInfo *made = node->output_count ? node->outputs[0] : NULL;
    int rank = w ? w->rank : made && made->rank > 0 ? made->rank : 0;
    const int64_t *dims = w ? w->dims : made ? made->dims : NULL;
    int type = w ? w->type : made ? made->type : 0;
    if (str_is(name, "shape")) {
        *out = shape_of(c, dims, dims ? rank : 0);
    } else if (str_is(name, "rank")) {
        *out = of_int(rank);
    } else if (str_is(name, "dtype")) {
        *out = of_text(type ? str_from(type_name(type)) : STR("unknown"));
    } else {
        return false;
    }
    return true;
}

static bool attribute(const Context *c, Str name, Value *out) {
    const Layer *l = c->layer;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"k", l->k},           {"n", l->n},
        {"params", l->params}, {"kernel", l->kernel},
        {"groups", l->groups}, {"stride", l->stride},
        {"depth", l->depth},   {"block", l->block},
        {"fanout", l->fanout}, {"bytes", l->bytes > INT64_MAX ? INT64_MAX : (int64_t)l->bytes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (str_is(name, numbers[i].name)) {
            *out = of_int(numbers[i].value);
            return true;
        }
    }
    if (str_is(name, "op")) {
        *out = of_text(l->node->op);
    } else if (str_is(name, "name")) {
        *out = of_text(str_from(l->node->proto->name));
    } else if (str_is(name, "domain")) {
        *out = of_text(l->node->domain);
    } else if (str_is(name, "opset")) {
        *out = of_int(opset_of(c));
    } else if (str_is(name, "const")) {
        *out = of_bool(l->weight != NULL);
    } else {
        return tensor_attribute(c, name, out);
    }
    return true;
}

/* ---- operators */

static bool equal(const Value *a, const Value *b) {
    if (is_number(a) && is_number(b)) {
        return a->type == VALUE_INT && b->type == VALUE_INT ? a->integer == b->integer
                                                            : number(a) == number(b);
    }
    if (a->type == VALUE_LIST && b->type == VALUE_LIST) {
        bool same = a->items.len == b->items.len;
        for (size_t i = 0; same && i < a->items.len; i++) {
            same = equal(a->items.at[i], b->items.at[i]);
        }
        return same;
    }
    bool text = (a->type == VALUE_STRING || a->type == VALUE_CHOICE) &&
                (b->type == VALUE_STRING || b->type == VALUE_CHOICE);
    return text ? str_eq(a->text, b->text)
                : a->type == VALUE_BOOL && b->type == VALUE_BOOL && a->flag == b->flag;
}

static int compare(const Value *a, const Value *b) {
    if (is_number(a) && is_number(b)) {
        if (a->type == VALUE_INT && b->type == VALUE_INT) {
            return (a->integer > b->integer) - (a->integer < b->integer);
        }
        return (number(a) > number(b)) - (number(a) < number(b));
    }
    return str_cmp(a->text, b->text);
}

static bool contains(const Value *where, const Value *what) {
    if (where->type == VALUE_RANGE) {
        return number(what) >= where->number && number(what) <= where->number2;
    }
    for (size_t i = 0; i < where->items.len; i++) {
        if (equal(where->items.at[i], what)) {
            return true;
        }
    }
    return false;
}

static bool whole_numbers(AstOp op, int64_t x, int64_t y, int64_t *out) {
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
    default: /* OP_DIV is exact or a float */
        if (y == -1 || x % y) {
            return false;
        }
        *out = x / y;
        return true;
    }
}

static bool arithmetic(const Context *c, const Expr *e, const Value *a, const Value *b,
                       Value *out) {
    double x = number(a), y = number(b);
    if ((e->op == OP_DIV || e->op == OP_MOD) && y == 0.0) {
        diag_error(c->s, "E0304", e->span, "division by zero in this expression");
        return false;
    }
    int64_t whole;
    if (a->type == VALUE_INT && b->type == VALUE_INT &&
        whole_numbers(e->op, a->integer, b->integer, &whole)) {
        *out = of_int(whole);
        return true;
    }
    *out = of_float(e->op == OP_ADD   ? x + y
                    : e->op == OP_SUB ? x - y
                    : e->op == OP_MUL ? x * y
                    : e->op == OP_DIV ? x / y
                                      : fmod(x, y));
    return true;
}

static bool binary(const Context *c, const Expr *e, Value *out) {
    Value a = {0}, b = {0};
    TRY(value_of(c, e->a, &a));
    if (e->op == OP_AND || e->op == OP_OR) {
        if (value_is_true(&a) == (e->op == OP_OR)) {
            *out = of_bool(e->op == OP_OR);
            return true;
        }
        TRY(value_of(c, e->b, &b));
        *out = of_bool(value_is_true(&b));
        return true;
    }
    TRY(value_of(c, e->b, &b));
    switch (e->op) {
    case OP_EQ:
    case OP_NE:
        *out = of_bool(equal(&a, &b) == (e->op == OP_EQ));
        return true;
    case OP_LT:
        *out = of_bool(compare(&a, &b) < 0);
        return true;
    case OP_LE:
        *out = of_bool(compare(&a, &b) <= 0);
        return true;
    case OP_GT:
        *out = of_bool(compare(&a, &b) > 0);
        return true;
    case OP_GE:
        *out = of_bool(compare(&a, &b) >= 0);
        return true;
    case OP_IN:
        *out = of_bool(contains(&b, &a));
        return true;
    case OP_RANGE:
        *out = (Value){.type = VALUE_RANGE, .number = number(&a), .number2 = number(&b)};
        return true;
    default:
        return arithmetic(c, e, &a, &b, out);
    }
}

static bool unary(const Context *c, const Expr *e, Value *out) {
    Value a = {0};
    TRY(value_of(c, e->a, &a));
    if (e->op == OP_NOT || e->op == OP_COMPLEMENT) {
        *out = of_bool(!value_is_true(&a));
    } else if (a.type == VALUE_INT && a.integer != INT64_MIN) {
        *out = of_int(-a.integer);
    } else {
        *out = of_float(-number(&a));
    }
    return true;
}

/* Recursion is bounded by the parser's limits on nesting and on nodes of a statement. */
static bool value_of(const Context *c, const Expr *e, Value *out) {
    Value condition = {0};
    double measured;
    switch (e->kind) {
    case EXPR_CONST:
        *out = *e->value;
        return true;
    case EXPR_BINARY:
        return binary(c, e, out);
    case EXPR_UNARY:
        return unary(c, e, out);
    case EXPR_IF:
        TRY(value_of(c, e->a, &condition));
        return value_of(c, value_is_true(&condition) ? e->b : e->c, out);
    case EXPR_ATTR:
        if (c->layer && attribute(c, e->name, out)) {
            return true;
        }
        break;
    case EXPR_METRIC:
        break;
    }
    if (!c->metric || !c->metric(c->user, e, c->layer, &measured)) {
        return false;
    }
    *out = of_float(measured);
    return true;
}

bool expr_layer_value(Session *s, const Layers *layers, const Expr *e, const Layer *layer,
                      MetricLookup metric, void *user, Value *out) {
    Context c = {s, layers, layer, metric, user};
    return value_of(&c, e, out);
}
