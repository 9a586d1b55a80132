/* First walk over the bytes of a model, before anything else looks at them.
 *
 * In: a mapped file. Out: (1) a tree of the messages that an edit may touch or that hold tensors,
 * each with its byte range; (2) the skeleton: the same model without tensor payloads and without
 * fields outside onnx.proto, canonical enough for protobuf-c (which is never given raw input: it
 * has no nesting limit and copies every payload).
 * Checked on the way, guided by the descriptors protoc-c makes from onnx.proto: lengths, tags, wire
 * types, nesting <= LIMIT_MESSAGE_DEPTH, packed arrays, a message given twice where one is meant,
 * names (UTF-8, no NUL, length), numbers of nodes and tensors. One pass, explicit stack, linear
 * time; memory is bounded by the bytes that are present.
 * Not done: what the fields mean. That is onnx_read.c and tensor.c. */
#ifndef RUNTIME_MODEL_ONNX_SKIM_H
#define RUNTIME_MODEL_ONNX_SKIM_H
#include "runtime/base/file.h"
#include "runtime/model/wire.h"

typedef enum SkimKind {
    SKIM_NONE, SKIM_MODEL, SKIM_GRAPH, SKIM_FUNCTION, SKIM_NODE, SKIM_ATTRIBUTE, SKIM_TENSOR,
    SKIM_SPARSE, SKIM_TRAINING
} SkimKind;

/* Attributes and sparse tensors appear only when something recorded lies beneath them. */
typedef struct SkimMessage {
    SkimKind kind;
    uint32_t field;      /* its number in the parent */
    uint32_t index;      /* how many fields of that number come before it in the parent */
    Range whole, body;   /* with and without tag and length */
    struct SkimMessage *parent, *first, *last, *next; /* children in file order */
    bool dirty;          /* edits at or beneath it (onnx_edit.c) */
    struct Tensor *tensor; /* of SKIM_TENSOR, once it was read */
    void *edit;          /* TensorEdit, NodeEdit or GraphEdit by kind (onnx_edit.h), or NULL */
} SkimMessage;

typedef struct Skim {
    SkimMessage *root;
    Str skeleton;
    size_t nodes, tensors;
} Skim;

/* Everything is on the session's arena. False: E1001 or E1008 reported, with the offset. */
bool onnx_skim(Session *s, const Input *input, Skim *out);

/* An error at a byte of a model file: "--> model.onnx: @0x1f40". */
Diag *model_error_at(Session *s, const Input *input, uint64_t offset, const char *code,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
