/* qdq: weights behind standard ONNX DequantizeLinear; also what another emitter left over.
 *
 *     %2 = encode %0, %1 format=int4     ->   %3 = store %1 name="w_scale"
 *                                             %4 = store %2 name="w_q"
 *                                             %5 = node %4, %3 op=DequantizeLinear .axis=0 ...
 *                                             use %5 node=17 slot=1
 *                                             drop %0
 *
 * Two-level scales (nvfp4) are dequantized first; e8m0 scales and two-level ones say the output
 * type; float64 weights get a Cast. `weights = float` keeps the weight and puts QuantizeLinear in
 * front. Pruned weights without codes are rewritten in place, or stored anew where others read the
 * original. Raises Ir.opset to the least that the nodes need (ONNX operator changelog,
 * DequantizeLinear 10, 13 axis, 19 float8 and float16 scales, 21 blocks and int4, 23 float4 and
 * output_dtype, 24 e8m0 scales, 25 int2, 28 float6).
 * In: typed, deduped IR. Out: every group stores what it makes. */
#include "compiler/emit.h"
#include "compiler/passes.h"

enum { F32 = 1, F16 = 10, F64 = 11, BF16 = 16, E4M3 = 17, E8M0 = 24 };

/* What DequantizeLinear can give: the weight's type, or float32 and a Cast. */
static int output_element(int weight) {
    return weight == F64 ? F32 : weight;
}

static IrType with_element(IrType type, int element) {
    type.element = element;
    return type;
}

/* axis and block_size of a Quantize- or DequantizeLinear with this scale. */
static void set_granule(EmitGroup *e, IrOp *node) {
    if (ir_is(e->scale, "granule", "tensor")) {
        return;
    }
    ir_set_int(e->ir, node, ".axis", ir_int(e->scale, "axis", 0));
    emit_need_opset(e, 13);
    if (ir_is(e->scale, "granule", "block")) {
        ir_set_int(e->ir, node, ".block_size", ir_int(e->scale, "block", 0));
        emit_need_opset(e, 21);
    }
}

/* The scales as the graph sees them; two-level ones become float32 in a node of their own. */
static IrValue *emit_scale(EmitGroup *e) {
    IrValue *scale = ir_value_of(e->scale);
    IrValue *stored = emit_store(e, scale, "_scale");
    int element = scale->type.element;
    emit_need_opset(e, element == E8M0 ? 24 : element == F32 ? 10 : 19);
    if (e->super == NULL) {
        return stored;
    }
    IrValue *super = emit_store(e, ir_value_of(e->super), "_super");
    IrOp *node = emit_node(e, "DequantizeLinear", "_scale_dq", with_element(scale->type, F32));
    ir_arg(e->ir, node, stored);
    ir_arg(e->ir, node, super);
    return ir_value_of(node);
}

static IrValue *emit_cast(EmitGroup *e, IrValue *from, int element, const char *suffix) {
    IrType type = with_element(ir_value_of(e->weight)->type, element);
    IrOp *node = emit_node(e, "Cast", suffix, type);
    ir_arg(e->ir, node, from);
    ir_set_int(e->ir, node, ".to", element);
    return ir_value_of(node);
}

/* The weight, pruned if it is, as a float of the graph. */
static IrValue *emit_float(EmitGroup *e) {
    if (e->masked != ir_value_of(e->weight) && !e->last) {
        return emit_store(e, e->masked, "_pruned");
    }
    if (e->masked != ir_value_of(e->weight)) {
        IrOp *op = ir_op(e->ir, e->group, IR_OP(rewrite));
        ir_arg(e->ir, op, e->masked);
    }
    IrOp *value = ir_op(e->ir, e->group, IR_OP(value));
    ir_set_string(e->ir, value, "name", e->group->name);
    ir_set_int(e->ir, value, "graph", e->graph);
    ir_value_of(value)->type = e->masked->type;
    return ir_value_of(value);
}

/* weights = float: the codes come from a QuantizeLinear that says their type itself. */
static IrValue *emit_quantize(EmitGroup *e, IrValue *scale, IrValue *zero) {
    IrValue *x = emit_float(e);
    int weight = x->type.element;
    if (weight == F64) {
        x = emit_cast(e, x, F32, "_f32");
    }
    IrType codes = ir_value_of(e->encode)->type;
    IrOp *node = emit_node(e, "QuantizeLinear", "_q", codes);
    ir_arg(e->ir, node, x);
    ir_arg(e->ir, node, scale);
    if (zero) {
        ir_arg(e->ir, node, zero);
    }
    set_granule(e, node);
    ir_set_int(e->ir, node, ".output_dtype", codes.element);
    emit_need_opset(e, scale->type.element == output_element(weight) ? 21 : 23);
    return ir_value_of(node);
}

static void emit_encoded(EmitGroup *e) {
    int weight = ir_value_of(e->weight)->type.element;
    IrValue *scale = emit_scale(e);
    IrValue *zero = e->zero ? emit_store(e, ir_value_of(e->zero), "_zp") : NULL;
    IrValue *codes = e->ir->float_weights ? emit_quantize(e, scale, zero)
                                          : emit_store(e, ir_value_of(e->encode), "_q");
    int element = output_element(weight);
    IrOp *node = emit_node(e, "DequantizeLinear", "_dq", with_element(codes->type, element));
    ir_arg(e->ir, node, codes);
    ir_arg(e->ir, node, scale);
    if (zero) {
        ir_arg(e->ir, node, zero);
    }
    set_granule(e, node);
    if (scale->type.element != element) {
        ir_set_int(e->ir, node, ".output_dtype", element);
        emit_need_opset(e, 23);
    }
    emit_need_opset(e, infer_format(e->encode)->onnx_opset);
    IrValue *result = ir_value_of(node);
    if (weight == F64) {
        result = emit_cast(e, result, F64, "_f64");
    }
    emit_use(e, result);
    if (!e->ir->float_weights) {
        emit_drop(e);
    }
}

/* Pruned only: new bytes under the old name if nobody else reads them. */
static void emit_pruned(EmitGroup *e) {
    IrValue *value = emit_float(e);
    if (value->op->info == IR_OP(store)) {
        emit_use(e, value);
    } else {
        ir_remove_op(e->group, value->op);
    }
}

bool pass_qdq(Session *s, Ir *ir) {
    (void)s;
    for (size_t i = 0; i < ir->groups.len; i++) {
        EmitGroup e;
        if (!emit_open(ir, ir->groups.at[i], &e)) {
            continue;
        }
        if (e.encode) {
            emit_encoded(&e);
        } else {
            emit_pruned(&e);
        }
    }
    return true;
}
