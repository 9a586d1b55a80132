/* Gathers what streams, ties and roundings need (observations.h). */
#include "compiler/observations.h"
#include "compiler/conv_view.h"
#include <string.h>

static const Value *argument(const Step *step, const char *name) {
    const bool has = step && schema_param(step->schema, str_from(name));
    return has ? step_arg(step, name)->value : NULL;
}

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

static int graph_number(const Plan *plan, const Graph *graph) {
    const Model *model = plan->layers->model;
    int number = 0;
    while (model->graphs.at[number] != graph) {
        number++;
    }
    return number;
}

static void ask(const Plan *plan, Arena *arena, ObservationList *all, int layer, unsigned what) {
    const Layer *reader = plan->layers_planned.at[layer].layer;
    const Node *node = reader->node;
    const bool walk = what & STAT_GRAM && conv_view_fits(reader);
    Observation *seen = (Observation *)(walk ? find_walk(all, reader, arena)
                                             : observation_of(all, reader->input, node->graph));
    if (!seen) {
        const int graph = graph_number(plan, node->graph);
        Observation made = {.name = reader->input->name,
                            .value = reader->input,
                            .graph = node->graph,
                            .node = INT32_MAX};
        if (graph) {
            made.name = str_format(arena, "%.*s@%d", STR_ARG(made.name), graph);
        }
        if (walk) {
            made.conv = reader;
            made.name = str_format(arena, "%.*s@%.*s", STR_ARG(made.name),
                                   STR_ARG(conv_view_name(arena, reader)));
        }
        vec_push(arena, all, made);
        seen = &vec_last(all);
    }
    seen->what |= what;
    seen->channels |= !walk && (what & (STAT_CHANNELS | STAT_GRAM)) != 0;
    if (node->index < seen->node) {
        seen->node = node->index;
        for (seen->slot = 0; node->inputs[seen->slot] != reader->input;) {
            seen->slot++;
        }
    }
}

static unsigned of_stream(const PlanStream *stream) {
    if (stream->tie >= 0) {
        return STAT_RANGE | STAT_CHANNELS;
    }
    const Value *method = argument(stream->calibrate, "method");
    return !method || str_is(method->text, "max") ? STAT_RANGE : STAT_RANGE | STAT_HISTOGRAM;
}

static unsigned of_tie(const PlanTie *tie) {
    const Value *alpha = argument(tie->step, "alpha");
    const bool given = alpha && (alpha->type == VALUE_FLOAT || alpha->type == VALUE_INT);
    return given ? STAT_CHANNELS : STAT_CHANNELS | STAT_GRAM;
}

ObservationList observations(const Plan *plan, Arena *arena) {
    ObservationList all = {0};
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *planned = &plan->layers_planned.at[i];
        const bool gram = planned->round == ROUND_GPTQ, walk = conv_view_fits(planned->layer);
        if (gram && walk) {
            ask(plan, arena, &all, (int)i, STAT_GRAM);
        }
        unsigned what = gram && !walk ? STAT_GRAM : 0;
        if (planned->stream >= 0 && plan->streams.at[planned->stream].element) {
            what |= of_stream(&plan->streams.at[planned->stream]);
        }
        if (planned->tie >= 0) {
            what |= of_tie(&plan->ties.at[planned->tie]);
        }
        if (what) {
            ask(plan, arena, &all, (int)i, what);
        }
    }
    return all;
}

void observations_print(const ObservationList *all, Buf *out) {
    static const char *const names[] = {"range", "histogram", "channels", "gram"};
    for (size_t i = 0; i < all->len; i++) {
        const Observation *seen = &all->at[i];
        buf_str(out, seen->name);
        buf_printf(out, ":");
        for (int k = 0; k < 4; k++) {
            buf_printf(out, "%s%s", seen->what >> k & 1 ? " " : "",
                       seen->what >> k & 1 ? names[k] : "");
        }
        buf_printf(out, "%s\n", seen->channels || seen->conv ? "" : ", of all values");
    }
}
