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

static Str input_text(Session *s, const Plan *plan, const PlanLayer *pl, const Findings *found) {
    Buf b = buf_on(s->arena);
    found_input_print(found, plan, pl, &b);
    return buf_view(&b);
}

bool run_report_shows(const PlanLayer *pl) {
    return pl->layer->weight &&
           (pl->quantized || pl->prune != PRUNE_NONE || pl->stream >= 0 || pl->tie >= 0);
}

/* ---- one JSON object a layer */

static void range_json(cJSON *layer, const FoundInput *input) {
    if (!input) {
        return;
    }
    cJSON *o = cJSON_AddObjectToObject(layer, "range");
    json_text(o, "tensor", input->tensor);
    json_text(o, "method", input->method);
    cJSON_AddNumberToObject(o, "min", (double)input->min);
    cJSON_AddNumberToObject(o, "max", (double)input->max);
    cJSON_AddNumberToObject(o, "amax", (double)input->amax);
    cJSON_AddNumberToObject(o, "low", (double)input->lo);
    cJSON_AddNumberToObject(o, "high", (double)input->hi);
    cJSON_AddNumberToObject(o, "scale", (double)input->scale);
    cJSON_AddNumberToObject(o, "zero_point", input->zero);
}

static void choices_json(cJSON *layer, const Plan *plan, const PlanLayer *pl,
                         const Findings *found) {
    const SolvedTie *tie = found_tie(found, pl);
    if (tie) {
        cJSON *o = cJSON_AddObjectToObject(layer, tie_name(&plan->ties.at[pl->tie]));
        cJSON_AddNumberToObject(o, "group", pl->tie);
        if (tie->choice >= 0) {
            cJSON_AddNumberToObject(o, "exponent", tie->choice);
        } else {
            cJSON_AddNullToObject(o, "exponent");
        }
        cJSON_AddBoolToObject(o, "folded", plan->ties.at[pl->tie].folds.len > 0);
        if (tie->before > 0) {
            cJSON_AddNumberToObject(o, "error_before", tie->before);
            cJSON_AddNumberToObject(o, "error_after", tie->after);
        }
    }
    const GptqReport *rounding = found_rounding(found, pl);
    if (rounding) {
        cJSON *o = cJSON_AddObjectToObject(layer, "gptq");
        cJSON_AddNumberToObject(o, "error_nearest", rounding->nearest);
        cJSON_AddNumberToObject(o, "error", rounding->loss);
    }
}

static void layer_json(Console *c, const Plan *plan, const PlanLayer *pl,
                       const LayerResult *result, const Findings *found) {
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
    range_json(o, found_input(found, pl));
    cJSON_AddNumberToObject(o, "bits", pl->bits);
    cJSON_AddNumberToObject(o, "cosine", result->cosine);
    if (isfinite(result->sqnr)) {
        cJSON_AddNumberToObject(o, "sqnr", result->sqnr);
    }
    cJSON_AddNumberToObject(o, "mse", result->mse);
    cJSON_AddNumberToObject(o, "max_error", result->max_error);
    cJSON_AddNumberToObject(o, "sparsity", result->sparsity);
    choices_json(o, plan, pl, found);
    console_json(c, o);
}

void run_report_layers_json(Console *c, const Plan *plan, const LayerResult *results,
                            const Findings *found) {
    for (size_t i = 0; c->json && i < plan->layers_planned.len; i++) {
        if (run_report_shows(&plan->layers_planned.at[i])) {
            layer_json(c, plan, &plan->layers_planned.at[i], &results[i], found);
        }
    }
}

