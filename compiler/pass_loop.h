/* Pass by pass over the data: what is measured, then what that decides (data_passes.h). */
#ifndef COMPILER_PASS_LOOP_H
#define COMPILER_PASS_LOOP_H
#include "compiler/compile.h"
#include "compiler/console.h"
#include "compiler/findings.h"

/* calibration: open. Facts and solved weights of `compiled` are filled in; statistics are closed.
 * NULL: reported, or stopped; what was measured by then is kept. */
Findings *pass_loop(Console *console, const Plan *plan, Calibration *calibration,
                    Compiled *compiled);

#endif
