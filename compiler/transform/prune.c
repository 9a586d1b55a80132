/* prune: a mask over the float weight, by magnitude. N:M keeps N of M neighbours along the
 * reduction axis; a number is the fraction zeroed in the tensor. Ties keep the lower index. Later
 * steps keep the mask: they read the masked weight, and a 0 encodes to a code that means 0. */
#include "compiler/transform.h"

static const Param params[] = {
    {.name = "pattern", .type = PARAM_PATTERN, .required = true, .range = "0.0..1.0",
     .doc = "N:M keeps N of M neighbours along k; a number is the fraction set to 0"},
    {.name = "score", .type = PARAM_CHOICE, .choices = "magnitude | wanda*", .initial = "magnitude",
     .doc = "what a weight is worth"},
    {.name = "method", .type = PARAM_CHOICE, .choices = "sparsegpt*", .later = true,
     .doc = "how the weights that stay make up for the others"},
    {.name = "mask", .type = PARAM_FN, .later = true, .doc = "a function that decides what stays"},
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
               .doc = "set the weights of least magnitude to 0",
               .kind = SCHEMA_STEP,
               .phase = PHASE_EDIT,
               .params = params},
    .lower = prune_lower,
};
