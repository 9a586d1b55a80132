/* Finds and computes (batchnorm.h). */
#include "compiler/batchnorm.h"
#include "runtime/calib/array_type.h"
#include <math.h>

enum { GAMMA = 1, BETA, MEAN, VARIANCE, BATCHNORM_INPUTS };

static bool is_vector(const Node *node, int slot, int64_t count) {
    const ValueInfo *value = slot < node->input_count ? node->inputs[slot] : NULL;
    const Tensor *t = value ? value->constant : NULL;
    return t && t->rank == 1 && t->count == count && type_is_float(t->type);
}

static bool is_convolution(const Layer *layer) {
    const Node *node = layer->node;
    const bool standard =
        node->domain.len == 0 &&
        (str_is(node->op, "Conv") || (str_is(node->op, "ConvTranspose") && layer->groups == 1));
    return standard && layer->weight && !layer->encoded && type_is_float(layer->weight->type) &&
           layer->weight_at == node && layer->weight_slot == 1;
}

const Node *batchnorm_behind(const Layer *layer) {
    const Node *node = layer->node;
    const ValueInfo *made = node->output_count == 1 ? node->outputs[0] : NULL;
    if (!made || made->uses.len != 1 || made->graph_output || !is_convolution(layer)) {
        return NULL;
    }
    const ValueInfo *weight = node->inputs[1];
    const Use reader = made->uses.at[0];
    const Node *norm = reader.node;
    const int64_t channels = layer->weight->dims[layer->channel_axis];
    bool fits = norm->graph == node->graph && reader.slot == 0 && norm->domain.len == 0 &&
                str_is(norm->op, "BatchNormalization") && norm->output_count == 1 &&
                norm->outputs[0] && norm->input_count == BATCHNORM_INPUTS &&
                node_int(norm, "training_mode", 0) == 0 && node_int(norm, "spatial", 1) == 1;
    for (int i = GAMMA; i < BATCHNORM_INPUTS && fits; i++) {
        fits = is_vector(norm, i, channels);
    }
    const bool biased = node->input_count > 2 && node->inputs[2];
    fits = fits && (!biased || is_vector(node, 2, channels));
    return fits && weight->uses.len == 1 && !weight->graph_output ? norm : NULL;
}

static bool read(Session *s, const Node *node, int slot, Arena *arena, double **out) {
    const Tensor *t = node->inputs[slot]->constant;
    const uint8_t *bytes = tensor_bytes(s, t, s->arena);
    TRY(bytes);
    const size_t step = array_type(t->type)->bytes;
    *out = arena_many(arena, double, (size_t)t->count);
    for (int64_t i = 0; i < t->count; i++) {
        (*out)[i] = array_value(t->type, bytes + (size_t)i * step);
    }
    return true;
}

bool batchnorm_factors(Session *s, const Layer *layer, const Node *norm, Arena *arena,
                       double **gain, double **bias) {
    const Node *node = layer->node;
    double *in[BATCHNORM_INPUTS], *old = NULL;
    for (int i = GAMMA; i < BATCHNORM_INPUTS; i++) {
        TRY(read(s, norm, i, arena, &in[i]));
    }
    if (node->input_count > 2 && node->inputs[2]) {
        TRY(read(s, node, 2, arena, &old));
    }
    const Onnx__AttributeProto *given = node_attribute(norm, "epsilon");
    const double epsilon = (double)(given ? given->f : 1e-5f);
    const int64_t channels = layer->weight->dims[layer->channel_axis];
    *gain = arena_many(arena, double, (size_t)channels);
    *bias = arena_many(arena, double, (size_t)channels);
    for (int64_t i = 0; i < channels; i++) {
        const double g = in[GAMMA][i] / sqrt(in[VARIANCE][i] + epsilon);
        (*gain)[i] = g;
        (*bias)[i] = ((old ? old[i] : 0.0) - in[MEAN][i]) * g + in[BETA][i];
    }
    return true;
}
