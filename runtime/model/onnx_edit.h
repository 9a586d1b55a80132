/* Inside of runtime/model: what the edits record and the layout applies. Each record of the skim
 * carries its own edits; `dirty` marks it and all that enclose it. */
#ifndef RUNTIME_MODEL_ONNX_EDIT_H
#define RUNTIME_MODEL_ONNX_EDIT_H
#include "runtime/base/vec.h"
#include "runtime/model/read.h"

typedef struct SlotEdit {
    int slot;
    Str name;
} SlotEdit;

typedef struct NodeEdit {
    bool removed;
    const Onnx__NodeProto *replacement; /* NULL: the original with `inputs` applied */
    Vec(SlotEdit) inputs;               /* applied in order, to the replacement too */
    Vec(Onnx__NodeProto *) before, behind;
    Str output; /* new name of the first output; empty: as it was */
} NodeEdit;

typedef struct TensorEdit {
    bool removed, replaced;
    int64_t tag;
} TensorEdit;

typedef struct GraphEdit {
    Vec(NewTensor) added;
    Map dropped; /* values whose graph input and value_info go, too */
} GraphEdit;

typedef struct OpsetEdit {
    Str domain;
    int64_t version;
} OpsetEdit;

typedef struct MetadataEdit {
    Str key, value;
} MetadataEdit;

typedef struct ModelEdits {
    Vec(OpsetEdit) opsets;
    Vec(MetadataEdit) metadata;
    int64_t ir_version; /* 0: unchanged */
    Map names;          /* names in use, of values and nodes; filled by model_fresh_name */
    bool names_known;
} ModelEdits;

#endif
