/* Edits of the copy: IR of streams, ties and biases, and payloads of weights (encoded_copy.h). */
#include "compiler/encoded_copy.h"
#include "compiler/apply.h"
#include "compiler/lower_input.h"
#include "compiler/passes.h"
#include "kernels/scale.h"
#include "runtime/calib/array_type.h"
#include "runtime/device/whole.h"
#include "runtime/model/model.h"
#include <string.h>

/* ---- what is ready at a level */

static int level_of(const EncodedCopy *c, const ValueInfo *value) {
    return observation_level(c->solve->plan->layers, value);
}

static Str weight_name(const PlanLayer *planned) {
    return planned->layer->weight_at->inputs[planned->layer->weight_slot]->name;
}

/* Of the weight: the one that encodes, if several make something of it. -1: none. */
static int find_solved(const EncodedCopy *c, const PlanLayer *planned) {
    int found = -1;
    for (size_t i = 0; i < c->solve->solved->len; i++) {
        const Solved *one = &c->solve->solved->at[i];
        if (str_eq(one->name, weight_name(planned)) && (found < 0 || one->kernel.format)) {
            found = (int)i;
        }
    }
    return found;
}

static const ScheduleJob *find_job(const EncodedCopy *c, const PlanLayer *planned) {
    const ScheduleJob *found = NULL;
    for (size_t i = 0; i < c->schedule->jobs.len; i++) {
        const ScheduleJob *job = &c->schedule->jobs.at[i];
        if (str_eq(job->name, weight_name(planned)) && (!found || job->kernel.format)) {
            found = job;
        }
    }
    return found;
}

static bool scale_is_known(const EncodedCopy *c, int stream, int level) {
    const Plan *plan = c->solve->plan;
    const int scale = plan->streams.at[stream].scale;
    if (!stream_measured(&plan->streams.at[stream])) {
        return true;
    }
    TRY(c->solve->ranged[stream]);
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *one = &plan->streams.at[i];
        TRY(!stream_measured(one) || one->scale != scale || level_of(c, one->value) < level);
    }
    return true;
}

static bool layer_is_ready(const EncodedCopy *c, const PlanLayer *planned, int level) {
    TRY(planned->layer->weight && planned->tensor >= 0 && planned->layer->depth <= level);
    TRY(planned->stream < 0 || scale_is_known(c, planned->stream, level));
    const int solved = find_solved(c, planned);
    return solved >= 0 ? c->solve->done[solved] : find_job(c, planned) != NULL;
}

/* Layers of a tie, whose factors go into one norm, come together. */
static void find_ready(EncodedCopy *c, int level) {
    const Plan *plan = c->solve->plan;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        c->layers[i] = layer_is_ready(c, &plan->layers_planned.at[i], level);
    }
    for (size_t i = 0; i < plan->ties.len; i++) {
        const PlanTie *tie = &plan->ties.at[i];
        c->ties[i] = level_of(c, tie->value) < level;
        for (size_t k = 0; k < tie->layers.len; k++) {
            c->ties[i] = c->ties[i] && c->layers[tie->layers.at[k]];
        }
        for (size_t k = 0; k < tie->layers.len && !c->ties[i]; k++) {
            c->layers[tie->layers.at[k]] = false;
        }
    }
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        c->streams[i] = level_of(c, stream->value) < level && scale_is_known(c, (int)i, level) &&
                        (stream->tie < 0 || c->ties[stream->tie]);
    }
}

/* ---- weights */

/* Runs the kernel of a weight that needs no data. */
static void run_kernel(const ScheduleJob *job, void *outs[OUT_COUNT], Arena *arena) {
    for (KernelOutput out = 0; out < OUT_COUNT; out++) {
        const int64_t size = kernel_output_size(&job->kernel, out);
        outs[out] = size > 0 ? arena_alloc(arena, (size_t)size) : NULL;
    }
    device_whole(&job->kernel, job->source, outs, NULL, arena);
}

