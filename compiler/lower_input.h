/* Ties and streams of the plan -> groups of IR that edit the graph: what layers read instead of a
 * value, and norms that take factors in.
 *
 *     group "x"
 *       %0 = value name="x"
 *       %1 = known fact="x.divide"
 *       %2 = store %1
 *       %3 = node %0, %2 op=Mul
 *       %4 = node %3, scale, zero op=QuantizeLinear
 *       %5 = node %4, scale, zero op=DequantizeLinear
 *       use %5 node=7 slot=0
 *
 *     group "norm.weight"
 *       %0 = weight
 *       %1 = known fact="norm.weight.absorbed"
 *       rewrite %1
 */
#ifndef COMPILER_LOWER_INPUT_H
#define COMPILER_LOWER_INPUT_H
#include "compiler/facts.h"
#include "compiler/ir.h"
#include "compiler/plan.h"

/* By their numbers in the plan: those with true are lowered. */
typedef struct LowerOnly {
    const bool *ties, *streams, *layers;
} LowerOnly;

/* Adds what it names to facts; raises Ir.opset. only: NULL: all of them. */
void lower_inputs(const Plan *plan, const LowerOnly *only, Facts *facts, Ir *ir);

#endif
