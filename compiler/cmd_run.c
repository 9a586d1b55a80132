/* `morc RECIPE MODEL` and `morc plan RECIPE MODEL`: the whole pipeline, top to bottom. */
#include <math.h>
#include "compiler/cmd.h"
#include "compiler/compile.h"
#include "compiler/frontend.h"
#include "compiler/readings.h"
#include "lang/parse.h"
#include "runtime/base/file.h"
#include "runtime/base/sanitize.h"

enum { TABLE_ROWS = 40 }; /* longest table without -v */

typedef struct Run {
    Console *c;
    Session *s;
    const Args *args;
    Str model_path, out_path;
    const Source *source;
    Recipe *recipe;
    Model *model;
    Layers *layers;
    Plan *plan;
    double start;
    bool answered; /* the result line of --json is out */
} Run;

/* dir/model.onnx -> "model" */
static Str stem_of(Str path) {
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') {
        begin--;
    }
    Str name = str_slice(path, begin, path.len);
    return str_ends(name, STR(".onnx")) ? str_slice(name, 0, name.len - 5) : name;
}

static bool choose_output(Run *r) {
    Session *s = r->s;
    r->out_path = r->args->output.len
                      ? r->args->output
                      : str_format(s->arena, "%.*s.mor.onnx", STR_ARG(stem_of(r->model_path)));
    struct stat in, out;
    bool have_in = s->sys->stat(str_c(s->arena, r->model_path), &in) == 0;
    bool have_out = s->sys->stat(str_c(s->arena, r->out_path), &out) == 0;
    const char *shown = str_safe_c(s->arena, r->out_path);
    if (have_in && have_out && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
        Diag *d = diag_error(s, "E1103", NO_SPAN, "the output %s is the input model", shown);
        diag_note(d, "morc never changes its input");
        diag_help(d, "-o FILE names another output");
        return false;
    }
    if (have_out && !r->args->force) {
        Diag *d = diag_error(s, "E1103", NO_SPAN, "%s exists", shown);
        diag_help(d, "-f replaces it; -o FILE writes elsewhere");
        return false;
    }
    return true;
}

/* A file of declarations is good to import, but a run of it would change nothing in silence. */
static bool does_something(Session *s, const Recipe *recipe) {
    size_t found = recipe->expects.len;
    for (size_t i = 0; i < recipe->stages.len; i++) {
        found += recipe->stages.at[i].rules.len;
    }
    if (found == 0) {
        Diag *d = diag_error(s, "E0213", (Span){recipe->source, 0, 0}, "this recipe has no rules");
        diag_help(d, "on linear { quantize(weight = int8 per channel) }");
    }
    return found > 0;
}

static bool dump_exists(Session *s, Str name) {
    static const char *const before[] = {"tokens", "ast", "recipe", "plan"};
    bool found = name.len == 0 || compile_can_dump(name);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        found = found || str_is(name, before[i]);
    }
    if (!found) {
        Diag *d = diag_error(s, "E1110", NO_SPAN, "there is no stage `%s` to print",
                             str_safe_c(s->arena, name));
        diag_help(d, "morc -d list names them");
    }
    return found;
}

/* Is there a file at `path` that the run reads? Reported. */
static bool is_input(const Run *r, Str path) {
    Session *s = r->s;
    struct stat is;
    if (s->sys->stat(str_c(s->arena, path), &is) != 0) {
        return false;
    }
    for (size_t i = 0; i <= r->model->data_files.len; i++) {
        const Input *in = i ? r->model->data_files.at[i - 1] : r->model->input;
        if (in->identity.st_dev == is.st_dev && in->identity.st_ino == is.st_ino) {
            Diag *d = diag_error(s, "E1103", NO_SPAN, "the output %s is %s",
                                 str_safe_c(s->arena, path),
                                 i ? "data of the input model" : "the input model");
            diag_note(d, "morc never changes its input");
            diag_help(d, "-o FILE names another output");
            return true;
        }
    }
    return false;
}

/* `-d NAME`: the text of one stage, the only output of its run. */
static void put_dump(const Run *r, const Buf *text) {
    if (r->c->json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "type", "dump");
        json_text(o, "stage", r->args->dump);
        cJSON_AddStringToObject(o, "text", text->data ? text->data : "");
        console_json(r->c, o);
    } else {
        console_out(r->c, buf_view(text));
    }
}

/* Stages that need no model. *done: a dump was printed and the run ends here. */
static bool read_recipe(Run *r, bool *done) {
    const Args *args = r->args;
    Session *s = r->s;
    *done = false;
    TRY(dump_exists(s, args->dump));
    r->source = frontend_source(s, args, args->has_inline ? (Str){0} : args->files.at[0]);
    TRY(r->source);
    Buf b = buf_on(s->arena);
    if (str_is(args->dump, "tokens")) {
        tokens_dump(s, r->source, &b);
        put_dump(r, &b);
        *done = true;
        return true;
    }
    Ast *ast = NULL;
    TRY(frontend_parse(s, r->source, &ast));
    if (str_is(args->dump, "ast")) {
        ast_dump(ast, &b);
        *done = true;
    }
    TRY(*done || frontend_resolve(s, args, ast, &r->recipe));
    if (str_is(args->dump, "recipe")) {
        recipe_print(r->recipe, &b);
        *done = true;
    }
    if (*done) {
        put_dump(r, &b);
    }
    return *done || does_something(s, r->recipe);
}

