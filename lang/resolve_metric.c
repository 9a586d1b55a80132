/* What is known later than the text: attributes of a layer (.k), metrics of a rule's layers
 * (.cosine), counts and sizes (matches, bits, count(S)), metrics of the whole model (perplexity).
 * Each has its place; elsewhere it is E0209, with the place where it belongs. */
#include <string.h>
#include "lang/resolve_parts.h"

static const struct {
    const char *name;
    ValueType type;
} attributes[] = {
    {"op", VALUE_STRING},  {"name", VALUE_STRING},   {"k", VALUE_INT},
    {"n", VALUE_INT},      {"shape", VALUE_LIST},    {"params", VALUE_INT},
    {"bytes", VALUE_INT},  {"dtype", VALUE_STRING},  {"rank", VALUE_INT},
    {"kernel", VALUE_INT}, {"groups", VALUE_INT},    {"stride", VALUE_INT},
    {"depth", VALUE_INT},  {"block", VALUE_INT},     {"fanout", VALUE_INT},
    {"const", VALUE_BOOL}, {"domain", VALUE_STRING}, {"opset", VALUE_INT},
};
enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

static const char *const layer_metrics[] = {"cosine",    "sqnr", "mse",
                                            "max_error", "bits", "sparsity"};
enum { LAYER_METRICS = sizeof layer_metrics / sizeof *layer_metrics };

/* Of the outputs that the model gives for data, against those of the float model. */
static const char *const model_metrics[] = {"cosine",    "sqnr",       "mse",      "kl",
                                            "max_error", "perplexity", "accuracy", "agreement"};
enum { MODEL_METRICS = sizeof model_metrics / sizeof *model_metrics };

const char *const metric_names[] = {"matches",   "bits",       "size",     "count", "sparsity",
                                    "cosine",    "sqnr",       "mse",      "kl",    "max_error",
                                    "agreement", "perplexity", "accuracy", NULL};

static bool is_layer_metric(Str name) {
    for (int i = 0; i < LAYER_METRICS; i++) {
        if (str_is(name, layer_metrics[i])) {
            return true;
        }
    }
    return false;
}

static const Value *out_of_place(Resolver *r, Span span, Str name, const char *dot,
                                 const char *where) {
    Diag *d = diag_error(r->s, "E0209", span, "`%s%.*s` has no meaning here", dot, STR_ARG(name));
    diag_label(d, "%s", where);
    return POISON;
}

const Value *attribute(Resolver *r, Context c, const Ast *e) {
    bool in_rule = c.position == AT_RULE_EXPECT;
    for (int i = 0; i < ATTRIBUTES; i++) {
        if (str_is(e->name, attributes[i].name)) {
            if (c.position != AT_LAYER && !in_rule) {
                return out_of_place(r, e->span, e->name, ".", "it belongs to a layer: linear[...]");
            }
            return value_expr(r, (Expr){.kind = EXPR_ATTR,
                                        .type = attributes[i].type,
                                        .span = e->span,
                                        .name = e->name});
        }
    }
    if (is_layer_metric(e->name)) {
        if (!in_rule) {
            return out_of_place(r, e->span, e->name, ".",
                                "it is measured: it belongs in an `expect` of a rule");
        }
        return value_expr(
            r, (Expr){.kind = EXPR_ATTR, .type = VALUE_FLOAT, .span = e->span, .name = e->name});
    }
    Str names[ATTRIBUTES + LAYER_METRICS];
    size_t n = 0;
    for (int i = 0; i < LAYER_METRICS && in_rule; i++) {
        names[n++] = str_from(layer_metrics[i]);
    }
    for (int i = 0; i < ATTRIBUTES; i++) {
        names[n++] = str_from(attributes[i].name);
    }
    Str nearest = nearest_of(e->name, names, n);
    Diag *d =
        diag_error(r->s, "E0201", e->span, "layers have no attribute `.%.*s`", STR_ARG(e->name));
    if (nearest.len) {
        diag_label(d, "did you mean `.%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, e->name_span, "%.*s", STR_ARG(nearest));
    }
    Buf all = buf_on(r->s->arena);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&all, " .%.*s", STR_ARG(names[i]));
    }
    diag_line(d, "attributes:%s", all.data);
    return POISON;
}

static bool is_metric(Str name) {
    for (const char *const *word = metric_names; *word; word++) {
        if (str_is(name, *word)) {
            return true;
        }
    }
    return false;
}

static const Value *metric(Resolver *r, ValueType type, Str name, Span span, const Selector *of) {
    return value_expr(
        r, (Expr){.kind = EXPR_METRIC, .type = type, .span = span, .name = name, .selector = of});
}

