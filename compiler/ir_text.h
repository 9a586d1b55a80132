/* IR as text, and back: print(parse(print(x))) == print(x). Used by -d, `morc opt` and the golden
 * tests. Grammar (`#` begins a comment; ops end with their line):
 *
 *     mor.ir 1
 *     opset 17 -> 21                      of the model -> of the output
 *     emit qdq [weights=float] [microsoft]
 *     group "name"
 *       %0 = weight graph=0 uses=1                      : f32[128, 384]
 *       %1 = scale %0, _ format=int4 granule=channel    : f32[384]
 *     note "a choice that people want to hear of"
 *
 * An op is [results =] name [operands] [key=value ...] [: types]; `_` is an absent operand, `?` an
 * unknown type. Strings are quoted; bytes outside printable ASCII are written \xNN. */
#ifndef COMPILER_IR_TEXT_H
#define COMPILER_IR_TEXT_H
#include "compiler/ir.h"

void ir_print(const Ir *ir, Buf *out);
void ir_print_op(const IrOp *op, Buf *out); /* one line, without its end */
void ir_print_type(IrType type, Buf *out);
/* E0010 at the first mistake. The result is not verified. */
bool ir_parse(Session *s, const Source *source, Ir **out);

#endif