/* Which cosine a layer must have to stay in a table of TABLE_ROWS rows: the worst ones stay. */
static double cosine_bound(const Plan *plan, const LayerResult *results) {
    double worst[TABLE_ROWS + 1]; /* ascending; the last is the one pushed out */
    size_t n = 0;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        if (run_report_shows(&plan->layers_planned.at[i])) {
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

/* How wide the columns of texts are; inputs: 0 if every layer reads floats as they are. */
typedef struct Widths {
    size_t rows;
    int path, weight, input;
} Widths;

static int widest(int width, Str text) {
    const int own = (int)utf8_width(text);
    return own > width ? own : width;
}

static Widths measure(Session *s, const Plan *plan, const Findings *found) {
    Widths w = {.path = 5, .weight = 6};
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *pl = &plan->layers_planned.at[i];
        if (run_report_shows(pl)) {
            w.rows++;
            w.path = widest(w.path, str_safe(s->arena, pl->layer->path));
            w.weight = widest(w.weight, weight_text(s, pl));
            w.input = widest(w.input, input_text(s, plan, pl, found));
        }
    }
    w.path = w.path > 60 ? 60 : w.path;
    w.input = w.input && w.input < 5 ? 5 : w.input;
    return w;
}

static void put_row(Session *s, const Widths *w, const PlanLayer *pl, const LayerResult *result,
                    Str input, Buf *b) {
    const Str path = str_safe(s->arena, pl->layer->path);
    const int own = (int)utf8_width(path);
    buf_str(b, path);
    buf_repeat(b, ' ', own < w->path ? (size_t)(w->path - own) : 0);
    buf_printf(b, " %8lld %8lld  %-*.*s ", (long long)pl->layer->k, (long long)pl->layer->n,
               w->weight, STR_ARG(weight_text(s, pl)));
    if (w->input) {
        buf_printf(b, " %-*.*s ", w->input, STR_ARG(input));
    }
    buf_printf(b, "%6.2f %8.1f%% %9.6f", pl->bits, 100.0 * result->sparsity, result->cosine);
    if (isfinite(result->sqnr)) {
        buf_printf(b, " %6.1f dB\n", result->sqnr);
    } else {
        buf_printf(b, " %9s\n", "exact");
    }
}

void run_report_table(Console *c, const Plan *plan, const LayerResult *results,
                      const Findings *found) {
    Session *s = c->s;
    const Widths w = measure(s, plan, found);
    if (w.rows == 0) {
        return;
    }
    Buf b = buf_on(s->arena);
    size_t printed = 0;
    bool all = w.rows <= TABLE_ROWS || c->verbose;
    double bound = all ? 2 : cosine_bound(plan, results);
    buf_printf(&b, "%-*s %8s %8s  %-*s ", w.path, "layer", "k", "n", w.weight, "weight");
    if (w.input) {
        buf_printf(&b, " %-*s ", w.input, "input");
    }
    buf_printf(&b, "%6s %9s %9s %9s\n", "bits", "zeros", "cosine", "sqnr");
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *pl = &plan->layers_planned.at[i];
        const bool shown = run_report_shows(pl) && results[i].cosine <= bound;
        if (shown && (all || printed < TABLE_ROWS)) {
            printed++;
            put_row(s, &w, pl, &results[i], input_text(s, plan, pl, found), &b);
        }
    }
    if (!all) {
        buf_printf(&b, "... and %zu more layers with a better cosine (-v shows all)\n",
                   w.rows - printed);
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

void run_report_kept(Console *console, const Calibration *c) {
    if (!console->quiet && c->saved && c->stats_path.len) {
        console_say(console, "what was seen so far is in %s: the same command goes on from there\n",
                    str_safe_c(console->s->arena, c->stats_path));
    }
}

void run_report_calibration(Console *console, const Calibration *c, bool done) {
    Session *s = console->s;
    if (console->quiet) {
        return;
    }
    const char *path = str_safe_c(s->arena, c->stats_path);
    if (c->why_new) {
        console_say(console, "%s is measured anew: it %s\n", path, c->why_new);
    }
    if (!done) {
        run_report_kept(console, c);
        return;
    }
    const int passes = (int)c->passes.all.len, fresh_passes = passes - c->kept_passes;
    const int64_t fresh = passes == 1 ? c->samples - c->resumed : fresh_passes ? c->samples : 0;
    if (passes > 1 && c->kept_passes) {
        console_say(console, "statistics of %d of %d passes from %s and beside it\n",
                    c->kept_passes, passes, path);
    } else if (passes == 1 && c->resumed) {
        console_say(console, "statistics of %lld sample%s from %s\n", (long long)c->resumed,
                    c->resumed == 1 ? "" : "s", path);
    }
    if (fresh) {
        console_say(console, "calibrated on %lld sample%s in ", (long long)fresh,
                    fresh == 1 ? "" : "s");
        if (passes > 1) {
            console_say(console, "%d pass%s, ", fresh_passes, fresh_passes == 1 ? "" : "es");
        }
        console_say(console, "%.1f s: %s\n", c->seconds, str_safe_c(s->arena, c->engine));
        if (c->why_cpu.len && str_starts(c->args->device, STR("cuda"))) {
            console_say(console, "the engine does not use the GPU: %s\n",
                        str_safe_c(s->arena, c->why_cpu));
        }
    }
}

void run_report_device(Console *c, const DeviceChoice *d) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "device");
    json_text(o, "device", d->name);
    json_text(o, "why", d->why);
    console_json(c, o);
    if (!c->quiet) {
        console_say(c, "device %.*s: %s\n", STR_ARG(d->name), str_safe_c(c->s->arena, d->why));
    }
}

void run_report_rounding(Console *c, const Plan *plan, const Findings *found) {
    const PlanLayer *first = NULL;
    size_t count = 0;
    for (size_t i = 0; found && i < plan->layers_planned.len; i++) {
        const GptqReport *report = found_rounding(found, &plan->layers_planned.at[i]);
        if (report && report->plain) {
            first = first ? first : &plan->layers_planned.at[i];
            count++;
        }
    }
    if (count) {
        console_say(c, "%zu layer%s rounded to nearest, first %s: what it reads has no Gram matrix "
                       "that gptq could use\n",
                    count, count == 1 ? "" : "s",
                    str_safe_c(c->s->arena, first->layer->path));
    }
}

void run_report_summary(Console *c, const Plan *plan, Str written, const RunReport *report,
                        double seconds) {
    Session *s = c->s;
    size_t layers = 0;
    int64_t weights = 0;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *pl = &plan->layers_planned.at[i];
        if (run_report_shows(pl)) {
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
