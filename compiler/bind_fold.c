/* Where the factors of each tie go: into the norm or the layer before, else a Mul divides. The way
 * is factor_path's; what the recipe does to the layers on it is judged here. A layer that the plan
 * changes takes 1 / s in when its weight is solved; what nothing else changes is rewritten in
 * place. Whatever is on the way loses its factors there, so nothing on it may have a range. */
#include "compiler/bind_parts.h"
#include "compiler/factor_path.h"

/* Is this the input of a layer of the tie? All of them have it on the left. */
static bool reads(const Plan *plan, const PlanTie *tie, Use use) {
    bool found = false;
    for (size_t i = 0; i < tie->layers.len && !found; i++) {
        found = plan->layers_planned.at[tie->layers.at[i]].layer->node == use.node;
    }
    return found && use.slot == 0;
}

static bool all_read(const Plan *plan, const PlanTie *tie) {
    bool all = !tie->value->graph_output;
    for (size_t i = 0; i < tie->value->uses.len && all; i++) {
        all = reads(plan, tie, tie->value->uses.at[i]);
    }
    return all;
}

static PlanLayer *planned_at(const Bind *b, const Node *node) {
    const Layer *layer = layer_of(b->layers, node);
    return layer ? plan_layer(b->plan, layer) : NULL;
}

/* Does the recipe store a value on the way in a format? `last`: what the node reads is before it.
 */
static bool stores(const PlanLayer *planned, bool last) {
    const bool reads_codes = !last && !planned->layer->weight &&
                             (wished_format(planned, "input") || wished_format(planned, "kv"));
    return reads_codes || wished_format(planned, "output");
}

/* The layer that takes the BatchNormalization in. */
static PlanLayer *layer_with_norm(const Bind *b, const Node *norm) {
    PlanLayer *planned = norm->inputs[0] && norm->inputs[0]->producer
                             ? planned_at(b, norm->inputs[0]->producer)
                             : NULL;
    return planned && planned->norm == norm ? planned : NULL;
}

/* NULL, or why the layer's weight cannot take factors in. */
static const char *weight_problem(const PlanLayer *planned) {
    const PlanFormat *f = &planned->format;
    if (planned->skip) {
        return "the layer before is left as it is";
    }
    if (stores(planned, true)) {
        return "what the layer before writes is stored in a format";
    }
    const bool one = f->granule == GRANULE_TENSOR || f->super;
    return planned->quantized && one ? "the layer before has one scale for all channels" : NULL;
}

static void take(Bind *b, PlanTie *tie, const ValueInfo *value, int axis, bool solved) {
    vec_push(b->s->arena, &tie->folds, ((PlanFold){value, axis, solved}));
}

/* A bias that is made anew, with a norm or as integers, is divided when it is made. */
static bool made_anew(const PlanLayer *planned, const ValueInfo *value) {
    const Node *node = planned->layer->node, *norm = planned->norm;
    const bool bias = (norm || planned->bias) && node->input_count > 2 && value == node->inputs[2];
    return bias || (norm && (value == norm->inputs[1] || value == norm->inputs[2]));
}

static void take_all(Bind *b, PlanTie *tie, const FactorPath *path, PlanLayer *planned) {
    if (planned) {
        const Layer *layer = planned->layer;
        planned->absorbs = tie;
        take(b, tie, layer->weight_at->inputs[layer->weight_slot], layer->channel_axis, true);
    }
    for (size_t i = planned ? 1 : 0; i < path->constants.len; i++) { /* 0: its weight, or gain */
        const FactorConstant *constant = &path->constants.at[i];
        if (!planned || !made_anew(planned, constant->value)) {
            take(b, tie, constant->value, constant->axis, false);
        }
    }
}

static Str fold(Bind *b, PlanTie *tie) {
    FactorPath path;
    if (!all_read(b->plan, tie)) {
        return STR("others read the value, too");
    }
    if (!factor_path(b->layers, tie->value, tie->k, tie->behind, &path)) {
        return path.why;
    }
    for (size_t i = 0; i < path.nodes.len; i++) {
        const PlanLayer *on_the_way = planned_at(b, path.nodes.at[i]);
        if (on_the_way && stores(on_the_way, i + 1 == path.nodes.len)) {
            return STR("something before it is stored in a format");
        }
    }
    const Node *end = vec_last(&path.nodes);
    PlanLayer *planned = path.layer ? plan_layer(b->plan, path.layer) : layer_with_norm(b, end);
    const char *why = !planned           ? NULL
                      : b->plan->encoded ? "the layer before is encoded when the value is measured"
                                         : weight_problem(planned);
    if (!why) {
        tie->previous = planned ? planned->layer : path.layer;
        take_all(b, tie, &path, planned);
    }
    return str_from(why ? why : "");
}

void bind_folds(Bind *b) {
    for (size_t i = 0; i < b->plan->ties.len; i++) {
        PlanTie *tie = &b->plan->ties.at[i];
        const Value *wish = step_value(tie->step, "fold");
        tie->why = wish && str_is(wish->text, "never") ? STR("`fold = never`") : fold(b, tie);
    }
}
