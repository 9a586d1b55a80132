/* See run_report.h. */
#include "compiler/run_report.h"
#include "runtime/base/sanitize.h"
#include <math.h>

enum { TABLE_ROWS = 40 }; /* longest table without -v */

static Str weight_text(Session *s, const PlanLayer *pl) {
    Buf b = buf_on(s->arena);
    plan_format_print(pl, &b);
    return buf_view(&b);
}

static bool shown_layer(const PlanLayer *pl) {
    return pl->layer->weight && (pl->quantized || pl->prune != PRUNE_NONE);
}

static void layer_json(Console *c, const Plan *plan, const PlanLayer *pl,
                       const LayerResult *result) {
    Session *s = c->s;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "layer");
    json_text(o, "path", pl->layer->path);
    const PlanOwner *owner = &pl->owner[pl->owner[1].rule ? 1 : 0];
    const Rule *rule = owner->rule;
    cJSON_AddStringToObject(o, "phase", pl->quantized ? "encode" : "edit");
    if (rule && rule->span.source) {
        Place place = source_place(rule->span.source, rule->span.offset);
        json_text(o, "rule",
                  str_format(s->arena, "%s:%u", str_safe_c(s->arena, rule->span.source->name),
                             place.line));
    }
    Str stage = plan_stage(plan, owner);
    if (stage.len) {
        json_text(o, "stage", stage);
    }
    json_text(o, "weight", weight_text(s, pl));
    Buf input = buf_on(s->arena);
    plan_input_print(plan, pl, &input);
    json_text(o, "input", input.len ? buf_view(&input) : STR("none"));
    cJSON_AddNumberToObject(o, "bits", pl->bits);
    cJSON_AddNumberToObject(o, "cosine", result->cosine);
    if (isfinite(result->sqnr)) {
        cJSON_AddNumberToObject(o, "sqnr", result->sqnr);
    }
    cJSON_AddNumberToObject(o, "mse", result->mse);
    cJSON_AddNumberToObject(o, "max_error", result->max_error);
    cJSON_AddNumberToObject(o, "sparsity", result->sparsity);
    console_json(c, o);
}

void run_report_layers_json(Console *c, const Plan *plan, const LayerResult *results) {
    for (size_t i = 0; c->json && i < plan->layers_planned.len; i++) {
        if (shown_layer(&plan->layers_planned.at[i])) {
            layer_json(c, plan, &plan->layers_planned.at[i], &results[i]);
        }
    }
}

/* Which cosine a layer must have to stay in a table of TABLE_ROWS rows: the worst ones stay. */
static double cosine_bound(const Plan *plan, const LayerResult *results) {
    double worst[TABLE_ROWS + 1]; /* ascending; the last is the one pushed out */
    size_t n = 0;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        if (shown_layer(&plan->layers_planned.at[i])) {
            size_t at = n;
            for (; at > 0 && worst[at - 1] > results[i].cosine; at--) {
                worst[at] = worst[at - 1];
            }
            worst[at] = results[i].cosine;
            n += n < TABLE_ROWS;
        }
    }
    return worst[TABLE_ROWS - 1];
}

void run_report_table(Console *c, const Plan *plan, const LayerResult *results) {
    Session *s = c->s;
    Buf b = buf_on(s->arena);
    size_t rows = 0, width = 5, format_width = 6, printed = 0;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *pl = &plan->layers_planned.at[i];
        if (shown_layer(pl)) {
            size_t w = utf8_width(str_safe(s->arena, pl->layer->path));
            size_t f = weight_text(s, pl).len;
            width = w > width ? w : width;
            format_width = f > format_width ? f : format_width;
            rows++;
        }
    }
    if (rows == 0) {
        return;
    }
    bool all = rows <= TABLE_ROWS || c->verbose;
    double bound = all ? 2 : cosine_bound(plan, results);
    width = width > 60 ? 60 : width;
    buf_printf(&b, "%-*s %8s %8s  %-*s %6s %9s %9s %9s\n", (int)width, "layer", "k", "n",
               (int)format_width, "weight", "bits", "zeros", "cosine", "sqnr");
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *pl = &plan->layers_planned.at[i];
        const LayerResult *result = &results[i];
        if (!shown_layer(pl) || result->cosine > bound || (!all && printed >= TABLE_ROWS)) {
            continue;
        }
        printed++;
        Str path = str_safe(s->arena, pl->layer->path);
        buf_str(&b, path);
        size_t w = utf8_width(path);
        buf_repeat(&b, ' ', w < width ? width - w : 0);
        buf_printf(&b, " %8lld %8lld  %-*.*s %6.2f %8.1f%% %9.6f", (long long)pl->layer->k,
                   (long long)pl->layer->n, (int)format_width, STR_ARG(weight_text(s, pl)),
                   pl->bits, 100.0 * result->sparsity, result->cosine);
        if (isfinite(result->sqnr)) {
            buf_printf(&b, " %6.1f dB\n", result->sqnr);
        } else {
            buf_printf(&b, " %9s\n", "exact");
        }
    }
    if (!all) {
        buf_printf(&b, "... and %zu more layers with a better cosine (-v shows all)\n",
                   rows - printed);
    }
    console_out(c, buf_view(&b));
}

/* ---- the whole model */

