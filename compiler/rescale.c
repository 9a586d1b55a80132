/* Lowering of steps that scale weights along the reduction axis (rescale.h). */
#include "compiler/rescale.h"

bool rescale_lower(Lowering *l, const Step *step) {
    if (l->layer->tie < 0) {
        return true; /* a step that bind has refused */
    }
    IrOp *op = ir_op(l->ir, l->group, IR_OP(rescale));
    op->at = step->span;
    ir_arg(l->ir, op, l->weight);
    ir_set_word(l->ir, op, "by", str_from(step->schema->name));
    ir_set_string(l->ir, op, "name", l->layer->layer->input->name);
    ir_set_int(l->ir, op, "axis", l->layer->layer->reduce_axis);
    l->weight = ir_value_of(op);
    return true;
}
