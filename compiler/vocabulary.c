/* See vocabulary.h. To add a step: its row here, or, once it is in the build, in its transform. */
#include "compiler/vocabulary.h"
#include "compiler/transform.h"

#define END                                                                                        \
    { .name = NULL }
#define ROW(word, what) .name = word, .doc = what

/* ---- steps of later builds; those of this one bring their own (compiler/transforms.list) */

static const Param rotate_params[] = {
    {.name = "kind",
     .type = PARAM_CHOICE,
     .choices = "hadamard",
     .initial = "hadamard",
     .doc = "which rotation"},
    END,
};
static const Param map_params[] = {
    {.name = "weight", .type = PARAM_FN, .required = true, .doc = "what becomes of a weight"},
    END,
};
static const Param choose_params[] = {
    {.name = "by",
     .type = PARAM_CHOICE,
     .choices = "kl | mse | gradient",
     .initial = "kl",
     .doc = "what an alternative costs"},
    {.name = "samples",
     .type = PARAM_INT,
     .range = "1..",
     .initial = "128",
     .doc = "to measure on"},
    {.name = "tie",
     .type = PARAM_CHOICE,
     .choices = "siblings | none",
     .initial = "siblings",
     .doc = "layers that choose together"},
    END,
};
static const Param finetune_params[] = {
    {.name = "data", .type = PARAM_DATA, .required = true, .doc = "to train on"},
    {.name = "steps",
     .type = PARAM_INT,
     .range = "1..",
     .required = true,
     .doc = "of the optimizer"},
    {.name = "lr",
     .type = PARAM_FLOAT,
     .range = "0.0..1.0",
     .initial = "1e-5",
     .doc = "learning rate"},
    {.name = "loss",
     .type = PARAM_CHOICE,
     .choices = "distill",
     .initial = "distill",
     .doc = "what is made small"},
    {.name = "grad",
     .type = PARAM_CHOICE,
     .choices = "ste",
     .initial = "ste",
     .doc = "gradient of rounding"},
    {.name = "scales",
     .type = PARAM_CHOICE,
     .choices = "frozen | learned",
     .initial = "frozen",
     .doc = "whether scales train, too"},
    END,
};
static const Schema steps[] = {
    {ROW("rotate", "spreads outliers by a rotation"), .phase = PHASE_EDIT, .later = true,
     .params = rotate_params},
    {ROW("map", "applies a function to the weights"), .phase = PHASE_EDIT, .later = true,
     .params = map_params},
    {ROW("choose", "searches among alternatives"), .phase = PHASE_ENCODE, .later = true,
     .takes_block = true, .params = choose_params},
    {ROW("finetune", "trains what is left"), .phase = PHASE_TUNE, .later = true,
     .params = finetune_params},
};

/* ---- settings */

static const Param calibrate_params[] = {
    {.name = "data", .type = PARAM_DATA, .required = true, .doc = "to measure on"},
    {.name = "method",
     .type = PARAM_CHOICE,
     .choices = "max | mse | entropy | percentile",
     .initial = "max",
     .doc = "how ranges are found"},
    {.name = "samples", .type = PARAM_INT, .range = "1..", .doc = "how many; all if not given"},
    {.name = "observe",
     .type = PARAM_CHOICE,
     .choices = "float | encoded",
     .initial = "float",
     .doc = "the model that is measured"},
    END,
};
static const Param evaluate_params[] = {
    {.name = "data", .type = PARAM_DATA, .required = true, .doc = "to judge the result on"},
    END,
};
static const Schema settings[] = {
    {ROW("calibrate", "measures activations"), .kind = SCHEMA_SETTING, .phase = PHASE_SETTING,
     .params = calibrate_params},
    {ROW("evaluate", "runs the model, before and after"), .kind = SCHEMA_SETTING,
     .phase = PHASE_SETTING, .params = evaluate_params},
};

/* ---- forms of output */

