/* Gathers what streams, ties and roundings need (observations.h). */
#include "compiler/observations.h"
#include "compiler/conv_view.h"
#include <string.h>

const Observation *observation_of(const ObservationList *all, const ValueInfo *value,
                                  const Graph *graph) {
    for (size_t i = 0; i < all->len; i++) {
        if (all->at[i].value == value && all->at[i].graph == graph && !all->at[i].conv) {
            return &all->at[i];
        }
    }
    return NULL;
}

static const Observation *find_walk(const ObservationList *all, const Layer *layer, Arena *arena) {
    const Str walk = conv_view_name(arena, layer);
    for (size_t i = 0; i < all->len; i++) {
        const Observation *seen = &all->at[i];
        if (seen->conv && seen->value == layer->input && seen->graph == layer->node->graph &&
            str_eq(conv_view_name(arena, seen->conv), walk)) {
            return seen;
        }
    }
    return NULL;
}

const Observation *observation_gram(const ObservationList *all, const Layer *layer, Arena *arena) {
    return conv_view_fits(layer) ? find_walk(all, layer, arena)
                                 : observation_of(all, layer->input, layer->node->graph);
}

/* walker: the Conv whose way over the value counts, for a Gram matrix of its im2col; else NULL. */
static void ask(Arena *arena, ObservationList *all, const PlanUse *use, const Layer *walker,
                unsigned what) {
    const Node *node = use->node;
    const ValueInfo *value = node->inputs[use->slot];
    Observation *seen = (Observation *)(walker ? find_walk(all, walker, arena)
                                               : observation_of(all, value, node->graph));
    if (!seen) {
        const int graph = node->graph->number;
        Observation made = {
            .name = value->name, .value = value, .graph = node->graph, .node = INT32_MAX};
        if (graph) {
            made.name = str_format(arena, "%.*s@%d", STR_ARG(made.name), graph);
        }
        if (walker) {
            made.conv = walker;
            made.name = str_format(arena, "%.*s@%.*s", STR_ARG(made.name),
                                   STR_ARG(conv_view_name(arena, walker)));
        }
        vec_push(arena, all, made);
        seen = &vec_last(all);
    }
    seen->what |= what;
    seen->channels |= !walker && (what & (STAT_CHANNELS | STAT_GRAM)) != 0;
    if (node->index < seen->node) {
        seen->node = node->index;
        seen->slot = use->slot;
    }
}

static PlanUse input_of(const Layer *layer) {
    PlanUse use = {layer->node, 0};
    while (layer->node->inputs[use.slot] != layer->input) {
        use.slot++;
    }
    return use;
}

static unsigned of_stream(const PlanStream *stream) {
    const Value *method = step_value(stream->calibrate, "method");
    const bool counts = method && !str_is(method->text, "max");
    if (stream->tie >= 0) { /* of x / s: s is not known yet */
        return STAT_RANGE | STAT_CHANNELS | (counts ? STAT_MAGNITUDES : 0);
    }
    return STAT_RANGE | (counts ? STAT_HISTOGRAM : 0);
}

static unsigned of_tie(const PlanTie *tie) {
    const Value *alpha = step_value(tie->step, "alpha");
    const bool given = alpha && (alpha->type == VALUE_FLOAT || alpha->type == VALUE_INT);
    return given ? STAT_CHANNELS : STAT_CHANNELS | STAT_GRAM;
}

ObservationList observations(const Plan *plan, Arena *arena) {
    ObservationList all = {0};
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *planned = &plan->layers_planned.at[i];
        const Layer *layer = planned->layer;
        const bool gram = planned->round != ROUND_NEAREST, walks = conv_view_fits(layer);
        if (gram && walks) {
            const PlanUse use = input_of(layer);
            ask(arena, &all, &use, layer, STAT_GRAM);
        }
        unsigned what = gram && !walks ? STAT_GRAM : 0;
        if (planned->tie >= 0) {
            what |= of_tie(&plan->ties.at[planned->tie]);
        }
        if (what) {
            const PlanUse use = input_of(layer);
            ask(arena, &all, &use, NULL, what);
        }
    }
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        for (size_t k = 0; k < stream->uses.len && stream->element; k++) {
            ask(arena, &all, &stream->uses.at[k], NULL, of_stream(stream));
        }
    }
    return all;
}

void observations_print(const ObservationList *all, Buf *out) {
    static const char *const names[] = {"range", "histogram", "channels", "gram", "magnitudes"};
    for (size_t i = 0; i < all->len; i++) {
        const Observation *seen = &all->at[i];
        buf_str(out, seen->name);
        buf_printf(out, ":");
        for (int k = 0; k < 5; k++) {
            buf_printf(out, "%s%s", seen->what >> k & 1 ? " " : "",
                       seen->what >> k & 1 ? names[k] : "");
        }
        buf_printf(out, "%s\n", seen->channels || seen->conv ? "" : ", of all values");
    }
}
