/* prune: a mask over the float weight, by magnitude. N:M keeps N of M neighbours along the
 * reduction axis; a number is the fraction zeroed in the tensor. Ties keep the lower index. Later
 * steps keep the mask: they read the masked weight, and a 0 encodes to a code that means 0. */
#include "compiler/transform.h"

static const Param params[] = {
    {.name = "pattern",
     .type = PARAM_PATTERN,
     .required = true,
     .doc = "2:4 keeps two of four along the input; 0.5 zeroes half of the tensor"},
    {.name = "score",
     .type = PARAM_CHOICE,
     .choices = "magnitude",
     .initial = "magnitude",
     .doc = "what makes a weight important"},
    {.name = "method",
     .type = PARAM_CHOICE,
     .choices = "mask | sparsegpt*",
     .initial = "mask",
     .doc = "what happens to the weights that stay"},
    {.name = "mask", .type = PARAM_FN, .later = true, .doc = "your own rule: keep where true"},
    {.name = NULL},
};

static bool prune_lower(Lowering *l, const Step *step) {
    const PlanLayer *layer = l->layer;
    if (layer->prune == PRUNE_NONE) {
        return true;
    }
    bool nm = layer->prune == PRUNE_NM;
    IrOp *op = ir_op(l->ir, l->group, nm ? IR_OP(mask_nm) : IR_OP(mask_ratio));
    op->at = step->span;
    ir_arg(l->ir, op, l->weight);
    if (nm) {
        ir_set_int(l->ir, op, "keep", layer->keep);
        ir_set_int(l->ir, op, "group", layer->group);
        ir_set_int(l->ir, op, "axis", layer->layer->reduce_axis);
    } else {
        ir_set_float(l->ir, op, "fraction", layer->fraction);
    }
    l->weight = ir_value_of(op);
    return true;
}

const Transform transform_prune = {
    .schema = {.name = "prune",
               .doc = "set the least important weights to zero",
               .kind = SCHEMA_STEP,
               .phase = PHASE_EDIT,
               .params = params},
    .lower = prune_lower,
};
