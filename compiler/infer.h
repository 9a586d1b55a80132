/* Types of results from operands and attributes: the rules that pass `shape` applies and verify
 * holds every stated type against. Shapes follow kernels/kernels.h and ONNX's DequantizeLinear. */
#ifndef COMPILER_INFER_H
#define COMPILER_INFER_H
#include "compiler/ir.h"
#include "kernels/kernels.h"

typedef enum Inferred {
    INFER_TYPE,  /* *out is the type */
    INFER_ANY,   /* nothing to say: whatever the op states stands (weight, value, node) */
    INFER_WRONG  /* *why says what does not fit */
} Inferred;

Inferred infer(Ir *ir, const IrOp *op, size_t result, IrType *out, const char **why);

const Format *infer_format(const IrOp *op); /* its `format` attribute; NULL if none or unknown */
/* The scale op that an encode, zero, pack or scale value hangs on; NULL if none. */
const IrOp *infer_scale_of(const IrValue *value);
/* dims of a tensor around `axis`: outer, axis, inner. */
KernelView infer_view(IrType type, int axis);
bool infer_same_mask(const IrOp *a, const IrOp *b); /* two mask ops that hide the same */
int64_t infer_blocks(int64_t extent, int64_t block); /* ceil */

#endif
