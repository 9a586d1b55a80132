/* Nodes that find scales (lower_dynamic.h). */
#include "compiler/lower_dynamic.h"
#include "runtime/calib/array_type.h"
#include <string.h>

enum { TYPE_UINT8 = 2, SHIFT = 128 };

/* ---- constants and nodes */

static Str name_of(const DynamicInput *t, const char *suffix) {
    const Str base = t->stream->value->name;
    return ir_fresh_name(t->ir, str_format(t->ir->arena, "%.*s%s", STR_ARG(base), suffix));
}

/* rank 1: one element all the same */
static IrValue *constant(const DynamicInput *t, const char *suffix, int type, int rank,
                         double value) {
    static const int64_t one = 1;
    const Fact fact = {.name = name_of(t, suffix), .kind = FACT_FIXED, .type = type, .count = 1};
    const Fact *made = facts_add(t->facts, &fact);
    const int64_t integer = (int64_t)value;
    if (type == t->stream->type) {
        array_put_float(type, value, made->bytes);
    } else { /* the bytes of a little integer come first; codes of small floats are 0 */
        memcpy(made->bytes, &integer, (size_t)made->size);
    }
    IrOp *known = ir_op(t->ir, t->group, IR_OP(known));
    ir_set_string(t->ir, known, "fact", fact.name);
    ir_value_of(known)->type = ir_type(t->ir, type, rank, &one);
    IrOp *op = ir_op(t->ir, t->group, IR_OP(store));
    ir_arg(t->ir, op, ir_value_of(known));
    ir_set_string(t->ir, op, "name", fact.name);
    ir_set_int(t->ir, op, "graph", t->graph);
    ir_value_of(op)->type = ir_value_of(known)->type;
    return ir_value_of(op);
}

static IrOp *node_op(const DynamicInput *t, const char *op, const char *suffix,
                     IrValue *const *args) {
    IrOp *made = ir_op(t->ir, t->group, IR_OP(node));
    ir_set_word(t->ir, made, "op", str_from(op));
    ir_set_string(t->ir, made, "name", name_of(t, suffix));
    ir_set_int(t->ir, made, "graph", t->graph);
    ir_set_int(t->ir, made, "before", t->before);
    for (; *args; args++) {
        ir_arg(t->ir, made, *args);
    }
    return made;
}

/* b: NULL where there is one operand */
static IrValue *node(const DynamicInput *t, const char *op, const char *suffix, IrValue *a,
                     IrValue *b) {
    return ir_value_of(node_op(t, op, suffix, (IrValue *const[]){a, b, NULL}));
}

/* ReduceMax or ReduceMin over all of a value, or over each row of its last axis. */
static IrValue *reduce(const DynamicInput *t, const char *op, const char *suffix, IrValue *x,
                       IrValue *axes) {
    IrOp *made = node_op(t, op, suffix, (IrValue *const[]){x, axes, NULL});
    ir_set_int(t->ir, made, ".keepdims", axes != NULL);
    return ir_value_of(made);
}

static void use(const DynamicInput *t, const PlanUse *reader, IrValue *value) {
    IrOp *op = ir_op(t->ir, t->group, IR_OP(use));
    ir_arg(t->ir, op, value);
    ir_set_int(t->ir, op, "graph", t->graph);
    ir_set_int(t->ir, op, "node", reader->node->index);
    ir_set_int(t->ir, op, "slot", reader->slot);
}

/* A scale of 0, and one that loses bits, is none. */
static double least_normal(int type) {
    return type == TYPE_FLOAT16 ? 0x1p-14 : 0x1p-126;
}

static IrValue *at_least(const DynamicInput *t, IrValue *scale) {
    IrValue *least = constant(t, "_least", t->stream->type, 0, least_normal(t->stream->type));
    return node(t, "Max", "_scale", scale, least);
}

/* ---- behind the layer */

/* Is this reader a product of the value and a weight, and nothing else? */
static bool only_multiplies(const DynamicInput *t, const PlanUse *reader) {
    static const char *const products[] = {"MatMul", "Gemm", "Conv", "ConvTranspose", NULL};
    const Node *of = reader->node;
    const PlanLayer *found = NULL;
    for (size_t i = 0; i < t->stream->layers.len && !found; i++) {
        const PlanLayer *planned = &t->plan->layers_planned.at[t->stream->layers.at[i]];
        found = planned->layer->node == of && planned->layer->weight ? planned : NULL;
    }
    bool product = false;
    for (int i = 0; products[i] && !product && of->domain.len == 0; i++) {
        product = str_is(of->op, products[i]);
    }
    const bool bias = of->input_count > 2 && of->inputs[2];
    return product && found && !bias && of->inputs[reader->slot] == found->layer->input;
}

/* The layer's result under another name, times the scale under its own. */
static void scale_result(const DynamicInput *t, const Node *layer, IrValue *scale) {
    const Str result = layer->outputs[0]->name;
    IrOp *rename = ir_op(t->ir, t->group, IR_OP(rename));
    ir_set_string(t->ir, rename, "name",
                  ir_fresh_name(t->ir, str_format(t->ir->arena, "%.*s_unscaled", STR_ARG(result))));
    ir_set_int(t->ir, rename, "graph", t->graph);
    ir_set_int(t->ir, rename, "node", layer->index);
    IrOp *product = ir_op(t->ir, t->group, IR_OP(node));
    ir_set_word(t->ir, product, "op", STR("Mul"));
    ir_set_string(t->ir, product, "name",
                  ir_fresh_name(t->ir, str_format(t->ir->arena, "%.*s_scaled", STR_ARG(result))));
    ir_set_int(t->ir, product, "graph", t->graph);
    ir_set_int(t->ir, product, "behind", layer->index);
    ir_set_string(t->ir, product, "output", result);
    ir_arg(t->ir, product, ir_value_of(rename));
    ir_arg(t->ir, product, scale);
}

