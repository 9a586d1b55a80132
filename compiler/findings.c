/* See findings.h. */
#include "compiler/findings.h"
#include <math.h>
#include "compiler/solve_weight.h"
#include "runtime/calib/stat_magnitudes.h"

const char *tie_name(const PlanTie *tie) {
    return tie->step->schema->name;
}

/* ---- histograms */

static int64_t used(const uint64_t *counts, int64_t bins) {
    while (bins > 0 && counts[bins - 1] == 0) {
        bins--;
    }
    return bins;
}

static int64_t bars_of(int64_t bins, int64_t together) {
    return (bins + together - 1) / together;
}

/* Neighbouring bins are put together, a power of two of them, until all fit. A bar never holds
 * values of both signs. */
static FoundBars reduce(const Stat *stat, Arena *arena) {
    FoundBars bars = {0};
    const int64_t above = used(stat->above, stat->bins), below = used(stat->below, stat->bins);
    int64_t together = 1;
    while (bars_of(above, together) + bars_of(below, together) > FOUND_BARS) {
        together *= 2;
    }
    bars.first = -(int)bars_of(below, together);
    bars.count = (int)bars_of(above, together) - bars.first;
    bars.width = (double)stat->width * (double)together;
    bars.counts = arena_many(arena, uint64_t, (size_t)bars.count + 1);
    for (int64_t b = 0; b < above; b++) {
        bars.counts[b / together - bars.first] += stat->above[b];
    }
    for (int64_t b = 0; b < below; b++) {
        bars.counts[-bars.first - 1 - b / together] += stat->below[b];
    }
    return bars;
}

/* ---- one input */

static Str method_text(const Solve *solve, const PlanStream *stream) {
    const Value *method = step_value(stream->calibrate, "method");
    if (stream->tie >= 0 && (!method || str_is(method->text, "max"))) {
        return STR("scaled");
    }
    Buf b = buf_on(solve->s->arena);
    if (method) {
        value_print(method, &b);
    }
    return method ? buf_view(&b) : STR("max");
}

static void take_input(const Solve *solve, size_t index, FoundInput *out) {
    const PlanStream *stream = &solve->plan->streams.at[index];
    const Stat *stat = solve_stat_of(solve, stream->value, stream->graph);
    const float scale = solve->scales[index], most = stream->element->scale_max;
    *out = (FoundInput){.tensor = stream->value->name,
                        .method = method_text(solve, stream),
                        .min = stat->min,
                        .max = stat->max,
                        .lo = -scale * most,
                        .hi = scale * most,
                        .amax = solve->amax[index],
                        .scale = scale,
                        .zero = solve->zeros[index]};
    if (stream->element->asymmetric) {
        out->lo = -scale * (float)out->zero;
        out->hi = scale * (most - (float)out->zero);
    }
    if (stream->tie >= 0 && stat->magnitudes) {
        const SolvedTie *tie = &solve->ties[stream->tie];
        stat = magnitudes_scaled(solve->s->arena, stat, tie->s, NULL);
    } else if (stream->tie >= 0) {
        return;
    }
    if (stat->what & STAT_HISTOGRAM && stat->bins > 0) {
        out->bars = reduce(stat, solve->s->arena);
    }
}

Findings *findings_take(const Solve *solve, const Calibration *calibration) {
    const size_t streams = solve->plan->streams.len;
    Findings *found = arena_new(solve->s->arena, Findings);
    found->plan = solve->plan;
    found->ties = solve->ties;
    found->rounded = solve->rounded;
    found->engine = calibration->engine;
    found->data = solve->plan->data->name;
    found->samples = calibration->samples;
    found->inputs = arena_many(solve->s->arena, FoundInput, streams + 1);
    for (size_t i = 0; i < streams; i++) {
        if (stream_measured(&solve->plan->streams.at[i])) {
            take_input(solve, i, &found->inputs[i]);
        }
    }
    return found;
}

/* ---- of a layer */

const GptqReport *found_rounding(const Findings *findings, const PlanLayer *planned) {
    if (!findings || planned->round == ROUND_NEAREST || planned->tensor < 0) {
        return NULL;
    }
    const PlanTensor *tensor = &findings->plan->tensors.at[planned->tensor];
    for (size_t i = 0; i < tensor->layers.len; i++) {
        const GptqReport *report = &findings->rounded[tensor->layers.at[i]];
        if (report->nearest > 0) {
            return report;
        }
    }
    return NULL;
}

const FoundInput *found_input(const Findings *findings, const PlanLayer *planned) {
    const bool coded = findings && planned->stream >= 0 &&
                       stream_measured(&findings->plan->streams.at[planned->stream]);
    return coded ? &findings->inputs[planned->stream] : NULL;
}

const SolvedTie *found_tie(const Findings *findings, const PlanLayer *planned) {
    return findings && planned->tie >= 0 ? &findings->ties[planned->tie] : NULL;
}

void found_input_print(const Findings *findings, const Plan *plan, const PlanLayer *planned,
                       Buf *out) {
    if (!findings) {
        plan_input_print(plan, planned, out);
        return;
    }
    const FoundInput *input = found_input(findings, planned);
    const SolvedTie *tie = found_tie(findings, planned);
    if (input) {
        format_print(plan->streams.at[planned->stream].written, out);
        buf_printf(out, " to %.4g", (double)input->hi);
    }
    if (tie) {
        buf_printf(out, "%s%s", input ? ", " : "", tie_name(&plan->ties.at[planned->tie]));
        if (tie->choice >= 0) {
            buf_printf(out, " %.3g", tie->choice);
        } else {
            buf_str(out, STR(" none"));
        }
    }
}
