/* Factors, ranges, facts (solve.h). */
#include "compiler/solve.h"
#include "compiler/solve_bias.h"
#include "compiler/solve_weight.h"
#include "kernels/scale.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/awq.h"
#include "runtime/calib/calibrator.h"
#include "runtime/calib/smooth.h"
#include "runtime/calib/stat_magnitudes.h"
#include "runtime/exec/spread_threads.h"
#include <string.h>

/* ---- factors */

typedef struct TieWork {
    Solve *solve;
    const PlanTie *tie;
    const PlanLayer *first;
    Stat *stat;
    ScaledWeight *weights;
    Grid *grids;
    size_t count;
    Arena *arena;
    const Spread *spread;
} TieWork;

/* |column|^2 of what each channel meets; a convolution's channel meets several columns. */
static void add_squares(const TieWork *w, const Rows *rows, double *squares) {
    const int64_t taps = rows->k / (w->tie->k > 0 ? w->tie->k : 1);
    double *columns = arena_many(w->arena, double, (size_t)rows->k);
    channel_squares(rows->w, rows->rows, rows->k, columns);
    for (int64_t i = 0; i < rows->k; i++) {
        squares[i / taps] += columns[i];
    }
}

static bool gather_weights(TieWork *w, SolvedTie *out) {
    const PlanTie *tie = w->tie;
    w->weights = arena_many(w->arena, ScaledWeight, tie->layers.len);
    w->grids = arena_many(w->arena, Grid, tie->layers.len);
    for (size_t i = 0; i < tie->layers.len; i++) {
        const PlanLayer *planned = &w->solve->plan->layers_planned.at[tie->layers.at[i]];
        Rows rows;
        TRY(solve_rows(w->solve, planned, tie->step, w->arena, &rows));
        w->grids[i] = solve_grid(planned);
        if (rows.rows > 0) {
            add_squares(w, &rows, out->squares);
            w->weights[w->count++] = (ScaledWeight){&w->grids[i], rows.w, rows.rows};
        }
    }
    return true;
}

/* How the range of a stream is found; NULL: by a name that nothing has. */
static const Calibrator *calibrator_of(const PlanStream *stream, CalibArgs *args) {
    const Value *method = step_value(stream->calibrate, "method");
    *args = CALIB_ARGS_DEFAULT;
    if (method) {
        args->percentile = args_number(&method->args, "p", args->percentile);
    }
    return calibrator_find(method ? method->text : STR("max"));
}

/* The largest weight that each channel meets. */
static float *weight_maxima(const TieWork *w, int64_t taps) {
    const int64_t columns = w->tie->k * taps;
    float *amax = arena_many(w->arena, float, (size_t)columns);
    memset(amax, 0, (size_t)columns * sizeof *amax);
    for (size_t i = 0; i < w->count; i++) {
        channel_widen(w->weights[i].w, w->weights[i].rows, columns, amax);
    }
    for (int64_t i = 0; i < columns; i++) { /* in place: a channel lies before its columns */
        amax[i / taps] = i % taps == 0 || amax[i] > amax[i / taps] ? amax[i] : amax[i / taps];
    }
    return amax;
}

static bool search_alpha(TieWork *w, int64_t taps, SolvedTie *out) {
    const int stream = w->first->stream;
    const PlanStream *read = stream >= 0 ? &w->solve->plan->streams.at[stream] : NULL;
    const Str name = observation_gram(w->solve->seen, w->first->layer, w->arena)->name;
    Stat *walk = stats_find(w->solve->stats, name);
    const int64_t columns = w->tie->k * taps;
    float *amax = arena_many(w->arena, float, (size_t)columns);
    float *s = arena_many(w->arena, float, (size_t)columns);
    for (int64_t i = 0; i < columns; i++) {
        amax[i] = w->stat->channel_amax[i / taps];
    }
    Smooth smooth = {.weights = w->weights,
                     .count = w->count,
                     .k = columns,
                     .taps = taps,
                     .gram = stat_gram(walk, 0),
                     .tokens = (int64_t)walk->places,
                     .amax = amax,
                     .activation = read ? read->element : NULL,
                     .rows = read && read->token,
                     .steps = 20};
    if (read && stream_measured(read) && w->stat->magnitudes) {
        smooth.magnitudes = w->stat;
        smooth.calibrator = calibrator_of(read, &smooth.args);
    }
    SmoothReport report;
    TRY(smooth_search(&smooth, s, &report, w->arena, w->spread));
    for (int64_t i = 0; i < w->tie->k; i++) {
        out->s[i] = s[i * taps];
    }
    out->choice = report.alpha;
    out->before = report.before;
    out->after = report.weight + report.activation;
    return true;
}

