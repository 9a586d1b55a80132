/* `expect`: those that a plan alone decides (matches, count, bits, size) are checked by bind, those
 * that need results (cosine, sqnr, sparsity, perplexity, ...) after the run. An expect that mixes
 * both waits for the run. In a rule, `.name` is meant of every layer of the rule. E0901. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compiler/bind_parts.h"
#include "runtime/base/sanitize.h"

typedef struct Checker {
    Session *s;
    const Plan *plan;
    const Expect *expect;
    const LayerResult *results; /* NULL before the run */
    const ModelResult *model;   /* NULL: the model was not run */
    const LayerSet *of;         /* layers of the rule, or NULL */
    bool unknown;               /* a metric could not be told; reported */
} Checker;

/* ---- classification */

static bool named(const Expr *e, const char *const *names) {
    for (; *names; names++) {
        if (str_is(e->name, *names)) {
            return true;
        }
    }
    return false;
}

static bool any_expr(const Expr *e, bool (*test)(const Expr *)) {
    return e && (test(e) || any_expr(e->a, test) || any_expr(e->b, test) || any_expr(e->c, test));
}

static const char *const layer_metrics[] = {"cosine",    "sqnr",     "mse", "bits",
                                            "max_error", "sparsity", NULL};

/* One of the whole model's; OUTPUT_METRICS: none. */
static OutputMetric model_metric(const Expr *e) {
    int m = 0;
    const bool one = e->kind == EXPR_METRIC && !e->selector;
    while (m < OUTPUT_METRICS && !(one && str_is(e->name, output_metric_name((OutputMetric)m)))) {
        m++;
    }
    return (OutputMetric)m;
}

static bool is_of_model(const Expr *e) {
    return model_metric(e) < OUTPUT_METRICS;
}

static bool is_measured(const Expr *e) {
    const bool of_layers =
        e->kind == EXPR_ATTR && named(e, layer_metrics) && !str_is(e->name, "bits");
    return of_layers || is_of_model(e) || (e->kind == EXPR_METRIC && str_is(e->name, "sparsity"));
}

static bool is_of_layer(const Expr *e) {
    return e->kind == EXPR_ATTR;
}

/* ---- metrics */

static double result_of(const LayerResult *r, Str name) {
    return str_is(name, "cosine")      ? r->cosine
           : str_is(name, "sqnr")      ? r->sqnr
           : str_is(name, "mse")       ? r->mse
           : str_is(name, "max_error") ? r->max_error
                                       : r->sparsity;
}

static bool layer_metric(Checker *c, Str name, const Layer *layer, double *out) {
    const PlanLayer *planned = plan_layer(c->plan, layer);
    if (!planned) {
        return false;
    }
    if (str_is(name, "bits")) {
        *out = planned->bits;
        return true;
    }
    if (c->results) {
        *out = result_of(&c->results[planned - c->plan->layers_planned.at], name);
    }
    return c->results != NULL;
}

/* Stored bits per weight over a set; each tensor once, layers that no rule touches as they are. */
static double bits_of(const Checker *c, const LayerSet *set) {
    const Layers *layers = c->plan->layers;
    Map seen = map_on(c->s->arena);
    double bits = 0, weights = 0;
    for (size_t i = 0; i < layers->all.len; i++) {
        const Layer *layer = &layers->all.at[i];
        Str key = {(const char *)&layer->weight, sizeof layer->weight};
        if (set->has[i] && layer->params && map_put(&seen, key, (void *)layers)) {
            const PlanLayer *planned = plan_layer(c->plan, layer);
            uint64_t bytes = planned && planned->tensor >= 0 ? planned->stored : layer->bytes;
            bits += (double)bytes * 8.0;
            weights += (double)layer->params;
        }
    }
    return weights > 0 ? bits / weights : 0;
}

