/* An ONNX model as it lies in its file, and the edits made to it.
 *
 * Reading: onnx_skim walks the mapped bytes once (depth, tags, lengths, UTF-8 of names checked;
 * tensor payloads located, not read) and builds (1) for every message that an edit may touch the
 * byte range it came from, (2) a weightless skeleton, which protobuf-c unpacks on the arena. Struct
 * and range correspond by position. Unknown fields are known by their ranges only.
 *
 * Writing: a model is written as its original byte ranges with the edited ones replaced, so what is
 * not edited survives byte for byte, unknown fields and odd encodings included. model_layout turns
 * model + edits into a list of pieces whose sizes and offsets are all known before any weight is
 * read; the compiler hands the list to exec.
 *
 * Ownership: the Model owns the mappings; Tensor.data is const, borrowed, dies with model_close.
 * Everything else is on the session's arena. Errors: E10xx with file and offset or tensor name. */
#ifndef RUNTIME_MODEL_MODEL_H
#define RUNTIME_MODEL_MODEL_H
#include "runtime/base/file.h"
#include "runtime/model/onnx.pb-c.h"
#include "runtime/model/wire.h"

typedef struct Model Model;
typedef struct Graph Graph;
typedef struct Node Node;
typedef struct ValueInfo ValueInfo;

typedef enum Carrier {
    CARRIER_NONE,     /* no elements */
    CARRIER_RAW,      /* raw_data */
    CARRIER_TYPED,    /* float_data, int32_data, ...: plain bytes only if packed FLOAT or DOUBLE */
    CARRIER_EXTERNAL  /* a range of another file */
} Carrier;

typedef struct Tensor {
    Str name;
    int type;                /* TensorProto.DataType */
    int rank;
    const int64_t *dims;
    int64_t count;           /* product of dims, checked; 1 when rank is 0 */
    uint64_t size;           /* bytes of the elements as raw data, checked against what is there.
                                STRING: 0. A type that type_bits does not know: what is there. */
    Carrier carrier;
    const uint8_t *data;     /* little-endian raw bytes in a mapping (any alignment), or NULL:
                                use tensor_bytes */
    const Input *input;      /* file that holds the elements, and where in it `data` is */
    uint64_t input_offset;
    Range field;             /* the whole field (tag, length, message) that holds the TensorProto */
    Range message;           /* the TensorProto itself */
    Graph *graph;            /* of an initializer; NULL otherwise */
    Node *constant;          /* Constant node whose value this is; NULL for initializers */
    int index;               /* position among its graph's initializers, -1 elsewhere */
    int number;              /* position in Model.tensors */
    struct SkimMessage *record;
} Tensor;

/* One use of a value: input `slot` of `node`. Values captured by a subgraph count as uses there. */
typedef struct Use {
    Node *node;
    int slot;
} Use;

struct ValueInfo {
    Str name;
    Graph *graph;            /* where it is defined */
    Node *producer;          /* NULL: graph input, initializer or sparse initializer */
    int output;              /* which output of the producer */
    const Tensor *constant;  /* initializer or Constant node, else NULL */
    bool graph_input, graph_output;
    bool sparse;             /* a sparse initializer */
    Vec(Use) uses;
    int type;                /* element type if declared or inferred, 0 if unknown */
    int rank;                /* -1 if unknown */
    const int64_t *dims;     /* -1 for a dimension that is not a number */
};

struct Node {
    Graph *graph;
    int index;                     /* in graph->nodes: graph order */
    const Onnx__NodeProto *proto;  /* skeleton: tensor attributes have no payload */
    Str op, domain;                /* domain "ai.onnx" is "" here */
    Range field, message;
    ValueInfo **inputs;            /* NULL where the input is absent ("") */
    ValueInfo **outputs;
    int input_count, output_count;
    Vec(Graph *) bodies;           /* subgraphs in its attributes */
    Vec(Tensor *) tensors;         /* tensor attributes (Constant: the value) */
    struct SkimMessage *record;
};

struct Graph {
    Model *model;
    Node *owner;                   /* node whose attribute holds it; NULL: main graph, function */
    Str function;                  /* "domain::name" of a local function, empty otherwise */
    int number;                    /* in Model.graphs */
    int depth;
    const Onnx__GraphProto *proto;       /* NULL for functions */
    const Onnx__FunctionProto *function_proto;
    Range field, message;
    Vec(Node *) nodes;
    Vec(Tensor *) initializers;
    Map values;                    /* name -> ValueInfo defined here */
    struct SkimMessage *record;
};

struct Model {
    Session *session;
    Input *input;
    Vec(Input *) data_files;
    Map data_by_location;          /* location as the model writes it -> Input */
    Input *only_data;              /* model_check_written: the one data file, else NULL */
    const Onnx__ModelProto *proto;
    Graph *main;
    Vec(Graph *) graphs;           /* main first, each subgraph after its owner's, then functions */
    Vec(Tensor *) tensors;         /* every TensorProto, also of sparse tensors and training */
    struct SkimMessage *record;
    int64_t opset;                 /* of domain ""; edit_opset and model_upgrade raise it (functions
                                      have their own until then) */
    int64_t ir_version;            /* likewise */
    bool has_external;
    uint8_t graph_hash[32];        /* SHA-256 of the skeleton: identity of the graph without weights */
    struct ModelEdits *edits;      /* created on first use */
};

