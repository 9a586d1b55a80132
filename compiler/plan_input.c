/* Streams and ties of a plan as text (plan.h). */
#include <string.h>
#include "compiler/names.h"
#include "compiler/plan.h"
#include "runtime/base/sanitize.h"

static Str method_text(const Step *calibrate, Arena *arena) {
    const Value *method = step_value(calibrate, "method");
    Buf b = buf_on(arena);
    if (method) {
        value_print(method, &b);
    }
    return method ? buf_view(&b) : STR("max");
}

void plan_input_print(const Plan *plan, const PlanLayer *planned, Buf *out) {
    const PlanStream *stream = planned->stream >= 0 ? &plan->streams.at[planned->stream] : NULL;
    const char *between = "";
    if (stream && stream->written) {
        format_print(stream->written, out);
        between = ", ";
    }
    if (planned->tie >= 0) {
        buf_printf(out, "%s%s", between, plan->ties.at[planned->tie].step->schema->name);
    }
}

typedef struct Count {
    Str text;
    size_t streams, layers;
} Count;

/* Streams of one format and method are counted together. */
static void print_formats(const Plan *plan, Buf *out) {
    Vec(Count) counts = {0};
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        if (!stream->written) {
            continue;
        }
        Buf text = buf_on(out->arena);
        format_print(stream->written, &text);
        if (stream->dynamic) {
            buf_str(&text, STR(", scales found at run time"));
        } else {
            buf_printf(&text, ", range by %.*s",
                       STR_ARG(stream->tie >= 0 ? STR("max of each channel")
                                                : method_text(stream->calibrate, out->arena)));
        }
        size_t k = 0;
        while (k < counts.len && !str_eq(counts.at[k].text, buf_view(&text))) {
            k++;
        }
        if (k == counts.len) {
            vec_push(out->arena, &counts, (Count){buf_view(&text), 0, 0});
        }
        counts.at[k].streams++;
        counts.at[k].layers += stream->layers.len;
    }
    for (size_t k = 0; k < counts.len; k++) {
        buf_printf(out, "  inputs     %.*s of %.*s in %.*s\n",
                   STR_ARG(plural(out->arena, counts.at[k].streams, "value")),
                   STR_ARG(plural(out->arena, counts.at[k].layers, "layer")),
                   STR_ARG(counts.at[k].text));
    }
}

void plan_tie_print(const PlanTie *tie, Buf *out) {
    if (tie->folds.len == 0) {
        buf_printf(out, "by a Mul%s%.*s", tie->why.len ? ": " : "",
                   STR_ARG(str_safe(out->arena, tie->why)));
    } else if (tie->previous) {
        buf_printf(out, "in %.*s", STR_ARG(str_safe(out->arena, tie->previous->path)));
    } else {
        buf_printf(out, "in the norm before");
    }
}

/* Why Muls stand where they do, each reason once. */
static void print_reasons(const Plan *plan, const char *step, Buf *out) {
    Map seen = map_on(out->arena);
    for (size_t i = 0; i < plan->ties.len; i++) {
        const PlanTie *tie = &plan->ties.at[i];
        const bool mul = tie->folds.len == 0 && strcmp(tie->step->schema->name, step) == 0;
        if (mul && map_put(&seen, tie->why, (void *)(uintptr_t)tie)) {
            buf_printf(out, "             a Mul: %.*s\n", STR_ARG(str_safe(out->arena, tie->why)));
        }
    }
}

static void print_ties(const Plan *plan, Buf *out) {
    static const char *const names[] = {"smooth", "awq"};
    for (int n = 0; n < 2; n++) {
        size_t norms = 0, layers = 0, multiplied = 0;
        for (size_t i = 0; i < plan->ties.len; i++) {
            const PlanTie *tie = &plan->ties.at[i];
            if (strcmp(tie->step->schema->name, names[n]) == 0) {
                *(tie->folds.len == 0 ? &multiplied : tie->previous ? &layers : &norms) += 1;
            }
        }
        const size_t all = norms + layers + multiplied;
        if (all) {
            buf_printf(out, "  %-10s %.*s scaled: %zu by the norm before, ", names[n],
                       STR_ARG(plural(out->arena, all, "input")), norms);
            if (layers) {
                buf_printf(out, "%zu by the layer before, ", layers);
            }
            buf_printf(out, "%zu by a Mul\n", multiplied);
            print_reasons(plan, names[n], out);
        }
    }
}

