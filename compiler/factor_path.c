/* The walk (factor_path.h). Every value on the way has one reader, so the ways are a tree and each
 * node is met at most once. */
#include "compiler/factor_path.h"
#include "compiler/known_shape.h"

enum { MAX_PARTS = 4, MAX_HOPS = 64 };

/* Which element belongs to which channel: channels count row-major over some dimensions, the
 * slowest first. Dimensions are counted from the last, which is 1. */
typedef struct Spot {
    int parts, at[MAX_PARTS];
    int64_t size[MAX_PARTS];
    int rank;  /* of the value; -1: unknown */
    bool sure; /* the value has these sizes there and is not spread over them by broadcasting */
} Spot;

typedef struct Search {
    Session *s;
    const Layers *layers;
    int64_t channels;
    FactorPath *out;
} Search;

static bool walk(Search *f, const ValueInfo *value, Spot spot, int hops);

static bool refuse(Search *f, const char *before, const Node *node, const char *behind) {
    f->out->why = str_format(f->s->arena, "%s%.*s%s", before, STR_ARG(node->op), behind);
    return false;
}

static bool blocked(Search *f, const Node *node) {
    return refuse(f, "factors do not pass ", node, "");
}

static bool op_in(const Node *node, const char *const *names) {
    for (; node->domain.len == 0 && *names; names++) {
        if (str_is(node->op, *names)) {
            return true;
        }
    }
    return false;
}

static bool is_op(const Node *node, const char *name) {
    return node->domain.len == 0 && str_is(node->op, name);
}

static const ValueInfo *operand(const Node *node, int slot) {
    return slot < node->input_count ? node->inputs[slot] : NULL;
}

static void take(Search *f, const ValueInfo *value, int axis) {
    vec_push(f->s->arena, &f->out->constants, ((FactorConstant){value, axis}));
}

/* A constant that one node reads: one number for each channel where the channels lie, and 1 along
 * all other dimensions. Its dimension of the channels; -1: it is none. */
static int own_vector(const ValueInfo *value, const Spot *spot) {
    const Tensor *t = value ? value->constant : NULL;
    const bool one = t && value->uses.len == 1 && !value->graph_output && !value->sparse;
    const int at = spot->parts == 1 ? spot->at[0] : 0;
    const bool fits = one && at > 0 && t->rank >= at && t->count == spot->size[0] &&
                      t->dims[t->rank - at] == t->count && type_is_float(t->type);
    return fits ? t->rank - at : -1;
}

/* ---- where it ends */

static bool is_norm(const Node *node) {
    return str_is(node->op, "LayerNormalization") || str_is(node->op, "RMSNormalization") ||
           str_is(node->op, "SimplifiedLayerNormalization");
}

/* Gain and offset are inputs 1 and 2; the offset may be absent. */
static bool take_norm(Search *f, const Node *node, const Spot *spot) {
    const ValueInfo *gain = operand(node, 1), *offset = operand(node, 2);
    const int axis = own_vector(gain, spot), other = own_vector(offset, spot);
    if (axis < 0 || (offset && other < 0)) {
        return refuse(f, "constants of ", node, " are shared, or not one for each channel");
    }
    take(f, gain, axis);
    if (offset) {
        take(f, offset, other);
    }
    return true;
}

static bool end_in_norm(Search *f, const Node *node, const Spot *spot) {
    const bool last = spot->parts == 1 && spot->at[0] == 1 && node_int(node, "axis", -1) == -1;
    return last ? take_norm(f, node, spot) : blocked(f, node);
}

/* Channels are those of dimension 1, and gain and offset are vectors whatever the rank. */
static bool end_in_batchnorm(Search *f, const Node *node, const Spot *spot) {
    const bool fits = spot->parts == 1 && spot->rank >= 2 && spot->at[0] == spot->rank - 1 &&
                      node->output_count == 1 && node_int(node, "training_mode", 0) == 0 &&
                      node_int(node, "spatial", 1) == 1 && operand(node, 2);
    const Spot vector = {.parts = 1, .at = {1}, .size = {spot->size[0]}, .rank = 1};
    return fits ? take_norm(f, node, &vector) : blocked(f, node);
}

/* Do the layer's output channels lie where the factors do? */
static bool lies_right(const Layer *layer, const Spot *spot) {
    const Tensor *w = layer->weight;
    const Node *node = layer->node;
    const bool conv = layer->roles & ROLE_CONV;
    if (spot->parts != 1 || w->dims[layer->channel_axis] != spot->size[0] || !layer->input ||
        node->inputs[0] != layer->input) {
        return false;
    }
    if (conv) {
        return spot->at[0] == w->rank - 1 && (!is_op(node, "ConvTranspose") || layer->groups == 1);
    }
    return w->rank == 2 && spot->at[0] == 1;
}

