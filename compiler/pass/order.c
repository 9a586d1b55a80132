/* order: kernels are numbered in the order in which their weights lie in the input files.
 *
 *     group "b": %0 = weight offset=9000        group "a": %0 = weight offset=100,  kernel job=0
 *     group "a": %0 = weight offset=100    ->   group "b": %0 = weight offset=9000, kernel job=1
 *
 * exec takes chunks of kernels in the order of the output, so a memory budget never depends on the
 * order of jobs; what does is the disk: read-ahead of the input and write-behind of the output both
 * want ascending offsets, and initializers keep their order in the output.
 * In: fused IR. Out: groups sorted by (file, offset), stable, those without a weight first; every
 * kernel that exec runs has its job number, every other its number among the solved ones. */
#include "compiler/passes.h"
#include <stdlib.h>

typedef struct GroupPlace {
    IrGroup *group;
    int64_t file, offset;
    size_t index;
} GroupPlace;

static int compare(const void *left, const void *right) {
    const GroupPlace *a = left, *b = right;
    if (a->file != b->file) {
        return a->file < b->file ? -1 : 1;
    }
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

bool pass_order(Session *s, Ir *ir) {
    (void)s;
    size_t count = ir->groups.len;
    GroupPlace *places = arena_many(ir->arena, GroupPlace, count);
    for (size_t i = 0; i < count; i++) {
        const IrOp *weight = ir->groups.at[i]->ops.at[0];
        places[i] = (GroupPlace){ir->groups.at[i], ir_int(weight, "file", 0),
                                 ir_int(weight, "offset", 0), i};
    }
    if (count > 1) {
        qsort(places, count, sizeof places[0], compare);
    }
    int64_t job = 0, solved = 0;
    for (size_t i = 0; i < count; i++) {
        IrGroup *group = places[i].group;
        ir->groups.at[i] = group;
        for (size_t k = 0; k < group->ops.len; k++) {
            IrOp *op = group->ops.at[k];
            if (op->info == IR_OP(kernel) && ir_attr(op, "edit")) {
                ir_set_int(ir, op, "solved", solved++);
            } else if (op->info == IR_OP(kernel)) {
                ir_set_int(ir, op, "job", job++);
            }
        }
    }
    return true;
}
