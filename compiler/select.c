/* Selectors on a layer index. In: a resolved selector tree. Out: a set of layers. A subtree that
 * fails is reported and counts as empty, so that one run shows every error. Sets are evaluated
 * bottom up; each operator is one pass over the layers, reachability one walk over the edges. */
#include "compiler/select.h"
#include <string.h>
#include "compiler/select_report.h"
#include "lang/pattern.h"

typedef struct Eval {
    Session *s;
    const Layers *layers;
    const Rule *rule;           /* for messages; may be NULL */
    const LayerSet *taken_from; /* left side of the innermost `-` we are on the right of */
    int optional;               /* depth of `?`: nothing needs to match */
    bool failed;
} Eval;

LayerSet set_none(Session *s, const Layers *layers) {
    return (LayerSet){arena_many(s->arena, bool, layers->all.len + 1), 0};
}

void set_add(LayerSet *set, int layer) {
    set->count += !set->has[layer];
    set->has[layer] = true;
}

LayerSet set_counted(Session *s, const Layers *layers, const LayerSet *set) {
    LayerSet weighted = set_none(s, layers);
    for (size_t i = 0; i < layers->all.len; i++) {
        if (set->has[i] && layers->all.at[i].weight) {
            set_add(&weighted, (int)i);
        }
    }
    return weighted.count ? weighted : *set;
}

size_t set_count(const Layers *layers, const LayerSet *set) {
    size_t weighted = 0;
    for (size_t i = 0; i < layers->all.len; i++) {
        weighted += set->has[i] && layers->all.at[i].weight;
    }
    return weighted ? weighted : set->count;
}

static LayerSet eval(Eval *e, const Selector *selector);

/* ---- leaves */

static LayerSet builtin(Eval *e, const Selector *selector) {
    static const struct {
        const char *name;
        unsigned roles;
    } rows[] = {
        {"linear", ROLE_LINEAR},       {"conv", ROLE_CONV}, {"embedding", ROLE_EMBEDDING},
        {"attention", ROLE_ATTENTION}, {"norm", ROLE_NORM}, {"head", ROLE_HEAD},
        {"residual", ROLE_RESIDUAL},
    };
    unsigned roles = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        roles = str_is(selector->name, rows[i].name) ? rows[i].roles : roles;
    }
    LayerSet out = set_none(e->s, e->layers);
    bool all = str_is(selector->name, "all");
    for (size_t i = 0; i < e->layers->all.len; i++) {
        if (all || (e->layers->all.at[i].roles & roles)) {
            set_add(&out, (int)i);
        }
    }
    return out;
}

static bool leaf_has(const Selector *selector, const Layer *layer) {
    if (selector->kind == SELECT_OP) {
        return str_eq(layer->node->op, selector->name) &&
               str_eq(layer->node->domain, selector->domain);
    }
    return pattern_match(selector->pattern, layer->path);
}

static LayerSet named(Eval *e, const Selector *selector) {
    LayerSet out = set_none(e->s, e->layers);
    for (size_t i = 0; i < e->layers->all.len; i++) {
        if (leaf_has(selector, &e->layers->all.at[i])) {
            set_add(&out, (int)i);
        }
    }
    if (!out.count && !e->optional) {
        report_no_match(e->s, e->layers, selector, e->rule, e->taken_from);
        e->failed = true;
    }
    if (selector->kind == SELECT_REGEX) {
        lint_regex(e->s, e->layers, selector, &out);
    }
    return out;
}

static LayerSet blocks(Eval *e, const Selector *selector) {
    int64_t count = e->layers->block_count;
    int64_t from = selector->from < 0 ? selector->from + count : selector->from;
    int64_t to = selector->to < 0 ? selector->to + count : selector->to;
    LayerSet out = set_none(e->s, e->layers);
    for (size_t i = 0; i < e->layers->all.len; i++) {
        int64_t block = e->layers->all.at[i].block;
        if (block >= 0 && block >= from && block <= to) {
            set_add(&out, (int)i);
        }
    }
    bool exist = from >= 0 && to < count && from <= to;
    if (!exist && !e->optional) {
        report_no_block(e->s, e->layers, selector);
        e->failed = true;
    }
    return out;
}

/* ---- filters and positions */

static LayerSet filter(Eval *e, const Selector *selector) {
    LayerSet out = eval(e, selector->a);
    size_t count = 0;
    for (size_t i = 0; i < e->layers->all.len; i++) {
        if (!out.has[i]) {
            continue;
        }
        Value value = {0};
        bool known = expr_layer_value(e->s, e->layers, selector->where, &e->layers->all.at[i], NULL,
                                      NULL, &value);
        e->failed = e->failed || !known;
        out.has[i] = known && value_is_true(&value);
        count += out.has[i];
    }
    out.count = count;
    return out;
}

/* first and last count layers as messages do: those with a weight, if there are any. */
static LayerSet edge(Eval *e, const Selector *selector) {
    LayerSet of = eval(e, selector->a);
    LayerSet from = set_counted(e->s, e->layers, &of), out = set_none(e->s, e->layers);
    size_t n = e->layers->all.len;
    for (size_t k = 0; k < n && (int64_t)out.count < selector->count; k++) {
        size_t i = selector->kind == SELECT_FIRST ? k : n - 1 - k;
        if (from.has[i]) {
            set_add(&out, (int)i);
        }
    }
    return out;
}

/* ---- edges */