/* ---- codes */

static IrValue *axes_of(const DynamicInput *t) {
    return t->stream->token ? constant(t, "_axis", TYPE_INT64, 1, -1) : NULL;
}

/* A pair of Q and DQ of constant scale 1: rounding and saturation of the format. */
static IrValue *round_steps(const DynamicInput *t, IrValue *steps, int type, double zero_point) {
    IrValue *one = constant(t, "_one", t->stream->type, 0, 1);
    IrValue *zero = constant(t, "_zp", type, 0, zero_point);
    IrOp *quantize = node_op(t, "QuantizeLinear", "_q", (IrValue *const[]){steps, one, zero, NULL});
    IrValue *const codes[] = {ir_value_of(quantize), one, zero, NULL};
    return ir_value_of(node_op(t, "DequantizeLinear", "_dq", codes));
}

/* ONNX Runtime on x86 has integer products of uint8 by int8; it turns int8 into that by itself only
 * where one layer reads the codes. */
static IrValue *round_symmetric(const DynamicInput *t, IrValue *steps) {
    const Format *f = t->stream->element;
    const bool shifted = f->integer && str_is(t->ir->emit, "ort");
    return shifted ? round_steps(t, steps, TYPE_UINT8, SHIFT)
                   : round_steps(t, steps, f->onnx_type, 0);
}

static void lower_symmetric(const DynamicInput *t, IrValue *x) {
    IrValue *top = constant(t, "_top", t->stream->type, 0, (double)t->stream->element->scale_max);
    IrValue *amax = reduce(t, "ReduceMax", "_amax", node(t, "Abs", "_abs", x, NULL), axes_of(t));
    IrValue *scale = at_least(t, node(t, "Div", "_share", amax, top));
    IrValue *rounded = round_symmetric(t, node(t, "Div", "_steps", x, scale)), *back = NULL;
    for (size_t i = 0; i < t->stream->uses.len; i++) {
        const PlanUse *reader = &t->stream->uses.at[i];
        const bool behind = only_multiplies(t, reader);
        if (!behind && !back) {
            back = node(t, "Mul", "_back", rounded, scale);
        }
        use(t, reader, behind ? rounded : back);
        if (behind) {
            scale_result(t, reader->node, scale);
        }
    }
}

/* One scale: an engine takes it and the zero point as they come. */
static IrValue *round_shifted(const DynamicInput *t, IrValue *x, IrValue *scale, IrValue *shift) {
    const int type = t->stream->element->onnx_type;
    IrOp *zero = node_op(t, "Cast", "_zp", (IrValue *const[]){shift, NULL});
    ir_set_int(t->ir, zero, ".to", type);
    IrValue *const args[] = {x, scale, ir_value_of(zero), NULL};
    IrValue *const codes[] = {ir_value_of(node_op(t, "QuantizeLinear", "_q", args)), scale,
                              ir_value_of(zero), NULL};
    return ir_value_of(node_op(t, "DequantizeLinear", "_dq", codes));
}

/* One for each row, written out: QuantizeLinear in blocks would do, but what ONNX Runtime 1.32
 * makes of it and a product behind it does not run. */
static IrValue *round_rows(const DynamicInput *t, IrValue *x, IrValue *scale, IrValue *shift) {
    IrValue *steps = node(t, "Round", "_round", node(t, "Div", "_steps", x, scale), NULL);
    IrValue *codes =
        round_steps(t, node(t, "Add", "_shifted", steps, shift), t->stream->element->onnx_type, 0);
    return node(t, "Mul", "_back", node(t, "Sub", "_centered", codes, shift), scale);
}

/* The range is widened to hold 0. lo and hi are divided one by one: their difference may overflow.
 */
static void lower_asymmetric(const DynamicInput *t, IrValue *x) {
    IrValue *zero = constant(t, "_zero", t->stream->type, 0, 0), *axes = axes_of(t);
    IrValue *top = constant(t, "_top", t->stream->type, 0, (double)t->stream->element->scale_max);
    IrValue *low = node(t, "Min", "_low", reduce(t, "ReduceMin", "_min", x, axes), zero);
    IrValue *high = node(t, "Max", "_high", reduce(t, "ReduceMax", "_max", x, axes), zero);
    IrValue *above = node(t, "Div", "_above", high, top);
    IrValue *below = node(t, "Div", "_below", low, top);
    IrValue *scale = at_least(t, node(t, "Sub", "_share", above, below));
    IrValue *down = node(t, "Div", "_down", node(t, "Neg", "_depth", low, NULL), scale);
    IrValue *shift = node(t, "Round", "_shift", down, NULL);
    IrValue *made = axes ? round_rows(t, x, scale, shift) : round_shifted(t, x, scale, shift);
    for (size_t i = 0; i < t->stream->uses.len; i++) {
        use(t, &t->stream->uses.at[i], made);
    }
}

void lower_dynamic(const DynamicInput *input, IrValue *x) {
    if (input->stream->element->asymmetric) {
        lower_asymmetric(input, x);
    } else {
        lower_symmetric(input, x);
    }
}