static void *decode(EncodedCopy *c, const PlanLayer *planned) {
    const Tensor *t = planned->layer->weight;
    const int solved = find_solved(c, planned);
    void *own = arena_alloc(c->arena, (size_t)t->size);
    Arena *scratch = session_arena_open(c->solve->s);
    Kernel kernel;
    void *outs[OUT_COUNT];
    if (solved >= 0) {
        kernel = c->solve->solved->at[solved].kernel;
        memcpy(outs, c->solve->solved->at[solved].outs, sizeof outs);
    } else {
        const ScheduleJob *job = find_job(c, planned);
        kernel = job->kernel;
        run_kernel(job, outs, scratch);
    }
    float *values = arena_many(scratch, float, (size_t)t->count);
    kernel_decode(&kernel, outs, values);
    array_convert(K_FLOAT, false, values, t->type, own, (size_t)t->count);
    session_arena_close(c->solve->s, scratch);
    return own;
}

/* In its place; beside it where others read it, who may want it as it was. */
static void put_weight(EncodedCopy *c, Model *copy, int index) {
    const PlanLayer *planned = &c->solve->plan->layers_planned.at[index];
    const Layer *layer = planned->layer;
    Node *node =
        copy->graphs.at[layer->weight_at->graph->number]->nodes.at[layer->weight_at->index];
    const ValueInfo *value = node->inputs[layer->weight_slot];
    const Tensor *t = value->constant;
    const int64_t tag = tag_make(TAG_SOLVED, index, 0);
    if (!c->weights[index]) {
        c->weights[index] = decode(c, planned);
    }
    if (value->uses.len == 1 && !value->graph_output) {
        edit_replace_payload(t, tag);
        return;
    }
    const NewTensor made = {
        .name = model_fresh_name(
            copy, str_format(c->solve->s->arena, "%.*s_encoded", STR_ARG(value->name))),
        .type = t->type,
        .rank = t->rank,
        .dims = t->dims,
        .size = t->size,
        .tag = tag};
    edit_add_initializer((Graph *)(uintptr_t)value->graph, &made);
    edit_node_input(node, layer->weight_slot, made.name);
}

/* ---- the edits */

static Str fresh_name(void *model, Str wanted) {
    return model_fresh_name(model, wanted);
}

static bool edit(void *user, Model *copy, int level) {
    EncodedCopy *c = user;
    Session *s = c->solve->s;
    find_ready(c, level);
    c->facts = facts_make(s->arena);
    Ir *ir = ir_make(s->arena);
    ir->fresh = fresh_name;
    ir->model = copy;
    ir->model_opset = ir->opset = copy->opset;
    ir->emit = STR("qdq");
    const LowerOnly only = {c->ties, c->streams, c->layers};
    lower_inputs(c->solve->plan, &only, c->facts, ir);
    TRY(passes_run(s, ir, (Str){0}, NULL) && solve_facts(c->solve, c->facts));
    TRY(apply(s, ir, c->facts, copy));
    for (size_t i = 0; i < c->solve->plan->layers_planned.len; i++) {
        if (c->layers[i]) {
            put_weight(c, copy, (int)i);
        }
    }
    return true;
}

static const void *bytes(void *user, int64_t tag) {
    const EncodedCopy *c = user;
    return tag_kind(tag) == TAG_FACT ? c->facts->all.at[tag_number(tag)].bytes
                                     : c->weights[tag_number(tag)];
}

EncodedCopy *encoded_copy(Solve *solve, const Schedule *schedule, Arena *arena) {
    EncodedCopy *c = arena_new(arena, EncodedCopy);
    *c = (EncodedCopy){.solve = solve, .schedule = schedule, .arena = arena};
    const Plan *plan = solve->plan;
    c->weights = arena_many(arena, void *, plan->layers_planned.len + 1);
    c->layers = arena_many(arena, bool, plan->layers_planned.len + 1);
    c->ties = arena_many(arena, bool, plan->ties.len + 1);
    c->streams = arena_many(arena, bool, plan->streams.len + 1);
    c->edits = (InstrumentEdits){c, edit, bytes};
    return c;
}
