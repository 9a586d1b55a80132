/* Weights that data change (solve_weight.h): steps of edit in their order, scales, rounding, codes.
 */
#include "compiler/solve_weight.h"
#include "compiler/batchnorm.h"
#include "compiler/infer.h"
#include "compiler/weight_rows.h"
#include "kernels/scale.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/adaround.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/channel_scale.h"
#include "runtime/calib/clip.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/gptq.h"
#include "runtime/calib/gram.h"
#include "runtime/device/whole.h"
#include <string.h>

Stat *solve_stat_of(const Solve *solve, const ValueInfo *value, const Graph *graph) {
    return stats_find(solve->stats, observation_of(solve->seen, value, graph)->name);
}

Stat *solve_stat(const Solve *solve, const PlanLayer *planned) {
    return stats_find(solve->stats, observation_input(solve->seen, planned->layer)->name);
}

bool solve_seen(Solve *solve, const PlanLayer *planned, const Stat *stat, Span needs) {
    if (stat->rows > 0) {
        return true;
    }
    Session *s = solve->s;
    Diag *d = diag_error(s, "E0706", needs, "the input of %s has not been seen",
                         str_safe_c(s->arena, planned->layer->path));
    diag_note(d, "tensor \"%s\" is read in no batch: a branch that the data do not take",
              str_safe_c(s->arena, stat->name));
    diag_help(d, "add data that reach the layer, or leave it out of the rule");
    return false;
}

Grid solve_grid(const PlanLayer *planned) {
    const PlanFormat *f = &planned->format;
    const int own = planned->layer->weight->type;
    return (Grid){.format = f->element,
                  .granule = f->granule,
                  .block = f->block,
                  .scale_type = f->scale          ? f->scale->onnx_type
                                : own == K_DOUBLE ? K_FLOAT
                                                  : own,
                  .method = f->method};
}

/* ---- the weight as rows */

/* Sets pruned weights to 0, by the kernel that would prune them. */
static void prune(const PlanLayer *planned, float *w, Arena *arena) {
    const Tensor *t = planned->layer->weight;
    Kernel k = {.source = K_FLOAT, .count = t->count, .prune = planned->prune};
    k.keep = planned->keep;
    k.group = planned->group;
    k.prune_view = (KernelView){1, t->count, 1};
    if (planned->prune == PRUNE_NM) {
        const IrType type = {t->type, t->rank, t->dims};
        k.prune_view = infer_view(type, planned->layer->reduce_axis);
    } else {
        k.zeros = (int64_t)(planned->fraction * (double)t->count + 0.5);
    }
    const ArenaMark mark = arena_mark(arena);
    float *pruned = arena_many(arena, float, (size_t)t->count);
    device_whole(&k, w, (void *const[OUT_COUNT]){pruned}, NULL, arena);
    memcpy(w, pruned, (size_t)t->count * sizeof *w);
    arena_reset(arena, mark);
}

static void scale_columns(const Layer *layer, const Tensor *t, const float *s, float *w) {
    const KernelView view = infer_view((IrType){t->type, t->rank, t->dims}, layer->reduce_axis);
    for (int64_t i = 0; i < t->count; i++) {
        w[i] *= s[i / view.inner % view.axis];
    }
}

/* The BatchNormalization behind a convolution: a factor for each of its output channels. */
static bool take_norm_in(Solve *solve, const PlanLayer *planned, float *w, Arena *arena) {
    const Layer *layer = planned->layer;
    const IrType type = {layer->weight->type, layer->weight->rank, layer->weight->dims};
    const KernelView view = infer_view(type, layer->channel_axis);
    double *gain, *bias;
    TRY(batchnorm_factors(solve->s, layer, planned->norm, arena, &gain, &bias));
    for (int64_t i = 0; i < layer->weight->count; i++) {
        w[i] = (float)((double)w[i] * gain[i / view.inner % view.axis]);
    }
    return true;
}

/* 1 / s of the tie that the layer writes for. Last of all steps, and only to what is stored: a
 * search before it sees the weight of the float model, so no tie depends on another. */
static void divide_outputs(const Solve *solve, const PlanLayer *planned, float *w) {
    const Layer *layer = planned->layer;
    const IrType type = {layer->weight->type, layer->weight->rank, layer->weight->dims};
    const KernelView view = infer_view(type, layer->channel_axis);
    const float *s = solve->ties[planned->absorbs - solve->plan->ties.at].s;
    for (int64_t i = 0; i < layer->weight->count; i++) {
        w[i] /= s[i / view.inner % view.axis];
    }
}

