/* `morc RECIPE MODEL` and `morc plan RECIPE MODEL`: the whole pipeline, top to bottom. */
#include "compiler/bench_report.h"
#include "compiler/calibrate.h"
#include "compiler/cmd.h"
#include "compiler/compile.h"
#include "compiler/evaluate.h"
#include "compiler/frontend.h"
#include "compiler/kernel_report.h"
#include "compiler/output_names.h"
#include "compiler/pass_loop.h"
#include "compiler/readings.h"
#include "compiler/report_file.h"
#include "compiler/run_report.h"
#include "lang/parse.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/sanitize.h"

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
    double start, mark;
    BenchStages stages;
    DeviceChoice device;
    Jit *compiler; /* for it; NULL: not forked yet */
    Findings *found; /* NULL: the plan needs no data */
    Output *report;  /* NULL: no --report */
    Evaluation evaluation;
    Calibration calibration;
    bool answered; /* the result line of --json is out */
} Run;

static bool choose_output(Run *r) {
    Session *s = r->s;
    r->out_path = r->args->output.len
                      ? r->args->output
                      : str_format(s->arena, "%.*s.mor.onnx", STR_ARG(output_stem(r->model_path)));
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
        if (r->report) {
            json_text(o, "report", r->args->report);
        }
        if (report->superseded.len) {
            json_text(o, "superseded", report->superseded);
        }
        cJSON_AddNumberToObject(o, "seconds", report->seconds_total);
        cJSON_AddNumberToObject(o, "seconds_sync", report->seconds_sync);
    }
    console_json(c, o);
}

/* Seconds since the last stage ended. */
static double stage(Run *r) {
    const double now = clock_seconds(), took = now - r->mark;
    r->mark = now;
    return took;
}

/* Data, kept statistics, engine: what can be refused is refused before any work. */
static bool prepare_calibration(Run *r) {
    Session *s = r->s;
    const bool runs = r->args->verb != VERB_PLAN && r->args->dump.len == 0;
    if (!r->plan->data || !runs) {
        return true;
    }
    Calibration *c = &r->calibration;
    *c = (Calibration){.args = r->args, .get = r->c->env->get, .model_path = r->model_path,
                       .stats_path = output_stats(r->s->arena, r->args, r->out_path)};
    if (c->stats_path.len && (is_input(r, c->stats_path) || str_eq(c->stats_path, r->out_path))) {
        Diag *d = diag_error(s, "E1103", NO_SPAN, "statistics would replace %s",
                             str_safe_c(s->arena, c->stats_path));
        diag_help(d, "--stats FILE keeps them elsewhere");
        return false;
    }
    r->compiler = device_compiler(s, r->args, r->c->env->get);
    return calibrate_open(s, r->plan, c);
}

/* What the plan takes from data, if it does: statistics, then all that follows from them. */
static bool calibrate_and_solve(Run *r, Compiled *compiled) {
    if (r->plan->data) {
        r->found = pass_loop(r->c, r->plan, &r->calibration, compiled);
        stage(r);
    }
    return !r->plan->data || r->found;
}

static bool choose_device(Run *r, const Compiled *compiled) {
    const bool bench = r->args->verb == VERB_BENCH;
    TRY(device_choose(r->s, r->args, compiled_schedule(compiled), r->c->env->get, bench,
                      r->compiler, &r->device));
    r->stages.device = stage(r);
    run_report_device(r->c, &r->device);
    return true;
}

/* A bench times morc and judges nothing: neither expects nor the model. */
static bool evaluates(const Run *r) {
    return r->plan->evaluation.step && r->args->verb == VERB_RUN;
}

static bool open_report(Run *r) {
    const ReportFiles files = {.args = r->args,
                               .plan = r->plan,
                               .output = r->out_path,
                               .rejected = output_rejected(r->s->arena, r->out_path),
                               .stats = output_stats(r->s->arena, r->args, r->out_path)};
    return r->args->report.len == 0 || report_open(r->s, &files, &r->report);
}

/* Behind the commit of the model, before messages are printed and forgotten. */
static bool write_report(Run *r, const LayerResult *results, const RunReport *report, Str written,
                         bool met) {
    const ReportPage page = {.plan = r->plan,
                             .results = results,
                             .found = r->found,
                             .command = r->args->line,
                             .written = written,
                             .met = met,
                             .messages = &r->s->diags,
                             .device = &r->device,
                             .stages = &r->stages,
                             .run = report,
                             .evaluation = evaluates(r) ? &r->evaluation : NULL,
                             .seconds = clock_seconds() - r->start};
    if (r->report && !report_write(r->s, r->report, &page)) {
        r->report = NULL; /* closed; there is none */
        return false;
    }
    return true;
}

/* What can go wrong with it goes wrong before any work. */
static bool prepare_evaluation(Run *r) {
    if (!evaluates(r)) {
        return true;
    }
    r->evaluation = (Evaluation){.args = r->args, .get = r->c->env->get};
    TRY(evaluate_open(r->s, r->plan, &r->evaluation));
    run_report_evaluates(r->c, r->plan, &r->evaluation);
    return true;
}

static bool evaluate(Run *r, const Compiled *compiled, const RunReport *report) {
    if (!evaluates(r)) {
        return true;
    }
    TRY(evaluate_run(r->s, r->plan, &r->evaluation, compiled_file(compiled, 0),
                     compiled_file(compiled, 1), report->data_file));
    console_progress_end(r->c);
    run_report_model(r->c, r->plan, &r->evaluation);
    return true;
}

