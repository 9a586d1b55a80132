/* legal: what a kernel could not do is an error here, with the step that asked for it. Bind has
 * said most of it already, with better sentences; this is the net under it, and the only check
 * that IR from a text meets.
 *
 * In: typed IR. Out: the same. Errors: E0501 blocks, E0505 masks, E0405 weights of other types. */
#include "compiler/infer.h"
#include "compiler/passes.h"

static bool report(Session *s, const IrGroup *group, const IrOp *op, const char *code,
                   const char *what) {
    Diag *d = diag_error(s, code, op->at, "%s", what);
    if (op->at.source == NULL) {
        diag_where(d, "tensor \"%.*s\"", STR_ARG(group->name));
    } else {
        diag_note(d, "in tensor \"%.*s\"", STR_ARG(group->name));
    }
    return false;
}

static bool check_scale(Session *s, const IrGroup *group, const IrOp *op) {
    IrType weight = op->args.at[0]->type;
    int64_t block = ir_int(op, "block", 1);
    if (ir_is(op, "granule", "block") && !ir_is(op, "tail", "short") &&
        weight.dims[ir_int(op, "axis", 0)] % block != 0) {
        return report(s, group, op, "E0501", "the block does not divide the reduction axis");
    }
    return true;
}

static bool check_mask(Session *s, const IrGroup *group, const IrOp *op) {
    if (op->info == IR_OP(mask_ratio)) {
        double fraction = ir_float(op, "fraction", 0);
        return (fraction >= 0 && fraction <= 1) ||
               report(s, group, op, "E0505", "the fraction to prune is not between 0 and 1");
    }
    IrType weight = op->args.at[0]->type;
    int64_t axis = ir_int(op, "axis", 0);
    int64_t keep = ir_int(op, "keep", 0), size = ir_int(op, "group", 0);
    if (axis < 0 || axis >= weight.rank || size < 1 || size > 32 || keep < 0 || keep > size) {
        return report(s, group, op, "E0505", "no N:M pattern on this axis");
    }
    if (weight.dims[axis] % size != 0) {
        return report(s, group, op, "E0505", "the N:M groups do not divide the reduction axis");
    }
    return true;
}

static bool check_weight(Session *s, const IrGroup *group, const IrOp *op) {
    int element = ir_value_of(op)->type.element;
    if (element != 1 && element != 10 && element != 11 && element != 16) {
        return report(s, group, op, "E0405", "this weight is not of a float type");
    }
    return true;
}

/* A kernel applies one mask: two that differ cannot both be kept. Equal ones are folded later. */
static bool check_masks(Session *s, const IrGroup *group) {
    const IrOp *first = NULL;
    for (size_t i = 0; i < group->ops.len; i++) {
        const IrOp *op = group->ops.at[i];
        bool ratio = op->info == IR_OP(mask_ratio);
        bool hides = ratio ? ir_float(op, "fraction", 0) > 0
                           : ir_int(op, "keep", 0) != ir_int(op, "group", 0);
        if ((!ratio && op->info != IR_OP(mask_nm)) || !hides) {
            continue;
        }
        if (first && !infer_same_mask(first, op)) {
            return report(s, group, op, "E0505", "two different prunings of one weight");
        }
        first = op;
    }
    return true;
}

bool pass_legal(Session *s, Ir *ir) {
    bool ok = true;
    for (size_t i = 0; i < ir->groups.len; i++) {
        const IrGroup *group = ir->groups.at[i];
        ok &= check_masks(s, group);
        for (size_t k = 0; k < group->ops.len; k++) {
            const IrOp *op = group->ops.at[k];
            if (op->info == IR_OP(scale)) {
                ok &= check_scale(s, group, op);
            } else if (op->info == IR_OP(mask_nm) || op->info == IR_OP(mask_ratio)) {
                ok &= check_mask(s, group, op);
            } else if (op->info == IR_OP(weight)) {
                ok &= check_weight(s, group, op);
            }
        }
    }
    return ok;
}