static const Param qdq_params[] = {
    {.name = "opset",
     .type = PARAM_INT,
     .range = "13..28",
     .doc = "at least what the formats need"},
    {.name = "external",
     .type = PARAM_BOOL,
     .initial = "false",
     .doc = "weights go to a file of their own"},
    {.name = "weights",
     .type = PARAM_CHOICE,
     .choices = "encoded | float",
     .initial = "encoded",
     .doc = "float keeps them behind Q and DQ"},
    {.name = "dynamic",
     .type = PARAM_CHOICE,
     .choices = "trt*",
     .later = true,
     .doc = "ops for dynamic activation scales"},
    END,
};
static const Param ort_params[] = {
    {.name = "opset",
     .type = PARAM_INT,
     .range = "13..28",
     .doc = "at least what the formats need"},
    {.name = "external",
     .type = PARAM_BOOL,
     .initial = "false",
     .doc = "weights go to a file of their own"},
    END,
};
static const Param hf_params[] = {
    {.name = "dialect",
     .type = PARAM_CHOICE,
     .choices = "compressed_tensors | modelopt",
     .required = true,
     .doc = "whose files to write"},
    END,
};
static const Schema emits[] = {
    {ROW("qdq", "ONNX with DequantizeLinear"), .kind = SCHEMA_EMIT, .params = qdq_params},
    {ROW("ort", "ONNX with MatMulNBits for ONNX Runtime"), .kind = SCHEMA_EMIT,
     .params = ort_params},
    {ROW("hf", "a Hugging Face checkpoint"), .kind = SCHEMA_EMIT, .later = true,
     .params = hf_params},
};

/* ---- data: declared here, read by calibrate and evaluate */

static const Param file_params[] = {
    {.name = "path", .type = PARAM_STRING, .required = true, .doc = "relative to the recipe"},
    {.name = "samples", .type = PARAM_INT, .range = "1..", .doc = "how many; all if not given"},
    {.name = "batch",
     .type = PARAM_INT,
     .range = "1..",
     .initial = "1",
     .doc = "samples at a time"},
    {.name = "shuffle", .type = PARAM_BOOL, .initial = "false", .doc = "in random order"},
    {.name = "seed", .type = PARAM_INT, .range = "0..", .initial = "0", .doc = "of the order"},
    END,
};
static const Param random_params[] = {
    {.name = "seed", .type = PARAM_INT, .range = "0..", .initial = "0", .doc = "where it begins"},
    {.name = "samples", .type = PARAM_INT, .range = "1..", .initial = "16", .doc = "how many"},
    {.name = "batch",
     .type = PARAM_INT,
     .range = "1..",
     .initial = "1",
     .doc = "samples at a time"},
    {.name = "shape",
     .type = PARAM_LIST,
     .doc = "sizes that the model leaves open, in its order"},
    END,
};
static const Schema loaders[] = {
    {ROW("npz", "named arrays"), .kind = SCHEMA_DATA, .params = file_params},
    {ROW("npy", "one array"), .kind = SCHEMA_DATA, .params = file_params},
    {ROW("tokens", "token ids"), .kind = SCHEMA_DATA, .later = true, .params = file_params},
    {ROW("images", "a folder of pictures"), .kind = SCHEMA_DATA, .later = true, .params = file_params},
    {ROW("safetensors", "named tensors"), .kind = SCHEMA_DATA, .params = file_params},
    {ROW("random", "random values, said out loud"), .kind = SCHEMA_DATA, .params = random_params},
};

/* ---- methods with arguments of their own */

