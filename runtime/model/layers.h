/* The layer index: what selectors and users see of a model. A layer is one node (any graph, any
 * depth); its path is the contract with users (language.md 2.5) and is computed here once. */
#ifndef RUNTIME_MODEL_LAYERS_H
#define RUNTIME_MODEL_LAYERS_H
#include "runtime/model/model.h"

typedef enum PathFrom { PATH_SCOPES, PATH_NODE, PATH_WEIGHT, PATH_OUTPUT } PathFrom;

/* Roles decided from structure alone; a layer may have several. */
typedef enum LayerRole {
    ROLE_LINEAR = 1,       /* MatMul or Gemm with a constant weight (also com.microsoft::MatMulNBits) */
    ROLE_CONV = 2,         /* Conv, ConvTranspose */
    ROLE_EMBEDDING = 4,    /* Gather along axis 0 of a constant matrix, indices from the input */
    ROLE_ATTENTION = 8,    /* the product with softmax's output, or an Attention op */
    ROLE_NORM = 16,        /* LayerNormalization, RMSNormalization, their decomposed forms' last node, BatchNormalization, ... */
    ROLE_HEAD = 32,        /* linear reaching a graph output through shape and elementwise-free ops only */
    ROLE_RESIDUAL = 64     /* Add that joins a skip connection */
} LayerRole;

typedef struct Layer {
    Node *node;
    int index;               /* in Layers.all */
    Str path;                /* unique; "#2", "#3" appended on clashes of the same op */
    PathFrom path_from;
    unsigned roles;
    const Tensor *weight;    /* the constant that quantize and prune act on; NULL if none */
    int weight_slot;         /* its input slot */
    Str state;               /* "float", or the op/format when it arrives encoded (MatMulNBits, DQ) */
    /* How the weight is laid out. Reduction axis: MatMul [.., K, N]: rank-2; Gemm: 0, transB 1;
     * transA plays no part; Conv 1 (input channels per group); ConvTranspose 0. Channel axis:
     * rank-1 / 0 with transB / 0 / 1. When the constant is the left operand of MatMul or Gemm, the
     * axes are those of A. */
    int reduce_axis, channel_axis;
    int64_t k, n;            /* reduction width (Conv: channels per group x kernel), output width; 0 if none */
    int64_t params;          /* elements of the weight (0 if none) */
    uint64_t bytes;
    int64_t groups, stride, kernel; /* convolutions; kernel = largest side */
    int depth;               /* longest path from an input, in layers that have a weight */
    int block;               /* index of the repeated block it is in, -1 if none */
    int64_t fanout;          /* uses of its first output */
} Layer;

typedef struct Layers {
    Model *model;
    Vec(Layer) all;          /* graph order: main graph; a subgraph's layers follow its owner */
    int block_count;
    Map by_path;
} Layers;

Layers *layers_index(Session *s, Model *model);
Layer *layer_of(const Layers *layers, const Node *node);
/* Layers reading a value that this layer reads as its activation input (q, k, v). */
/* Producers/consumers cross Identity-free: direct neighbours through values, in graph order. */
void layer_neighbours(const Layers *layers, const Layer *layer, bool upstream, Arena *arena,
                      int **out, int *count);
const char *path_from_name(PathFrom from); /* "name_scopes", "node name", "weight", "output" */

#endif