static bool smooth_tie(TieWork *w, SolvedTie *out) {
    const Value *alpha = step_value(w->tie->step, "alpha");
    const bool given = alpha && (alpha->type == VALUE_FLOAT || alpha->type == VALUE_INT);
    /* of a convolution: walks that differ have factors of their own, so siblings are alike */
    const Tensor *weight = w->first->layer->weight;
    int64_t taps = 1;
    for (int i = 2; i < weight->rank; i++) {
        taps *= weight->dims[i];
    }
    if (!given) {
        return search_alpha(w, taps, out);
    }
    out->choice = alpha->type == VALUE_INT ? (double)alpha->integer : alpha->number;
    smooth_scale(w->stat->channel_amax, weight_maxima(w, taps), w->tie->k, out->choice, out->s);
    return true;
}

static bool awq_tie(TieWork *w, SolvedTie *out) {
    const Value *grid = step_value(w->tie->step, "grid");
    float *mean = arena_many(w->arena, float, (size_t)w->tie->k);
    for (int64_t i = 0; i < w->tie->k; i++) {
        mean[i] = (float)(w->stat->channel_sum_abs[i] / (double)w->stat->rows);
    }
    ScaledWeight *rounded = arena_many(w->arena, ScaledWeight, w->count);
    size_t count = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->weights[i].grid->format) {
            rounded[count++] = w->weights[i];
        }
    }
    Awq awq = {.weights = rounded,
               .count = count,
               .k = w->tie->k,
               .gram = stat_gram(w->stat, 0),
               .mean = mean,
               .steps = grid ? (int)grid->integer : 20};
    AwqReport report;
    TRY(awq_search(&awq, out->s, &report, w->arena, w->spread));
    out->choice = report.ratio;
    out->before = report.before;
    out->after = report.loss;
    return true;
}

/* Weights without outputs want no factors. */
static bool no_factors(const TieWork *w, SolvedTie *out) {
    for (int64_t i = 0; i < w->tie->k; i++) {
        out->s[i] = 1.0f;
    }
    out->choice = -1;
    return true;
}

static bool solve_tie(TieWork *w, SolvedTie *out) {
    TRY(solve_seen(w->solve, w->first, w->stat, w->tie->step->span) && gather_weights(w, out));
    const bool awq = strcmp(w->tie->step->schema->name, "awq") == 0;
    return w->count == 0 ? no_factors(w, out) : awq ? awq_tie(w, out) : smooth_tie(w, out);
}

static bool solve_ties(Solve *solve, int pass, const Spread *spread) {
    for (size_t i = 0; i < solve->plan->ties.len; i++) {
        const PlanTie *tie = &solve->plan->ties.at[i];
        SolvedTie *out = &solve->ties[i];
        if (solve_pass_of_tie(solve, (int)i) != pass) {
            continue;
        }
        if (session_stopped(solve->s)) {
            return false;
        }
        if (solve->s->progress) {
            solve->s->progress(solve->s->progress_user, tie->step->schema->name, i,
                               solve->plan->ties.len);
        }
        out->s = arena_many(solve->s->arena, float, (size_t)tie->k);
        out->squares = arena_many(solve->s->arena, double, (size_t)tie->k);
        TieWork w = {.solve = solve, .tie = tie, .spread = spread};
        w.arena = session_arena_open(solve->s);
        w.first = &solve->plan->layers_planned.at[tie->layers.at[0]];
        w.stat = solve_stat(solve, w.first);
        const bool ok = solve_tie(&w, out);
        session_arena_close(solve->s, w.arena);
        TRY(ok);
    }
    return true;
}

