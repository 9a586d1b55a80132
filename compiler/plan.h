/* The bound plan: for each weight tensor, what is done to it and who asked. The only thing later
 * stages see of recipe and selectors. Printed by `morc plan` and `-d plan`. */
#ifndef COMPILER_PLAN_H
#define COMPILER_PLAN_H
#include "compiler/select.h"
#include "kernels/kernels.h"
#include "runtime/calib/compare_outputs.h"

typedef struct PlanFormat {       /* a quantize(weight = ...) resolved for one layer */
    const FormatValue *written;   /* as in the recipe */
    const Format *element;
    KernelGranule granule;
    int axis;                     /* dimension of the weight: channel axis, or blocked axis */
    int64_t block;                /* GRANULE_BLOCK */
    bool tail_short;
    const Format *scale;          /* element format of the scales; NULL: the weights' own type */
    bool super;                   /* two-level: e4m3 scales over one float32 (nvfp4) */
    KernelMethod method;
} PlanFormat;

/* How weights become codes. Its words are those of `round`: plan_round_name. */
typedef enum PlanRound { ROUND_NEAREST, ROUND_GPTQ, ROUND_ADAROUND } PlanRound;

typedef struct PlanOwner {
    const Rule *rule;             /* NULL: nobody */
    int stage, rule_index;        /* in Recipe.stages, in Plan.rules */
    const Rule *overrode;         /* rule that had it before, or NULL */
} PlanOwner;

/* One for each layer that a rule owns, in index order. Rules with steps that work on weights own
 * the layers of their set that have one; `skip` owns all of its set. What the stages do to a layer
 * composes: each phase has one owner over all of them, the rule of the stage that does it. */
typedef struct PlanLayer {
    const Layer *layer;
    PlanOwner owner[3];           /* PHASE_EDIT, PHASE_ENCODE, PHASE_TUNE minus PHASE_EDIT */
    bool skip;                    /* `skip` owns it, and no other stage changes it */
    KernelPrune prune;
    int keep, group;
    double fraction;
    const Step *prune_step, *quantize_step;
    const Step *smooth_step, *awq_step;
    const Step *calibrate;        /* the setting that is in force; NULL: none, and none is needed */
    int tie, stream;              /* in Plan.ties, Plan.streams; -1: none */
    const struct PlanTie *absorbs; /* whose 1 / s its output channels take in; NULL: none */
    bool bias;                    /* stored as int32 */
    const Node *norm;             /* BatchNormalization that weight and bias take in; NULL: none */
    PlanRound round;
    const Value *round_value;     /* gptq(...) as written */
    bool quantized;
    PlanFormat format;
    double bits;                  /* stored bits per weight, scales included */
    uint64_t stored;              /* bytes of codes, scales, zero points; or of the float weight */
    int tensor;                   /* index in Plan.tensors; -1 if nothing is done to its weight */
} PlanLayer;

typedef struct PlanTensor {       /* layers that share a weight share one entry */
    const Tensor *tensor;
    Vec(int) layers;              /* indices in Plan.layers_planned, all with the same format */
    bool kept_float;              /* others read it: the float weight stays beside the codes */
} PlanTensor;

/* A constant in front of a tie's value that takes 1 / s in. */
typedef struct PlanFold {
    const ValueInfo *value;
    int axis;                     /* of the constant: along it lie the channels of the tie */
    bool solved;                  /* the weight of a planned layer, which data change anyway */
} PlanFold;

/* Layers that read one value and scale it by the same factors (smooth, awq): x / s, W s. */
typedef struct PlanTie {
    const Step *step;
    const ValueInfo *value;
    Vec(int) layers;              /* in Plan.layers_planned */
    int64_t k;                    /* channels of the value */
    int behind;                   /* dimensions behind them: 0, of a convolution's input 1 to 3 */
    Vec(PlanFold) folds;          /* gain or weight first; empty: a Mul divides */
    const Layer *previous;        /* whose output channels take 1 / s in; NULL: a norm, or none */
    Str why;                      /* a Mul divides: because of this */
} PlanTie;

typedef struct PlanUse { /* input `slot` of a node */
    Node *node;
    int slot;
} PlanUse;

/* What nodes read in place of a value: scaled, or stored in a format, or both. */
typedef struct PlanStream {
    const ValueInfo *value;
    const Graph *graph;           /* of the readers */
    int tie;                      /* in Plan.ties; -1: none */
    const FormatValue *written;   /* NULL: float */
    const Format *element;
    const Step *calibrate;        /* says how the range is found; NULL: at run time, or float */
    bool dynamic, token;          /* its scale is found at run time, for each row of its last axis */
    int type;                     /* of the value: FLOAT, FLOAT16, BFLOAT16 */
    int scale;                    /* stream whose scale this one shares, the first of them; its own
                                   * number if it shares none */
    Vec(int) layers;              /* on whose behalf: in Plan.layers_planned */
    Vec(PlanUse) uses; /* who reads it, all in `graph`; none: another stream serves them */
} PlanStream;