static bool execute(Run *r, Compiled *compiled) {
    Session *s = r->s;
    size_t n = r->plan->layers_planned.len;
    LayerResult *results = arena_many(s->arena, LayerResult, n ? n : 1);
    RunReport report = {0};
    if (!open_report(r) || !prepare_evaluation(r) || !calibrate_and_solve(r, compiled) ||
        !choose_device(r, compiled) ||
        !compiled_execute(s, compiled, r->device.gpu, r->out_path, results, &report)) {
        compiled_discard(compiled);
        return false;
    }
    console_progress_end(r->c);
    if (report.failure.len) {
        Diag *d = diag_warning(s, "W1107", NO_SPAN, "the GPU stopped: %s",
                               str_safe_c(s->arena, report.failure));
        diag_note(d, "the host did the rest; the bytes are the same");
    }
    run_report_layers_json(r->c, r->plan, results, r->found);
    if (r->args->verb == VERB_BENCH) {
        compiled_discard(compiled);
        console_flush(r->c);
        bench_report(r->c, &r->stages, &r->device, &report);
        result_json(r, true, NULL, &report);
        return true;
    }
    if (!r->c->quiet) {
        run_report_table(r->c, r->plan, results, r->found);
    }
    if (!evaluate(r, compiled, &report)) {
        compiled_discard(compiled);
        return false;
    }
    bool met = plan_check_results(s, r->plan, results,
                                  evaluates(r) ? &r->evaluation.result : NULL);
    Str path = met || r->args->keep_going ? r->out_path : output_rejected(r->s->arena, r->out_path);
    if ((!met && is_input(r, path)) || !compiled_commit(s, compiled, path, &report)) {
        compiled_discard(compiled);
        return false;
    }
    if (!met) {
        Diag *last = s->diags.all.at[s->diags.all.len - 1];
        diag_line(last, "the model was written to %s; exit status 3", str_safe_c(s->arena, path));
    }
    const bool reported = write_report(r, results, &report, path, met);
    console_flush(r->c);
    if (!r->c->quiet) {
        Buf notes = buf_on(s->arena);
        compiled_notes(compiled, &notes);
        if (notes.len) {
            console_say(r->c, "%s", notes.data);
        }
        run_report_rounding(r->c, r->plan, r->found);
        run_report_summary(r->c, r->plan, path, &report, clock_seconds() - r->start);
    }
    if (reported && r->report && !r->c->quiet) {
        console_say(r->c, "report in %s\n", str_safe_c(s->arena, r->args->report));
    }
    result_json(r, met && reported, str_c(s->arena, path), &report);
    return reported;
}

static bool compile_and_run(Run *r) {
    Session *s = r->s;
    Buf b = buf_on(s->arena);
    Compiled *compiled = NULL;
    CompileOptions options = {
        .dump = r->args->dump,
        .dump_out = &b,
        .data_stem = output_stem(r->out_path),
        .no_metrics = r->c->quiet && !r->c->json && r->args->report.len == 0 &&
                      !plan_waits_for_results(r->plan)};
    const Stats *stats = r->calibration.stats;
    ReceiptData data = {.samples = r->calibration.samples};
    if (stats) {
        data.hash = stats->identity.data;
        data.engine = stats->engine;
        options.data = &data;
    }
    TRY(compile(s, r->plan, &options, &compiled));
    r->stages.compile = stage(r);
    if (r->args->dump.len) {
        const bool dumped = !kernel_report_is_dump(r->args->dump) ||
                            kernel_report_dump(s, compiled_schedule(compiled), r->args->dump,
                                               r->recipe->target, r->c->env->get, &b);
        if (dumped) {
            put_dump(r, &b);
        }
        compiled_discard(compiled);
        return dumped;
    }
    if (r->args->verb == VERB_PLAN) {
        r->plan->passes = data_passes_words(s, r->plan, r->args->stats_memory);
        plan_print(r->plan, &b);
        compiled_notes(compiled, &b);
        if (r->args->kernels) {
            kernel_report_list(s, compiled_schedule(compiled), r->recipe->target, &b);
        }
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
    r->stages.recipe = stage(r);
    start_json(r);
    const bool writes = r->args->verb == VERB_RUN && !r->args->dump.len;
    if (writes) {
        TRY(choose_output(r));
    } else if (r->args->output.len) {
        r->out_path = r->args->output;
    } else {
        r->out_path = str_format(s->arena, "%.*s.mor.onnx", STR_ARG(output_stem(r->model_path)));
    }
    r->model = model_open(s, r->model_path);
    TRY(r->model);
    r->layers = writes && is_input(r, r->out_path) ? NULL : layers_index(s, r->model);
    r->stages.model = stage(r);
    bool ok = r->layers && bind_plan(s, r->recipe, r->layers, &r->plan);
    r->stages.plan = stage(r);
    if (ok && str_is(r->args->dump, "plan")) {
        Buf b = buf_on(s->arena);
        plan_dump(r->plan, &b);
        put_dump(r, &b);
    } else {
        ok = ok && prepare_calibration(r) && compile_and_run(r);
        calibrate_close(s, &r->calibration);
    }
    gpu_close(s, r->device.gpu);
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
    r.mark = r.start;
    bool ok = run(&r);
    if (!r.answered) {
        result_json(&r, ok, NULL, NULL);
    }
    return ok;
}
