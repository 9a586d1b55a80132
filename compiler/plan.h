/* The bound plan: for each weight tensor, what is done to it and who asked. The only thing later
 * stages see of recipe and selectors. Printed by `morc plan` and `-d plan`. */
#ifndef COMPILER_PLAN_H
#define COMPILER_PLAN_H
#include "compiler/select.h"
#include "kernels/kernels.h"

typedef struct PlanFormat {       /* a quantize(weight = ...) resolved for one layer */
    const FormatValue *written;   /* as in the recipe */
    const Format *element;
    KernelGranule granule;
    int axis;                     /* dimension of the weight: channel axis, or blocked axis */
    int64_t block;                /* GRANULE_BLOCK */
    bool tail_short;
    const Format *scale;          /* element format of the scales; NULL = float in the weight's type */
    bool super;                   /* two-level: e4m3 scales over one float32 (nvfp4) */
    KernelMethod method;
} PlanFormat;

typedef struct PlanOwner {
    const Rule *rule;             /* NULL: nobody */
    int stage, rule_index;
    const Rule *overrode;         /* rule that had it before, or NULL */
} PlanOwner;

typedef struct PlanLayer {        /* one for each layer that a rule selects */
    const Layer *layer;
    PlanOwner owner[3];           /* PHASE_EDIT, PHASE_ENCODE, PHASE_TUNE minus PHASE_EDIT */
    bool skip;                    /* `skip` owns it */
    KernelPrune prune;
    int keep, group;
    double fraction;
    const Step *prune_step, *quantize_step;
    bool quantized;
    PlanFormat format;
    double bits;                  /* stored bits per weight, scales included */
    uint64_t stored;              /* bytes of codes and scales, or of the float weight */
    int tensor;                   /* index in Plan.tensors; -1 without a weight */
} PlanLayer;

typedef struct PlanTensor {       /* layers that share a weight share one entry */
    const Tensor *tensor;
    Vec(int) layers;              /* indices in Plan.layers */
} PlanTensor;

typedef struct Plan {
    const Recipe *recipe;
    const Layers *layers;
    Vec(PlanLayer) layers_planned;
    Vec(PlanTensor) tensors;      /* only those that something is done to */
    Vec(const Rule *) rules;      /* flattened, with the sets they matched: */
    Vec(LayerSet) matched;
    int64_t opset;                /* what the formats need: at least the model's own */
    double bits;                  /* per weight over the layers owned by encode rules */
    uint64_t size_before, size_after; /* of the planned weights */
    size_t untouched;             /* linear and conv layers that no rule selects */
} Plan;

/* Recipe x model -> plan: all errors of moment "bind" (E03xx, E04xx, E05xx, static E09xx). */
bool bind(Session *s, const Recipe *recipe, const Layers *layers, Plan **out);

void plan_print(const Plan *plan, Buf *out);           /* for people: `morc plan` */
void plan_dump(const Plan *plan, Buf *out);            /* stable text: `-d plan`, golden */
void plan_json(const Plan *plan, Buf *out);            /* one object per layer, one per line */
bool plan_explain(Session *s, const Plan *plan, Str layer_path, Buf *out); /* E0303 if unknown */
void layers_print(const Layers *layers, const LayerSet *only, Buf *out);   /* `morc inspect` */

/* Results of a run, for expects and reports: one per planned layer, same index. */
typedef struct LayerResult {
    KernelMetrics metrics;
    double cosine, sqnr, mse, max_error, sparsity; /* sqnr in dB; exact copies: cosine 1, sqnr inf */
} LayerResult;
void layer_result_finish(LayerResult *r);

/* Expects that need results (cosine, sqnr, mse, max_error, sparsity): E0901 with the worst layers.
 * Returns false if one failed. static ones were checked by bind. */
bool plan_check_results(Session *s, const Plan *plan, const LayerResult *results);

#endif