/* Share of zeros over a set, as measured; a layer that was not touched counts as dense. */
static double sparsity_of(const Checker *c, const LayerSet *set) {
    double zeros = 0, weights = 0;
    for (size_t i = 0; i < c->plan->layers->all.len; i++) {
        const Layer *layer = &c->plan->layers->all.at[i];
        if (set->has[i] && layer->weight) {
            const PlanLayer *planned = plan_layer(c->plan, layer);
            bool touched = planned && planned->tensor >= 0;
            weights += (double)layer->params;
            zeros += touched
                         ? (double)c->results[planned - c->plan->layers_planned.at].metrics.zeros
                         : 0;
        }
    }
    return weights > 0 ? zeros / weights : 0;
}

static bool whole_metric(Checker *c, const Expr *e, double *out) {
    LayerSet set = {0};
    if (e->selector) {
        if (!select_layers(c->s, c->plan->layers, e->selector, &set)) {
            return false;
        }
    }
    if (str_is(e->name, "matches") && c->of) {
        *out = (double)set_count(c->plan->layers, c->of);
    } else if (str_is(e->name, "count") && e->selector) {
        *out = (double)set_count(c->plan->layers, &set);
    } else if (str_is(e->name, "bits")) {
        *out = e->selector ? bits_of(c, &set) : c->plan->bits;
    } else if (str_is(e->name, "size")) {
        *out = (double)c->plan->size;
    } else if (str_is(e->name, "sparsity") && e->selector && c->results) {
        *out = sparsity_of(c, &set);
    } else {
        assert(c->model && is_of_model(e)); /* bind_evaluation saw to it */
        *out = c->model->scores.of[1][model_metric(e)];
    }
    return true;
}

static bool metric(void *user, const Expr *e, const Layer *layer, double *out) {
    Checker *c = user;
    bool of_layer = e->kind == EXPR_ATTR && layer && named(e, layer_metrics);
    bool known = of_layer ? layer_metric(c, e->name, layer, out)
                          : e->kind == EXPR_METRIC && whole_metric(c, e, out);
    c->unknown = c->unknown || !known;
    return known;
}

/* ---- E0901 */

static void put_number(Buf *out, double x) {
    if (x == floor(x) && fabs(x) < 1e15) {
        buf_printf(out, "%.0f", x);
    } else {
        buf_printf(out, "%.4g", x);
    }
}

/* Sizes in MiB, everything else as a plain number. */
static void put_value(Checker *c, const Expr *e, const Value *v, Buf *out) {
    double x = v->type == VALUE_INT ? (double)v->integer : v->number;
    if (str_is(e->name, "size") && x >= 0) {
        buf_str(out, str_bytes(c->s->arena, (uint64_t)x));
    } else {
        put_number(out, x);
    }
}

static bool is_metric(const Expr *e) {
    return e->kind == EXPR_ATTR || e->kind == EXPR_METRIC;
}

/* "cosine is 0.9631, expected >= 0.99" for a plain comparison, else the text as written. */
static Str failed_text(Checker *c, const Layer *layer) {
    const Expr *e = c->expect->condition;
    Buf text = buf_on(c->s->arena);
    Value is = {0}, wanted = {0};
    bool plain = e->kind == EXPR_BINARY && e->op >= OP_EQ && e->op <= OP_GE && is_metric(e->a) &&
                 expr_layer_value(c->s, c->plan->layers, e->a, layer, metric, c, &is) &&
                 expr_layer_value(c->s, c->plan->layers, e->b, layer, metric, c, &wanted) &&
                 (wanted.type == VALUE_INT || wanted.type == VALUE_FLOAT);
    if (!plain) {
        buf_printf(&text, "`%.*s` does not hold", STR_ARG(span_text(e->span)));
        return buf_view(&text);
    }
    Str name = span_text(e->a->span);
    buf_printf(&text, "%.*s is ", STR_ARG(name.len ? name : e->a->name));
    put_value(c, e->a, &is, &text);
    buf_printf(&text, ", expected %s ", ast_op_text[e->op]);
    if (str_is(e->a->name, "size")) {
        put_value(c, e->a, &wanted, &text);
    } else { /* as exact as it was written: 0.999999 is not 1 */
        buf_printf(&text, "%.15g",
                   wanted.type == VALUE_INT ? (double)wanted.integer : wanted.number);
    }
    return buf_view(&text);
}

