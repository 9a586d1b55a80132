/* What the two readings of an ambiguous selector (E0103) would select on the model at hand. */
#ifndef COMPILER_READINGS_H
#define COMPILER_READINGS_H
#include "compiler/args.h"

/* Adds "112 layers of m.onnx" to the help lines of the session's E0103 errors, in a session of its
 * own, so that nothing that goes wrong there is told to anybody. */
void readings_count(Session *s, const Args *args, const Source *source, Str model_path);

#endif