/* ---- ranges */

/* Of x / s: the largest magnitude of a channel, over its factor. */
static CalibRange scaled_range(const Stat *stat, const PlanTie *tie, const float *s) {
    float amax = 0;
    for (int64_t i = 0; i < tie->k; i++) {
        const float x = stat->channel_amax[i] * (1.0f / s[i]);
        amax = x > amax ? x : amax;
    }
    return (CalibRange){stat->min < 0 ? -amax : 0, stat->max > 0 ? amax : 0, amax};
}

static bool range_of(Solve *solve, const PlanStream *stream, CalibRange *range) {
    const PlanLayer *first = &solve->plan->layers_planned.at[stream->layers.at[0]];
    const bool tied = stream->tie >= 0;
    const Stat *stat =
        tied ? solve_stat(solve, first) : solve_stat_of(solve, stream->value, stream->graph);
    const CalibTarget target = {stream->element};
    CalibArgs args;
    const Calibrator *calibrator = calibrator_of(stream, &args);
    if (tied) {
        const SolvedTie *solved = &solve->ties[stream->tie];
        if (!stat->magnitudes) {
            *range = scaled_range(stat, &solve->plan->ties.at[stream->tie], solved->s);
            return true;
        }
        const bool weighs = calibrator && calibrator->weighs;
        stat = magnitudes_scaled(solve->s->arena, stat, solved->s, weighs ? solved->squares : NULL);
    }
    const char *why = calibrator ? calibrator_range(calibrator, stat, &target, &args, range)
                                 : "has no calibrator of that name";
    if (why) {
        const bool input = first->layer->input == stream->value;
        Diag *d =
            diag_error(solve->s, "E0706", stream->calibrate->span, "%s %.*s has no range",
                       input ? "the input of" : "a value around", STR_ARG(first->layer->path));
        diag_note(d, "tensor \"%s\" %s", str_safe_c(solve->s->arena, stat->name), why);
    }
    return why == NULL;
}

/* Streams that share a scale take the largest range. */
static void widen(CalibRange *shared, const CalibRange *range) {
    shared->lo = range->lo < shared->lo ? range->lo : shared->lo;
    shared->hi = range->hi > shared->hi ? range->hi : shared->hi;
    shared->amax = range->amax > shared->amax ? range->amax : shared->amax;
}

/* Those whose values have all been seen by now, and of all that share a scale with them. */
static bool solve_streams(Solve *solve, int pass) {
    const Plan *plan = solve->plan;
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        CalibRange range = {0};
        if (stream_measured(stream) &&
            solve_pass_of_value(solve, stream->value, stream->graph) == pass) {
            TRY(range_of(solve, stream, &range));
            widen(&solve->ranges[stream->scale], &range);
        }
    }
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        const Format *f = stream->element;
        if (!stream_measured(stream) || solve->ranged[i] ||
            solve_pass_of_scale(solve, stream->scale) > pass) {
            continue;
        }
        solve->ranged[i] = true;
        const CalibRange *range = &solve->ranges[stream->scale];
        const float lo = f->asymmetric ? range->lo : 0;
        const float hi = f->asymmetric ? range->hi : range->amax;
        solve->codes[i] = k_scale(stream->type, f->scale_max, lo, hi, 1.0f, 1.0f);
        const float divisor = k_divisor(stream->type, solve->codes[i], 1.0f);
        solve->amax[i] = range->amax;
        solve->scales[i] = divisor;
        solve->zeros[i] =
            f->asymmetric ? (uint8_t)k_zero_point(f->scale_max, lo, 1.0f, divisor) : 0;
    }
    return true;
}

/* ---- what takes factors in */

