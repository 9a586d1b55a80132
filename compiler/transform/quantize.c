/* quantize: scales, zero points and codes of a weight. The format, its granule, axis and block are
 * resolved by bind (PlanFormat); here they become super, scale, zero and encode ops. Scales are
 * stored in the weight's own float type (float32 for float64), e4m3 under one float32 for
 * two-level formats, e8m0 for mx formats. */
#include "compiler/transform.h"

static const Param params[] = {
    {.name = "weight", .type = PARAM_FORMAT, .doc = "format of the stored weights"},
    {.name = "input",
     .type = PARAM_FORMAT,
     .initial = "none",
     .doc = "format of what the layer reads"},
    {.name = "output",
     .type = PARAM_FORMAT,
     .initial = "none",
     .doc = "format of what the layer writes, for those who read it"},
    {.name = "bias",
     .type = PARAM_CHOICE,
     .choices = "none | int32",
     .doc = "how the bias is stored; int32: in units of input scale x weight scale"},
    {.name = "kv",
     .type = PARAM_FORMAT,
     .initial = "none",
     .doc = "format of the keys and values that attention reads"},
    {.name = "method",
     .type = PARAM_CHOICE,
     .choices = "max | mse",
     .initial = "max",
     .doc = "how weight scales are found"},
    {.name = "round",
     .type = PARAM_CHOICE,
     .choices = "nearest | gptq | adaround | stochastic*",
     .initial = "nearest",
     .doc = "how weights become codes"},
    {.name = "place",
     .type = PARAM_CHOICE,
     .choices = "auto | exact",
     .initial = "auto",
     .doc = "what else is stored or folded: by the rules of placement, or only what is named"},
    {.name = NULL},
};

/* TensorProto.DataType of the scales. */
static int scale_element(const PlanFormat *format, int weight) {
    if (format->scale) {
        return format->scale->onnx_type;
    }
    return weight == 11 ? 1 : weight; /* DequantizeLinear knows no float64 */
}

static IrOp *step_op(Lowering *l, const Step *step, const IrOpInfo *info, const char *format) {
    IrOp *op = ir_op(l->ir, l->group, info);
    op->at = step->span;
    ir_arg(l->ir, op, l->weight);
    ir_set_word(l->ir, op, "format", str_from(format));
    return op;
}

static IrOp *lower_scale(Lowering *l, const Step *step, IrValue *super) {
    const PlanFormat *format = &l->layer->format;
    static const char *const granules[] = {
        [GRANULE_TENSOR] = "tensor", [GRANULE_CHANNEL] = "channel", [GRANULE_BLOCK] = "block"};
    IrOp *op = step_op(l, step, IR_OP(scale), format->element->name);
    if (super) {
        ir_arg(l->ir, op, super);
    }
    ir_set_word(l->ir, op, "granule", str_from(granules[format->granule]));
    if (format->granule != GRANULE_TENSOR) {
        ir_set_int(l->ir, op, "axis", format->axis);
    }
    if (format->granule == GRANULE_BLOCK) {
        ir_set_int(l->ir, op, "block", format->block);
        if (format->tail_short) {
            ir_set_word(l->ir, op, "tail", STR("short"));
        }
    }
    ir_set_word(l->ir, op, "method", format->method == METHOD_MSE ? STR("mse") : STR("max"));
    int element = scale_element(format, l->layer->layer->weight->type);
    ir_set_word(l->ir, op, "type", str_from(ir_element_name(element)));
    return op;
}

/* The weight takes the gain of the BatchNormalization behind it in. */
static void lower_norm(Lowering *l, const Step *step) {
    IrOp *op = ir_op(l->ir, l->group, IR_OP(rescale));
    op->at = step->span;
    ir_arg(l->ir, op, l->weight);
    ir_set_word(l->ir, op, "by", STR("batchnorm"));
    ir_set_string(l->ir, op, "name", l->layer->norm->outputs[0]->name);
    ir_set_int(l->ir, op, "axis", l->layer->layer->channel_axis);
    l->weight = ir_value_of(op);
}

static bool quantize_lower(Lowering *l, const Step *step) {
    if (!l->layer->quantized) {
        return true;
    }
    const PlanFormat *format = &l->layer->format;
    const char *name = format->element->name;
    IrValue *super = NULL, *zero = NULL;
    if (l->layer->norm) {
        lower_norm(l, step);
    }
    if (format->super) {
        super = ir_value_of(step_op(l, step, IR_OP(super), name));
    }
    IrValue *scale = ir_value_of(lower_scale(l, step, super));
    if (format->element->asymmetric) {
        IrOp *op = step_op(l, step, IR_OP(zero), name);
        ir_arg(l->ir, op, scale);
        zero = ir_value_of(op);
    }
    IrOp *encode = step_op(l, step, IR_OP(encode), name);
    if (l->layer->round != ROUND_NEAREST) {
        ir_set_word(l->ir, encode, "round", str_from(plan_round_name(l->layer->round)));
    }
    if (l->layer->bias) {
        ir_set_word(l->ir, encode, "also", STR("bias"));
    }
    ir_arg(l->ir, encode, scale);
    if (zero || super) {
        ir_arg(l->ir, encode, zero);
    }
    if (super) {
        ir_arg(l->ir, encode, super);
    }
    l->weight = ir_value_of(encode);
    return true;
}

const Transform transform_quantize = {
    .schema = {.name = "quantize",
               .doc = "store weights, inputs or outputs in a number format",
               .kind = SCHEMA_STEP,
               .phase = PHASE_ENCODE,
               .params = params},
    .lower = quantize_lower,
};