static bool end_in_layer(Search *f, const Layer *layer, const Spot *spot) {
    const Tensor *w = layer->weight;
    const ValueInfo *weight = layer->weight_at->inputs[layer->weight_slot];
    const ValueInfo *bias = operand(layer->node, 2);
    const Spot vector = {.parts = 1, .at = {1}, .size = {spot->size[0]}, .rank = 1};
    const int axis = own_vector(bias, &vector);
    if (layer->encoded || !type_is_float(w->type)) {
        return refuse(f, "the weight of the ", layer->node, " before it is encoded already");
    }
    if (!lies_right(layer, spot)) {
        return refuse(f, "the channels of the ", layer->node, " before it lie otherwise");
    }
    if (weight->uses.len != 1 || weight->graph_output || weight->sparse) {
        return refuse(f, "the weight of the ", layer->node, " before it is shared");
    }
    if (bias && axis < 0) {
        return refuse(f, "the bias of the ", layer->node,
                      " before it is shared, or not one for each channel");
    }
    f->out->layer = layer;
    take(f, weight, layer->channel_axis);
    if (bias) {
        take(f, bias, axis);
    }
    return true;
}

/* ---- what it passes */

/* Element by element, each with its own sign. */
static const char *const alike[] = {"Relu", "LeakyRelu", "PRelu", "Identity", "Dropout", NULL};
/* Over the dimensions behind the channels. */
static const char *const pools[] = {"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool",
                                    NULL};

static bool pass_pool(Search *f, const Node *node, Spot spot, int hops) {
    const bool planes = spot.parts == 1 && spot.rank >= 3 && spot.at[0] == spot.rank - 1;
    return planes ? walk(f, node->inputs[0], spot, hops) : blocked(f, node);
}

static bool pass_cast(Search *f, const Node *node, Spot spot, int hops) {
    const bool floats = type_is_float((int)node_int(node, "to", 0));
    return floats ? walk(f, node->inputs[0], spot, hops) : blocked(f, node);
}

/* One operand of two: it may be the smaller one, which the other spreads. */
static bool walk_operand(Search *f, const ValueInfo *value, Spot spot, int hops) {
    spot.rank = value ? known_rank(value) : -1;
    spot.sure = false;
    return walk(f, value, spot, hops);
}

static bool pass_add(Search *f, const Node *node, Spot spot, int hops) {
    for (int i = 0; i < 2; i++) {
        const ValueInfo *offset = operand(node, i), *other = operand(node, 1 - i);
        const int axis = own_vector(offset, &spot);
        if (axis >= 0 && other && !other->constant) {
            TRY(walk_operand(f, other, spot, hops));
            take(f, offset, axis);
            return true;
        }
    }
    return refuse(f, "", node, " adds something else to it");
}

/* A constant gain takes 1 / s in itself; else one operand does, whichever can. */
static bool pass_mul(Search *f, const Node *node, Spot spot, int hops) {
    for (int i = 0; i < 2; i++) {
        const int axis = own_vector(operand(node, i), &spot);
        if (axis >= 0 && operand(node, 1 - i)) {
            take(f, operand(node, i), axis);
            return true;
        }
    }
    const FactorPath so_far = *f->out;
    for (int i = 0; i < 2; i++) {
        const ValueInfo *value = operand(node, i);
        if (value && !value->constant && walk_operand(f, value, spot, hops)) {
            return true;
        }
        f->out->nodes.len = so_far.nodes.len;
        f->out->constants.len = so_far.constants.len;
    }
    return f->out->why.len ? false : blocked(f, node);
}

/* (P V): the columns of V are those of the result; so are its heads, where V has them itself and
 * is not spread over those of P. */
static bool pass_product(Search *f, const Node *node, Spot spot, int hops) {
    const ValueInfo *right = operand(node, 1);
    Spot from = spot;
    from.rank = right ? known_rank(right) : -1;
    from.sure = true; /* it is asked here */
    bool fits = from.rank >= 2;
    for (int i = 0; i < spot.parts; i++) {
        fits = fits && spot.at[i] != 2 && known_dim(f->s, right, spot.at[i]) == spot.size[i];
    }
    return fits ? walk(f, right, from, hops)
                : refuse(f, "no shapes prove that channels stay apart before ", node, "");
}

