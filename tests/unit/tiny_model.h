/* Small ONNX files from text, for tests that need a model of a certain shape. One item a line:
 *
 *     opset 21
 *     input x float 1 8            graph input; an output the same: output y float 1 8
 *     weight w float16 8 16        initializer of zeros in raw_data (float float16 double int8 int64 ...)
 *     MatMul x w -> y /l.0/q/MatMul  transB=1 perm=1,0 domain=com.microsoft scopes=|model|q|linear
 *     Constant -> c  value=float:8,16
 *     body then_branch             what follows, up to `end`, is a subgraph of the node above
 *     function dom name a b -> c   what follows, up to `end`, is a local function
 *
 * "-" stands for an absent input; a node without a name has none. Attributes are integers, integer
 * lists, or strings starting with '. */
#ifndef TESTS_UNIT_TINY_MODEL_H
#define TESTS_UNIT_TINY_MODEL_H
#include "runtime/base/str.h"

/* The file's bytes, on the arena. Text that is not of this form fails the test program. */
Str tiny_model(Arena *arena, const char *text);
/* Writes it to `path`. */
void tiny_model_write(const char *path, const char *text);

#endif
