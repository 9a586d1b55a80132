/* IR -> edits of the model: upgrades its opset if the IR's is newer, then records what the store,
 * rewrite, node, use, replace and drop ops say. Bytes of tensors are not known yet: each new tensor
 * carries a tag, job * OUT_COUNT + output, that model_layout hands back (assemble.h).
 * Needs fused and ordered IR of this very model. E10xx if the model cannot be upgraded. */
#ifndef COMPILER_APPLY_H
#define COMPILER_APPLY_H
#include "compiler/ir.h"
#include "runtime/model/model.h"

bool apply(Session *s, const Ir *ir, Model *model);

#endif
