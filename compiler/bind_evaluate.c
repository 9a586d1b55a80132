/* What the whole model is judged by: which metrics the expects name, on which data, and whether the
 * model can have them. `evaluate` names the data; without it a tenth of the calibration data is
 * held out. That there is any data at all was checked with the text (E0703). */
#include <string.h>
#include "compiler/bind_parts.h"
#include "runtime/base/sanitize.h"

/* ---- what is asked for */

static void collect(PlanEvaluation *e, const Expr *expr) {
    if (!expr) {
        return;
    }
    for (int m = 0; m < OUTPUT_METRICS && expr->kind == EXPR_METRIC && !expr->selector; m++) {
        if (str_is(expr->name, output_metric_name((OutputMetric)m)) && !e->asked[m]) {
            e->asked[m] = expr;
        }
    }
    collect(e, expr->a);
    collect(e, expr->b);
    collect(e, expr->c);
}

static const Expr *first_asked(const PlanEvaluation *e) {
    for (int m = 0; m < OUTPUT_METRICS; m++) {
        if (e->asked[m]) {
            return e->asked[m];
        }
    }
    return NULL;
}

/* ---- the data */

/* The recipe's own goes before those that it includes. */
static const Step *find_evaluate(const Recipe *recipe) {
    const Step *found = NULL;
    for (size_t i = 0; i < recipe->stages.len; i++) {
        const Step *step = steps_find(&recipe->stages.at[i].settings, "evaluate");
        const bool own = step && step->span.source == recipe->source;
        found = step && (!found || own) ? step : found;
    }
    return found;
}

/* Of the data that is calibrated on; where no step needs any, the first that is named. */
static const Step *find_calibrate(const Plan *plan) {
    const Step *found = plan->data_step;
    for (size_t i = 0; i < plan->recipe->stages.len && !found; i++) {
        const Stage *stage = &plan->recipe->stages.at[i];
        found = steps_find(&stage->settings, "calibrate");
        for (size_t k = 0; k < stage->rules.len && !found; k++) {
            found = steps_find(&stage->rules.at[k].steps, "calibrate");
        }
    }
    return found;
}

/* ---- the model */

static bool is_input(const ValueInfo *value) {
    return value && !value->constant && !value->sparse;
}

static bool may_be_tokens(const ValueInfo *value) {
    const bool whole = is_input(value) && (value->type == 6 || value->type == 7); /* int32, int64 */
    return whole && (value->rank == 2 || value->rank < 0);
}

/* `input_ids`, else the only input that can be token numbers; -1: none, or several. */
static int find_tokens(const Model *model) {
    const Onnx__GraphProto *graph = model->main->proto;
    int found = -1, count = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        const Str name = str_from(graph->input[i]->name);
        if (may_be_tokens(graph_value(model->main, name))) {
            if (str_is(name, "input_ids")) {
                return (int)i;
            }
            found = (int)i;
            count++;
        }
    }
    return count == 1 ? found : -1;
}

/* The first output that holds floats, or may: a type that is not declared is known to the engine.
 */
static const ValueInfo *first_floats(const Model *model) {
    const Onnx__GraphProto *graph = model->main->proto;
    for (size_t i = 0; i < graph->n_output; i++) {
        const ValueInfo *value = graph_value(model->main, str_from(graph->output[i]->name));
        if (value && (value->type == 0 || output_type_known(value->type))) {
            return value;
        }
    }
    return NULL;
}

static void put_shape(const ValueInfo *value, Buf *out) {
    buf_char(out, ' ');
    buf_safe(out, value->name);
    buf_printf(out, " %s [",
               value->type ? type_name(value->type) : "of a type that is not declared");
    for (int i = 0; i < value->rank; i++) {
        const int64_t size = value->dims[i];
        buf_printf(out, size >= 0 ? "%s%lld" : "%s?", i ? ", " : "", (long long)size);
    }
    buf_printf(out, "%s]", value->rank < 0 ? "..." : "");
}

static Str ports_text(Bind *b, bool outputs) {
    enum { SHOWN = 4 };
    const Graph *main = b->layers->model->main;
    const size_t count = outputs ? main->proto->n_output : main->proto->n_input;
    Buf text = buf_on(b->s->arena);
    buf_printf(&text, "%s:", outputs ? "outputs" : "inputs");
    for (size_t i = 0, shown = 0; i < count; i++) {
        const Onnx__ValueInfoProto *proto =
            outputs ? main->proto->output[i] : main->proto->input[i];
        const ValueInfo *value = graph_value(main, str_from(proto->name));
        if (value && (outputs || is_input(value))) {
            if (shown++ == SHOWN) {
                buf_printf(&text, ", ...");
                break;
            }
            buf_printf(&text, "%s", shown > 1 ? "," : "");
            put_shape(value, &text);
        }
    }
    return buf_view(&text);
}

static void report(Bind *b, Span at, const char *metric, const char *label, const char *needs) {
    Diag *d = diag_error(b->s, "E0709", at, "this model cannot be judged by %s", metric);
    diag_label(d, "%s", label);
    diag_note(d, "%s", needs);
    diag_line(d, "%.*s", STR_ARG(ports_text(b, false)));
    diag_line(d, "%.*s", STR_ARG(ports_text(b, true)));
    b->failed = true;
}

static void check_model(Bind *b, PlanEvaluation *e, Span at) {
    const ValueInfo *floats = first_floats(b->layers->model);
    if (!floats) {
        report(b, at, "its outputs", "the outputs of two models are compared",
               "it has no output of floats");
        return;
    }
    const Expr *perplexity = e->asked[METRIC_PERPLEXITY];
    if (floats->rank >= 0 && floats->rank != 3) {
        e->tokens = -1;
    }
    if (perplexity && e->tokens < 0) {
        report(b, perplexity->span, "`perplexity`", "how well it predicts the next token",
               "that needs an input of token numbers, int32 or int64 [batch, sequence], called\n"
               "`input_ids` unless it is the only one, and as the first output of floats\n"
               "logits [batch, sequence, vocabulary]");
    }
}

void bind_evaluation(Bind *b) {
    PlanEvaluation *e = &b->plan->evaluation;
    for (size_t i = 0; i < b->recipe->expects.len; i++) {
        collect(e, b->recipe->expects.at[i].condition);
    }
    const Expr *asked = first_asked(e);
    const Step *evaluate = find_evaluate(b->recipe);
    const Step *step = evaluate ? evaluate : asked ? find_calibrate(b->plan) : NULL;
    const Value *data = step ? step_arg(step, "data")->value : NULL;
    if (!data || data->type != VALUE_DATA) {
        return;
    }
    e->step = step;
    e->data = data->data;
    e->held_out = !evaluate;
    e->tokens = find_tokens(b->layers->model);
    check_model(b, e, asked ? asked->span : step->span);
}
