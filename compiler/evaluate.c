/* Two models through the engine (evaluate.h). */
#include "compiler/evaluate.h"
#include <math.h>
#include <string.h>
#include "compiler/data_wish.h"
#include "runtime/base/clock.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"
#include "runtime/engine/engine.h"
#include "runtime/exec/spread_threads.h"

typedef struct Trial {
    Session *s;
    const Plan *plan;
    Evaluation *e;
    Arena *arena; /* until the end */
    Engine *engine;
    EngineModel *model[2]; /* the float one, the new one */
    Input *written[2];     /* the new one and its data file, mapped */
    SpreadThreads *threads;
    OutputSums sums;
    /* of a batch */
    DataTensor *given;
    EngineTensor *in;
    size_t inputs, given_count;
    Str *names; /* of the outputs that are compared */
    EngineTensor *out[2];
    size_t compared;
    Vec(int64_t) next, labels; /* answers of rows (OutputPair) */
} Trial;

static Span place(const Trial *t) {
    return t->plan->evaluation.step->span;
}

static const char *data_shown(const Trial *t) {
    return str_safe_c(t->s->arena, t->plan->evaluation.data->name);
}

static Diag *report(const Trial *t, const char *what, Str why) {
    Diag *d = diag_error(t->s, "E0707", place(t), "%s", what);
    diag_note(d, "%s", str_safe_c(t->s->arena, why));
    return d;
}

static bool fail(const Trial *t, const char *what, Str why) {
    if (!session_stopped(t->s)) {
        report(t, what, why);
    }
    return false;
}

/* Formats may be ahead of the engine at hand. */
static bool fail_new(const Trial *t, const char *what, Str why) {
    if (!session_stopped(t->s)) {
        diag_help(report(t, what, why), "without `evaluate` and expects of the whole model it is "
                                        "written unjudged");
    }
    return false;
}

/* ---- before any work */

static bool check_labels(Session *s, const Plan *plan, const Evaluation *e) {
    const Expr *accuracy = plan->evaluation.asked[METRIC_ACCURACY];
    if (!accuracy || dataset_has_labels(e->data)) {
        return true;
    }
    Diag *d = diag_error(s, "E0709", accuracy->span, "this data cannot tell the `accuracy`");
    diag_label(d, "`%s` has no array `labels`", str_safe_c(s->arena, plan->evaluation.data->name));
    diag_help(d, "`agreement` is the share of answers that are those of the float model");
    return false;
}

bool evaluate_open(Session *s, const Plan *plan, Evaluation *e) {
    const PlanEvaluation *asked = &plan->evaluation;
    DataWish wish;
    TRY(data_of_step(s, plan->recipe, asked->step, e->args, e->get, &wish));
    wish.part = asked->held_out ? DATA_TENTH : DATA_ALL;
    size_t count;
    const DataInput *inputs = data_inputs_of_model(s, plan->layers->model, &count);
    e->data = dataset_open(s, &wish, inputs, count);
    TRY(e->data && check_labels(s, plan, e));
    e->result.samples = dataset_samples(e->data);
    const EngineWish engine = {.get = e->get};
    Engine *found = engine_need(s, &engine, asked->step->span);
    engine_close(s, found); /* whoever forks comes first (engine.h) */
    return found != NULL;
}

/* ---- models */

static bool load_float(Trial *t) {
    const Model *model = t->plan->layers->model;
    const EngineLoad load = {.bytes = model->input->data,
                             .size = (size_t)model->input->size,
                             .folder = model_data_folder(t->s, model)};
    Str why = {0};
    t->model[0] = engine_load(t->s, t->engine, &load, &why);
    return t->model[0] || fail(t, "the engine does not take the float model", why);
}

static bool load_new(Trial *t, const Output *model, const Output *data, Str data_name) {
    t->written[0] = input_from(t->s, model->fd, model->path);
    TRY(t->written[0]);
    EngineFile file = {.name = data_name};
    if (data) {
        t->written[1] = input_from(t->s, data->fd, data->path);
        TRY(t->written[1]);
        file.bytes = t->written[1]->data;
        file.size = (size_t)t->written[1]->size;
    }
    const EngineLoad load = {.bytes = t->written[0]->data,
                             .size = (size_t)t->written[0]->size,
                             .file = data ? &file : NULL};
    Str why = {0};
    t->model[1] = engine_load(t->s, t->engine, &load, &why);
    return t->model[1] || fail_new(t, "the engine does not take the new model", why);
}

