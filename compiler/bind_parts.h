/* What bind.c shares with the files that finish its work; nothing else includes this. */
#ifndef COMPILER_BIND_PARTS_H
#define COMPILER_BIND_PARTS_H
#include "compiler/names.h"
#include "compiler/plan.h"

enum { PHASES = 3 }; /* edit, encode, tune */

typedef struct BindRule {
    const Rule *rule;
    int stage;
    bool poisoned;           /* its selector failed; said already */
    bool skips;              /* its only step is `skip` */
    unsigned phases;         /* bit p: it has a step of that phase */
    LayerSet selected;       /* what the selector finds */
    LayerSet acted;          /* the part that its steps act on */
    LayerSet counted;        /* what it counts as matching */
} BindRule;

typedef struct Bind {
    Session *s;
    const Recipe *recipe;
    const Layers *layers;
    Plan *plan;
    Vec(BindRule) rules;     /* stage by stage, in recipe order */
    size_t from, to;         /* those of the stage being bound */
    int *owner[PHASES];      /* of each layer in this stage: index in rules, -1 for nobody */
    int *overrode[PHASES];   /* rule of this stage that had it before, -1 */
    int *planned;            /* layer -> index in Plan.layers_planned, -1 */
    Map streams, uses; /* how streams differ, PlanUse -> position of the one in Plan.streams */
    bool failed;
} Bind;

/* ---- bind_format.c: what each step does to each layer */

/* Fills prune and format fields of the layers that rules of this stage own, on top of what earlier
 * stages filled in. Grouped by step: E0405, E0501, E0505, E0506; E0001 for a second pruning. */
void bind_steps(Bind *b);
/* After the last stage: bits and stored bytes. */
void bind_sizes(Bind *b);
/* Bytes that codes, scales and zero points take; the float weight's own when not quantized. */
uint64_t stored_bytes(const PlanLayer *planned);
/* Opset whose DequantizeLinear takes what is stored for this layer. */
int64_t needed_opset(const PlanLayer *planned);

/* ---- bind_input.c: what layers read */

/* The arguments of quantize, smooth and awq that need data; false if this build or this layer
 * cannot: *problem says why, in words that follow "because". */
bool bind_input_step(Bind *b, PlanLayer *planned, const Step *step, const char **problem);
/* Can the step act on a layer without a weight? quantize of inputs, outputs or kv alone. */
bool bind_weightless_step(const Step *step);
/* After the last stage: ties, streams, folds, the data. E0001 for a second data set. */
void bind_inputs(Bind *b);
/* The argument of the layer's quantize when it is a format other than `none`, else NULL. */
const FormatValue *wished_format(const PlanLayer *planned, const char *role);

/* ---- bind_fold.c: PlanTie.folds, .previous, .why; PlanLayer.absorbs */
void bind_folds(Bind *b);

/* ---- bind_stream.c: who reads what in which format */

typedef struct StreamWish {
    ValueInfo *value;
    Node *node; /* that reads it, at `slot` */
    int slot;
    const FormatValue *format; /* NULL: only the factors of the layer's tie */
    int tie;
    int layer; /* on whose behalf: its setting of `calibrate` holds */
} StreamWish;

/* The stream that serves this use from now on; -1 if another one does already. */
int stream_take(Bind *b, const StreamWish *wish);
void stream_add_use(Bind *b, int stream, Node *node, int slot);
int stream_at(const Bind *b, const Node *node, int slot); /* -1: reads the value as it is */
/* Streams of all layers: their inputs first, then kv, then outputs. */
void bind_streams(Bind *b);
/* Value behind the layer: that of the BatchNormalization it takes in, if it does. */
ValueInfo *layer_result(const PlanLayer *planned);
/* A value of floats that is computed or comes in; constants have no format of this kind. */
bool can_stream(const ValueInfo *value);
/* What a layer without a weight reads in a format; NULL, or why it cannot. */
typedef Vec(PlanUse) UseList;
const char *weightless_uses(Bind *b, const Layer *layer, const char *role, UseList *out);
/* Does anything of this layer depend on data? */
bool needs_data(const PlanLayer *planned);

/* ---- bind_target.c: E0503, E0504; sets Plan.opset */
void bind_targets(Bind *b);
void bind_opset(Bind *b);

/* ---- bind_report.c: E04xx and E0502, with layers, counts and both rules */
void report_overlap(Bind *b, const BindRule *first, const BindRule *second, const LayerSet *layers,
                    unsigned phases);
void report_override(Bind *b, size_t rule);
void report_weightless(Bind *b, const BindRule *rule);
void report_encoded(Bind *b, const BindRule *rule, const Step *step, const LayerSet *of,
                    const LayerSet *encoded);
/* E0405 or E0001: earlier stages encoded or pruned `done`; one message for each step of theirs. */
void report_stages(Bind *b, const BindRule *rule, const Step *step, const LayerSet *of,
                   const LayerSet *done);
void report_shared(Bind *b, const PlanLayer *a, const PlanLayer *z);
void report_shared_prune(Bind *b, const PlanTensor *tensor, const PlanLayer *layer, size_t others);
/* W0409: layers that read the same input are encoded differently by two rules. */
void report_siblings(Bind *b, const LayerSet *layers);
/* The selector as one expression, fit to stand after `on` and, in (), beside an operator. */
Str selector_text(Session *s, const Selector *selector);
Str selector_operand(Session *s, const Selector *selector);

/* ---- bind_evaluate.c: Plan.evaluation. E0709: a metric that the model cannot have */
void bind_evaluation(Bind *b);

/* ---- bind_expect.c: expects that need no run; E0901 */
void bind_expects(Bind *b);

#endif
