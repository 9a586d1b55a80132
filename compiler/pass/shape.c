/* shape: gives every value the type that follows from its operands.
 *
 *     %0 = weight ... : f32[128, 384]          %0 = weight ... : f32[128, 384]
 *     %1 = scale %0 ... axis=0 block=32   ->   %1 = scale %0 ... axis=0 block=32 : f32[4, 384]
 *
 * In: verified IR. Out: all data values typed; attributes untouched. Errors: E0010 when a
 * type cannot be (only IR from a text can be so). */
#include "compiler/infer.h"
#include "compiler/ir_text.h"
#include "compiler/passes.h"

static bool type_result(Session *s, Ir *ir, const IrGroup *group, const IrOp *op, size_t result) {
    IrType type;
    const char *why;
    Inferred got = infer(ir, op, result, &type, &why);
    if (got == INFER_WRONG) {
        Diag *d = diag_error(s, "E0010", op->at, "an op does not fit its operands: %s", why);
        Buf line = buf_on(ir->arena);
        ir_print_op(op, &line);
        diag_note(d, "group \"%.*s\": %s", STR_ARG(group->name), line.data);
        return false;
    }
    if (got == INFER_TYPE) {
        op->results.at[result]->type = type;
    }
    return true;
}

bool pass_shape(Session *s, Ir *ir) {
    for (size_t i = 0; i < ir->groups.len; i++) {
        const IrGroup *group = ir->groups.at[i];
        for (size_t k = 0; k < group->ops.len; k++) {
            for (size_t r = 0; r < group->ops.at[k]->results.len; r++) {
                TRY(type_result(s, ir, group, group->ops.at[k], r));
            }
        }
    }
    return true;
}
