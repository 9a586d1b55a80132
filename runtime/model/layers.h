/* The layer index: what selectors and users see of a model. A layer is one node (any graph, any
 * depth) that computes something: Constant nodes are weights, not layers. Its path is the contract
 * with users (language.md 2.5) and is computed here once. docs/layers.md has the rules in words.
 * Everything is decided from names and structure; no weight is read. */
#ifndef RUNTIME_MODEL_LAYERS_H
#define RUNTIME_MODEL_LAYERS_H
#include "runtime/model/model.h"

typedef enum PathFrom { PATH_SCOPES, PATH_NODE, PATH_WEIGHT, PATH_OUTPUT } PathFrom;

/* Roles decided from structure alone; a layer may have several. */
typedef enum LayerRole {
    ROLE_LINEAR = 1,    /* MatMul or Gemm with a constant weight, and their encoded forms */
    ROLE_CONV = 2,      /* Conv, ConvTranspose, and their encoded forms */
    ROLE_EMBEDDING = 4, /* Gather along axis 0 of a constant matrix, indices not constant */
    ROLE_ATTENTION = 8, /* the product with softmax's output, or an Attention op */
    ROLE_NORM = 16,     /* LayerNormalization, ... or the last node of a decomposed norm */
    ROLE_HEAD = 32,     /* linear whose result goes nowhere but to graph outputs, through shape ops,
                         * its bias and a final softmax */
    ROLE_RESIDUAL = 64  /* Add whose one operand is an ancestor of the other, around a weight */
} LayerRole;

typedef struct Layer {
    Node *node;
    int index;            /* in Layers.all */
    Str path;             /* unique among layers of the same op: "#2", "#3" appended on clashes */
    PathFrom path_from;
    unsigned roles;
    const Tensor *weight; /* the constant that quantize and prune act on, in whatever state it
                           * arrives; NULL if none (a MatMulNBits whose codes are computed, too) */
    Node *weight_at;      /* node that reads it: `node`, or the Transpose, Cast or Identity between:
                           * an encoded weight is put in place by splicing weight_slot of this */
    int weight_slot;
    ValueInfo *input;     /* what the weight is applied to (Gather: the indices); without a weight,
                           * the first input that is not constant. NULL if none */
    Str state;            /* "float", or what it is already: "MatMulNBits (4 bits, block 32)" */
    bool encoded;         /* state is not "float" */
    /* Axes of the weight tensor as it is stored. Reduction: MatMul [.., K, N] rank-2; Gemm 0, with
     * transB 1; Conv 1 (input channels per group); ConvTranspose 0; Gather 1. Channel: rank-1; 1 / 0;
     * 0; 1; 0. A constant left operand has the axes of A. A Transpose between is seen through. */
    int reduce_axis, channel_axis;
    int64_t k, n;         /* reduction width (Conv: channels per group x kernel), output width; 0 */
    int64_t width;        /* neighbours along reduce_axis: blocks and N:M groups must divide it */
    int64_t params;       /* elements of the weight (0 if none) */
    uint64_t bytes;
    int64_t groups, stride, kernel; /* 1, 1, 0 where the op has none; the largest of all sides */
    int depth;            /* longest path from an input, in layers that have a weight, itself too */
    int block;            /* index of the repeated block it is in, -1 if none */
    int64_t fanout;       /* uses of its first output */
} Layer;

typedef struct Layers {
    Model *model;
    Vec(Layer) all;       /* graph order; the layers of a subgraph follow its owner */
    int block_count;
    Str block_rule;       /* how blocks were found: "model.layers.N" or "period of 7 layers" */
    Map by_path;          /* -> Layer: the one with a weight, else the first of that path */
    Map graphs;           /* Graph * (its bytes) -> int[]: layer of each node, -1 for constants */
} Layers;

Layers *layers_index(Session *s, Model *model);
Layer *layer_of(const Layers *layers, const Node *node); /* NULL for a Constant */

/* Direct neighbours through values, in index order, each once. Subgraphs are seen through: a value
 * that one captures is read there, its inputs come from its owner, and what leaves it is made by the
 * node inside as well as by the owner. Local functions are opaque. */
void layer_neighbours(const Layers *layers, const Layer *layer, bool upstream, Arena *arena,
                      int **out, int *count);
const char *path_from_name(PathFrom from); /* "name_scopes", "node name", "weight", "output" */
bool type_is_float(int type);              /* FLOAT, FLOAT16, BFLOAT16, DOUBLE: can be encoded */

#endif
