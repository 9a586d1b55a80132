/* Raising the opset of a model: every node of the default domain keeps its meaning, in the main
 * graph, bodies and local functions. What changes between two opsets is decided by ops.list (which
 * ops changed when) and by one adapter per change that matters (upgrade_ops.c). The result is
 * recorded as edits; Node.proto and Node.op show the new form, inputs that were added are seen when
 * the model is read again. */
#ifndef RUNTIME_MODEL_UPGRADE_H
#define RUNTIME_MODEL_UPGRADE_H
#include "runtime/model/model.h"

enum { UPGRADE_OLDEST = 7, UPGRADE_NEWEST = 28 };

/* Raises domain "" to `opset` and ir_version to what that needs (Versioning.md of ONNX). An opset
 * that is there already, or a lower one, changes nothing. E1010 names each op that cannot follow;
 * then the edits are half done and the model must not be laid out. */
bool model_upgrade(Session *s, Model *m, int64_t opset);

/* Every op of the default domain, sorted by name (ops.list explains `versions`). */
typedef struct OnnxOp {
    const char *name, *versions;
} OnnxOp;

extern const OnnxOp onnx_ops[];
extern const size_t onnx_op_count;
const OnnxOp *onnx_op_find(Str name); /* NULL: no such op at any opset */

/* The ir_version that an opset asks for. */
int64_t onnx_ir_for(int64_t opset);

#endif
