/* IR + layout of the output -> the schedule that exec runs: one job for each kernel op, one segment
 * for each piece of the output files. */
#ifndef COMPILER_ASSEMBLE_H
#define COMPILER_ASSEMBLE_H
#include "compiler/facts.h"
#include "compiler/ir.h"
#include "runtime/exec/exec.h"
#include "runtime/model/model.h"

/* A weight whose outputs solve makes, because they depend on the data: one for each kernel op with
 * an `edit`, in the order of their `solved` numbers. */
typedef struct Solved {
    Str name;
    Kernel kernel;          /* of the weight as it is: without what `edit` says */
    const void *source;     /* the whole tensor, mapped or on the session's arena */
    int layer;              /* in Plan.layers_planned: the first that reads it */
    void *outs[OUT_COUNT];  /* kernel_output_size bytes each; by solve, on its arena */
    KernelMetrics metrics;  /* against the weight as it is before it is rounded */
} Solved;
typedef Vec(Solved) SolvedList;

/* What a kernel op says, as exec and kernels/ take it; metrics: results are compared, too. */
Kernel assemble_kernel(const IrOp *op, bool metrics);

/* What facts and solved weights hold goes where the layout has them. Before that these segments
 * have no data; a schedule is run after it. */
void assemble_known(Schedule *schedule, const Layout *layout, const Facts *facts,
                    const SolvedList *solved);

/* files: final names of the model and its data file. False: a weight could not be read (E10xx). */
bool assemble(Session *s, const Ir *ir, const Model *model, const Layout *layout,
                    const Str files[2], bool metrics, SolvedList *solved, Schedule *out);

#endif
