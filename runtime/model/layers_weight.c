/* What a layer's weight is: which input holds it, behind which Transpose, Cast, Identity or
 * DequantizeLinear, how its axes lie, whether it arrives encoded. One row of a table for each op
 * that has a weight; an op without a row has none. Reads shapes and attributes only. */
#include "runtime/model/layers_parts.h"

typedef enum WeightLayout {
    LAYOUT_MATMUL, LAYOUT_GEMM, LAYOUT_CONV, LAYOUT_CONV_T, LAYOUT_GATHER, LAYOUT_NBITS_OP
} WeightLayout;

typedef struct WeightRow {
    const char *domain, *op;
    LayerRole role;
    WeightLayout layout;
    int slot;        /* of the weight */
    int other;       /* the operand it meets; tried as the weight when `slot` is not constant */
    bool either;
    bool encoded;    /* the op itself works on codes */
} WeightRow;

#define MS "com.microsoft"
static const WeightRow weight_rows[] = {
    /* domain, op,             role,         layout,          slot, other, either, encoded */
    {"", "MatMul",             ROLE_LINEAR,  LAYOUT_MATMUL,   1, 0, true,  false},
    {"", "Gemm",               ROLE_LINEAR,  LAYOUT_GEMM,     1, 0, true,  false},
    {MS, "FusedMatMul",        ROLE_LINEAR,  LAYOUT_MATMUL,   1, 0, true,  false},
    {MS, "MatMulNBits",        ROLE_LINEAR,  LAYOUT_NBITS_OP, 1, 0, false, true},
    {"", "MatMulInteger",      ROLE_LINEAR,  LAYOUT_MATMUL,   1, 0, false, true},
    {MS, "MatMulIntegerToFloat", ROLE_LINEAR, LAYOUT_MATMUL,  1, 0, false, true},
    {MS, "DynamicQuantizeMatMul", ROLE_LINEAR, LAYOUT_MATMUL, 1, 0, false, true},
    {"", "QLinearMatMul",      ROLE_LINEAR,  LAYOUT_MATMUL,   3, 0, false, true},
    {MS, "QGemm",              ROLE_LINEAR,  LAYOUT_GEMM,     3, 0, false, true},
    {"", "Conv",               ROLE_CONV,    LAYOUT_CONV,     1, 0, false, false},
    {"", "ConvTranspose",      ROLE_CONV,    LAYOUT_CONV_T,   1, 0, false, false},
    {MS, "FusedConv",          ROLE_CONV,    LAYOUT_CONV,     1, 0, false, false},
    {"", "ConvInteger",        ROLE_CONV,    LAYOUT_CONV,     1, 0, false, true},
    {"", "QLinearConv",        ROLE_CONV,    LAYOUT_CONV,     3, 0, false, true},
    {"", "Gather",             ROLE_EMBEDDING, LAYOUT_GATHER, 0, 1, false, false},
};

enum { CHAIN = 8 }; /* nodes between a weight and its layer that are looked through */

typedef struct Found {
    const Tensor *tensor;
    Node *at;
    int slot;
    const Node *transposes[CHAIN];
    int transpose_count;
    const char *decoder;      /* op that decodes it on the way, or NULL */
    bool shared;              /* something else reads what stands between */
} Found;

static const char *decoder_of(const Node *node) {
    static const char *const ops[] = {"DequantizeLinear", "QuantizeLinear",
                                      "TRT_INT4DequantizeLinear", "TRT_FP8DequantizeLinear",
                                      "TRT_FP4DequantizeLinear"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (str_is(node->op, ops[i])) {
            return ops[i];
        }
    }
    return NULL;
}

/* What stands between may have no other reader: an encoded weight is put in place in front of it.
 */
