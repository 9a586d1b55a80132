/* Helpers of the emitting passes (emit.h): they append ops at the end of a group. */
#include "compiler/emit.h"

bool emit_open(Ir *ir, IrGroup *group, EmitGroup *out) {
    if (ir_find(group, IR_OP(store)) || ir_find(group, IR_OP(rewrite)) ||
        ir_find(group, IR_OP(kernel)) || group->ops.at[0]->info != IR_OP(weight)) {
        return false;
    }
    EmitGroup e = {.ir = ir, .group = group, .weight = group->ops.at[0], .before = INT64_MAX};
    e.encode = ir_find(group, IR_OP(encode));
    e.scale = ir_find(group, IR_OP(scale));
    e.zero = ir_find(group, IR_OP(zero));
    e.super = ir_find(group, IR_OP(super));
    e.masked = ir_value_of(e.weight);
    e.graph = (int)ir_int(e.weight, "graph", 0);
    for (size_t i = 0; i < group->ops.len; i++) {
        const IrOp *op = group->ops.at[i];
        if (op->info == IR_OP(mask_nm) || op->info == IR_OP(mask_ratio) ||
            op->info == IR_OP(rescale)) {
            e.masked = ir_value_of(op);
        } else if (op->info == IR_OP(layer)) {
            int64_t before = ir_int(op, "before", 0);
            e.before = before < e.before ? before : e.before;
        }
    }
    int64_t own = (int64_t)ir_count(group, IR_OP(layer));
    e.last = ir_int(e.weight, "rest", ir_int(e.weight, "uses", own) - own) <= 0;
    *out = e;
    return true;
}

static Str fresh(EmitGroup *e, const char *suffix) {
    Str wanted = str_format(e->ir->arena, "%.*s%s", STR_ARG(e->group->name), suffix);
    return ir_fresh_name(e->ir, wanted);
}

IrValue *emit_store(EmitGroup *e, IrValue *data, const char *suffix) {
    IrOp *op = ir_op(e->ir, e->group, IR_OP(store));
    ir_arg(e->ir, op, data);
    ir_set_string(e->ir, op, "name", fresh(e, suffix));
    ir_set_int(e->ir, op, "graph", e->graph);
    ir_value_of(op)->type = data->type;
    return ir_value_of(op);
}

IrOp *emit_node(EmitGroup *e, const char *name, const char *suffix, IrType type) {
    IrOp *op = ir_op(e->ir, e->group, IR_OP(node));
    ir_set_word(e->ir, op, "op", str_from(name));
    ir_set_string(e->ir, op, "name", fresh(e, suffix));
    ir_set_int(e->ir, op, "graph", e->graph);
    ir_set_int(e->ir, op, "before", e->before);
    ir_value_of(op)->type = type;
    return op;
}

void emit_use(EmitGroup *e, IrValue *value) {
    size_t count = e->group->ops.len;
    for (size_t i = 0; i < count; i++) {
        const IrOp *layer = e->group->ops.at[i];
        if (layer->info == IR_OP(layer)) {
            IrOp *op = ir_op(e->ir, e->group, IR_OP(use));
            ir_arg(e->ir, op, value);
            ir_set_int(e->ir, op, "graph", ir_int(layer, "graph", 0));
            ir_set_int(e->ir, op, "node", ir_int(layer, "node", 0));
            ir_set_int(e->ir, op, "slot", ir_int(layer, "slot", 0));
        }
    }
}

void emit_drop(EmitGroup *e) {
    if (e->last) {
        IrOp *op = ir_op(e->ir, e->group, IR_OP(drop));
        ir_arg(e->ir, op, ir_value_of(e->weight));
    }
}

void emit_need_opset(EmitGroup *e, int64_t opset) {
    e->ir->opset = e->ir->opset > opset ? e->ir->opset : opset;
}
