/* Lowering of a stream whose scale is found at run time: nodes that find it, and codes under it. Of
 * one value (`per tensor dynamic`) or of each row of its last axis (`per token dynamic`), in floats
 * of the value's type:
 *
 *     int8, e4m3, e5m2   s = max(max|x| / top, least normal), q = Q(x / s); top 127, 448, 57344
 *     uint8              lo = min(x, 0), hi = max(x, 0), s = max(hi / 255 - lo / 255, least
 * normal), z = round(-lo / s), q = Q(x / s) + z
 *
 * Symmetric codes are a pair of Q and DQ of x / s with the constant scale 1, which engines want to
 * know when they build. s goes behind the product, ((x / s) W) s, where the layer has no bias of
 * its own, and in front of it else. Codes with a zero point have the scale itself, per token in
 * plain nodes. Rounding is that of QuantizeLinear: to nearest even, saturating. */
#ifndef COMPILER_LOWER_DYNAMIC_H
#define COMPILER_LOWER_DYNAMIC_H
#include "compiler/facts.h"
#include "compiler/ir.h"
#include "compiler/plan.h"

typedef struct DynamicInput {
    Ir *ir;
    Facts *facts; /* what is added is known at once: no data fills it in */
    const Plan *plan;
    const PlanStream *stream;
    IrGroup *group;    /* begins with the value */
    int graph, before; /* where the nodes go */
} DynamicInput;

/* x: the value, with the factors of its tie. All uses of the stream read what is made. */
void lower_dynamic(const DynamicInput *input, IrValue *x);

#endif