static bool find_constant(Node *node, int slot, Found *found) {
    *found = (Found){.at = node, .slot = slot};
    ValueInfo *value = node_in(node, slot);
    for (int hops = 0; value && hops <= CHAIN; hops++) {
        if (value->constant) {
            found->tensor = value->constant;
            return !found->shared || found->decoder;
        }
        Node *from = value->producer;
        if (!from || hops == CHAIN) {
            return false;
        }
        if (node_is(from, "Transpose")) {
            found->transposes[found->transpose_count++] = from;
        } else if (decoder_of(from)) {
            found->decoder = found->decoder ? found->decoder : decoder_of(from);
        } else if (!node_is(from, "Identity") && !node_is(from, "Cast")) {
            return false;
        }
        found->shared = found->shared || value->uses.len != 1 || value->graph_output;
        found->at = from;
        found->slot = 0;
        value = node_in(from, 0);
    }
    return false;
}

/* Axis of the stored tensor behind `axis` of what the layer reads; -1 if perm makes no sense. */
static int axis_behind(const Found *found, int axis) {
    int rank = found->tensor->rank;
    for (int i = 0; i < found->transpose_count; i++) {
        const Onnx__AttributeProto *perm = node_attribute(found->transposes[i], "perm");
        if (!perm) {
            axis = rank - 1 - axis;
        } else {
            if (perm->n_ints != (size_t)rank) {
                return -1;
            }
            int64_t to = perm->ints[axis];
            if (to < 0 || to >= rank) {
                return -1;
            }
            axis = (int)to;
        }
    }
    return axis;
}

static bool transposed(const Node *node, const char *name) {
    return node_int(node, name, 0) != 0;
}

/* Axes as the layer reads the weight; false if its rank does not fit. */
static bool axes_read(const Layer *layer, const WeightRow *row, int rank, bool left, int *reduce,
                      int *channel) {
    const Node *node = layer->node;
    int last = rank - 1, before = rank - 2;
    bool swap;
    switch (row->layout) {
    case LAYOUT_MATMUL:
        swap = transposed(node, left ? "transA" : "transB") != left;
        *reduce = swap ? last : before;
        *channel = swap ? before : last;
        return rank >= 2;
    case LAYOUT_GEMM:
        swap = transposed(node, left ? "transA" : "transB") != left;
        *reduce = swap ? 1 : 0;
        *channel = swap ? 0 : 1;
        return rank == 2;
    case LAYOUT_CONV:
        *reduce = 1;
        *channel = 0;
        return rank >= 3;
    case LAYOUT_CONV_T:
        *reduce = 0;
        *channel = 1;
        return rank >= 3;
    default: /* LAYOUT_GATHER */
        *reduce = 1;
        *channel = 0;
        return rank == 2;
    }
}

static int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static void convolution(Layer *layer, const WeightRow *row) {
    const Tensor *w = layer->weight;
    int64_t kernel = 1;
    for (int i = 2; i < w->rank; i++) {
        kernel = times(kernel, w->dims[i]);
        layer->kernel = w->dims[i] > layer->kernel ? w->dims[i] : layer->kernel;
    }
    if (row->layout == LAYOUT_CONV_T) {
        layer->width = w->dims[0] / layer->groups;
        layer->n = times(w->dims[1], layer->groups);
    } else {
        layer->width = w->dims[1];
        layer->n = w->dims[0];
    }
    layer->k = times(layer->width, kernel);
}

static void describe_state(Layers *layers, Layer *layer, const WeightRow *row, const Found *found) {
    const char *by = row->encoded ? row->op : found->decoder;
    int type = found->tensor->type;
    if (!by && type_is_float(type)) {
        return;
    }
    layer->encoded = true;
    Arena *arena = layers->model->session->arena;
    if (by && type_is_float(type)) {
        layer->state = str_format(arena, "%s (of float weights)", by);
    } else if (by) {
        layer->state = str_format(arena, "%s (%s)", by, type_name(type));
    } else {
        layer->state = str_format(arena, "%s", type_name(type));
    }
}

