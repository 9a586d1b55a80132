#include "runtime/model/onnx_skim.h"
#include <inttypes.h>
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"
#include "runtime/model/onnx.pb-c.h"

enum { FIELDS = 32, LENGTH_BYTES = 5 }; /* field numbers of onnx.proto are below FIELDS */

typedef const ProtobufCMessageDescriptor *Type;
typedef const ProtobufCFieldDescriptor *Field;

/* One message that is being read. */
typedef struct Frame {
    Type type;
    uint64_t end;
    size_t length_at;      /* where its length lies in the skeleton */
    SkimMessage self;      /* what `record` will be a copy of */
    SkimMessage *record;   /* NULL until it is needed */
    uint32_t seen[FIELDS]; /* fields met so far, by number */
} Frame;

typedef struct Walk {
    Session *session;
    const Input *input;
    Wire wire;
    Frame *stack; /* LIMIT_MESSAGE_DEPTH of them; 0 is the model */
    size_t depth; /* index of the message that is being read */
    Buf skeleton;
    Skim *out;
} Walk;

Diag *model_error_at(Session *s, const Input *input, uint64_t offset, const char *code,
                     const char *format, ...) {
    Buf text = buf_on(s->arena);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    Diag *d = diag_error(s, code, NO_SPAN, "%s", text.data);
    diag_where(d, "%s: @0x%" PRIx64, str_safe_c(s->arena, input->path), offset);
    return d;
}

static SkimKind kind_of(Type type) {
    static const struct {
        Type type;
        SkimKind kind;
    } kinds[] = {
        {&onnx__model_proto__descriptor, SKIM_MODEL},
        {&onnx__graph_proto__descriptor, SKIM_GRAPH},
        {&onnx__function_proto__descriptor, SKIM_FUNCTION},
        {&onnx__node_proto__descriptor, SKIM_NODE},
        {&onnx__attribute_proto__descriptor, SKIM_ATTRIBUTE},
        {&onnx__tensor_proto__descriptor, SKIM_TENSOR},
        {&onnx__sparse_tensor_proto__descriptor, SKIM_SPARSE},
        {&onnx__training_info_proto__descriptor, SKIM_TRAINING},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].type == type) {
            return kinds[i].kind;
        }
    }
    return SKIM_NONE;
}

/* Tensor fields that say where the elements are, rather than what the tensor is. */
static bool is_payload(const Frame *frame, uint32_t number) {
    const uint32_t fields = 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 11 |
                            1u << 13 | 1u << 14;
    return frame->self.kind == SKIM_TENSOR && (fields >> number & 1);
}

/* What is no model is mostly text: a page, a pointer of Git LFS, JSON before safetensors. */
static void note_text(const Walk *w, Diag *d) {
    enum { SHOWN = 24 };
    const uint8_t *begin = w->input->data;
    for (size_t i = 0; i < SHOWN; i++) {
        if (i >= w->input->size || begin[i] < ' ' || begin[i] > '~') {
            return;
        }
    }
    diag_note(d, "the file begins with the text `%.*s...`", SHOWN, (const char *)begin);
}

static bool bad(const Walk *w, uint64_t offset, const char *why) {
    const Frame *frame = &w->stack[w->depth];
    note_text(w, model_error_at(w->session, w->input, offset, "E1001",
                                "not a valid ONNX model: %s, in a %s", why,
                                frame->type->short_name));
    return false;
}

static bool too_many(const Walk *w, uint64_t offset, const char *what, int limit) {
    model_error_at(w->session, w->input, offset, "E1008", "the model has more than %d %s", limit,
                   what);
    return false;
}

static SkimMessage *record(Walk *w, size_t depth) {
    Frame *frame = &w->stack[depth];
    if (!frame->record) {
        SkimMessage *m = arena_new(w->session->arena, SkimMessage);
        *m = frame->self;
        frame->record = m;
        if (depth == 0) {
            w->out->root = m;
        } else {
            SkimMessage *parent = record(w, depth - 1);
            m->parent = parent;
            *(parent->last ? &parent->last->next : &parent->first) = m;
            parent->last = m;
        }
    }
    return frame->record;
}

static bool enter(Walk *w, Type type, const WireField *field) {
    if (w->depth + 1 >= LIMIT_MESSAGE_DEPTH) {
        model_error_at(w->session, w->input, field->whole.begin, "E1008",
                       "messages are nested more than %d deep", LIMIT_MESSAGE_DEPTH);
        return false;
    }
    const uint32_t before = w->stack[w->depth].seen[field->number] - 1;
    wire_put_tag(&w->skeleton, field->number, WIRE_BYTES);
    Frame *frame = &w->stack[++w->depth];
    *frame = (Frame){
        .type = type, .end = field->body.end, .length_at = w->skeleton.len,
        .self = {.kind = kind_of(type), .field = field->number, .index = before,
                 .whole = field->whole, .body = field->body}};
    buf_repeat(&w->skeleton, 0, LENGTH_BYTES);
    w->wire.pos = field->body.begin;
    w->wire.end = field->body.end;
    const SkimKind kind = frame->self.kind;
    if (kind == SKIM_NODE && ++w->out->nodes > LIMIT_MODEL_NODES) {
        return too_many(w, field->whole.begin, "nodes", LIMIT_MODEL_NODES);
    }
    if (kind == SKIM_TENSOR && ++w->out->tensors > LIMIT_TENSORS) {
        return too_many(w, field->whole.begin, "tensors", LIMIT_TENSORS);
    }
    if (kind != SKIM_NONE && kind != SKIM_ATTRIBUTE && kind != SKIM_SPARSE) {
        record(w, w->depth);
    }
    return true;
}