static void start_json(Run *r) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "start");
    cJSON_AddNumberToObject(o, "schema", 1);
    cJSON_AddStringToObject(o, "morc", MORC_VERSION);
    json_text(o, "recipe", r->source->name);
    json_text(o, "model", r->model_path);
    if (r->recipe->target) {
        Str sm = str_format(r->s->arena, "sm_%d", r->recipe->target);
        json_text(o, "target", sm);
    }
    console_json(r->c, o);
}

static void result_json(Run *r, bool ok, const char *output, const RunReport *report) {
    Console *c = r->c;
    console_flush(c);
    r->answered = true;
    const int stopped = atomic_load(&c->env->stop);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "result");
    cJSON_AddBoolToObject(o, "ok", ok && c->exit == 0);
    cJSON_AddNumberToObject(o, "exit", stopped && !ok ? 128 + stopped : c->exit);
    cJSON_AddNumberToObject(o, "errors", (double)c->errors);
    cJSON_AddNumberToObject(o, "warnings", (double)c->warnings);
    if (output) {
        json_text(o, "output", str_from(output));
    } else {
        cJSON_AddNullToObject(o, "output");
    }
    if (report) {
        cJSON_AddNumberToObject(o, "bytes", (double)report->output_size);
        if (report->superseded.len) {
            json_text(o, "superseded", report->superseded);
        }
        cJSON_AddNumberToObject(o, "seconds", report->seconds_total);
        cJSON_AddNumberToObject(o, "seconds_sync", report->seconds_sync);
    }
    console_json(c, o);
}

static Str weight_text(Run *r, const PlanLayer *pl) {
    Buf b = buf_on(r->s->arena);
    plan_format_print(pl, &b);
    return buf_view(&b);
}

static void layer_json(Run *r, const PlanLayer *pl, const LayerResult *result) {
    Session *s = r->s;
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
    Str stage = plan_stage(r->plan, owner);
    if (stage.len) {
        json_text(o, "stage", stage);
    }
    json_text(o, "weight", weight_text(r, pl));
    cJSON_AddStringToObject(o, "input", "none");
    cJSON_AddNumberToObject(o, "bits", pl->bits);
    if (result) {
        cJSON_AddNumberToObject(o, "cosine", result->cosine);
        if (isfinite(result->sqnr)) {
            cJSON_AddNumberToObject(o, "sqnr", result->sqnr);
        }
        cJSON_AddNumberToObject(o, "mse", result->mse);
        cJSON_AddNumberToObject(o, "max_error", result->max_error);
        cJSON_AddNumberToObject(o, "sparsity", result->sparsity);
    }
    console_json(r->c, o);
}

static bool shown_layer(const PlanLayer *pl) {
    return pl->layer->weight && (pl->quantized || pl->prune != PRUNE_NONE);
}

