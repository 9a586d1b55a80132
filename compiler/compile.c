/* The driver of everything behind the plan (compile.h):
 *
 *     lower -> passes -> apply -> receipt -> model_layout -> schedule | exec -> check -> commit
 *
 * Everything left of the bar decides and writes nothing. The data file of an output over 2 GiB is
 * named after the hash of its bytes, so an old model beside it keeps its own data file and a crash
 * between the two renames leaves the old pair whole; the superseded file stays and is named. */
#include "compiler/compile.h"
#include "compiler/apply.h"
#include "compiler/data_name.h"
#include "compiler/ir_text.h"
#include "compiler/kernel_report.h"
#include "compiler/lower.h"
#include "compiler/passes.h"
#include "compiler/superseded.h"
#include "compiler/assemble.h"
#include "compiler/verify.h"
#include "runtime/base/clock.h"
#include <assert.h>

struct Compiled {
    const Plan *plan;
    Model *model;
    Ir *ir;
    Facts *facts;
    SolvedList solved;
    Layout layout;
    Schedule schedule;
    Str placeholder;     /* name of the data file until its hash is known */
    Output *files[2];
    Str data_file;
};

void compile_dump_names(Buf *out) {
    buf_printf(out, "%-10s %s\n", "ir", "what the plan lowers to");
    for (const Pass *pass = passes; pass->name; pass++) {
        buf_printf(out, "%-10s IR after: %s\n", pass->name, pass->doc);
    }
    buf_printf(out, "%-10s %s\n", "schedule", "kernels and where every output byte comes from");
    kernel_report_dump_names(out);
}

bool compile_can_dump(Str name) {
    for (const Pass *pass = passes; pass->name; pass++) {
        if (str_is(name, pass->name)) {
            return true;
        }
    }
    return str_is(name, "ir") || str_is(name, "schedule") || kernel_report_is_dump(name);
}

static bool wants_external(const Step *emit) {
    for (size_t i = 0; emit && i < emit->args.len; i++) {
        if (strcmp(emit->args.at[i].param->name, "external") == 0 && emit->args.at[i].value) {
            return emit->args.at[i].value->flag;
        }
    }
    return false;
}

static bool make_ir(Session *s, const Plan *plan, const CompileOptions *options, Facts *facts,
                    Ir **out) {
    TRY(lower(s, plan, facts, out));
    Buf why = buf_on(s->arena);
    if (!verify(*out, false, &why)) {
        Diag *d = diag_error(s, "E0002", NO_SPAN, "bug in morc: the plan made a wrong IR");
        diag_note(d, "%.*s", STR_ARG(buf_view(&why)));
        return false;
    }
    if (options->dump_out && str_is(options->dump, "ir")) {
        ir_print(*out, options->dump_out);
    }
    return passes_run(s, *out, options->dump, options->dump_out);
}

bool compile(Session *s, const Plan *plan, const CompileOptions *options, Compiled **out) {
    Compiled *c = arena_new(s->arena, Compiled);
    c->plan = plan;
    c->model = plan->layers->model;
    c->facts = facts_make(s->arena);
    TRY(make_ir(s, plan, options, c->facts, &c->ir));
    TRY(apply(s, c->ir, c->facts, c->model));
    receipt_attach(s, plan, options->data);
    c->placeholder = data_name_placeholder(s->arena, options->data_stem);
    LayoutOptions layout = {.external = wants_external(plan->recipe->emit),
                            .data_name = c->placeholder};
    TRY(model_layout(c->model, &layout, &c->layout));
    const Str names[2] = {str_format(s->arena, "%.*s.onnx", STR_ARG(options->data_stem)),
                          c->placeholder};
    TRY(assemble(s, c->ir, c->model, &c->layout, names, !options->no_metrics, &c->solved,
                 &c->schedule));
    assemble_known(&c->schedule, &c->layout, c->facts, &c->solved);
    assert(c->solved.len || schedule_check(&c->schedule) == NULL);
    if (options->dump_out && str_is(options->dump, "schedule")) {
        schedule_print(&c->schedule, options->dump_out);
    }
    *out = c;
    return true;
}

void compiled_notes(const Compiled *c, Buf *out) {
    for (size_t i = 0; i < c->ir->notes.len; i++) {
        buf_printf(out, "%.*s\n", STR_ARG(c->ir->notes.at[i]));
    }
}

/* `name` in the directory that `path` names a file of. */
static Str beside(Arena *arena, Str path, Str name) {
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') {
        begin--;
    }
    return str_format(arena, "%.*s%.*s", (int)begin, path.data, STR_ARG(name));
}

static void name_outputs(Session *s, Compiled *c, Str out_path) {
    c->schedule.files.at[0].path = out_path;
    if (c->schedule.files.len > 1) {
        c->schedule.files.at[1].path = beside(s->arena, out_path, c->placeholder);
    }
}

