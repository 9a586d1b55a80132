/* See vocabulary.h. A row with `later` is in the language but not in this build (E0001). */
#include "compiler/vocabulary.h"
#include "compiler/transform.h"

#define END {.name = NULL}
#define SCHEMA(id, word, of_kind, of_phase, text, is_later, block, ...)                            \
    static const Param id##_params[] = {__VA_ARGS__ END};                                          \
    static const Schema id = {.name = word, .doc = text, .kind = of_kind, .phase = of_phase,       \
                              .later = is_later, .takes_block = block, .params = id##_params};

/* ---- steps that this build lacks; the others bring their own (compiler/transform/) */
SCHEMA(smooth, "smooth", SCHEMA_STEP, PHASE_EDIT, "move outliers from the activations into the weights", true, false,
    {.name = "alpha", .type = PARAM_FLOAT, .range = "0.0..1.0", .initial = "0.5", .doc = "how much difficulty moves into the weights"},
    {.name = "fold", .type = PARAM_CHOICE, .choices = "auto | never", .initial = "auto", .doc = "where the inverse scale goes"}, )
SCHEMA(awq, "awq", SCHEMA_STEP, PHASE_EDIT, "scale channels so that quantizing hurts less", true, false,
    {.name = "grid", .type = PARAM_INT, .range = "1..1000", .initial = "20", .doc = "candidates tried"},
    {.name = "clip", .type = PARAM_BOOL, .initial = "true", .doc = "also search the clipping range"}, )
SCHEMA(rotate, "rotate", SCHEMA_STEP, PHASE_EDIT, "spread outliers with a rotation", true, false,
    {.name = "kind", .type = PARAM_CHOICE, .choices = "hadamard", .initial = "hadamard", .doc = "which rotation"}, )
SCHEMA(map_step, "map", SCHEMA_STEP, PHASE_EDIT, "apply a function to each weight", true, false,
    {.name = "weight", .type = PARAM_FN, .required = true, .doc = "the function"}, )
SCHEMA(choose, "choose", SCHEMA_STEP, PHASE_ENCODE, "search a format for each layer", true, true,
    {.name = "by", .type = PARAM_CHOICE, .choices = "kl | mse | gradient", .initial = "kl", .doc = "what is kept small"},
    {.name = "samples", .type = PARAM_INT, .initial = "128", .doc = "samples looked at"},
    {.name = "tie", .type = PARAM_CHOICE, .choices = "siblings | none", .initial = "siblings", .doc = "layers that must agree"}, )
SCHEMA(finetune, "finetune", SCHEMA_STEP, PHASE_TUNE, "train what is selected", true, false,
    {.name = "data", .type = PARAM_DATA, .required = true, .doc = "training data"},
    {.name = "steps", .type = PARAM_INT, .required = true, .doc = "optimizer steps"},
    {.name = "lr", .type = PARAM_FLOAT, .required = true, .doc = "learning rate"},
    {.name = "loss", .type = PARAM_CHOICE, .choices = "distill | cross_entropy", .doc = "what is kept small"},
    {.name = "grad", .type = PARAM_CHOICE, .choices = "ste", .initial = "ste", .doc = "gradient of rounding"},
    {.name = "scales", .type = PARAM_CHOICE, .choices = "frozen | learned", .initial = "frozen", .doc = "whether scales train"}, )

/* ---- settings */
SCHEMA(calibrate, "calibrate", SCHEMA_SETTING, PHASE_SETTING, "measure activations on data", true, false,
    {.name = "data", .type = PARAM_DATA, .required = true, .doc = "what to run"},
    {.name = "method", .type = PARAM_CHOICE, .choices = "max | mse | entropy | percentile", .initial = "max", .doc = "how a range is found"},
    {.name = "samples", .type = PARAM_INT, .doc = "how many"},
    {.name = "observe", .type = PARAM_CHOICE, .choices = "float | encoded", .initial = "float", .doc = "behind float or already encoded layers"}, )
SCHEMA(evaluate, "evaluate", SCHEMA_SETTING, PHASE_SETTING, "data that output metrics are measured on", true, false,
    {.name = "data", .type = PARAM_DATA, .required = true, .doc = "what to run"}, )

/* ---- outputs */
SCHEMA(emit_qdq, "qdq", SCHEMA_EMIT, PHASE_SETTING, "standard ONNX: encoded weights behind DequantizeLinear", false, false,
    {.name = "opset", .type = PARAM_INT, .range = "19..28", .doc = "at least this opset"},
    {.name = "weights", .type = PARAM_CHOICE, .choices = "encoded | float", .initial = "encoded", .doc = "float keeps float weights behind Q and DQ"},
    {.name = "external", .type = PARAM_BOOL, .initial = "false", .doc = "weights in a file beside the model"},
    {.name = "dynamic", .type = PARAM_CHOICE, .choices = "none | trt*", .initial = "none", .doc = "ops for dynamic activations"}, )
SCHEMA(emit_ort, "ort", SCHEMA_EMIT, PHASE_SETTING, "com.microsoft::MatMulNBits where it fits, standard ONNX elsewhere", false, false,
    {.name = "opset", .type = PARAM_INT, .range = "19..28", .doc = "at least this opset"},
    {.name = "external", .type = PARAM_BOOL, .initial = "false", .doc = "weights in a file beside the model"}, )
SCHEMA(emit_hf, "hf", SCHEMA_EMIT, PHASE_SETTING, "a Hugging Face checkpoint", true, false,
    {.name = "dialect", .type = PARAM_CHOICE, .choices = "compressed_tensors | modelopt", .initial = "compressed_tensors", .doc = "whose layout"}, )

/* ---- data sources: may be declared, are used by steps that this build lacks */
SCHEMA(load_npz, "npz", SCHEMA_DATA, PHASE_SETTING, "arrays of a NumPy archive", false, false,
    {.name = "path", .type = PARAM_STRING, .required = true, .doc = "file, relative to the recipe"},
    {.name = "samples", .type = PARAM_INT, .doc = "how many, from the first"},
    {.name = "batch", .type = PARAM_INT, .doc = "samples run at once"},
    {.name = "shuffle", .type = PARAM_BOOL, .initial = "false", .doc = "in another order"},
    {.name = "seed", .type = PARAM_INT, .initial = "0", .doc = "of the order"}, )
SCHEMA(load_npy, "npy", SCHEMA_DATA, PHASE_SETTING, "one NumPy array", false, false,
    {.name = "path", .type = PARAM_STRING, .required = true, .doc = "file, relative to the recipe"},
    {.name = "samples", .type = PARAM_INT, .doc = "how many, from the first"}, )
SCHEMA(load_safetensors, "safetensors", SCHEMA_DATA, PHASE_SETTING, "tensors of a safetensors file", false, false,
    {.name = "path", .type = PARAM_STRING, .required = true, .doc = "file, relative to the recipe"},
    {.name = "samples", .type = PARAM_INT, .doc = "how many, from the first"}, )
SCHEMA(load_tokens, "tokens", SCHEMA_DATA, PHASE_SETTING, "text as tokens", true, false,
    {.name = "path", .type = PARAM_STRING, .required = true, .doc = "file, relative to the recipe"}, )
SCHEMA(load_images, "images", SCHEMA_DATA, PHASE_SETTING, "a folder of images", true, false,
    {.name = "path", .type = PARAM_STRING, .required = true, .doc = "folder, relative to the recipe"}, )
SCHEMA(load_random, "random", SCHEMA_DATA, PHASE_SETTING, "random numbers", false, false,
    {.name = "seed", .type = PARAM_INT, .initial = "0", .doc = "of the generator"},
    {.name = "samples", .type = PARAM_INT, .doc = "how many"}, )

/* ---- methods with arguments of their own */
SCHEMA(method_gptq, "gptq", SCHEMA_METHOD, PHASE_SETTING, "error feedback, column by column", true, false,
    {.name = "block", .type = PARAM_INT, .initial = "128", .doc = "columns between updates"},
    {.name = "damp", .type = PARAM_FLOAT, .initial = "0.01", .doc = "added to the diagonal"},
    {.name = "order", .type = PARAM_CHOICE, .choices = "static | natural", .initial = "static", .doc = "order of the columns"}, )
SCHEMA(method_adaround, "adaround", SCHEMA_METHOD, PHASE_SETTING, "learned rounding", true, false,
    {.name = "steps", .type = PARAM_INT, .initial = "1000", .doc = "optimizer steps"}, )
SCHEMA(method_sparsegpt, "sparsegpt", SCHEMA_METHOD, PHASE_SETTING, "prune with error feedback", true, false,
    {.name = "block", .type = PARAM_INT, .initial = "128", .doc = "columns between updates"},
    {.name = "damp", .type = PARAM_FLOAT, .initial = "0.01", .doc = "added to the diagonal"}, )
SCHEMA(method_percentile, "percentile", SCHEMA_METHOD, PHASE_SETTING, "cut the rarest values", true, false,
    {.name = "p", .type = PARAM_FLOAT, .range = "0.0..100.0", .initial = "99.99", .doc = "percent kept"}, )
SCHEMA(method_distill, "distill", SCHEMA_METHOD, PHASE_SETTING, "match the original model", true, false,
    {.name = "teacher", .type = PARAM_CHOICE, .choices = "original", .initial = "original", .doc = "which model"},
    {.name = "temperature", .type = PARAM_FLOAT, .initial = "1.0", .doc = "of the softmax"}, )

static const Schema *const rows[] = {
#define TRANSFORM(name) &transform_##name.schema,
#include "compiler/transforms.list"
#undef TRANSFORM
    &smooth, &awq, &rotate, &map_step, &choose, &finetune,
    &calibrate, &evaluate,
    &emit_qdq, &emit_ort, &emit_hf,
    &load_npz, &load_npy, &load_safetensors, &load_tokens, &load_images, &load_random,
    &method_gptq, &method_adaround, &method_sparsegpt, &method_percentile, &method_distill,
    NULL,
};
const Vocabulary morc_vocabulary = {rows};

/* name, bits, integer, unsigned, exponent and mantissa bits; docs/formats.md has the table for people */
const ElementInfo morc_elements[] = {
    {"int8", 8, true, false, 0, 0},  {"uint8", 8, true, true, 0, 0},  {"int4", 4, true, false, 0, 0},
    {"uint4", 4, true, true, 0, 0},  {"int2", 2, true, false, 0, 0},  {"uint2", 2, true, true, 0, 0},
    {"e4m3", 8, false, false, 4, 3}, {"e5m2", 8, false, false, 5, 2}, {"e2m1", 4, false, false, 2, 1},
    {"e3m2", 6, false, false, 3, 2}, {"e2m3", 6, false, false, 2, 3}, {"e8m0", 8, false, true, 8, 0},
    {"f16", 16, false, false, 5, 10}, {"bf16", 16, false, false, 8, 7}, {"f32", 32, false, false, 8, 23},
    {NULL, 0, false, false, 0, 0},
};
