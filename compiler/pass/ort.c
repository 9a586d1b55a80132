/* ort: with `emit ort`, a matrix product by an encoded weight becomes com.microsoft::MatMulNBits.
 *
 *     layer %0 op=MatMul plain=yes ...       %3 = pack %2 layout=nbits
 *     %2 = encode %0, %1 format=int4    ->   %5 = store %3 name="w_q"
 *                                            replace %7, %5, %6 op=MatMulNBits .K=128 ...
 *
 * It holds integers of 2, 4 or 8 bits in blocks (a power of two, 16 and up) of a float32 or float16
 * matrix on the right of MatMul or Gemm (alpha = beta = 1, no transA). Groups that it cannot hold
 * are left to `qdq`, with a note for each reason. accuracy_level 0: activations stay float.
 * Operator: onnxruntime ContribOperators, com.microsoft.MatMulNBits version 1.
 * In: typed, deduped IR. Out: IR in which these groups are emitted. */
#include "compiler/emit.h"
#include "compiler/passes.h"

/* NULL, or why MatMulNBits cannot stand for this group. */
static const char *reason_against(const EmitGroup *e) {
    const Format *format = infer_format(e->encode);
    IrType weight = ir_value_of(e->weight)->type;
    int64_t block = ir_int(e->scale, "block", 0);
    if (!format->integer || (format->bits != 2 && format->bits != 4 && format->bits != 8)) {
        return "MatMulNBits holds integers of 2, 4 or 8 bits only";
    }
    if (!ir_is(e->scale, "granule", "block") || block < 16 || (block & (block - 1)) != 0) {
        return "MatMulNBits needs `per block(N)`, N a power of two from 16 up";
    }
    if (weight.rank != 2 || (weight.element != 1 && weight.element != 10)) {
        return "MatMulNBits takes float32 or float16 matrices only";
    }
    if (ir_value_of(e->scale)->type.element != weight.element) {
        return "MatMulNBits needs scales in the type of the weight";
    }
    for (size_t i = 0; i < e->group->ops.len; i++) {
        const IrOp *op = e->group->ops.at[i];
        if (op->info == IR_OP(layer) && !ir_is(op, "plain", "yes")) {
            return "MatMulNBits is x W + b: no alpha, no beta, no transA, no local function";
        }
    }
    return NULL;
}

static IrValue *pack(EmitGroup *e, IrOp *op, const char *suffix) {
    IrOp *packed = ir_op(e->ir, e->group, IR_OP(pack));
    ir_arg(e->ir, packed, ir_value_of(op));
    ir_set_word(e->ir, packed, "layout", STR("nbits"));
    const char *why;
    infer(e->ir, packed, 0, &ir_value_of(packed)->type, &why);
    return emit_store(e, ir_value_of(packed), suffix);
}

static IrValue *graph_value_of(EmitGroup *e, const IrOp *layer, const char *key) {
    IrOp *op = ir_op(e->ir, e->group, IR_OP(value));
    ir_set_string(e->ir, op, "name", ir_text(layer, key));
    ir_set_int(e->ir, op, "graph", ir_int(layer, "graph", 0));
    return ir_value_of(op);
}

static void set_nbits(EmitGroup *e, IrOp *op) {
    IrType weight = ir_value_of(e->weight)->type;
    int64_t axis = ir_int(e->scale, "axis", 0);
    ir_set_word(e->ir, op, "op", STR("MatMulNBits"));
    ir_set_word(e->ir, op, "domain", STR("com.microsoft"));
    ir_set_int(e->ir, op, ".K", weight.dims[axis]);
    ir_set_int(e->ir, op, ".N", weight.dims[1 - axis]);
    ir_set_int(e->ir, op, ".bits", infer_format(e->encode)->bits);
    ir_set_int(e->ir, op, ".block_size", ir_int(e->scale, "block", 0));
    ir_set_int(e->ir, op, ".accuracy_level", 0);
}

typedef struct NbitsInputs {
    IrValue *codes, *scales, *zeros;
} NbitsInputs;