/* In the tensor's order. */
static bool edit(Solve *solve, const PlanLayer *planned, const Step *until, float *w,
                 Arena *arena) {
    const Tensor *t = planned->layer->weight;
    const uint8_t *bytes = tensor_bytes(solve->s, t, solve->s->arena);
    TRY(bytes);
    array_convert(t->type, false, bytes, K_FLOAT, w, (size_t)t->count);
    const Rule *rule = planned->owner[0].rule;
    for (size_t i = 0; rule && i < rule->steps.len && rule->steps.at[i] != until; i++) {
        const Step *step = rule->steps.at[i];
        if (step == planned->prune_step) {
            prune(planned, w, arena);
        } else if (step == planned->smooth_step || step == planned->awq_step) {
            scale_columns(planned->layer, t, solve->ties[planned->tie].s, w);
        }
    }
    TRY(!planned->norm || take_norm_in(solve, planned, w, arena));
    if (planned->absorbs && !until) {
        divide_outputs(solve, planned, w);
    }
    return true;
}

bool solve_rows(Solve *solve, const PlanLayer *planned, const Step *until, Arena *arena,
                Rows *out) {
    const Layer *layer = planned->layer;
    const Tensor *t = layer->weight;
    const WeightRows shape = weight_rows(layer);
    *out = (Rows){.rows = shape.rows, .k = shape.k};
    out->w = arena_many(arena, float, (size_t)t->count);
    const ArenaMark mark = arena_mark(arena);
    float *w = arena_many(arena, float, (size_t)t->count);
    TRY(edit(solve, planned, until, w, arena));
    weight_to_rows(&shape, w, out->w);
    arena_reset(arena, mark);
    return true;
}

/* ---- scales and codes */

typedef struct WeightWork {
    Solve *solve;
    const PlanLayer *planned;
    const Spread *spread;
    Arena *arena;
    WeightRows shape;
    Rows rows; /* what there is to round */
    float
        *columns; /* ... in the order in which blocks are neighbours: that of scales and rounding */
    bool given;   /* scales and values are decided: */
    Scales scales;
    float *rounded; /* [rows][k]; NULL: to the nearest */
    float *nearest; /* [rows][k]: then, for round_nearest */
    Cut cut;
} WeightWork;

/* Scales of rows in the order of OUT_SCALES. */
static KernelGiven give(const WeightWork *w, bool asymmetric) {
    const Scales *scales = &w->scales;
    uint32_t *codes = arena_many(w->arena, uint32_t, (size_t)scales->count);
    float *zeros = arena_many(w->arena, float, (size_t)scales->count);
    const int64_t count = scales->row_step;
    for (int64_t i = 0; i < scales->count; i++) {
        const bool blocks = w->planned->format.granule == GRANULE_BLOCK;
        const int64_t at = blocks ? weight_scale_place(&w->shape, i / count, i % count, count) : i;
        codes[at] = scales->codes[i];
        zeros[at] = scales->zeros[i];
    }
    return (KernelGiven){codes, asymmetric ? zeros : NULL, scales->super};
}

static bool clips(const PlanLayer *planned) {
    const Value *clip = step_value(planned->awq_step, "clip");
    return clip && clip->flag && planned->format.granule != GRANULE_TENSOR;
}

/* The Gram matrix of what the weight meets: of the scaled input, of a group of channels. */
static const double *gram_of(WeightWork *w, int64_t group) {
    const int64_t k = w->rows.k;
    const Observation *seen = observation_gram(w->solve->seen, w->planned->layer, w->arena);
    const double *gram = stat_gram(stats_find(w->solve->stats, seen->name), group);
    if (w->planned->tie < 0) {
        return gram;
    }
    const float *factors = w->solve->ties[w->planned->tie].s;
    const int64_t taps = k / w->solve->plan->ties.at[w->planned->tie].k; /* of each channel */
    double *scaled = arena_many(w->arena, double, (size_t)(k * k));
    float *s = arena_many(w->arena, float, (size_t)k);
    for (int64_t i = 0; i < k; i++) {
        s[i] = factors[i / taps];
    }
    channel_scale_gram(gram, k, s, scaled);
    return scaled;
}

static bool by_place(const WeightWork *w) {
    return w->shape.taps > 1 && w->planned->format.granule == GRANULE_BLOCK;
}

/* ... of its columns as they are rounded. */
static const double *gram_of_columns(WeightWork *w, int64_t group) {
    const double *gram = gram_of(w, group);
    if (!by_place(w)) {
        return gram;
    }
    double *ordered = arena_many(w->arena, double, (size_t)(w->rows.k * w->rows.k));
    weight_gram_by_place(&w->shape, gram, ordered);
    return ordered;
}

