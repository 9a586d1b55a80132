/* Inside of runtime/model: a message of the model with its edits applied, as a rope. */
#ifndef RUNTIME_MODEL_RENDER_H
#define RUNTIME_MODEL_RENDER_H
#include "runtime/model/onnx_edit.h"
#include "runtime/model/rope.h"

/* Field numbers that rendering and reading look at. */
enum {
    MODEL_IR = 1, MODEL_OPSET = 8, MODEL_METADATA = 14,
    GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_VALUE_INFO = 13,
    FUNCTION_NODE = 7, FUNCTION_OPSET = 9, FUNCTION_VALUE_INFO = 12,
    NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP = 4, NODE_ATTRIBUTE = 5,
    ATTRIBUTE_NAME = 1, ATTRIBUTE_TENSOR = 5, ATTRIBUTE_TYPE = 20,
    TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14,
    OPSET_DOMAIN = 1, OPSET_VERSION = 2, VALUE_NAME = 1, ENTRY_KEY = 1, ENTRY_VALUE = 2
};

typedef struct Render {
    Model *m;
    Arena *arena;
    bool external;  /* large tensors go to the data file */
    bool in_place;  /* external ones stay where they are */
    Str data_name;
    Rope *data;     /* the data file */
} Render;

bool tensor_goes_outside(const Render *r, const Tensor *t);
void render_tensor(Render *r, Rope *out, const SkimMessage *record);
void render_new_tensor(Render *r, Rope *out, const NewTensor *t);
void render_message(Render *r, Rope *out, const SkimMessage *record);

#endif