void run_report_evaluates(Console *c, const Plan *plan, const Evaluation *e) {
    const char *name = str_safe_c(c->s->arena, plan->evaluation.data->name);
    const long long held = (long long)e->result.samples;
    if (c->quiet) {
        return;
    }
    if (plan->evaluation.held_out) {
        console_say(c,
                    "the last %lld sample%s of `%s` %s held out to judge the model "
                    "(evaluate(data = ...) names other data)\n",
                    held, held == 1 ? "" : "s", name, held == 1 ? "is" : "are");
    } else if (plan->evaluation.data == plan->data) {
        console_say(c, "the model is judged on `%s`, which it is calibrated on\n", name);
    }
}

static void model_json(Console *c, const Plan *plan, const ModelResult *result) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "model");
    json_text(o, "data", plan->evaluation.data->name);
    cJSON_AddNumberToObject(o, "samples", (double)result->samples);
    cJSON_AddBoolToObject(o, "held_out", plan->evaluation.held_out);
    for (int m = 0; m < OUTPUT_METRICS; m++) {
        const char *name = output_metric_name((OutputMetric)m);
        const double is = result->scores.of[1][m], was = result->scores.of[0][m];
        if (isfinite(is)) {
            cJSON_AddNumberToObject(o, name, is);
        }
        if (isfinite(was)) {
            cJSON_AddNumberToObject(o, str_format(c->s->arena, "%s_float", name).data, was);
        }
    }
    console_json(c, o);
}

static void put_metric(Buf *out, OutputMetric metric, const double is[OUTPUT_METRICS],
                       const double was[OUTPUT_METRICS]) {
    const double x = is[metric];
    if (isnan(x)) {
        return;
    }
    buf_printf(out, "  %s ", output_metric_name(metric));
    if (metric == METRIC_SQNR) {
        buf_printf(out, x > 0 && isinf(x) ? "exact" : "%.1f dB", x);
    } else if (metric == METRIC_KL || metric == METRIC_MSE || metric == METRIC_MAX_ERROR) {
        buf_printf(out, "%.4g", x);
    } else {
        buf_printf(out, metric == METRIC_COSINE ? "%.6f" : "%.4f", x);
    }
    if (!isnan(was[metric])) {
        buf_printf(out, " (float %.4f)", was[metric]);
    }
}

static void model_table(Console *c, const ModelResult *result) {
    Buf b = buf_on(c->s->arena);
    buf_printf(&b, "model");
    for (int m = 0; m < METRIC_COSINE; m++) { /* one line has no room for all */
        put_metric(&b, (OutputMetric)m, result->scores.of[1], result->scores.of[0]);
    }
    buf_printf(&b, "\n     ");
    for (int m = METRIC_COSINE; m < OUTPUT_METRICS; m++) {
        put_metric(&b, (OutputMetric)m, result->scores.of[1], result->scores.of[0]);
    }
    buf_char(&b, '\n');
    if (result->compared < result->outputs) {
        buf_printf(&b, "       of %d outputs %d %s no floats and not compared\n", result->outputs,
                   result->outputs - result->compared,
                   result->outputs - result->compared == 1 ? "is" : "are");
    }
    if (result->undefined) {
        buf_printf(&b,
                   "       %lld rows of the float model's first output are not finite: left out of "
                   "kl and agreement\n",
                   (long long)result->undefined);
    }
    console_out(c, buf_view(&b));
}

void run_report_model(Console *c, const Plan *plan, const Evaluation *e) {
    const char *name = str_safe_c(c->s->arena, plan->evaluation.data->name);
    const long long samples = (long long)e->result.samples;
    model_json(c, plan, &e->result);
    if (c->quiet) {
        return;
    }
    if (e->unused_labels) {
        console_say(c, "the labels of `%s` are not used: %s\n", name, e->unused_labels);
    }
    console_say(c, "evaluated on %lld sample%s of `%s` in %.1f s: %s\n", samples,
                samples == 1 ? "" : "s", name, e->seconds, str_safe_c(c->s->arena, e->engine));
    model_table(c, &e->result);
}

void run_report_summary(Console *c, const Plan *plan, Str written, const RunReport *report,
                        double seconds) {
    Session *s = c->s;
    size_t layers = 0;
    int64_t weights = 0;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *pl = &plan->layers_planned.at[i];
        if (shown_layer(pl)) {
            layers++;
            weights += pl->layer->params;
        }
    }
    Buf b = buf_on(s->arena);
    buf_printf(&b, "%zu layer%s, %.*s weights: %.*s -> %.*s", layers, layers == 1 ? "" : "s",
               STR_ARG(str_si(s->arena, (double)weights)),
               STR_ARG(str_bytes(s->arena, plan->size_before)),
               STR_ARG(str_bytes(s->arena, plan->size_after)));
    if (plan->bits > 0) {
        buf_printf(&b, ", %.2f bits a weight", plan->bits);
    }
    buf_printf(&b, "\nwrote %s (%.*s) in %.2f s", str_safe_c(s->arena, written),
               STR_ARG(str_bytes(s->arena, report->output_size)), seconds);
    if (report->data_file.len) {
        buf_printf(&b, ", weights in %s", str_safe_c(s->arena, report->data_file));
    }
    buf_char(&b, '\n');
    if (report->superseded.len) {
        buf_printf(&b, "%s is left over from the old %s; remove it unless a copy needs it\n",
                   str_safe_c(s->arena, report->superseded), str_safe_c(s->arena, written));
    }
    if (c->verbose) {
        buf_printf(&b,
                   "read %.3f s, kernels %.3f s, write %.3f s (threads added up), sync %.3f s\n",
                   report->exec.seconds_copy + report->exec.seconds_read,
                   report->exec.seconds_survey + report->exec.seconds_encode,
                   report->exec.seconds_write, report->seconds_sync);
    }
    console_out(c, buf_view(&b));
}
