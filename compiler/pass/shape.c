/* shape: gives every value the type that follows from its operands.
 *
 *     %0 = weight ... : f32[128, 384]          %0 = weight ... : f32[128, 384]
 *     %1 = scale %0 ... axis=0 block=32   ->   %1 = scale %0 ... axis=0 block=32 : f32[4, 384]
 *
 * In: verified IR. Out: all data values typed; attributes untouched. */
#include "compiler/infer.h"
#include "compiler/passes.h"

bool pass_shape(Session *s, Ir *ir) {
    (void)s;
    for (size_t i = 0; i < ir->groups.len; i++) {
        const IrGroup *group = ir->groups.at[i];
        for (size_t k = 0; k < group->ops.len; k++) {
            const IrOp *op = group->ops.at[k];
            for (size_t r = 0; r < op->results.len; r++) {
                IrType type;
                const char *why;
                if (infer(ir, op, r, &type, &why) == INFER_TYPE) {
                    op->results.at[r]->type = type;
                }
            }
        }
    }
    return true;
}