static bool absorb(Solve *solve, const Fact *fact) {
    const PlanTie *tie = &solve->plan->ties.at[fact->index];
    const float *s = solve->ties[fact->index].s;
    const int64_t size = array_type(fact->type) ? (int64_t)array_type(fact->type)->bytes : 0;
    const uint8_t *old = NULL;
    int64_t inner = 1; /* neighbours of one channel */
    if (fact->kind == FACT_ABSORBED) {
        const PlanFold *fold = &tie->folds.at[fact->fold];
        const Tensor *t = fold->value->constant;
        old = tensor_bytes(solve->s, t, solve->s->arena);
        TRY(old);
        for (int d = fold->axis + 1; d < t->rank; d++) {
            inner *= t->dims[d];
        }
    }
    for (int64_t i = 0; i < fact->count; i++) {
        const float factor = s[i / inner % tie->k];
        const double x = old ? array_value(fact->type, old + i * size) : 1.0;
        const double y = fact->type == K_DOUBLE ? x / (double)factor : (double)((float)x / factor);
        array_put_float(fact->type, y, (char *)fact->bytes + i * size);
    }
    return true;
}

bool solve_facts(Solve *solve, Facts *facts) {
    for (size_t i = 0; i < facts->all.len; i++) {
        const Fact *fact = &facts->all.at[i];
        if (fact->kind == FACT_SCALE) {
            memcpy(fact->bytes, &solve->codes[fact->index], (size_t)fact->size);
        } else if (fact->kind == FACT_ZERO) {
            memcpy(fact->bytes, &solve->zeros[fact->index], 1);
        } else if (fact->kind == FACT_DIVIDE || fact->kind == FACT_ABSORBED) {
            TRY(absorb(solve, fact));
        }
    }
    return solve_biases(solve, facts);
}

/* ---- passes */

int solve_pass_of_value(const Solve *solve, const ValueInfo *value, const Graph *graph) {
    return observation_of(solve->seen, value, graph)->pass;
}

int solve_pass_of_tie(const Solve *solve, int tie) {
    const PlanTie *all = solve->plan->ties.at;
    const PlanLayer *first = &solve->plan->layers_planned.at[all[tie].layers.at[0]];
    return solve_pass_of_value(solve, first->layer->input, first->layer->node->graph);
}

int solve_pass_of_scale(const Solve *solve, int scale) {
    int last = 0;
    for (size_t i = 0; i < solve->plan->streams.len; i++) {
        const PlanStream *stream = &solve->plan->streams.at[i];
        if (stream_measured(stream) && stream->scale == scale) {
            const int pass = solve_pass_of_value(solve, stream->value, stream->graph);
            last = pass > last ? pass : last;
        }
    }
    return last;
}

void solve_begin(Solve *solve) {
    Arena *arena = solve->s->arena;
    const size_t streams = solve->plan->streams.len;
    solve->ties = arena_many(arena, SolvedTie, solve->plan->ties.len + 1);
    solve->amax = arena_many(arena, float, streams + 1);
    solve->scales = arena_many(arena, float, streams + 1);
    solve->zeros = arena_many(arena, uint8_t, streams + 1);
    solve->codes = arena_many(arena, uint32_t, streams + 1);
    solve->ranges = arena_many(arena, CalibRange, streams + 1);
    solve->ranged = arena_many(arena, bool, streams + 1);
    solve->done = arena_many(arena, bool, solve->solved->len + 1);
    solve->rounded = arena_many(arena, GptqReport, solve->plan->layers_planned.len + 1);
}

bool solve_pass(Solve *solve, int pass) {
    SpreadThreads *threads = spread_threads_open(solve->s);
    const Spread *spread = spread_threads(threads);
    const bool ok = solve_ties(solve, pass, spread) && solve_streams(solve, pass) &&
                    solve_weights(solve, pass, spread);
    spread_threads_close(solve->s, threads);
    for (size_t i = 0; ok && i < solve->seen->len; i++) {
        const Observation *seen = &solve->seen->at[i];
        Stat *stat = seen->pass == pass ? stats_find(solve->stats, seen->name) : NULL;
        if (stat) {
            stat_free_gram(stat);
        }
    }
    return ok;
}

bool solve_end(Solve *solve) {
    return solve_facts(solve, solve->facts);
}

bool solve(Solve *solve) {
    solve_begin(solve);
    return solve_pass(solve, 0) && solve_end(solve);
}
