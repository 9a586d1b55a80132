/* One adapter per change of an op that alters its form or its meaning, in the order of ops.list.
 * Each is written from the two versions of the operator in ONNX's Changelog.md; what cannot be
 * expressed in the new version is refused, never approximated. */
#include <float.h>
#include <string.h>
#include "runtime/model/upgrade_node.h"

/* ---- attribute -> input */

static bool ints_to_input(Upgrade *u, const char *name, size_t slot) {
    Onnx__AttributeProto *a;
    TRY(upgrade_take(u, name, &a));
    if (a && a->n_ints > 0) {
        upgrade_set_input(u, slot, upgrade_ints(u, name, a->ints, a->n_ints, false));
    }
    return true;
}

static bool axes_to_input(Upgrade *u) { /* Reduce*, Squeeze, Unsqueeze */
    return ints_to_input(u, "axes", 1);
}

static bool split_13(Upgrade *u) {
    return ints_to_input(u, "split", 1);
}

static bool slice_10(Upgrade *u) {
    return ints_to_input(u, "starts", 1) && ints_to_input(u, "ends", 2) &&
           ints_to_input(u, "axes", 3);
}

static bool topk_10(Upgrade *u) {
    Onnx__AttributeProto *k;
    TRY(upgrade_take(u, "k", &k));
    const int64_t value = k ? k->i : 0;
    upgrade_set_input(u, 1, upgrade_ints(u, "k", &value, 1, false));
    return true;
}

/* The bounds become scalars of the input's type; those that bound nothing are left out. */
static bool clip_11(Upgrade *u) {
    Onnx__AttributeProto *min, *max;
    TRY(upgrade_take(u, "min", &min));
    TRY(upgrade_take(u, "max", &max));
    if (min && min->f > -FLT_MAX) {
        const Str bound = upgrade_like(u, "min", min->f, 0);
        TRY(bound.len > 0);
        upgrade_set_input(u, 1, bound);
    }
    if (max && max->f < FLT_MAX) {
        const Str bound = upgrade_like(u, "max", max->f, 0);
        TRY(bound.len > 0);
        upgrade_set_input(u, 2, bound);
    }
    return true;
}

static bool pad_11(Upgrade *u) {
    Onnx__AttributeProto *value;
    TRY(ints_to_input(u, "pads", 1));
    if (u->now->n_input < 2) { /* no attribute, or an empty one: nothing is padded */
        upgrade_set_input(u, 1, upgrade_ints(u, "pads", NULL, 0, false));
    }
    TRY(upgrade_take(u, "value", &value));
    if (value && value->f != 0) {
        const Str constant = upgrade_like(u, "value", value->f, 0);
        TRY(constant.len > 0);
        upgrade_set_input(u, 2, constant);
    }
    return true;
}

static bool dft_20(Upgrade *u) {
    Onnx__AttributeProto *a;
    TRY(upgrade_take(u, "axis", &a));
    const int64_t axis = a ? a->i : 1; /* the default became -2 */
    upgrade_set_input(u, 2, upgrade_ints(u, "axis", &axis, 1, true));
    return true;
}

static bool used(const Upgrade *u, int output) {
    if (output >= u->node->output_count || !u->node->outputs[output]) {
        return false;
    }
    const ValueInfo *v = u->node->outputs[output];
    return v->uses.len > 0 || v->graph_output;
}

static bool dropout_10(Upgrade *u) {
    return !used(u, 1) || upgrade_refuse(u, "its mask would become bool");
}

/* training_mode stays absent: like before, nothing is dropped in inference. What the mask holds
 * then was not said until opset 12 (ONNX Runtime: false before, true since). */
static bool dropout_12(Upgrade *u) {
    if (used(u, 1)) {
        return upgrade_refuse(u, "its mask changed at opset 12");
    }
    Onnx__AttributeProto *ratio;
    TRY(upgrade_take(u, "ratio", &ratio));
    if (ratio) {
        upgrade_set_input(u, 1, upgrade_floats(u, "ratio", &ratio->f, 1, true));
    }
    return true;
}

/* ---- other forms of the same thing */

static bool batchnorm_9(Upgrade *u) {
    Onnx__AttributeProto *spatial;
    TRY(upgrade_take(u, "spatial", &spatial));
    return !spatial || spatial->i != 0 ||
           upgrade_refuse(u, "`spatial = 0` (statistics per element) was taken out at opset 9");
}

static bool batchnorm_14(Upgrade *u) {
    for (int i = 1; i < u->node->output_count; i++) {
        if (used(u, i)) {
            return upgrade_refuse(u, "its outputs for training changed at opset 14");
        }
    }
    if (u->now->n_output > 1) {
        u->now->n_output = 1;
        u->changed = true;
    }
    return true;
}