/* Rows of a group, with scales that are those of the whole weight. */
static Scales part(const Scales *all, int64_t first, int64_t rows) {
    Scales s = *all;
    s.rows = rows;
    s.count = all->row_step ? rows * all->row_step : all->count;
    s.codes += first * all->row_step;
    s.divisors += first * all->row_step;
    s.zeros += first * all->row_step;
    return s;
}

/* Rows [first, first + rows) of the weight, which meet one Gram matrix. */
typedef struct RowGroup {
    int64_t index, rows, at; /* of the group; its rows; elements before it */
    const uint8_t *zero;
    Scales scales;
} RowGroup;

static bool round_gptq(WeightWork *w, const Grid *grid, RowGroup *group, GptqReport *report) {
    const ArgList *said = &w->planned->round_value->args;
    const Value *order = args_value(said, "order");
    const bool natural = order && str_is(order->text, "natural");
    Gptq gptq = {.grid = grid, GPTQ_DEFAULTS};
    /* no group moves what all share */
    gptq.scales &= w->planned->layer->groups == 1 || w->scales.row_step > 0;
    gptq.order = natural ? GPTQ_NATURAL : GPTQ_STATIC;
    gptq.damp = args_number(said, "damp", gptq.damp);
    gptq.block = (int64_t)args_number(said, "block", (double)gptq.block);
    gptq.w = w->columns + group->at;
    gptq.zero = group->zero;
    gptq.gram = gram_of_columns(w, group->index);
    return gptq_round(&gptq, &group->scales, w->rounded + group->at, report, w->arena, w->spread);
}

static bool round_adaround(WeightWork *w, const Grid *grid, RowGroup *group, GptqReport *report) {
    const Adaround adaround = {
        .grid = grid,
        .scales = &group->scales,
        .w = w->columns + group->at,
        .g = gram_narrow(w->arena, gram_of_columns(w, group->index), w->rows.k),
        .zero = group->zero,
        .steps = (int)args_number(&w->planned->round_value->args, "steps", 1000)};
    double losses[2];
    TRY(adaround_round(&adaround, w->rounded + group->at, losses, w->arena, w->spread));
    *report = (GptqReport){.nearest = losses[0], .loss = losses[1]};
    return true;
}

static bool round_rows(WeightWork *w, const Grid *grid) {
    const int64_t count = w->rows.rows * w->rows.k;
    const int64_t groups = w->planned->layer->groups, rows = w->rows.rows / groups;
    uint8_t *zero = NULL;
    if (w->planned->prune != PRUNE_NONE) {
        zero = arena_many(w->arena, uint8_t, (size_t)count);
        for (int64_t i = 0; i < count; i++) {
            zero[i] = w->columns[i] == 0.0f;
        }
    }
    w->rounded = arena_many(w->arena, float, (size_t)count);
    GptqReport *report = &w->solve->rounded[w->planned - w->solve->plan->layers_planned.at];
    const bool gptq = w->planned->round == ROUND_GPTQ;
    for (int64_t i = 0; i < groups; i++) {
        const int64_t at = i * rows * w->rows.k;
        RowGroup group = {i, rows, at, zero ? zero + at : NULL, part(&w->scales, i * rows, rows)};
        GptqReport one = {0};
        TRY(gptq ? round_gptq(w, grid, &group, &one) : round_adaround(w, grid, &group, &one));
        report->nearest += one.nearest;
        report->loss += one.loss;
        report->dead += one.dead;
        report->raises += one.raises;
        report->plain |= one.plain;
    }
    if (by_place(w)) {
        const float *rounded = w->rounded;
        w->rounded = arena_many(w->arena, float, (size_t)count);
        weight_by_channel(&w->shape, w->rows.rows, rounded, w->rounded);
    }
    return true;
}

static bool decide(WeightWork *w) {
    const PlanLayer *planned = w->planned;
    const bool learned = planned->round != ROUND_NEAREST, clip = clips(planned);
    if (!planned->quantized || !(learned || clip)) {
        return true;
    }
    const Observation *seen = observation_gram(w->solve->seen, planned->layer, w->arena);
    const Span needs = learned ? planned->round_value->span : planned->awq_step->span;
    TRY(solve_seen(w->solve, planned, stats_find(w->solve->stats, seen->name), needs));
    const Grid grid = solve_grid(planned);
    w->given = true;
    w->columns = w->rows.w;
    if (by_place(w)) {
        w->columns = arena_many(w->arena, float, (size_t)(w->rows.rows * w->rows.k));
        weight_by_place(&w->shape, w->rows.rows, w->rows.w, w->columns);
    }
    w->scales = scales_new(w->arena, &grid, w->rows.rows, w->rows.k);
    TRY(grid_scales(&grid, w->columns, &w->scales, w->arena, w->spread));
    if (clip) {
        const float *narrow = gram_narrow(w->arena, gram_of_columns(w, 0), w->rows.k);
        TRY(clip_scales(&grid, w->columns, narrow, &w->scales, w->arena, w->spread));
    }
    return !learned || round_rows(w, &grid);
}