static LayerSet neighbours(Eval *e, const LayerSet *of, bool upstream, bool transitive) {
    LayerSet out = set_none(e->s, e->layers);
    size_t n = e->layers->all.len, top = 0;
    int *stack = arena_many(e->s->arena, int, n + 1);
    bool *walked = arena_many(e->s->arena, bool, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (of->has[i]) {
            stack[top++] = (int)i;
            walked[i] = true;
        }
    }
    while (top > 0) {
        ArenaMark mark = arena_mark(e->s->arena);
        int *near, count;
        layer_neighbours(e->layers, &e->layers->all.at[stack[--top]], upstream, e->s->arena, &near,
                         &count);
        for (int i = 0; i < count; i++) {
            set_add(&out, near[i]);
            if (transitive && !walked[near[i]]) {
                walked[near[i]] = true;
                stack[top++] = near[i];
            }
        }
        arena_reset(e->s->arena, mark);
    }
    return out;
}

static Str pointer_key(const void *const *pointer) {
    return (Str){(const char *)pointer, sizeof *pointer};
}

/* Layers with a weight that read what a layer of the set reads; the set itself is included. */
static LayerSet siblings(Eval *e, const Selector *selector) {
    LayerSet out = eval(e, selector->a);
    Map inputs = map_on(e->s->arena);
    for (size_t i = 0; i < e->layers->all.len; i++) {
        const void *input = e->layers->all.at[i].input;
        if (out.has[i] && input) {
            map_put(&inputs, pointer_key(&input), (void *)input);
        }
    }
    for (size_t i = 0; i < e->layers->all.len; i++) {
        const Layer *layer = &e->layers->all.at[i];
        const void *input = layer->input;
        if (layer->weight && input && map_get(&inputs, pointer_key(&input))) {
            set_add(&out, (int)i);
        }
    }
    return out;
}

/* ---- algebra */

static LayerSet combine(Eval *e, const Selector *selector) {
    LayerSet a = eval(e, selector->a);
    const LayerSet *outer = e->taken_from;
    if (selector->kind == SELECT_DIFFERENCE) {
        e->taken_from = &a;
    }
    LayerSet b = eval(e, selector->b);
    e->taken_from = outer;
    LayerSet out = set_none(e->s, e->layers);
    for (size_t i = 0; i < e->layers->all.len; i++) {
        bool in = selector->kind == SELECT_UNION       ? a.has[i] || b.has[i]
                  : selector->kind == SELECT_INTERSECT ? a.has[i] && b.has[i]
                                                       : a.has[i] && !b.has[i];
        if (in) {
            set_add(&out, (int)i);
        }
    }
    return out;
}

static LayerSet complement(Eval *e, const Selector *selector) {
    LayerSet a = eval(e, selector->a), out = set_none(e->s, e->layers);
    for (size_t i = 0; i < e->layers->all.len; i++) {
        if (!a.has[i]) {
            set_add(&out, (int)i);
        }
    }
    return out;
}

static LayerSet between(Eval *e, const Selector *selector) {
    LayerSet a = eval(e, selector->a), b = eval(e, selector->b), out = set_none(e->s, e->layers);
    LayerSet below = neighbours(e, &a, false, true), above = neighbours(e, &b, true, true);
    for (size_t i = 0; i < e->layers->all.len; i++) {
        if (below.has[i] && above.has[i]) {
            set_add(&out, (int)i);
        }
    }
    return out;
}

static LayerSet reach(Eval *e, const Selector *selector) {
    bool upstream = selector->kind == SELECT_INPUTS || selector->kind == SELECT_UPSTREAM;
    bool far = selector->kind == SELECT_UPSTREAM || selector->kind == SELECT_DOWNSTREAM;
    LayerSet of = eval(e, selector->a);
    return neighbours(e, &of, upstream, far);
}

static LayerSet eval(Eval *e, const Selector *selector) {
    switch (selector->kind) {
    case SELECT_BUILTIN:
        return builtin(e, selector);
    case SELECT_OP:
    case SELECT_GLOB:
    case SELECT_REGEX:
        return named(e, selector);
    case SELECT_FILTER:
        return filter(e, selector);
    case SELECT_FIRST:
    case SELECT_LAST:
        return edge(e, selector);
    case SELECT_BLOCK:
        return blocks(e, selector);
    case SELECT_INPUTS:
    case SELECT_USERS:
    case SELECT_UPSTREAM:
    case SELECT_DOWNSTREAM:
        return reach(e, selector);
    case SELECT_SIBLINGS:
        return siblings(e, selector);
    case SELECT_BETWEEN:
        return between(e, selector);
    case SELECT_COMPLEMENT:
        return complement(e, selector);
    case SELECT_OPTIONAL: {
        e->optional++;
        LayerSet out = eval(e, selector->a);
        e->optional--;
        return out;
    }
    default: /* UNION, INTERSECT, DIFFERENCE */
        return combine(e, selector);
    }
}

bool select_layers(Session *s, const Layers *layers, const Selector *selector, LayerSet *out) {
    Eval e = {.s = s, .layers = layers};
    *out = eval(&e, selector);
    return !e.failed;
}

bool select_rule(Session *s, const Layers *layers, const Rule *rule, LayerSet *out) {
    Eval e = {.s = s, .layers = layers, .rule = rule};
    *out = eval(&e, rule->selector);
    if (!e.failed && !out->count && rule->selector->kind != SELECT_OPTIONAL) {
        report_empty_rule(s, layers, rule);
        e.failed = true;
    }
    return !e.failed && !session_stopped(s); /* thousands of rules take minutes */
}