static bool pass_transpose(Search *f, const Node *node, Spot spot, int hops) {
    const Onnx__AttributeProto *perm = node_attribute(node, "perm");
    const int rank = perm ? (int)perm->n_ints : 0;
    Spot from = spot;
    from.rank = rank;
    for (int i = 0; i < spot.parts; i++) {
        const int axis = rank - spot.at[i];
        const int64_t at = axis >= 0 ? perm->ints[axis] : -1;
        if (at < 0 || at >= rank) {
            return blocked(f, node);
        }
        from.at[i] = rank - (int)at;
    }
    return walk(f, node->inputs[0], from, hops);
}

/* Are the channels the last of the result's dimensions, in their order? Then the channel of an
 * element is its place in memory modulo their number, whatever the shape. */
static bool lies_last(Search *f, const ValueInfo *value, const Spot *spot) {
    int part = spot->parts - 1;
    for (int at = 1; part >= 0 && at <= spot->at[0]; at++) {
        const bool here = spot->at[part] == at;
        const bool alone = spot->parts == 1 && at == 1 && here && spot->sure;
        if (!alone && known_dim(f->s, value, at) != (here ? spot->size[part] : 1)) {
            return false;
        }
        part -= here;
    }
    return part < 0;
}

static bool pass_reshape(Search *f, const Node *node, Spot spot, int hops) {
    const ValueInfo *value = node->inputs[0];
    Spot from = {.rank = value ? known_rank(value) : -1, .sure = true};
    int64_t left = f->channels;
    bool known = value && lies_last(f, node->outputs[0], &spot);
    for (int at = 1; known && left > 1; at++) {
        const int64_t size = known_dim(f->s, value, at);
        known = size > 0 && left % size == 0 && from.parts < MAX_PARTS;
        if (known && size > 1) {
            for (int i = from.parts++; i > 0; i--) { /* the slowest first */
                from.at[i] = from.at[i - 1];
                from.size[i] = from.size[i - 1];
            }
            from.at[0] = at;
            from.size[0] = size;
            left /= size;
        }
    }
    return known && from.parts
               ? walk(f, value, from, hops)
               : refuse(f, "no shapes prove that channels stay apart before ", node, "");
}

/* ---- one node after the other */

static bool pass(Search *f, const Node *node, Spot spot, int hops) {
    const Layer *layer = layer_of(f->layers, node);
    if (op_in(node, alike)) {
        return walk(f, node->inputs[0], spot, hops);
    }
    if (op_in(node, pools)) {
        return pass_pool(f, node, spot, hops);
    }
    if (is_op(node, "Cast")) {
        return pass_cast(f, node, spot, hops);
    }
    if (is_op(node, "Add")) {
        return pass_add(f, node, spot, hops);
    }
    if (is_op(node, "Mul")) {
        return pass_mul(f, node, spot, hops);
    }
    if (is_op(node, "Div") && operand(node, 0) && !node->inputs[0]->constant) {
        return walk_operand(f, node->inputs[0], spot, hops);
    }
    if (is_op(node, "Transpose")) {
        return pass_transpose(f, node, spot, hops);
    }
    if (is_op(node, "Reshape") || (is_op(node, "Flatten") && node_int(node, "axis", 1) == 1)) {
        return pass_reshape(f, node, spot, hops);
    }
    if (is_norm(node)) {
        return end_in_norm(f, node, &spot);
    }
    if (is_op(node, "BatchNormalization")) {
        return end_in_batchnorm(f, node, &spot);
    }
    static const char *const layers[] = {"MatMul", "Gemm", "Conv", "ConvTranspose", NULL};
    if (op_in(node, layers) && layer && layer->weight) {
        return end_in_layer(f, layer, &spot);
    }
    return is_op(node, "MatMul") ? pass_product(f, node, spot, hops) : blocked(f, node);
}

static bool walk(Search *f, const ValueInfo *value, Spot spot, int hops) {
    const Node *node = value ? value->producer : NULL;
    if (!node || value->constant) {
        f->out->why = STR("nothing in the graph computes it");
        return false;
    }
    if (hops > 0 && (value->uses.len != 1 || value->graph_output)) {
        return refuse(f, "others read what ", node, " makes");
    }
    if (hops == MAX_HOPS || value->output != 0 || node->input_count == 0) {
        return blocked(f, node);
    }
    vec_push(f->s->arena, &f->out->nodes, node);
    return pass(f, node, spot, hops + 1);
}

bool factor_path(const Layers *layers, const ValueInfo *value, int64_t channels, int behind,
                 FactorPath *out) {
    *out = (FactorPath){0};
    Search f = {layers->model->session, layers, channels, out};
    const Spot spot = {.parts = 1,
                       .at = {behind + 1},
                       .size = {channels},
                       .rank = behind ? behind + 2 : known_rank(value),
                       .sure = true};
    return walk(&f, value, spot, 0);
}