static bool choose_outputs(Trial *t) {
    const EnginePort *ports;
    const size_t count = engine_outputs(t->model[0], &ports);
    t->names = arena_many(t->arena, Str, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (output_type_known(ports[i].type)) {
            t->names[t->compared++] = ports[i].name;
        }
    }
    for (int k = 0; k < 2; k++) {
        t->out[k] = arena_many(t->arena, EngineTensor, count + 1);
    }
    t->e->result.compared = (int)t->compared;
    t->e->result.outputs = (int)count;
    return t->compared ||
           fail(t, "there is nothing to compare", STR("the model has no output of floats"));
}

/* ---- answers of rows */

static bool does_not_fit(const Trial *t, const char *what, const EngineTensor *out) {
    Diag *d =
        diag_error(t->s, "E0702", place(t), "`%s` does not fit the model: %s", data_shown(t), what);
    Buf shape = buf_on(t->s->arena);
    for (int i = 0; i < out->rank; i++) {
        buf_printf(&shape, "%s%lld", i ? ", " : "", (long long)out->dims[i]);
    }
    diag_note(d, "output `%s` is [%s]", str_safe_c(t->s->arena, out->name),
              shape.len ? shape.data : "");
    return false;
}

/* The token after each; the last of a sequence has none. False: not what the plan took it for. */
static bool find_next(Trial *t, const EngineTensor *logits) {
    const DataTensor *ids = &t->given[t->plan->evaluation.tokens];
    const bool fits = logits->rank == 3 && ids->rank == 2 && ids->data &&
                      logits->dims[0] == ids->dims[0] && logits->dims[1] == ids->dims[1];
    if (!fits) {
        return false;
    }
    const size_t bytes = array_type(ids->type)->bytes;
    const int64_t rows = ids->dims[0] * ids->dims[1], length = ids->dims[1];
    t->next.len = 0;
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *at = (const uint8_t *)ids->data + (size_t)(i + 1) * bytes;
        const bool last = i % length == length - 1;
        const int64_t answer = last ? -1 : array_integer(ids->type, at);
        if (answer >= logits->dims[2]) {
            return does_not_fit(t, "a token number is above the vocabulary", logits);
        }
        vec_push(t->arena, &t->next, answer);
    }
    return true;
}

static bool find_next_or_say(Trial *t, const EngineTensor *logits) {
    const Expr *asked = t->plan->evaluation.asked[METRIC_PERPLEXITY];
    const size_t errors = t->s->diags.errors;
    t->next.len = 0;
    if (t->plan->evaluation.tokens < 0 || find_next(t, logits) || !asked) {
        return t->s->diags.errors == errors;
    }
    if (t->s->diags.errors == errors) {
        Diag *d =
            diag_error(t->s, "E0709", asked->span, "this model cannot be judged by `perplexity`");
        diag_label(d, "how well it predicts the next token");
        diag_note(d, "its first output of floats has no logits for every token");
    }
    return false;
}

/* Why labels and rows do not go together; NULL: they do, and are in t->labels. */
static const char *find_labels(Trial *t, const DataTensor *labels, int64_t rows, int64_t width) {
    const ArrayType *type = array_type(labels->type);
    int64_t count = 1;
    for (int i = 0; i < labels->rank; i++) {
        count *= labels->dims[i];
    }
    if (type->kind == ARRAY_FLOAT) {
        return "labels are no whole numbers";
    }
    if (count != rows) {
        return "there is not one label for each row of the output";
    }
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *at = (const uint8_t *)labels->data + (size_t)i * type->bytes;
        const int64_t label = array_integer(labels->type, at);
        if (label >= width) {
            return "a label is above the width of the output";
        }
        vec_push(t->arena, &t->labels, label);
    }
    return NULL;
}

static bool find_labels_or_say(Trial *t, int64_t batch, const EngineTensor *out,
                               const OutputPair *pair) {
    DataTensor labels;
    t->labels.len = 0;
    if (!dataset_has_labels(t->e->data) || t->e->unused_labels) {
        return true;
    }
    TRY(dataset_labels(t->s, t->e->data, batch, &labels));
    const char *why = find_labels(t, &labels, pair->rows, pair->width);
    if (why && t->plan->evaluation.asked[METRIC_ACCURACY]) {
        return does_not_fit(t, why, out);
    }
    if (why) { /* from now on: half an accuracy would be none */
        t->e->unused_labels = why;
        t->sums.labelled = t->sums.right[0] = t->sums.right[1] = 0;
        t->labels.len = 0;
    }
    return true;
}

/* ---- one batch */

static bool run_model(Trial *t, int which) {
    Str why = {0};
    const bool ok = engine_run(t->model[which], t->in, t->given_count, t->names, t->compared,
                               t->out[which], &why);
    return ok || (which ? fail_new(t, "the engine cannot run the new model on the data", why)
                        : fail(t, "the engine cannot run the float model on the data", why));
}

