/* See output_names.h. */
#include "compiler/output_names.h"

static Str without_suffix(Str path) {
    return str_ends(path, STR(".onnx")) ? str_slice(path, 0, path.len - 5) : path;
}

Str output_stem(Str path) {
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') {
        begin--;
    }
    return without_suffix(str_slice(path, begin, path.len));
}

Str output_rejected(Arena *arena, Str output) {
    return str_format(arena, "%.*s.rejected.onnx", STR_ARG(without_suffix(output)));
}

Str output_stats(Arena *arena, const Args *args, Str output) {
    if (args->stats.len || args->verb != VERB_RUN) {
        return str_is(args->stats, "none") ? (Str){0} : args->stats;
    }
    return str_format(arena, "%.*s.morstat", STR_ARG(without_suffix(output)));
}
