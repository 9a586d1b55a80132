/* Every limit on outside input, in one place. Shown by `morc --limits`. */
#ifndef RUNTIME_BASE_LIMITS_H
#define RUNTIME_BASE_LIMITS_H

#define LIMITS(X)                                                                                  \
    X(RECIPE_BYTES, 1 << 20, "bytes of one recipe file")                                           \
    X(BRACKET_DEPTH, 64, "nesting of ( [ { in a recipe")                                           \
    X(EXPRESSION_NODES, 10000, "syntax nodes of one statement")                                    \
    X(DEPTH, 1000, "nesting of names and expressions in one another")                              \
    X(RECIPE_WORK, 300000, "steps of evaluation that a recipe may take")                          \
    X(IMPORT_DEPTH, 64, "chain of `use` and `include`")                                            \
    X(IMPORT_FILES, 1000, "files reached from a recipe")                                           \
    X(DIAGNOSTICS, 20, "errors shown of one moment")                                               \
    X(PATTERN_BYTES, 4096, "bytes of a glob or regex")                                             \
    X(PATTERN_ALTERNATIVES, 1000, "alternatives of a glob's { }")                                  \
    X(MESSAGE_DEPTH, 100, "nesting of protobuf messages")                                          \
    X(MODEL_NODES, 10000000, "nodes of a model")                                                   \
    X(TENSORS, 1000000, "tensors of a model")                                                      \
    X(RANK, 32, "dimensions of a tensor")                                                          \
    X(NAME_BYTES, 65536, "bytes of a name in a model")                                             \
    X(TENSORS_HEADER, 4 << 20, "bytes of the header of a safetensors file")                        \
    X(ARRAYS, 10000, "arrays in one file of data")                                                 \
    X(KERNEL_BYTES, 16 << 20, "bytes of a compiled kernel, and of its entry in the cache")         \
    X(KERNEL_TEXT, 1 << 20, "bytes of a GPU kernel's text")                                        \
    X(THREADS, 256, "worker threads")

enum {
#define X(name, value, doc) LIMIT_##name = (value),
    LIMITS(X)
#undef X
};

#endif