static bool same_shape(const EngineTensor *a, const EngineTensor *b) {
    return a->type == b->type && a->rank == b->rank && a->size == b->size &&
           (a->rank == 0 || memcmp(a->dims, b->dims, sizeof(int64_t) * (size_t)a->rank) == 0);
}

static bool compare(Trial *t, int64_t batch, size_t i) {
    const EngineTensor *a = &t->out[0][i], *b = &t->out[1][i];
    if (!same_shape(a, b)) {
        return fail(t, "the two models give outputs of different shapes", a->name);
    }
    OutputPair pair = {.type = a->type, .rows = 1, .width = 1};
    for (int k = 0; k < a->rank; k++) {
        *(k == a->rank - 1 ? &pair.width : &pair.rows) *= a->dims[k];
    }
    pair.reference = a->data;
    pair.model = b->data;
    const Spread *spread = spread_threads(t->threads);
    bool done = outputs_add_values(&t->sums, &pair, spread);
    if (i == 0) {
        TRY(find_next_or_say(t, a) && find_labels_or_say(t, batch, a, &pair));
        pair.next = t->next.len ? t->next.at : NULL;
        pair.labels = t->labels.len ? t->labels.at : NULL;
        done = done && outputs_add_rows(&t->sums, &pair, spread);
    }
    return done || fail(t, "the outputs could not be compared", STR("no threads"));
}

static bool run_batch(Trial *t, int64_t batch) {
    TRY(dataset_batch(t->s, t->e->data, batch, t->given));
    t->given_count = 0;
    for (size_t i = 0; i < t->inputs; i++) {
        const DataTensor *x = &t->given[i];
        if (x->data || x->size == 0) {
            t->in[t->given_count++] = (EngineTensor){
                x->name, x->type, x->rank, x->dims, (void *)(uintptr_t)x->data, (size_t)x->size};
        }
    }
    TRY(run_model(t, 0) && run_model(t, 1));
    for (size_t i = 0; i < t->compared; i++) {
        TRY(compare(t, batch, i));
    }
    engine_release_outputs(t->model[0]);
    engine_release_outputs(t->model[1]);
    return true;
}

static bool run_data(Trial *t) {
    Session *s = t->s;
    const int64_t batches = dataset_batches(t->e->data);
    data_inputs_of_model(s, t->plan->layers->model, &t->inputs);
    t->given = arena_many(t->arena, DataTensor, t->inputs + 1);
    t->in = arena_many(t->arena, EngineTensor, t->inputs + 1);
    for (int64_t i = 0; i < batches; i++) {
        if (s->progress) {
            s->progress(s->progress_user, "evaluate", (uint64_t)i, (uint64_t)batches);
        }
        TRY(!session_stopped(s) && run_batch(t, i));
    }
    return dataset_unchanged(s, t->e->data);
}

/* Sequences of one token predict nothing; a label may be missing everywhere. */
static bool all_measured(const Trial *t) {
    for (int m = 0; m < OUTPUT_METRICS; m++) {
        const Expr *asked = t->plan->evaluation.asked[m];
        if (asked && isnan(t->e->result.scores.of[1][m])) {
            Diag *d = diag_error(t->s, "E0709", asked->span, "this data cannot tell the `%s`",
                                 output_metric_name((OutputMetric)m));
            diag_label(d, "`%s` has no values for it", data_shown(t));
            return false;
        }
    }
    return true;
}

static bool trial(Trial *t, const Output *model, const Output *data, Str data_name) {
    const EngineWish wish = {.get = t->e->get};
    t->engine = engine_need(t->s, &wish, place(t));
    TRY(t->engine);
    t->e->engine =
        str_format(t->s->arena, "ONNX Runtime %.*s, CPU", STR_ARG(engine_version(t->engine)));
    TRY(load_float(t) && load_new(t, model, data, data_name) && choose_outputs(t) && run_data(t));
    t->e->result.scores = output_scores(&t->sums);
    t->e->result.undefined = t->sums.undefined;
    return all_measured(t);
}

bool evaluate_run(Session *s, const Plan *plan, Evaluation *e, const Output *model,
                  const Output *data, Str data_name) {
    const double begin = clock_seconds();
    Trial t = {.s = s, .plan = plan, .e = e, .arena = session_arena_open(s)};
    t.threads = spread_threads_open(s);
    const bool ok = trial(&t, model, data, data_name);
    for (int i = 0; i < 2; i++) {
        engine_unload(s, t.model[i]);
    }
    engine_close(s, t.engine);
    spread_threads_close(s, t.threads);
    for (int i = 0; i < 2; i++) {
        input_close(s, t.written[i]);
    }
    dataset_close(s, e->data);
    e->data = NULL;
    session_arena_close(s, t.arena);
    e->seconds = clock_seconds() - begin;
    return ok;
}
