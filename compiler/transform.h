/* What a step of a recipe is made of: its Schema (name, arguments; all that lang sees), a check on
 * the layer it is put on, and its lowering to IR. To add one: compiler/transform/NAME.c with a
 * `const Transform transform_NAME`, and a row in transforms.list. */
#ifndef COMPILER_TRANSFORM_H
#define COMPILER_TRANSFORM_H
#include "compiler/ir.h"
#include "compiler/plan.h"

typedef struct Lowering {
    Session *session;
    Ir *ir;
    IrGroup *group;
    const PlanLayer *layer;
    IrValue *weight; /* what the steps so far made of it: a step reads and replaces it */
} Lowering;

typedef struct Transform {
    Schema schema;
    /* Can this layer take the step? Says what bind, which knows no transforms, could not.
     * NULL: it always can. */
    bool (*check)(Session *s, const PlanLayer *layer, const Step *step);
    /* Appends ops to the group. NULL: the step leaves weights alone. */
    bool (*lower)(Lowering *l, const Step *step);
} Transform;

extern const Transform *const transforms[]; /* ends in NULL */
const Transform *transform_find(const Schema *schema);

#define TRANSFORM(name) extern const Transform transform_##name;
#include "compiler/transforms.list"
#undef TRANSFORM

#endif
