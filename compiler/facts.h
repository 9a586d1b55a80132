/* What the output takes from the data: scales of activations, factors of smooth and awq. The plan
 * says which there are before any data is seen; lower names them in `known` ops; solve fills in
 * their bytes; assemble puts them where the layout wants them.
 *
 * Also the tags by which apply and assemble know, through the layout, where a tensor's bytes come
 * from: a kernel that exec runs, a solved weight, a fact. */
#ifndef COMPILER_FACTS_H
#define COMPILER_FACTS_H
#include "kernels/kernels.h"
#include "runtime/base/session.h"

typedef enum FactKind {
    FACT_SCALE,      /* of PlanStream `index`: one number */
    FACT_ZERO,       /* ... its zero point, in the type of the codes */
    FACT_DIVIDE,     /* of PlanTie `index`: 1 / s, what its input is multiplied by */
    FACT_ABSORBED,   /* ... PlanFold `fold`: the constant that took 1 / s in */
    FACT_BIAS,       /* of PlanLayer `index`: float, with the BatchNormalization behind it */
    FACT_BIAS_CODES, /* ... as int32 */
    FACT_BIAS_SCALE, /* ... and what one of these is worth */
    FACT_FIXED       /* known without any data: whoever adds it fills it in */
} FactKind;

typedef struct Fact {
    Str name;
    FactKind kind;
    int index, fold;
    int type; /* TensorProto.DataType */
    int64_t count;
    uint64_t size;
    void *bytes; /* zeros until solve, or who adds it, fills them in */
} Fact;

typedef struct Facts {
    Arena *arena;
    Vec(Fact) all;
    Map by_name; /* -> number, as the entry's position */
} Facts;

Facts *facts_make(Arena *arena);
/* A fact of `count` elements of a type that has whole bytes; the name must be new. */
const Fact *facts_add(Facts *facts, const Fact *fact);
int facts_find(const Facts *facts, Str name); /* -1 if there is none */

/* Tags of tensors (NewTensor.tag): number * OUT_COUNT + output, by kind. */
enum { TAG_KIND_BITS = 40 };
typedef enum TagKind { TAG_JOB, TAG_SOLVED, TAG_FACT } TagKind;
static inline int64_t tag_make(TagKind kind, int64_t number, int out) {
    return (int64_t)kind << TAG_KIND_BITS | (number * OUT_COUNT + out);
}
static inline TagKind tag_kind(int64_t tag) {
    return (TagKind)(tag >> TAG_KIND_BITS);
}
static inline int64_t tag_number(int64_t tag) {
    return (tag & ((INT64_C(1) << TAG_KIND_BITS) - 1)) / OUT_COUNT;
}
static inline KernelOutput tag_output(int64_t tag) {
    return (KernelOutput)((tag & ((INT64_C(1) << TAG_KIND_BITS) - 1)) % OUT_COUNT);
}

#endif
