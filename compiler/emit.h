/* What the emitting passes (qdq, ort) share: finding the ops of a group, storing tensors, the
 * graph edits around them. A new output format is one more pass file that uses these, and a row in
 * passes.list in front of `qdq`, which takes whatever is left. */
#ifndef COMPILER_EMIT_H
#define COMPILER_EMIT_H
#include "compiler/infer.h"

typedef struct EmitGroup {
    Ir *ir;
    IrGroup *group;
    IrOp *weight, *encode, *scale, *zero, *super; /* NULL: the group has none */
    IrValue *masked;     /* the weight after its masks and rescales, or the weight */
    int graph;           /* the weight's */
    int64_t before;      /* first node of that graph that needs it */
    bool last;           /* no reader is left when the group's layers are served */
} EmitGroup;

/* False if the group is emitted already, or has no weight. */
bool emit_open(Ir *ir, IrGroup *group, EmitGroup *out);

/* A new initializer NAMEsuffix in the weight's graph. */
IrValue *emit_store(EmitGroup *e, IrValue *data, const char *suffix);
/* A node in front of the readers; its output is NAMEsuffix, of the given type. */
IrOp *emit_node(EmitGroup *e, const char *op, const char *suffix, IrType type);
/* All layers of the group read `value` instead of the weight. */
void emit_use(EmitGroup *e, IrValue *value);
/* The weight leaves the model if nobody reads it any more. */
void emit_drop(EmitGroup *e);
void emit_need_opset(EmitGroup *e, int64_t opset);

#endif
