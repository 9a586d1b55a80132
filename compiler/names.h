/* Names of many layers in few words, for messages and tables. Everything that comes from a file is
 * made safe to print. */
#ifndef COMPILER_NAMES_H
#define COMPILER_NAMES_H
#include "compiler/select.h"

typedef Vec(Str) StrList;

/* Paths as patterns: "layers.{0..3,28}.mlp.{gate,up}_proj" style, in graph order of the first
 * layer; at most `limit` of them, then "...". */
void names_braces(Arena *arena, const StrList *paths, size_t limit, Buf *out);
/* "a, b, ... z": the first two and the last. */
void names_few(Arena *arena, const StrList *paths, Buf *out);
StrList names_of(Session *s, const Layers *layers, const LayerSet *set);
Str weight_name(Arena *arena, const Layer *layer);   /* of the value that holds the weight */
Str model_file_name(const Model *model);             /* "llama.onnx", without its directory */
Str plural(Arena *arena, size_t n, const char *noun); /* "1 layer", "1,482 nodes" */

#endif