/* The length is known only now; five bytes were kept free for it. */
static void leave(Walk *w) {
    Frame *frame = &w->stack[w->depth];
    size_t length = w->skeleton.len - frame->length_at - LENGTH_BYTES;
    char *at = w->skeleton.data + frame->length_at;
    for (int i = 0; i < LENGTH_BYTES; i++, length >>= 7) {
        at[i] = (char)(uint8_t)((length & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
    }
    w->depth--;
    w->wire.end = w->stack[w->depth].end;
}

static WireType scalar_wire(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_FIXED32;
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT;
    }
}

static bool check_packed(Walk *w, const WireField *field, WireType element) {
    if (element == WIRE_VARINT) {
        Wire numbers = wire_over(w->wire.data, field->body);
        uint64_t ignored;
        while (numbers.pos < numbers.end) {
            if (!wire_varint(&numbers, &ignored)) {
                return bad(w, numbers.pos, numbers.error);
            }
        }
        return true;
    }
    const uint64_t size = element == WIRE_FIXED32 ? 4 : 8;
    return (field->body.end - field->body.begin) % size == 0 ||
           bad(w, field->body.begin, "a packed array ends within a number");
}

/* Free text may be anything; what names a thing must be readable and comparable as a C string. */
static bool check_name(Walk *w, Field known, const WireField *field) {
    const Frame *frame = &w->stack[w->depth];
    const bool free_text = strcmp(known->name, "doc_string") == 0 ||
                           (frame->type == &onnx__string_string_entry_proto__descriptor &&
                            strcmp(known->name, "value") == 0);
    const Str text = wire_str(&w->wire, field);
    size_t offset = 0;
    if (free_text || text.len == 0) {
        return true;
    }
    if (text.len > LIMIT_NAME_BYTES) {
        model_error_at(w->session, w->input, field->body.begin, "E1008",
                       "a name (%s) is longer than %d bytes", known->name, LIMIT_NAME_BYTES);
        return false;
    }
    if (memchr(text.data, 0, text.len)) {
        return bad(w, field->body.begin, "a name contains a NUL");
    }
    return utf8_valid(text, &offset) ||
           bad(w, field->body.begin + offset, "a name is not UTF-8");
}

static void copy_scalar(Walk *w, const WireField *field) {
    wire_put_tag(&w->skeleton, field->number, field->type);
    if (field->type == WIRE_VARINT) {
        wire_put_varint(&w->skeleton, field->value);
        return;
    }
    const Str body = wire_str(&w->wire, field);
    if (field->type == WIRE_BYTES) {
        wire_put_varint(&w->skeleton, body.len);
    }
    buf_str(&w->skeleton, body);
}

static bool visit(Walk *w, const WireField *field) {
    Frame *frame = &w->stack[w->depth];
    Field known = protobuf_c_message_descriptor_get_field(frame->type, field->number);
    if (!known) {
        return true; /* kept as a byte range */
    }
    const WireType element = scalar_wire(known->type);
    const bool many = known->label == PROTOBUF_C_LABEL_REPEATED;
    const bool packed = many && element != WIRE_BYTES && field->type == WIRE_BYTES;
    if (field->type != element && !packed) {
        return bad(w, field->whole.begin, "a field has the wrong wire type");
    }
    if (++frame->seen[field->number] > 1 && !many &&
        (known->type == PROTOBUF_C_TYPE_MESSAGE || frame->self.kind == SKIM_TENSOR)) {
        return bad(w, field->whole.begin, "a field that must be single is given twice");
    }
    if (known->type == PROTOBUF_C_TYPE_MESSAGE && !is_payload(frame, field->number)) {
        return enter(w, known->descriptor, field);
    }
    if (packed && !check_packed(w, field, element)) {
        return false;
    }
    if (known->type == PROTOBUF_C_TYPE_STRING && !check_name(w, known, field)) {
        return false;
    }
    if (!is_payload(frame, field->number)) {
        copy_scalar(w, field);
    }
    return true;
}

static bool walk(Walk *w) {
    WireField field;
    for (;;) {
        while (wire_next(&w->wire, &field)) {
            if (!visit(w, &field)) {
                return false;
            }
        }
        if (w->wire.error) {
            return bad(w, w->wire.pos, w->wire.error);
        }
        if (w->depth == 0) {
            return true;
        }
        leave(w);
    }
}

bool onnx_skim(Session *s, const Input *input, Skim *out) {
    *out = (Skim){0};
    Walk w = {.session = s, .input = input, .out = out, .skeleton = buf_on(s->arena),
              .wire = wire_over(input->data, (Range){0, input->size}),
              .stack = arena_many(s->arena, Frame, LIMIT_MESSAGE_DEPTH)};
    w.stack[0] = (Frame){.type = &onnx__model_proto__descriptor, .end = input->size,
                         .self = {.kind = SKIM_MODEL, .whole = {0, input->size},
                                  .body = {0, input->size}}};
    if (input->size == 0 || input->size > INT32_MAX) {
        return bad(&w, 0, input->size ? "the file is larger than 2 GiB" : "the file is empty");
    }
    record(&w, 0);
    if (!walk(&w)) {
        return false;
    }
    out->skeleton = buf_view(&w.skeleton);
    return true;
}
