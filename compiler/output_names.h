/* Names of files that are made beside each other, from that of the model. */
#ifndef COMPILER_OUTPUT_NAMES_H
#define COMPILER_OUTPUT_NAMES_H
#include "compiler/args.h"

Str output_stem(Str path);                     /* "dir/model.onnx" -> "model" */
Str output_rejected(Arena *arena, Str output); /* "NAME.onnx" -> "NAME.rejected.onnx" */
/* Of the statistics: --stats, or "NAME.morstat" for a run; empty: nowhere. */
Str output_stats(Arena *arena, const Args *args, Str output);

#endif
