/* What a name may be called with: transforms, calibrators, methods, settings and data loaders
 * each embed a Schema; lang checks recipes against a Vocabulary of them without seeing the code. */
#ifndef RUNTIME_BASE_SCHEMA_H
#define RUNTIME_BASE_SCHEMA_H
#include "runtime/base/str.h"

typedef enum ParamType {
    PARAM_INT,
    PARAM_FLOAT,
    PARAM_BOOL,
    PARAM_STRING,
    PARAM_RATIO,
    PARAM_RANGE,
    PARAM_LIST,
    PARAM_SELECTOR,
    PARAM_FORMAT,
    PARAM_DATA,
    PARAM_FN,
    PARAM_CHOICE,  /* a bare name out of `choices`, optionally called: gptq(block = 128) */
    PARAM_PATTERN, /* 2:4 or a number: prune's first argument */
    PARAM_POSITION /* 3 or -2..-1: block's argument */
} ParamType;

typedef struct Param {
    const char *name;
    ParamType type;
    bool required;
    bool later;          /* parsed and named, but E0001 "not in this build" when given */
    const char *choices; /* PARAM_CHOICE: "max | mse"; one with a trailing '*' is for later.
                            Other types: names that are legal, too: "auto" */
    const char *initial; /* default as recipe text, shown in help; NULL if none */
    const char *range;   /* "0.0..1.0", checked by resolve; NULL if none */
    const char *doc;
} Param;

typedef enum Phase { PHASE_SETTING, PHASE_EDIT, PHASE_ENCODE, PHASE_TUNE, PHASE_SKIP } Phase;

typedef enum SchemaKind {
    SCHEMA_STEP,
    SCHEMA_SETTING,
    SCHEMA_EMIT,
    SCHEMA_DATA,
    SCHEMA_METHOD
} SchemaKind;

typedef struct Schema {
    const char *name;
    const char *doc;
    SchemaKind kind;
    Phase phase;         /* SCHEMA_STEP */
    bool later;          /* in the language, not in this build: E0001 */
    bool takes_block;    /* choose(...) { ... } */
    const Param *params; /* positional order; ends in a row whose name is NULL */
} Schema;

typedef struct Vocabulary {
    const Schema *const *rows; /* ends in NULL */
} Vocabulary;

const Schema *vocabulary_find(const Vocabulary *v, SchemaKind kind, Str name);
const Param *schema_param(const Schema *schema, Str name);
/* The nearest legal name within a third of the length of `wrong`, or an empty Str. */
Str vocabulary_nearest(const Vocabulary *v, SchemaKind kind, Str wrong);
Str schema_nearest(const Schema *schema, Str wrong);
/* "alpha  float in 0.0..1.0 = 0.5    doc" rows, aligned, for E0202 and explain; a newline between
 * rows, none at the end. */
void schema_describe(const Schema *schema, Buf *out);
/* Best of `count` candidates, or an empty Str: all three allow a third of the length of `wrong`. */
Str nearest_of(Str wrong, const Str *candidates, size_t count);

#endif
