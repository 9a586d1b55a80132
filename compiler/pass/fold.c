/* fold: drops what changes nothing.
 *
 *     %1 = mask_nm %0 keep=4 group=4 axis=0     ->   (gone: it hides nothing)
 *     %2 = scale %1 ...                              %2 = scale %0 ...
 *
 * Also: a mask directly over an equal mask, groups without any step, and weights without elements
 * (with a note). In: typed, legal IR. Out: typed IR in which every group does something. */
#include "compiler/infer.h"
#include "compiler/passes.h"

static bool hides_nothing(const IrOp *op) {
    if (op->info == IR_OP(mask_nm)) {
        return ir_int(op, "keep", 0) == ir_int(op, "group", 0) ||
               infer_same_mask(op, op->args.at[0]->op);
    }
    return op->info == IR_OP(mask_ratio) &&
           (ir_float(op, "fraction", 0) == 0 || infer_same_mask(op, op->args.at[0]->op));
}

/* What is emitted already stays: a weight that is rewritten needs a mask, even an idle one. */
static void fold_masks(IrGroup *group) {
    if (ir_find(group, IR_OP(rewrite)) || ir_find(group, IR_OP(store))) {
        return;
    }
    for (size_t i = 0; i < group->ops.len;) {
        IrOp *op = group->ops.at[i];
        if (hides_nothing(op)) {
            ir_replace_value(group, ir_value_of(op), op->args.at[0]);
            ir_remove_op(group, op);
        } else {
            i++;
        }
    }
}

static bool does_something(Ir *ir, const IrGroup *group) {
    size_t idle = ir_count(group, IR_OP(weight)) + ir_count(group, IR_OP(layer));
    if (group->ops.len == idle) {
        return false;
    }
    if (ir_type_elements(ir_value_of(group->ops.at[0])->type) == 0) {
        ir_note(ir, "weight \"%.*s\" has no elements: left as it is", STR_ARG(group->name));
        return false;
    }
    return true;
}

bool pass_fold(Session *s, Ir *ir) {
    (void)s;
    size_t kept = 0;
    for (size_t i = 0; i < ir->groups.len; i++) {
        IrGroup *group = ir->groups.at[i];
        fold_masks(group);
        if (does_something(ir, group)) {
            ir->groups.at[kept++] = group;
        }
    }
    ir->groups.len = kept;
    return true;
}