static void nearest_task(void *user, size_t task) {
    const WeightWork *w = user;
    const Grid grid = solve_grid(w->planned);
    const int64_t first = cut_first(&w->cut, task), rows = cut_end(&w->cut, task) - first;
    const int64_t at = first * w->rows.k;
    grid_round_rows(&grid, &w->scales, first, rows, w->rows.w + at, w->nearest + at);
}

/* The values of the given scales that are nearest. */
static bool round_nearest(WeightWork *w) {
    w->nearest = arena_many(w->arena, float, (size_t)(w->rows.rows * w->rows.k));
    w->cut = cut_rows(w->rows.rows, w->rows.k);
    return spread_run(w->spread, nearest_task, w, w->cut.tasks);
}

/* What a kernel op wants of a weight whose values and scales are decided. */
static bool encode(WeightWork *w, Solved *one) {
    Session *s = w->solve->s;
    Kernel k = one->kernel;
    const int own = k.source;
    k.prune = PRUNE_NONE; /* done */
    k.source = k.format ? K_FLOAT : own;
    for (KernelOutput out = 0; out < OUT_COUNT; out++) {
        const int64_t size = kernel_output_size(&k, out);
        one->outs[out] = size > 0 ? arena_alloc(s->arena, (size_t)size) : NULL;
    }
    float *edited = arena_many(w->arena, float, (size_t)k.count);
    if (!k.format) { /* a float weight, for weights = float */
        weight_from_rows(&w->shape, w->rounded ? w->rounded : w->rows.w, edited);
        array_convert(K_FLOAT, false, edited, own, one->outs[OUT_CODES], (size_t)k.count);
        return true;
    }
    weight_from_rows(&w->shape, w->rows.w, edited);
    if (!w->given) {
        device_whole(&k, edited, one->outs, &one->metrics, w->arena);
        return true;
    }
    TRY(w->rounded || w->nearest || round_nearest(w));
    float *values = arena_many(w->arena, float, (size_t)k.count);
    weight_from_rows(&w->shape, w->rounded ? w->rounded : w->nearest, values);
    const KernelGiven given = give(w, k.format->asymmetric);
    kernel_given(&k, values, &given, one->outs);
    kernel_compare(&k, edited, values, &one->metrics); /* values are what codes decode to */
    return true;
}

/* The pass that the weight waits for: factors that it is multiplied and divided by, its Gram
 * matrix. */
static int pass_of(Solve *solve, const PlanLayer *planned) {
    int pass = planned->tie >= 0 ? solve_pass_of_tie(solve, planned->tie) : 0;
    if (planned->absorbs) {
        const int tie = solve_pass_of_tie(solve, (int)(planned->absorbs - solve->plan->ties.at));
        pass = tie > pass ? tie : pass;
    }
    if (planned->quantized && planned->round != ROUND_NEAREST) {
        const ArenaMark mark = arena_mark(solve->s->arena);
        const int gram = observation_gram(solve->seen, planned->layer, solve->s->arena)->pass;
        arena_reset(solve->s->arena, mark);
        pass = gram > pass ? gram : pass;
    }
    return pass;
}

bool solve_weights(Solve *solve, int pass, const Spread *spread) {
    Session *s = solve->s;
    for (size_t i = 0; i < solve->solved->len;) {
        Solved *one = &solve->solved->at[i];
        WeightWork w = {.solve = solve, .spread = spread};
        w.planned = &solve->plan->layers_planned.at[one->layer];
        const Str name = one->name;
        size_t end = i + 1;
        while (end < solve->solved->len && str_eq(solve->solved->at[end].name, name)) {
            end++;
        }
        if (pass_of(solve, w.planned) != pass) {
            i = end;
            continue;
        }
        if (session_stopped(s)) {
            return false;
        }
        if (s->progress) {
            s->progress(s->progress_user, "solve", i, solve->solved->len);
        }
        w.arena = session_arena_open(s);
        w.shape = weight_rows(w.planned->layer);
        bool ok = solve_rows(solve, w.planned, NULL, w.arena, &w.rows) && decide(&w);
        for (; ok && i < end; i++) {
            ok = encode(&w, &solve->solved->at[i]);
            solve->done[i] = true;
        }
        session_arena_close(s, w.arena);
        TRY(ok);
    }
    return true;
}
