/* Checks an Ir after every pass: shapes of ops against ops.list, SSA order, stated types against
 * infer. One sentence about the first thing that is wrong goes to *why; it changes nothing. */
#ifndef COMPILER_VERIFY_H
#define COMPILER_VERIFY_H
#include "compiler/ir.h"

bool verify(Ir *ir, bool need_types, Buf *why);

#endif