static bool gridsample_20(Upgrade *u) {
    const Str mode = upgrade_text(u, "mode", "");
    if (str_is(mode, "bilinear")) {
        upgrade_set_text(u, "mode", "linear");
    } else if (str_is(mode, "bicubic")) {
        upgrade_set_text(u, "mode", "cubic");
    }
    return true;
}

static bool roialign_16(Upgrade *u) {
    upgrade_set_text(u, "coordinate_transformation_mode", "output_half_pixel");
    return true;
}

static bool scatter_11(Upgrade *u) {
    u->now->op_type = (char *)"ScatterElements";
    u->changed = true;
    return true;
}

static bool split_18(Upgrade *u) {
    if (upgrade_input(u, 1).len == 0) {
        upgrade_set_int(u, "num_outputs", (int64_t)u->now->n_output);
    }
    return true;
}

static bool floats_only(Upgrade *u) {
    const ValueInfo *v = u->node->input_count ? u->node->inputs[0] : NULL;
    switch (v ? v->type : 0) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16: case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32: case ONNX__TENSOR_PROTO__DATA_TYPE__UINT64:
        return upgrade_refuse(u, "it no longer takes integers");
    default:
        return true;
    }
}

/* ---- Softmax, LogSoftmax, Hardmax: until 12 over all dimensions from `axis` on, taken as one */

static int rank_of(const Upgrade *u) {
    return u->node->input_count && u->node->inputs[0] ? u->node->inputs[0]->rank : -1;
}

static bool softmax_13(Upgrade *u) {
    Onnx__AttributeProto *a;
    TRY(upgrade_take(u, "axis", &a));
    const int64_t axis = a ? a->i : 1;
    const int rank = rank_of(u);
    if (axis == -1 || (rank > 0 && axis == rank - 1)) {
        upgrade_set_int(u, "axis", -1); /* the last one only: nothing is merged */
        return true;
    }
    /* y = Reshape(Softmax(Flatten(x, axis), -1), Shape(x)) */
    enum { ALLOW_ZERO = 14 };
    const Str x = upgrade_input(u, 0);
    const Str shape = upgrade_insert(u, "Shape", &x, 1, NULL);
    const Str flat = upgrade_insert(u, "Flatten", &x, 1, upgrade_int_attribute(u, "axis", axis));
    const Str y = upgrade_insert(u, u->now->op_type, &flat, 1,
                                 upgrade_int_attribute(u, "axis", -1));
    u->now->op_type = (char *)"Reshape";
    upgrade_set_input(u, 0, y);
    upgrade_set_input(u, 1, shape);
    if (u->target >= ALLOW_ZERO) {
        upgrade_set_int(u, "allowzero", 1);
    }
    return true;
}

/* ---- GroupNormalization: scale and bias per group -> per channel */

static Str per_channel(Upgrade *u, Str per_group, int64_t groups, int64_t channels) {
    const int64_t column[] = {groups, 1}, matrix[] = {groups, channels / groups};
    const Str a[] = {per_group, upgrade_ints(u, "groups", column, 2, false)};
    const Str b[] = {upgrade_insert(u, "Reshape", a, 2, NULL),
                     upgrade_ints(u, "repeat", matrix, 2, false)};
    const Str c[] = {upgrade_insert(u, "Expand", b, 2, NULL),
                     upgrade_ints(u, "channels", &channels, 1, false)};
    return upgrade_insert(u, "Reshape", c, 2, NULL);
}

static bool groupnorm_21(Upgrade *u) {
    const ValueInfo *x = u->node->input_count ? u->node->inputs[0] : NULL;
    const Onnx__AttributeProto *groups = upgrade_attribute(u, "num_groups");
    const int64_t channels = x && x->rank > 1 ? x->dims[1] : -1;
    if (channels < 1 || !groups || groups->i < 1 || channels % groups->i != 0) {
        return upgrade_refuse(u, "the model does not say how many channels its input has");
    }
    for (size_t slot = 1; slot <= 2; slot++) {
        upgrade_set_input(u, slot, per_channel(u, upgrade_input(u, slot), groups->i, channels));
    }
    return true;
}

/* ---- Upsample and Resize */

static bool upsample_9(Upgrade *u) {
    Onnx__AttributeProto *a;
    TRY(upgrade_take(u, "scales", &a));
    if (!a) {
        return upgrade_refuse(u, "it has no scales");
    }
    upgrade_set_input(u, 1, upgrade_floats(u, "scales", a->floats, a->n_floats, false));
    return true;
}

static bool upsample_10(Upgrade *u) {
    u->now->op_type = (char *)"Resize";
    u->changed = true;
    return true;
}