/* What the whole model is judged on, and by what. */
typedef struct PlanEvaluation {
    const Step *step;             /* `evaluate`, or the `calibrate` with the data; NULL: nothing */
    const Data *data;
    bool held_out;                /* a tenth of the calibration data, which then has the rest */
    const Expr *asked[OUTPUT_METRICS]; /* the first expect's; NULL: none asks */
    int tokens;                   /* graph input that perplexity is about; -1: none */
} PlanEvaluation;

/* What a rule of placement (placement.h) did beside what the recipe's rules say. */
typedef struct PlanPlacement {
    int rule; /* in placements[] */
    const Layer *layer;
} PlanPlacement;

typedef struct Plan {
    const Recipe *recipe;
    const Layers *layers;
    Vec(PlanLayer) layers_planned;
    Vec(PlanTensor) tensors;      /* only those that something is done to */
    Vec(PlanTie) ties;
    Vec(PlanStream) streams;
    Vec(PlanPlacement) placed;
    const Data *data;             /* what statistics are taken from; NULL: none are needed */
    const Step *data_step;        /* the `calibrate` that names it */
    bool encoded;                 /* it says `observe = encoded` */
    Str passes;                   /* over the data, in words: this machine's (data_passes.h) */
    PlanEvaluation evaluation;
    Vec(const Rule *) rules;      /* of all stages, in order, and for each: */
    Vec(LayerSet) matched;        /* the layers it counts as matching (set_count's meaning) */
    Vec(size_t) passed_over;      /* selected nodes without a weight that its steps cannot act on */
    int64_t opset;                /* that the formats need as qdq: at least the model's own */
    double bits;                  /* per weight over the layers owned by encode rules; 0 if none */
    uint64_t size_before, size_after; /* of the planned weights, each tensor once */
    uint64_t size;                /* of the output, but for the few bytes that the graph grows by */
    size_t untouched;             /* linear and conv layers that no rule selects */
} Plan;

/* Is its scale one that data decide? */
static inline bool stream_measured(const PlanStream *stream) {
    return stream->element && !stream->dynamic;
}
/* Opset that its QuantizeLinear and DequantizeLinear need. */
int64_t stream_opset(const PlanStream *stream);

/* Recipe x model -> plan: all errors of moment "bind" (E03xx, E04xx, E05xx, static E0901). */
bool bind_plan(Session *s, const Recipe *recipe, const Layers *layers, Plan **out);

void plan_print(const Plan *plan, Buf *out);           /* for people: `morc plan` */
void plan_dump(const Plan *plan, Buf *out);            /* stable text: `-d plan`, golden */
void plan_json(const Plan *plan, Buf *out);            /* one object per layer, one per line */
bool plan_explain(Session *s, const Plan *plan, Str layer_path, Buf *out); /* E0303 if unknown */
PlanLayer *plan_layer(const Plan *plan, const Layer *layer); /* NULL if no rule owns it */
/* What the layer reads: "int8, smooth"; empty: the value as it is. */
void plan_input_print(const Plan *plan, const PlanLayer *layer, Buf *out);
/* Where a tie's factors are: "in the norm before", "in l.0.up", "by a Mul: because ...". */
void plan_tie_print(const PlanTie *tie, Buf *out);
void plan_inputs_print(const Plan *plan, Buf *out);    /* a few lines: what data is needed for */
void plan_inputs_dump(const Plan *plan, Buf *out);     /* ties and streams, stable text */
const char *plan_round_name(PlanRound round);          /* "nearest", "gptq", "adaround" */
void plan_format_print(const PlanLayer *layer, Buf *out); /* "2:4 int4 per block(64)", "float32" */
/* Name of the stage that an owner belongs to; empty if the recipe has only one. */
Str plan_stage(const Plan *plan, const PlanOwner *owner);
void layers_print(const Layers *layers, const LayerSet *only, Buf *out);   /* `morc inspect` */

/* Results of a run, for expects and reports: one per planned layer, same index. */
typedef struct LayerResult {
    KernelMetrics metrics;
    double cosine, sqnr, mse, max_error, sparsity; /* sqnr in dB; of exact copies: 1 and inf */
} LayerResult;
void layer_result_finish(LayerResult *r);

/* Of the outputs, on data (evaluate.h). */
typedef struct ModelResult {
    OutputScores scores;
    int64_t samples;
    int compared, outputs;        /* those of floats, of all */
    int64_t undefined;            /* OutputSums.undefined */
} ModelResult;

/* Some expect needs results: metrics must be taken. */
bool plan_waits_for_results(const Plan *plan);
/* Expects that need results (cosine, sqnr, mse, max_error, sparsity, those of the whole model):
 * E0901 with the worst layers. Returns false if one failed. static ones were checked by bind.
 * model: NULL if the plan evaluates nothing. */
bool plan_check_results(Session *s, const Plan *plan, const LayerResult *results,
                        const ModelResult *model);

#endif