const char *plan_round_name(PlanRound round) {
    static const char *const names[] = {
        [ROUND_NEAREST] = "nearest", [ROUND_GPTQ] = "gptq", [ROUND_ADAROUND] = "adaround"};
    return names[round];
}

static void print_rounds(const Plan *plan, Buf *out) {
    for (PlanRound round = ROUND_GPTQ; round <= ROUND_ADAROUND; round++) {
        size_t count = 0;
        for (size_t i = 0; i < plan->layers_planned.len; i++) {
            count += plan->layers_planned.at[i].round == round;
        }
        if (count) {
            buf_printf(out, "  %-10s %.*s rounded by it\n", plan_round_name(round),
                       STR_ARG(plural(out->arena, count, "weight")));
        }
    }
}

static void print_evaluation(const PlanEvaluation *e, Buf *out) {
    if (e->step) {
        buf_printf(out, "  evaluate   %s%.*s: the float model and the new one\n",
                   e->held_out ? "the last tenth of " : "", STR_ARG(e->data->name));
    }
}

void plan_inputs_print(const Plan *plan, Buf *out) {
    print_formats(plan, out);
    print_ties(plan, out);
    print_rounds(plan, out);
    if (plan->data) {
        const Str passes = plan->passes.len ? plan->passes : STR("one pass over the data");
        buf_printf(out, "  calibrate  %.*s: %.*s\n", STR_ARG(plan->data->name), STR_ARG(passes));
    }
    print_evaluation(&plan->evaluation, out);
}

static void dump_layers(const Plan *plan, const int *layers, size_t count, Buf *out) {
    for (size_t i = 0; i < count; i++) {
        const Layer *layer = plan->layers_planned.at[layers[i]].layer;
        buf_printf(out, " %.*s", STR_ARG(str_safe(out->arena, layer->path)));
    }
    buf_char(out, '\n');
}

void plan_inputs_dump(const Plan *plan, Buf *out) {
    Arena *arena = out->arena;
    for (size_t i = 0; i < plan->ties.len; i++) {
        const PlanTie *tie = &plan->ties.at[i];
        buf_printf(out, "tie %zu %s of %.*s k %lld\n", i, tie->step->schema->name,
                   STR_ARG(str_safe(arena, tie->value->name)), (long long)tie->k);
        for (size_t k = 0; k < tie->folds.len; k++) {
            const PlanFold *fold = &tie->folds.at[k];
            buf_printf(out, "  into %.*s%s\n", STR_ARG(str_safe(arena, fold->value->name)),
                       fold->solved ? " with its layer" : "");
        }
        if (tie->folds.len == 0) {
            buf_printf(out, "  by a Mul: %.*s\n", STR_ARG(str_safe(out->arena, tie->why)));
        }
        buf_printf(out, "  layers");
        dump_layers(plan, tie->layers.at, tie->layers.len, out);
    }
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        buf_printf(out, "stream %zu of %.*s", i, STR_ARG(str_safe(arena, stream->value->name)));
        if (stream->tie >= 0) {
            buf_printf(out, " tie %d", stream->tie);
        }
        if (stream->dynamic) {
            buf_char(out, ' ');
            format_print(stream->written, out);
        } else if (stream->element) {
            buf_printf(out, " %s range %.*s", stream->element->name,
                       STR_ARG(method_text(stream->calibrate, arena)));
        }
        if (stream->uses.len == 0) {
            buf_printf(out, " served by another");
        } else if (stream->scale != (int)i) {
            buf_printf(out, " scale of stream %d", stream->scale);
        }
        buf_printf(out, " type %s\n  layers", type_name(stream->type));
        dump_layers(plan, stream->layers.at, stream->layers.len, out);
    }
}