/* Which cosine a layer must have to stay in a table of TABLE_ROWS rows: the worst ones stay. */
static double cosine_bound(const Run *r, const LayerResult *results) {
    double worst[TABLE_ROWS + 1]; /* ascending; the last is the one pushed out */
    size_t n = 0;
    for (size_t i = 0; i < r->plan->layers_planned.len; i++) {
        if (shown_layer(&r->plan->layers_planned.at[i])) {
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

static void print_table(Run *r, const LayerResult *results) {
    const Plan *plan = r->plan;
    Session *s = r->s;
    Buf b = buf_on(s->arena);
    size_t rows = 0, width = 5, format_width = 6, printed = 0;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *pl = &plan->layers_planned.at[i];
        if (shown_layer(pl)) {
            size_t w = utf8_width(str_safe(s->arena, pl->layer->path));
            size_t f = weight_text(r, pl).len;
            width = w > width ? w : width;
            format_width = f > format_width ? f : format_width;
            rows++;
        }
    }
    if (rows == 0) {
        return;
    }
    bool all = rows <= TABLE_ROWS || r->c->verbose;
    double bound = all ? 2 : cosine_bound(r, results);
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
                   (long long)pl->layer->n, (int)format_width, STR_ARG(weight_text(r, pl)),
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
    console_out(r->c, buf_view(&b));
}

static void print_summary(Run *r, Str written, const RunReport *report) {
    Session *s = r->s;
    const Plan *plan = r->plan;
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
               STR_ARG(str_bytes(s->arena, report->output_size)), clock_seconds() - r->start);
    if (report->data_file.len) {
        buf_printf(&b, ", weights in %s", str_safe_c(s->arena, report->data_file));
    }
    buf_char(&b, '\n');
    if (report->superseded.len) {
        buf_printf(&b, "%s is left over from the old %s; remove it unless a copy needs it\n",
                   str_safe_c(s->arena, report->superseded), str_safe_c(s->arena, written));
    }
    if (r->c->verbose) {
        buf_printf(&b,
                   "read %.3f s, kernels %.3f s, write %.3f s (threads added up), sync %.3f s\n",
                   report->seconds_read, report->seconds_kernel, report->seconds_write,
                   report->seconds_sync);
    }
    console_out(r->c, buf_view(&b));
}

/* NAME.onnx -> NAME.rejected.onnx */
static Str rejected_path(Run *r) {
    Str p = r->out_path;
    Str base = str_ends(p, STR(".onnx")) ? str_slice(p, 0, p.len - 5) : p;
    return str_format(r->s->arena, "%.*s.rejected.onnx", STR_ARG(base));
}

static bool execute(Run *r, Compiled *compiled) {
    Session *s = r->s;
    size_t n = r->plan->layers_planned.len;
    LayerResult *results = arena_many(s->arena, LayerResult, n ? n : 1);
    RunReport report = {0};
    if (!compiled_execute(s, compiled, r->out_path, results, &report)) {
        compiled_discard(compiled);
        return false;
    }
    console_progress_end(r->c);
    for (size_t i = 0; i < n; i++) {
        if (shown_layer(&r->plan->layers_planned.at[i]) && r->c->json) {
            layer_json(r, &r->plan->layers_planned.at[i], &results[i]);
        }
    }
    if (!r->c->quiet) {
        print_table(r, results);
    }
    bool met = plan_check_results(s, r->plan, results);
    Str path = met || r->args->keep_going ? r->out_path : rejected_path(r);
    if ((!met && is_input(r, path)) || !compiled_commit(s, compiled, path, &report)) {
        compiled_discard(compiled);
        return false;
    }
    if (!met) {
        Diag *last = s->diags.all.at[s->diags.all.len - 1];
        diag_line(last, "the model was written to %s; exit status 3", str_safe_c(s->arena, path));
    }
    console_flush(r->c);
    if (!r->c->quiet) {
        Buf notes = buf_on(s->arena);
        compiled_notes(compiled, &notes);
        if (notes.len) {
            console_say(r->c, "%s", notes.data);
        }
        print_summary(r, path, &report);
    }
    result_json(r, met, str_c(s->arena, path), &report);
    return true;
}

static bool compile_and_run(Run *r) {
    Session *s = r->s;
    Buf b = buf_on(s->arena);
    Compiled *compiled = NULL;
    CompileOptions options = {
        .dump = r->args->dump, .dump_out = &b, .data_stem = stem_of(r->out_path)};
    TRY(compile(s, r->plan, &options, &compiled));
    if (r->args->dump.len) {
        put_dump(r, &b);
        compiled_discard(compiled);
        return true;
    }
    if (r->args->verb == VERB_PLAN) {
        plan_print(r->plan, &b);
        compiled_notes(compiled, &b);
        console_out(r->c, buf_view(&b));
        Buf json = buf_on(s->arena);
        plan_json(r->plan, &json);
        if (r->c->json) {
            fwrite(json.data, 1, json.len, r->c->env->out);
        }
        compiled_discard(compiled);
        return true;
    }
    return execute(r, compiled);
}

/* Everything behind the recipe. */
static bool run_on_model(Run *r) {
    Session *s = r->s;
    start_json(r);
    if (r->args->verb == VERB_RUN && !r->args->dump.len) {
        TRY(choose_output(r));
    } else {
        r->out_path = str_format(s->arena, "%.*s.mor.onnx", STR_ARG(stem_of(r->model_path)));
    }
    r->model = model_open(s, r->model_path);
    TRY(r->model);
    const bool writes = r->args->verb == VERB_RUN && !r->args->dump.len;
    r->layers = writes && is_input(r, r->out_path) ? NULL : layers_index(s, r->model);
    bool ok = r->layers && bind(s, r->recipe, r->layers, &r->plan);
    if (ok && str_is(r->args->dump, "plan")) {
        Buf b = buf_on(s->arena);
        plan_dump(r->plan, &b);
        put_dump(r, &b);
    } else {
        ok = ok && compile_and_run(r);
    }
    model_close(r->model);
    return ok;
}

static bool run(Run *r) {
    size_t model_at = r->args->has_inline ? 0 : 1;
    bool has_model = r->args->files.len > model_at;
    bool done = false;
    if (!read_recipe(r, &done)) {
        if (r->source && has_model) {
            readings_count(r->s, r->args, r->source, r->args->files.at[model_at]);
        }
        return false;
    }
    if (!done && !has_model) {
        diag_error(r->s, "E1110", NO_SPAN, "`-d %s` needs a model",
                   str_safe_c(r->s->arena, r->args->dump));
        return false;
    }
    r->model_path = has_model ? r->args->files.at[model_at] : (Str){0};
    return done || run_on_model(r);
}

bool cmd_run(Console *c, const Args *args) {
    Run r = {.c = c, .s = c->s, .args = args, .start = clock_seconds()};
    bool ok = run(&r);
    if (!r.answered) {
        result_json(&r, ok, NULL, NULL);
    }
    return ok;
}
