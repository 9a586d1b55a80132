/* IR -> edits of the model: upgrades its opset if the IR's is newer, then records what the store,
 * rewrite, node, use, replace and drop ops say. Bytes of tensors are not known yet: each new tensor
 * carries a tag (facts.h) that model_layout hands back.
 * Needs fused and ordered IR of this very model. E10xx if the model cannot be upgraded. */
#ifndef COMPILER_APPLY_H
#define COMPILER_APPLY_H
#include "compiler/facts.h"
#include "compiler/ir.h"
#include "runtime/model/model.h"

/* facts: those that `known` ops name; NULL if there are none. */
bool apply(Session *s, const Ir *ir, const Facts *facts, Model *model);

#endif