static void add_inputs(EmitGroup *e, IrOp *op, IrValue *activation, const NbitsInputs *in,
                       IrValue *bias) {
    ir_arg(e->ir, op, activation);
    ir_arg(e->ir, op, in->codes);
    ir_arg(e->ir, op, in->scales);
    if (in->zeros || bias) {
        ir_arg(e->ir, op, in->zeros);
    }
    if (bias) {
        ir_arg(e->ir, op, NULL); /* g_idx */
        ir_arg(e->ir, op, bias);
    }
}

static IrOp *replace(EmitGroup *e, const IrOp *layer) {
    IrOp *op = ir_op(e->ir, e->group, IR_OP(replace));
    ir_set_int(e->ir, op, "graph", ir_int(layer, "graph", 0));
    ir_set_int(e->ir, op, "node", ir_int(layer, "node", 0));
    return op;
}

/* A bias that is a row goes into MatMulNBits; any other is added behind it. */
static void emit_layer(EmitGroup *e, const IrOp *layer, const NbitsInputs *in) {
    IrValue *activation = graph_value_of(e, layer, "activation");
    IrValue *bias = ir_attr(layer, "bias") ? graph_value_of(e, layer, "bias") : NULL;
    if (bias == NULL || ir_is(layer, "bias_row", "yes")) {
        IrOp *op = replace(e, layer);
        set_nbits(e, op);
        add_inputs(e, op, activation, in, bias);
        return;
    }
    IrOp *product = emit_node(e, "MatMulNBits", "_product", (IrType){0});
    ir_set_int(e->ir, product, "graph", ir_int(layer, "graph", 0));
    ir_set_int(e->ir, product, "before", ir_int(layer, "node", 0));
    set_nbits(e, product);
    add_inputs(e, product, activation, in, NULL);
    IrOp *sum = replace(e, layer);
    ir_set_word(e->ir, sum, "op", STR("Add"));
    ir_arg(e->ir, sum, ir_value_of(product));
    ir_arg(e->ir, sum, bias);
}

static void emit_nbits(EmitGroup *e) {
    NbitsInputs in = {.zeros = NULL};
    in.codes = pack(e, e->encode, "_q");
    in.scales = pack(e, e->scale, "_scale");
    if (e->zero) {
        in.zeros = pack(e, e->zero, "_zp");
    }
    size_t count = e->group->ops.len;
    for (size_t i = 0; i < count; i++) {
        if (e->group->ops.at[i]->info == IR_OP(layer)) {
            emit_layer(e, e->group->ops.at[i], &in);
        }
    }
    emit_drop(e);
    e->ir->microsoft = true;
}

typedef struct Fallback {
    const char *reason;
    size_t layers;
    Str first;
} Fallback;

bool pass_ort(Session *s, Ir *ir) {
    (void)s;
    Vec(Fallback) fallbacks = {0};
    for (size_t i = 0; i < ir->groups.len && str_is(ir->emit, "ort"); i++) {
        EmitGroup e;
        if (!emit_open(ir, ir->groups.at[i], &e) || e.encode == NULL) {
            continue; /* pruned only: nothing to say about it */
        }
        const char *reason = reason_against(&e);
        if (reason == NULL) {
            emit_nbits(&e);
            continue;
        }
        size_t k = 0;
        while (k < fallbacks.len && fallbacks.at[k].reason != reason) {
            k++;
        }
        if (k == fallbacks.len) {
            Str path = ir_text(ir_find(e.group, IR_OP(layer)), "path");
            vec_push(ir->arena, &fallbacks, (Fallback){reason, 0, path});
        }
        fallbacks.at[k].layers += ir_count(e.group, IR_OP(layer));
    }
    for (size_t k = 0; k < fallbacks.len; k++) {
        ir_note(ir, "emit ort: %zu layer%s written as qdq, first %.*s: %s", fallbacks.at[k].layers,
                fallbacks.at[k].layers == 1 ? "" : "s", STR_ARG(fallbacks.at[k].first),
                fallbacks.at[k].reason);
    }
    return true;
}