static const Param percentile_params[] = {
    {.name = "p",
     .type = PARAM_FLOAT,
     .range = "50.0..100.0",
     .initial = "99.99",
     .doc = "kept, in percent"},
    END,
};
static const Param gptq_params[] = {
    {.name = "block",
     .type = PARAM_INT,
     .range = "1..65536",
     .initial = "128",
     .doc = "columns at a time"},
    {.name = "damp",
     .type = PARAM_FLOAT,
     .range = "0.0..1.0",
     .initial = "0.05",
     .doc = "added to the diagonal"},
    {.name = "order",
     .type = PARAM_CHOICE,
     .choices = "static | natural",
     .initial = "static",
     .doc = "of the columns"},
    END,
};
static const Param sparsegpt_params[] = {
    {.name = "block",
     .type = PARAM_INT,
     .range = "1..65536",
     .initial = "128",
     .doc = "columns at a time"},
    {.name = "damp",
     .type = PARAM_FLOAT,
     .range = "0.0..1.0",
     .initial = "0.01",
     .doc = "added to the diagonal"},
    END,
};
static const Param adaround_params[] = {
    {.name = "steps",
     .type = PARAM_INT,
     .range = "1..",
     .initial = "1000",
     .doc = "of the optimizer"},
    END,
};
static const Param distill_params[] = {
    {.name = "teacher",
     .type = PARAM_CHOICE,
     .choices = "original",
     .initial = "original",
     .doc = "whose outputs to match"},
    {.name = "temperature",
     .type = PARAM_FLOAT,
     .range = "0.0..100.0",
     .initial = "1.0",
     .doc = "of the softmax"},
    END,
};
static const Schema methods[] = {
    {ROW("percentile", "the range that holds most values"), .kind = SCHEMA_METHOD,
     .params = percentile_params},
    {ROW("gptq", "second-order rounding"), .kind = SCHEMA_METHOD, .params = gptq_params},
    {ROW("sparsegpt", "second-order pruning"), .kind = SCHEMA_METHOD, .params = sparsegpt_params},
    {ROW("adaround", "learned rounding"), .kind = SCHEMA_METHOD, .params = adaround_params},
    {ROW("distill", "match another model"), .kind = SCHEMA_METHOD, .params = distill_params},
};

/* ---- the table */

static const Schema *const rows[] = {
#define TRANSFORM(name) &transform_##name.schema,
#include "compiler/transforms.list"
#undef TRANSFORM
    &steps[0],    &steps[1],   &steps[2],   &steps[3],   &settings[0], &settings[1],
    &emits[0],    &emits[1],   &emits[2],   &loaders[0], &loaders[1],  &loaders[2],
    &loaders[3],  &loaders[4], &loaders[5], &methods[0], &methods[1],  &methods[2],
    &methods[3],  &methods[4], NULL,
};
const Vocabulary morc_vocabulary = {rows};

/* name, bits, whole numbers?, without sign?, exponent and mantissa bits, for scales only? */
const ElementInfo morc_elements[] = {
    {"int8", 8, true, false, 0, 0, false},  {"uint8", 8, true, true, 0, 0, false},
    {"int4", 4, true, false, 0, 0, false},  {"uint4", 4, true, true, 0, 0, false},
    {"int2", 2, true, false, 0, 0, false},  {"uint2", 2, true, true, 0, 0, false},
    {"e4m3", 8, false, false, 4, 3, false}, {"e5m2", 8, false, false, 5, 2, false},
    {"e2m1", 4, false, false, 2, 1, false}, {"e3m2", 6, false, false, 3, 2, false},
    {"e2m3", 6, false, false, 2, 3, false}, {"e8m0", 8, false, true, 8, 0, true},
    {"f16", 16, false, false, 5, 10, true}, {"bf16", 16, false, false, 8, 7, true},
    {"f32", 32, false, false, 8, 23, true}, {NULL, 0, false, false, 0, 0, false},
};

/* GPUs that a recipe may be for, from the one table of targets. */
const int morc_targets[] = {
#define TARGET(sm, generation, has) sm,
#include "compiler/targets.list"
#undef TARGET
    0,
};

const char *const morc_ops[] = {
#include "compiler/onnx_ops.list"
    NULL,
};