/* Opset 10 left open which pixel is the nearest when an image shrinks; Upsample only enlarges. */
static bool only_enlarges(const Upgrade *u) {
    if (str_is(u->node->op, "Upsample")) {
        return true;
    }
    const ValueInfo *v = u->node->input_count > 1 ? u->node->inputs[1] : NULL;
    const Tensor *t = v ? v->constant : NULL;
    if (!t || t->type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) {
        return false;
    }
    const uint8_t *bytes = tensor_bytes(u->session, t, u->arena);
    for (int64_t i = 0; i < t->count; i++) {
        float scale;
        memcpy(&scale, bytes + i * 4, 4);
        if (!(scale >= 1)) {
            return false;
        }
    }
    return true;
}

static bool resize_11(Upgrade *u) {
    enum { ROI_OPTIONAL = 13 };
    const bool nearest = str_is(upgrade_text(u, "mode", "nearest"), "nearest");
    if (nearest && !only_enlarges(u)) {
        return upgrade_refuse(u, "opset 10 does not say which pixel is nearest when it shrinks");
    }
    const Str scales = upgrade_input(u, 1);
    upgrade_set_input(u, 2, scales);
    upgrade_set_input(u, 1, u->target >= ROI_OPTIONAL ? STR("")
                                                      : upgrade_floats(u, "roi", NULL, 0, false));
    upgrade_set_text(u, "coordinate_transformation_mode", "asymmetric");
    if (nearest) {
        upgrade_set_text(u, "nearest_mode", "floor");
    }
    return true;
}

/* Inputs that had to be there, if only as empty tensors, are optional now and must not clash. */
static bool resize_13(Upgrade *u) {
    if (str_is(upgrade_text(u, "coordinate_transformation_mode", ""), "tf_half_pixel_for_nn")) {
        return upgrade_refuse(u, "tf_half_pixel_for_nn was taken out at opset 13");
    }
    for (int slot = 1; slot <= 2 && slot < u->node->input_count; slot++) {
        const ValueInfo *v = u->node->inputs[slot];
        if (v && v->constant && v->constant->count == 0 &&
            str_eq(upgrade_input(u, (size_t)slot), v->name)) {
            upgrade_set_input(u, (size_t)slot, STR(""));
        }
    }
    return true;
}

/* To add one: the row, and the mark in ops.list that make_ops.py sets; upgrade_test compares. */
const Adapter upgrade_adapters[] = {
    {"BatchNormalization", 9, batchnorm_9, NULL},
    {"BatchNormalization", 14, batchnorm_14, NULL},
    {"Clip", 11, clip_11, NULL},
    {"DFT", 20, dft_20, NULL},
    {"Dropout", 10, dropout_10, NULL},
    {"Dropout", 12, dropout_12, NULL},
    {"Erf", 13, floats_only, NULL},
    {"GridSample", 20, gridsample_20, NULL},
    {"GroupNormalization", 21, groupnorm_21, NULL},
    {"Hardmax", 13, softmax_13, NULL},
    {"LogSoftmax", 13, softmax_13, NULL},
    {"Pad", 11, pad_11, NULL},
    {"ReduceL1", 18, axes_to_input, NULL},
    {"ReduceL2", 18, axes_to_input, NULL},
    {"ReduceLogSum", 18, axes_to_input, NULL},
    {"ReduceLogSum", 28, floats_only, NULL},
    {"ReduceLogSumExp", 18, axes_to_input, NULL},
    {"ReduceLogSumExp", 28, floats_only, NULL},
    {"ReduceMax", 18, axes_to_input, NULL},
    {"ReduceMean", 18, axes_to_input, NULL},
    {"ReduceMin", 18, axes_to_input, NULL},
    {"ReduceProd", 18, axes_to_input, NULL},
    {"ReduceSum", 13, axes_to_input, NULL},
    {"ReduceSumSquare", 18, axes_to_input, NULL},
    {"Resize", 11, resize_11, NULL},
    {"Resize", 13, resize_13, NULL},
    {"RoiAlign", 16, roialign_16, NULL},
    {"Scan", 9, NULL, "sequence_lens was taken out at opset 9"},
    {"Scatter", 11, scatter_11, NULL},
    {"Slice", 10, slice_10, NULL},
    {"Softmax", 13, softmax_13, NULL},
    {"Split", 13, split_13, NULL},
    {"Split", 18, split_18, NULL},
    {"Squeeze", 13, axes_to_input, NULL},
    {"TopK", 10, topk_10, NULL},
    {"Unsqueeze", 13, axes_to_input, NULL},
    {"Upsample", 9, upsample_9, NULL},
    {"Upsample", 10, upsample_10, NULL},
};

const size_t upgrade_adapter_count = sizeof upgrade_adapters / sizeof *upgrade_adapters;