/* Reads and checks a model. Every malformed input gives one diagnostic and NULL. */
Model *model_open(Session *s, Str path);
void model_close(Model *model);
/* Directory that holds the external data, for who reads the model again: the model's, or of what a
 * link leads to where the data is there (file.h); empty if there is none. */
Str model_data_folder(Session *s, const Model *model);
ValueInfo *graph_value(const Graph *graph, Str name); /* looks outward, too; NULL if none */
const Onnx__AttributeProto *node_attribute(const Node *node, const char *name); /* NULL if absent */
int64_t node_int(const Node *node, const char *name, int64_t otherwise);

/* Raw little-endian bytes of a tensor: t->data, or a copy on `arena` for scattered typed fields.
 * NULL after an error. */
const uint8_t *tensor_bytes(Session *s, const Tensor *t, Arena *arena);
int64_t type_bits(int type);          /* bits per element; 0 for unknown or STRING */
const char *type_name(int type);      /* "float16" as .dtype shows it; "unknown type" */
bool type_size(int type, int64_t count, uint64_t *bytes); /* false: unknown type or overflow */

/* ---- edits: recorded, applied by model_layout. Names must be new in the whole model: use
 * model_fresh_name. Protos given here are packed at layout time and must live until then. */
typedef struct NewTensor {
    Str name;
    int type;
    int rank;
    const int64_t *dims;
    uint64_t size;           /* bytes */
    const void *bytes;       /* known now (small constants), or NULL: */
    int64_t tag;             /* handed back in the Piece: the caller knows where it comes from */
} NewTensor;

Str model_fresh_name(Model *m, Str wanted);  /* "w_q", or "w_q_2" if taken */
void edit_node_input(Node *node, int slot, Str name); /* the rest of the node stays as it is */
void edit_insert_before(Node *node, Onnx__NodeProto *inserted);    /* in the order of the calls */
/* What the node's first output was called is then for a node behind it to make: its readers, and
 * whoever takes it out of the graph, see nothing of it. Not for nodes that are removed. */
void edit_rename_output(Node *node, Str name);
void edit_insert_behind(Node *node, Onnx__NodeProto *inserted); /* in the order of the calls */
/* Unknown fields are carried over. Not for nodes that hold graphs or tensors: the skeleton, from
 * which a replacement is made, has no payloads. */
void edit_replace_node(Node *node, Onnx__NodeProto *replacement);
void edit_remove_node(Node *node);
/* `node`, whose one output only `next` reads, makes what `next` made, and `next` goes. As a
 * replacement: not for nodes that hold graphs or tensors. */
void edit_absorb_node(Node *node, Node *next);
/* In a function, which has no initializers, it becomes a Constant node before all others. */
void edit_add_initializer(Graph *graph, const NewTensor *tensor);
/* Same type and shape, new bytes (pruned floats); initializers and values of Constant nodes. */
void edit_replace_payload(const Tensor *tensor, int64_t tag);
/* Also its graph input and value_info, if any. The value of a Constant node: removes the node. */
void edit_remove_initializer(const Tensor *tensor);
/* In the model and in each function that imports the domain; added to the model and to functions
 * with edited nodes if it is missing. Nodes are not changed: that is model_upgrade. */
void edit_opset(Model *m, const char *domain, int64_t version);
void edit_ir_version(Model *m, int64_t version);
void edit_metadata(Model *m, Str key, Str value); /* replaces what has that key */

/* ---- layout */
typedef enum PieceKind { PIECE_MEMORY, PIECE_INPUT, PIECE_TENSOR } PieceKind;
typedef struct Piece {
    PieceKind kind;
    int file;                /* 0: the model, 1: its data file */
    uint64_t offset, size;   /* in that output file */
    const void *bytes;       /* PIECE_MEMORY */
    const Input *input;      /* PIECE_INPUT, from input_offset */
    uint64_t input_offset;
    int64_t tag;             /* PIECE_TENSOR: NewTensor.tag or edit_replace_payload's */
} Piece;

typedef struct Layout {
    Vec(Piece) pieces;       /* cover both files without holes (padding is PIECE_MEMORY) */
    uint64_t size[2];        /* size[1] 0: no data file */
} Layout;

typedef struct LayoutOptions {
    bool external;           /* force a data file; else only when the model would pass 2 GiB */
    Str data_name;           /* file name to write into `location`, beside the model */
    bool in_place;           /* what lies in data files stays there, under the same locations */
} LayoutOptions;

bool model_layout(Model *m, const LayoutOptions *options, Layout *out);

/* Reads a written model back from an open descriptor or path and checks that every tensor lies
 * inside its file and that graph, opset and tensor list are what layout planned. */
bool model_check_written(Session *s, int fd, Str shown_path, int data_fd, const Layout *layout);

#endif