const Value *metric_name(Resolver *r, Context c, Str name, Span span) {
    if (!is_metric(name)) {
        return NULL;
    }
    bool rule = c.position == AT_RULE_EXPECT, recipe = c.position == AT_RECIPE_EXPECT;
    if (str_is(name, "matches")) {
        return rule ? metric(r, VALUE_INT, name, span, NULL)
                    : out_of_place(r, span, name, "", "it belongs in an `expect` of a rule");
    }
    if (rule && is_layer_metric(name)) {
        Diag *d = diag_error(r->s, "E0209", span, "`%.*s` has no meaning here", STR_ARG(name));
        diag_label(d, "did you mean `.%.*s`?", STR_ARG(name));
        diag_fix(d, false, span, ".%.*s", STR_ARG(name));
        diag_note(d, "in a rule, `.%.*s` is that of each of its layers", STR_ARG(name));
        return POISON;
    }
    if (!recipe) {
        return out_of_place(r, span, name, "", "it belongs in an `expect` outside of the rules");
    }
    if (str_is(name, "count") || str_is(name, "sparsity")) {
        Diag *d = diag_error(r->s, "E0204", span, "`%.*s` needs a selector", STR_ARG(name));
        diag_label(d, "of which layers? %.*s(linear)", STR_ARG(name));
        return POISON;
    }
    return metric(r, str_is(name, "size") ? VALUE_INT : VALUE_FLOAT, name, span, NULL);
}

const Value *metric_call(Resolver *r, Context c, const Ast *e) {
    static const Param params[] = {
        {.name = "set", .type = PARAM_SELECTOR, .required = true, .doc = "which layers"},
        {.name = NULL},
    };
    Str name = e->a->name;
    if (!is_metric(name)) {
        return NULL;
    }
    bool takes_set = str_is(name, "count") || str_is(name, "bits") || str_is(name, "sparsity");
    if (!takes_set) {
        Diag *d = diag_error(r->s, "E0204", e->span, "`%.*s` takes no arguments", STR_ARG(name));
        diag_label(d, "write `%.*s`", STR_ARG(name));
        return POISON;
    }
    const Schema schema = {.name = str_c(r->s->arena, name), .params = params};
    ArgList args = {0};
    if (!bind_args(r, (Context){c.scope, AT_CONSTANT}, &schema, &e->kids, e->a->span, &args)) {
        return POISON;
    }
    if (c.position != AT_RECIPE_EXPECT) {
        return out_of_place(r, e->span, name, "", "it belongs in an `expect` outside of the rules");
    }
    ValueType type = str_is(name, "count") ? VALUE_INT : VALUE_FLOAT;
    return metric(r, type, name, e->span, args.at[0].value->selector);
}

/* ---- what metrics of the whole model are measured on */

static const Expr *find_model_metric(const Expr *e) {
    if (!e) {
        return NULL;
    }
    for (int i = 0; i < MODEL_METRICS && e->kind == EXPR_METRIC && !e->selector; i++) {
        if (str_is(e->name, model_metrics[i])) {
            return e;
        }
    }
    const Expr *found = find_model_metric(e->a);
    found = found ? found : find_model_metric(e->b);
    return found ? found : find_model_metric(e->c);
}

static const Step *find_setting(const StepList *steps, const char *name) {
    for (size_t i = 0; i < steps->len; i++) {
        if (strcmp(steps->at[i]->schema->name, name) == 0) {
            return steps->at[i];
        }
    }
    return NULL;
}

static bool calibrates(const Stage *stage) {
    bool found = find_setting(&stage->settings, "calibrate") != NULL;
    for (size_t i = 0; i < stage->rules.len; i++) {
        found = found || find_setting(&stage->rules.at[i].steps, "calibrate");
    }
    return found;
}

static void report_no_data(Resolver *r, const Expr *metric) {
    Diag *d = diag_error(r->s, "E0703", metric->span, "`%.*s` of the model needs data to run it on",
                         STR_ARG(metric->name));
    diag_label(d, r->recipe->data.len ? "nothing of this recipe evaluates"
                                      : "this recipe has no data");
    diag_help(d, "data eval = npz(\"eval.npz\")      and      evaluate(data = eval)");
    diag_note(d, "without `evaluate`, a tenth of the data of `calibrate` is held out for it");
    not_for_later(r, metric->span);
}

/* The model is judged once, behind all stages. What was included gives way to the recipe itself. */
void check_evaluation(Resolver *r) {
    const Step *evaluate = NULL;
    bool calibrated = false;
    for (size_t i = 0; i < r->recipe->stages.len; i++) {
        const Stage *stage = &r->recipe->stages.at[i];
        const Step *found = find_setting(&stage->settings, "evaluate");
        if (found && evaluate && found->span.source == evaluate->span.source) {
            report_twice(r, found->span, evaluate->span, "evaluate");
        }
        evaluate = found ? found : evaluate;
        calibrated = calibrated || calibrates(stage);
    }
    for (size_t i = 0; i < r->recipe->expects.len && !evaluate && !calibrated; i++) {
        const Expr *metric = find_model_metric(r->recipe->expects.at[i].condition);
        if (metric) {
            report_no_data(r, metric);
            return;
        }
    }
}
