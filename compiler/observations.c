/* Gathers what streams, ties and roundings need (observations.h). */
#include "compiler/observations.h"
#include "compiler/conv_view.h"
#include "compiler/weight_rows.h"
#include "runtime/calib/stat_gram.h"
#include <string.h>

/* behind: of the channels; -1: whatever. */
static const Observation *find_channels(const ObservationList *all, const ValueInfo *value,
                                        const Graph *graph, int behind) {
    for (size_t i = 0; i < all->len; i++) {
        const Observation *seen = &all->at[i];
        if (seen->value == value && seen->graph == graph && !seen->conv &&
            (behind < 0 || !seen->channels || seen->behind == behind)) {
            return seen;
        }
    }
    return NULL;
}

const Observation *observation_of(const ObservationList *all, const ValueInfo *value,
                                  const Graph *graph) {
    return find_channels(all, value, graph, -1);
}

static int behind_channels(const Layer *layer) {
    return conv_view_fits(layer) ? layer->weight->rank - 2 : 0;
}

const Observation *observation_input(const ObservationList *all, const Layer *layer) {
    return find_channels(all, layer->input, layer->node->graph, behind_channels(layer));
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
    return conv_view_fits(layer) ? find_walk(all, layer, arena) : observation_input(all, layer);
}

/* walker: the Conv whose way over the value counts, for a Gram matrix of its im2col; else NULL.
 * behind: dimensions behind the channels that are asked for, if any are. */
static Observation *ask(Arena *arena, ObservationList *all, const PlanUse *use, const Layer *walker,
                        int behind, unsigned what) {
    const Node *node = use->node;
    const ValueInfo *value = node->inputs[use->slot];
    const bool channels = !walker && (what & (STAT_CHANNELS | STAT_GRAM)) != 0;
    Observation *seen =
        (Observation *)(walker ? find_walk(all, walker, arena)
                               : find_channels(all, value, node->graph, channels ? behind : -1));
    if (!seen) {
        const int graph = node->graph->number;
        Observation made = {
            .name = value->name, .value = value, .graph = node->graph, .node = INT32_MAX};
        if (graph) {
            made.name = str_format(arena, "%.*s@%d", STR_ARG(made.name), graph);
        }
        if (channels && observation_of(all, value, node->graph)) { /* its channels lie elsewhere */
            made.name =
                str_format(arena, "%.*s@%s axis", STR_ARG(made.name), behind ? "first" : "last");
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
    if (channels) {
        seen->channels = true;
        seen->behind = behind;
    }
    if (node->index < seen->node) {
        seen->node = node->index;
        seen->slot = use->slot;
    }
    return seen;
}

int observation_level(const Layers *layers, const ValueInfo *value) {
    const Layer *maker = value->producer ? layer_of(layers, value->producer) : NULL;
    int level = maker ? maker->depth : INT32_MAX;
    for (size_t i = 0; !maker && i < value->uses.len; i++) {
        const Layer *reader = layer_of(layers, value->uses.at[i].node);
        const int before = reader ? reader->depth - (reader->weight != NULL) : 0;
        level = before < level ? before : level;
    }
    return level == INT32_MAX ? 0 : level;
}

/* The largest that a reader asks for: they are one matrix for each group of its channels. */
static void size_gram(Observation *seen, const Layer *layer) {
    const uint64_t bytes = stat_gram_bytes(layer->groups, weight_rows(layer).k);
    seen->bytes = bytes > seen->bytes ? bytes : seen->bytes;
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

/* Of what one layer reads. Gram matrices of a Conv are of its walk over the value. */
static void ask_of_layer(const Plan *plan, const PlanLayer *planned, Arena *arena,
                         ObservationList *all) {
    const Layer *layer = planned->layer;
    const bool walks = conv_view_fits(layer);
    unsigned what = planned->round != ROUND_NEAREST ? STAT_GRAM : 0;
    what |= planned->tie >= 0 ? of_tie(&plan->ties.at[planned->tie]) : 0;
    const unsigned gram = walks ? what & STAT_GRAM : 0;
    if (gram) {
        const PlanUse use = input_of(layer);
        size_gram(ask(arena, all, &use, layer, 0, gram), layer);
    }
    if (what & ~gram) {
        const PlanUse use = input_of(layer);
        Observation *seen = ask(arena, all, &use, NULL, behind_channels(layer), what & ~gram);
        if (what & ~gram & STAT_GRAM) {
            size_gram(seen, layer);
        }
    }
}

static int unit_of(const ObservationList *all, const Layer *layer) {
    for (size_t i = 0; i < all->len; i++) {
        if (all->at[i].value == layer->input && all->at[i].graph == layer->node->graph) {
            return all->at[i].unit;
        }
    }
    return -1;
}

/* Steps on a value want all that is seen of it at once. A weight that takes the factors of a later
 * tie in and is rounded wants these and its own Gram matrix. */
static void join_units(const Plan *plan, ObservationList *all) {
    for (size_t i = 0; i < all->len; i++) {
        Observation *seen = &all->at[i];
        for (seen->unit = 0; all->at[seen->unit].value != seen->value ||
                             all->at[seen->unit].graph != seen->graph;) {
            seen->unit++;
        }
    }
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *planned = &plan->layers_planned.at[i];
        if (!planned->absorbs || (planned->round == ROUND_NEAREST && !planned->awq_step)) {
            continue;
        }
        const PlanLayer *reader = &plan->layers_planned.at[planned->absorbs->layers.at[0]];
        const int own = unit_of(all, planned->layer), other = unit_of(all, reader->layer);
        for (size_t k = 0; k < all->len && own >= 0 && other >= 0; k++) {
            all->at[k].unit = all->at[k].unit == other ? own : all->at[k].unit;
        }
    }
}

ObservationList observations(const Plan *plan, Arena *arena) {
    ObservationList all = {0};
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        ask_of_layer(plan, &plan->layers_planned.at[i], arena, &all);
    }
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        for (size_t k = 0; k < stream->uses.len && stream_measured(stream); k++) {
            const int behind = stream->tie >= 0 ? plan->ties.at[stream->tie].behind : 0;
            ask(arena, &all, &stream->uses.at[k], NULL, behind, of_stream(stream));
        }
    }
    for (size_t i = 0; i < all.len; i++) {
        all.at[i].level = observation_level(plan->layers, all.at[i].value);
    }
    join_units(plan, &all);
    return all;
}

void observations_print(const ObservationList *all, int pass, Buf *out) {
    static const char *const names[] = {"range", "histogram", "channels", "gram", "magnitudes"};
    for (size_t i = 0; i < all->len; i++) {
        const Observation *seen = &all->at[i];
        if (seen->pass != pass) {
            continue;
        }
        buf_str(out, seen->name);
        buf_printf(out, ":");
        for (int k = 0; k < 5; k++) {
            buf_printf(out, "%s%s", seen->what >> k & 1 ? " " : "",
                       seen->what >> k & 1 ? names[k] : "");
        }
        buf_printf(out, "%s\n",
                   seen->channels && seen->behind ? ", channels along axis 1"
                   : seen->channels || seen->conv ? ""
                                                  : ", of all values");
    }
}