static void nbits(Layers *layers, Layer *layer, const Found *found) {
    const Node *node = layer->node;
    int64_t k = node_int(node, "K", 0), n = node_int(node, "N", 0);
    layer->k = layer->width = k > 0 ? k : 0;
    layer->n = n > 0 ? n : 0;
    layer->params = times(layer->k, layer->n);
    layer->bytes = found->tensor ? found->tensor->size : 0;
    layer->reduce_axis = 1;
    layer->encoded = true;
    layer->state = str_format(layers->model->session->arena, "MatMulNBits (%lld bits, block %lld)",
                              (long long)node_int(node, "bits", 4),
                              (long long)node_int(node, "block_size", 0));
}

static void sides(Layer *layer) {
    layer->groups = node_int(layer->node, "group", 1);
    layer->groups = layer->groups < 1 ? 1 : layer->groups;
    layer->stride = 1;
    const Onnx__AttributeProto *strides = node_attribute(layer->node, "strides");
    for (size_t i = 0; strides && i < strides->n_ints; i++) {
        layer->stride = strides->ints[i] > layer->stride ? strides->ints[i] : layer->stride;
    }
    const Onnx__AttributeProto *kernel = node_attribute(layer->node, "kernel_shape");
    for (size_t i = 0; kernel && i < kernel->n_ints; i++) {
        layer->kernel = kernel->ints[i] > layer->kernel ? kernel->ints[i] : layer->kernel;
    }
}

static const WeightRow *row_of(const Node *node) {
    for (size_t i = 0; i < sizeof weight_rows / sizeof *weight_rows; i++) {
        const WeightRow *row = &weight_rows[i];
        if (str_is(node->domain, row->domain) && str_is(node->op, row->op)) {
            return row;
        }
    }
    return NULL;
}

static bool fits(const Layer *layer, const WeightRow *row, const Found *found, bool left) {
    int reduce, channel;
    if (!axes_read(layer, row, found->tensor->rank, left, &reduce, &channel)) {
        return false;
    }
    if (row->layout == LAYOUT_GATHER &&
        (node_int(layer->node, "axis", 0) != 0 || value_is_constant(node_in(layer->node, 1)) ||
         (!type_is_float(found->tensor->type) && !found->decoder))) {
        return false; /* arithmetic on shapes, not a table of vectors */
    }
    return axis_behind(found, reduce) >= 0 && axis_behind(found, channel) >= 0;
}

static void set_input(Layer *layer) {
    for (int i = 0; i < layer->node->input_count && !layer->input; i++) {
        ValueInfo *value = layer->node->inputs[i];
        if (value && !value->constant) {
            layer->input = value;
        }
    }
}

void layer_weight(Layers *layers, Layer *layer) {
    sides(layer);
    const WeightRow *row = row_of(layer->node);
    Found found = {0};
    bool left = false;
    bool constant = row && find_constant(layer->node, row->slot, &found);
    if (row && !constant && row->either) {
        left = constant = find_constant(layer->node, row->other, &found);
    }
    bool by_name = row && row->layout == LAYOUT_NBITS_OP;
    if (!by_name && (!constant || !fits(layer, row, &found, left))) {
        set_input(layer);
        return;
    }
    layer->roles |= row->role;
    layer->weight = found.tensor;
    layer->weight_at = found.at;
    layer->weight_slot = found.slot;
    layer->input = node_in(layer->node, left ? row->slot : row->other);
    if (by_name) {
        nbits(layers, layer, &found);
        return;
    }
    int reduce, channel;
    axes_read(layer, row, found.tensor->rank, left, &reduce, &channel);
    layer->reduce_axis = axis_behind(&found, reduce);
    layer->channel_axis = axis_behind(&found, channel);
    layer->params = found.tensor->count;
    layer->bytes = found.tensor->size;
    layer->k = layer->width = found.tensor->dims[layer->reduce_axis];
    layer->n = found.tensor->dims[layer->channel_axis];
    if (row->role == ROLE_CONV) {
        convolution(layer, row);
    }
    describe_state(layers, layer, row, &found);
}