typedef struct Ranked {
    int planned;
    double key, error;
} Ranked;

static int ranked_cmp(const void *a, const void *b) {
    const Ranked *x = a, *y = b;
    if (x->key < y->key || x->key > y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (x->planned > y->planned) - (x->planned < y->planned);
}

/* The three layers with the lowest cosine, and how much of all squared error is theirs. */
static void worst_layers(Checker *c, Diag *d) {
    Vec(Ranked) all = {0};
    double error = 0;
    size_t widest = 12;
    for (size_t i = 0; i < c->plan->layers_planned.len; i++) {
        const PlanLayer *planned = &c->plan->layers_planned.at[i];
        if (planned->tensor >= 0 && (!c->of || c->of->has[planned->layer->index])) {
            Ranked r = {(int)i, c->results[i].cosine, c->results[i].metrics.ee};
            vec_push(c->s->arena, &all, r);
            error += r.error;
        }
    }
    if (all.len == 0) {
        return;
    }
    qsort(all.at, all.len, sizeof(Ranked), ranked_cmp);
    size_t shown = all.len < 3 ? all.len : 3;
    for (size_t i = 0; i < shown; i++) {
        Str path = c->plan->layers_planned.at[all.at[i].planned].layer->path;
        widest = path.len > widest ? path.len : widest;
    }
    Buf table = buf_on(c->s->arena);
    buf_printf(&table, "%-*s  cosine   sqnr     sparsity  share of the error", (int)widest,
               "worst layers");
    for (size_t i = 0; i < shown; i++) {
        const LayerResult *r = &c->results[all.at[i].planned];
        Str path = c->plan->layers_planned.at[all.at[i].planned].layer->path;
        Str sqnr = isinf(r->sqnr) ? STR("exact") : str_format(c->s->arena, "%.1f dB", r->sqnr);
        buf_printf(&table, "\n%-*.*s  %-7.4f  %-7.*s  %-8.2f  %.0f%%", (int)widest,
                   STR_ARG(str_safe(c->s->arena, path)), r->cosine, STR_ARG(sqnr), r->sparsity,
                   error > 0 ? 100.0 * all.at[i].error / error : 0.0);
    }
    diag_line(d, "%.*s", STR_ARG(buf_view(&table)));
}

/* What the float model has of the metrics that both have. */
static void float_scores(const Checker *c, Diag *d, const Expr *e) {
    if (e && is_of_model(e) && !isnan(c->model->scores.of[0][model_metric(e)])) {
        diag_note(d, "%.*s of the float model is %.4g", STR_ARG(e->name),
                  c->model->scores.of[0][model_metric(e)]);
    }
    if (e) {
        float_scores(c, d, e->a);
        float_scores(c, d, e->b);
        float_scores(c, d, e->c);
    }
}

static bool fail(Checker *c, const Layer *worst, size_t failed, size_t total) {
    Diag *d = diag_error(c->s, "E0901", c->expect->span, "expectation failed: %.*s",
                         STR_ARG(failed_text(c, worst)));
    if (worst) {
        diag_label(d, "not met by %zu of %.*s", failed,
                   STR_ARG(plural(c->s->arena, total, "layer")));
        if (!c->results) {
            diag_line(d, "first: %.*s", STR_ARG(str_safe(c->s->arena, worst->path)));
        }
    } else if (c->results && any_expr(c->expect->condition, is_of_model)) {
        diag_label(d, "measured on %.*s of `%.*s`",
                   STR_ARG(plural(c->s->arena, (size_t)c->model->samples, "sample")),
                   STR_ARG(c->plan->evaluation.data->name));
        float_scores(c, d, c->expect->condition);
    } else {
        diag_label(d, c->results ? "measured on the stored weights" : "known before the run");
    }
    if (c->expect->message.len) {
        diag_note(d, "%.*s", STR_ARG(str_safe(c->s->arena, c->expect->message)));
    }
    if (c->results) {
        worst_layers(c, d);
    }
    return false;
}

/* ---- checking */

static bool holds(Checker *c, const Layer *layer, bool *yes) {
    Value value = {0};
    bool known =
        expr_layer_value(c->s, c->plan->layers, c->expect->condition, layer, metric, c, &value);
    *yes = known && value_is_true(&value);
    return known;
}

static bool check_layers(Checker *c) {
    const Layer *worst = NULL;
    size_t failed = 0, total = 0;
    double lowest = 0;
    for (size_t i = 0; i < c->plan->layers->all.len; i++) {
        const Layer *layer = &c->plan->layers->all.at[i];
        const PlanLayer *planned = c->of->has[i] ? plan_layer(c->plan, layer) : NULL;
        bool yes;
        if (!planned || !layer->weight) {
            continue;
        }
        if (!holds(c, layer, &yes)) {
            return false;
        }
        total++;
        failed += !yes;
        double cosine = c->results ? c->results[planned - c->plan->layers_planned.at].cosine : 0;
        if (!yes && (!worst || cosine < lowest)) {
            worst = layer;
            lowest = cosine;
        }
    }
    return failed == 0 || fail(c, worst, failed, total);
}

static bool check(Checker *c) {
    if (c->of && any_expr(c->expect->condition, is_of_layer)) {
        return check_layers(c);
    }
    bool yes;
    if (!holds(c, NULL, &yes)) {
        return false;
    }
    return yes || fail(c, NULL, 0, 0);
}

/* Index in Plan.rules of the rule that an expect stands in; -1 outside of rules. */
static int rule_of(const Recipe *recipe, const Expect *expect) {
    int index = expect->rule;
    for (int i = 0; index >= 0 && i < expect->stage; i++) {
        index += (int)recipe->stages.at[i].rules.len;
    }
    return index;
}

static const LayerSet *rule_set(const Plan *plan, const Expect *expect) {
    int rule = rule_of(plan->recipe, expect);
    return rule >= 0 ? &plan->matched.at[rule] : NULL;
}

static bool waits(const Expect *expect) {
    return any_expr(expect->condition, is_measured);
}

void bind_expects(Bind *b) {
    bool sizes = !b->failed;
    for (size_t i = 0; i < b->recipe->expects.len; i++) {
        const Expect *expect = &b->recipe->expects.at[i];
        Checker c = {.s = b->s, .plan = b->plan, .expect = expect};
        c.of = rule_set(b->plan, expect);
        bool poisoned = c.of && b->rules.at[rule_of(b->recipe, expect)].poisoned;
        if (waits(expect) || poisoned || !sizes) {
            continue; /* after an error, sizes and bits mean nothing */
        }
        b->failed = !check(&c) || b->failed;
    }
}

bool plan_waits_for_results(const Plan *plan) {
    for (size_t i = 0; i < plan->recipe->expects.len; i++) {
        if (waits(&plan->recipe->expects.at[i])) {
            return true;
        }
    }
    return false;
}

bool plan_check_results(Session *s, const Plan *plan, const LayerResult *results,
                        const ModelResult *model) {
    bool met = true;
    for (size_t i = 0; i < plan->recipe->expects.len; i++) {
        const Expect *expect = &plan->recipe->expects.at[i];
        if (waits(expect)) {
            Checker c = {
                .s = s, .plan = plan, .expect = expect, .results = results, .model = model};
            c.of = rule_set(plan, expect);
            met = check(&c) && met;
        }
    }
    return met;
}

void layer_result_finish(LayerResult *r) {
    const KernelMetrics *m = &r->metrics;
    double norm = sqrt(m->ww) * sqrt(m->qq), n = m->count > 0 ? (double)m->count : 1.0;
    bool exact = m->ee <= 0.0;
    r->cosine = exact ? 1.0 : norm > 0.0 ? m->wq / norm : 0.0;
    r->sqnr = exact ? (double)INFINITY : 10.0 * log10(m->ww / m->ee);
    r->mse = m->ee / n;
    r->max_error = m->max_error;
    r->sparsity = (double)m->zeros / n;
}
