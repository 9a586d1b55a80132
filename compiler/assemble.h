/* IR + layout of the output -> the schedule that exec runs: one job for each kernel op, one segment
 * for each piece of the output files. */
#ifndef COMPILER_ASSEMBLE_H
#define COMPILER_ASSEMBLE_H
#include "compiler/ir.h"
#include "runtime/exec/exec.h"
#include "runtime/model/model.h"

/* What a kernel op says, as exec and kernels/ take it; metrics: results are compared, too. */
Kernel assemble_kernel(const IrOp *op, bool metrics);

/* files: final names of the model and its data file. False: a weight could not be read (E10xx). */
bool assemble(Session *s, const Ir *ir, const Model *model, const Layout *layout,
                    const Str files[2], bool metrics, Schedule *out);

#endif
