/* Attributes of Conv -> StatConv (conv_view.h). */
#include "compiler/conv_view.h"

/* Entry `i` of an attribute that is a list of ints. */
static int64_t entry(const Node *node, const char *name, size_t i, int64_t otherwise) {
    const Onnx__AttributeProto *a = node_attribute(node, name);
    return a && i < a->n_ints ? a->ints[i] : otherwise;
}

static Str text(const Node *node, const char *name) {
    const Onnx__AttributeProto *a = node_attribute(node, name);
    return a ? (Str){(const char *)a->s.data, a->s.len} : (Str){0};
}

static bool transposed(const Layer *layer) {
    return str_is(layer->node->op, "ConvTranspose");
}

/* What its places are follows from its own attributes alone. */
static bool says_pads(const Node *node) {
    const Str mode = text(node, "auto_pad");
    return !node_attribute(node, "output_shape") &&
           (mode.len == 0 || str_is(mode, "NOTSET") || str_is(mode, "VALID"));
}

bool conv_view_fits(const Layer *layer) {
    const Tensor *w = layer->weight;
    const bool walks =
        str_is(layer->node->op, "Conv") || (transposed(layer) && says_pads(layer->node));
    return w && walks && layer->weight_at == layer->node && w->rank >= 3 &&
           w->rank <= 2 + STAT_RANK_MAX && layer->input && layer->node->inputs[0] == layer->input;
}

/* What SAME adds on both sides of one dimension together. */
static int64_t same_padding(const StatConv *c, int d) {
    const int64_t out = (c->size[d] - 1) / c->stride[d] + 1;
    const int64_t need = (out - 1) * c->stride[d] + c->dilation[d] * (c->kernel[d] - 1) + 1;
    return need > c->size[d] ? need - c->size[d] : 0;
}

static void pad(const Node *node, StatConv *c, int d) {
    const Str mode = text(node, "auto_pad");
    if (str_is(mode, "SAME_UPPER") || str_is(mode, "SAME_LOWER")) {
        const int64_t both = same_padding(c, d);
        const int64_t less = both / 2;
        c->begin[d] = str_is(mode, "SAME_UPPER") ? less : both - less;
        c->end[d] = both - c->begin[d];
    } else if (!str_is(mode, "VALID")) {
        c->begin[d] = entry(node, "pads", (size_t)d, 0);
        c->end[d] = entry(node, "pads", (size_t)(d + c->rank), 0);
    }
    if (c->transposed) {
        c->end[d] -= entry(node, "output_padding", (size_t)d, 0);
    }
}

bool conv_view(const Layer *layer, const int64_t *dims, int rank, StatConv *out) {
    const Tensor *w = layer->weight;
    const Node *node = layer->node;
    const int64_t channels = transposed(layer) ? w->dims[0] : w->dims[1] * layer->groups;
    if (rank != w->rank || dims[1] != channels) {
        return false;
    }
    *out = (StatConv){.rank = rank - 2,
                      .batch = dims[0],
                      .channels = channels,
                      .groups = layer->groups,
                      .transposed = transposed(layer)};
    for (int d = 0; d < out->rank; d++) {
        out->size[d] = dims[2 + d];
        out->kernel[d] = w->dims[2 + d];
        out->stride[d] = entry(node, "strides", (size_t)d, 1);
        out->dilation[d] = entry(node, "dilations", (size_t)d, 1);
        if (out->size[d] < 1 || out->stride[d] < 1 || out->stride[d] > INT32_MAX ||
            out->dilation[d] < 1 || out->dilation[d] > INT32_MAX || out->kernel[d] > INT32_MAX) {
            return false;
        }
        pad(node, out, d);
    }
    return true;
}

Str conv_view_name(Arena *arena, const Layer *layer) {
    const Tensor *w = layer->weight;
    const int rank = w->rank - 2;
    const Str mode = text(layer->node, "auto_pad");
    Buf b = buf_on(arena);
    buf_printf(&b, transposed(layer) ? "transposed conv" : "conv");
    for (int d = 0; d < rank; d++) {
        buf_printf(&b, " %lld/%lld/%lld/%lld/%lld", (long long)w->dims[2 + d],
                   (long long)entry(layer->node, "strides", (size_t)d, 1),
                   (long long)entry(layer->node, "dilations", (size_t)d, 1),
                   (long long)entry(layer->node, "pads", (size_t)d, 0),
                   (long long)entry(layer->node, "pads", (size_t)(d + rank), 0) -
                       (long long)entry(layer->node, "output_padding", (size_t)d, 0));
    }
    buf_printf(&b, " group %lld%s%.*s", (long long)layer->groups, mode.len ? " " : "",
               STR_ARG(mode));
    return buf_view(&b);
}