/* A weight with NaN or infinity has no scale; the output is not written. */
static bool check_finite(Session *s, const Compiled *c) {
    bool ok = true;
    for (size_t i = 0; i < c->schedule.jobs.len + c->solved.len; i++) {
        const bool solved = i >= c->schedule.jobs.len;
        const Solved *one = solved ? &c->solved.at[i - c->schedule.jobs.len] : NULL;
        const ScheduleJob *job = solved ? NULL : &c->schedule.jobs.at[i];
        const KernelMetrics *m = solved ? &one->metrics : &job->metrics;
        const Str name = solved ? one->name : job->name;
        const int64_t count = solved ? one->kernel.count : job->kernel.count;
        if (m->nonfinite > 0) {
            Diag *d = diag_error(s, "E1013", NO_SPAN, "a weight to encode is not finite");
            diag_where(d, "%.*s: tensor \"%.*s\"", STR_ARG(c->model->input->path),
                       STR_ARG(name));
            diag_note(d, "%lld of its %lld values %s NaN or infinite, the first at index %lld",
                      (long long)m->nonfinite, (long long)count,
                      m->nonfinite == 1 ? "is" : "are", (long long)m->first_nonfinite);
            diag_help(d, "repair the model, or `skip` the layer");
            ok = false;
        }
    }
    return ok;
}

/* Metrics of a layer are those of its group's kernel that encodes, else of the one that prunes. */
static void fill_results(const Compiled *c, LayerResult *results) {
    size_t count = c->plan->layers_planned.len;
    memset(results, 0, count * sizeof *results);
    for (size_t i = 0; i < c->ir->groups.len; i++) {
        const IrGroup *group = c->ir->groups.at[i];
        const KernelMetrics *metrics = NULL;
        for (size_t k = 0; k < group->ops.len; k++) {
            const IrOp *op = group->ops.at[k];
            if (op->info == IR_OP(kernel) && (!metrics || ir_attr(op, "format"))) {
                metrics = ir_attr(op, "solved") ? &c->solved.at[ir_int(op, "solved", 0)].metrics
                                                : &c->schedule.jobs.at[ir_int(op, "job", 0)].metrics;
            }
        }
        for (size_t k = 0; k < group->ops.len && metrics; k++) {
            const IrOp *op = group->ops.at[k];
            if (op->info == IR_OP(layer)) {
                results[ir_int(op, "plan", 0)].metrics = *metrics;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        layer_result_finish(&results[i]);
    }
}

static bool inputs_unchanged(Session *s, const Model *model) {
    TRY(input_unchanged(s, model->input));
    for (size_t i = 0; i < model->data_files.len; i++) {
        TRY(input_unchanged(s, model->data_files.at[i]));
    }
    return true;
}

/* Sync, then read back what lies on the disk. */
static bool finish_files(Session *s, Compiled *c, RunReport *report) {
    const double begin = clock_seconds();
    for (size_t i = 0; i < c->schedule.files.len; i++) {
        TRY(output_sync(c->files[i]));
    }
    const double synced = clock_seconds();
    report->seconds_sync = synced - begin;
    int data_fd = c->files[1] ? c->files[1]->fd : -1;
    const bool ok = model_check_written(s, c->files[0]->fd, c->files[0]->path, data_fd, &c->layout);
    report->seconds_check = clock_seconds() - synced;
    return ok;
}

static bool settle_data(Session *s, Compiled *c, RunReport *report) {
    if (!c->files[1]) {
        return true;
    }
    const double begin = clock_seconds();
    const bool ok = data_name_settle(s, c->files, &c->schedule, c->placeholder, &c->data_file);
    report->seconds_hash = clock_seconds() - begin;
    report->data_file = c->data_file;
    return ok;
}

Facts *compiled_facts(Compiled *c) {
    return c->facts;
}

SolvedList *compiled_solved(Compiled *c) {
    return &c->solved;
}

const Schedule *compiled_schedule(const Compiled *c) {
    return &c->schedule;
}

bool compiled_execute(Session *s, Compiled *c, Gpu *gpu, Str out_path, LayerResult *results,
                      RunReport *report) {
    const double begin = clock_seconds();
    *report = (RunReport){.output_size = c->layout.size[0] + c->layout.size[1]};
    name_outputs(s, c, out_path);
    assemble_known(&c->schedule, &c->layout, c->facts, &c->solved);
    const bool ok = exec_run(s, &c->schedule, gpu, c->files, &report->exec) && check_finite(s, c) &&
                    inputs_unchanged(s, c->model) && settle_data(s, c, report);
    report->failure = gpu ? gpu_failure(gpu, s->arena) : (Str){0};
    if (!ok || !finish_files(s, c, report)) {
        compiled_discard(c);
        return false;
    }
    report->seconds_total = clock_seconds() - begin;
    fill_results(c, results);
    return true;
}

const Output *compiled_file(const Compiled *c, int index) {
    return c->files[index];
}

bool compiled_commit(Session *s, Compiled *c, Str out_path, RunReport *report) {
    report->superseded = superseded_data(s, out_path, c->model, c->data_file);
    c->files[0]->path = out_path;
    if (c->files[1]) {
        c->files[1]->path = beside(s->arena, out_path, c->data_file);
    }
    for (int i = 1; i >= 0; i--) { /* the data first: the model is what makes it visible */
        Output *file = c->files[i];
        c->files[i] = NULL;
        if (file && !output_commit(file)) {
            compiled_discard(c);
            return false;
        }
    }
    return true;
}

void compiled_discard(Compiled *c) {
    for (int i = 0; i < 2; i++) {
        output_discard(c->files[i]);
        c->files[i] = NULL;
    }
}
