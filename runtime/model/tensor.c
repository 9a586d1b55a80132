/* TensorProto: where its elements are and whether they are all there. Element packing follows the
 * comments of the ONNX schema: sub-byte types lie LSB first, in int32_data one packed byte per
 * entry (6-bit types: one element per entry). */
#include <inttypes.h>
#include <string.h>
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"
#include "runtime/model/read.h"

enum { /* field numbers of TensorProto */
    DIMS = 1, DATA_TYPE = 2, FLOATS = 4, INT32S = 5, STRINGS = 6, INT64S = 7, NAME = 8, RAW = 9,
    DOUBLES = 10, UINT64S = 11, EXTERNAL = 13, LOCATION = 14
};

/* Row: TensorProto.DataType. bits 0: no fixed size. */
static const struct {
    const char *name;
    int bits;
    int field;  /* typed field that may hold it */
} types[] = {
    [0] = {"undefined", 0, 0},
    [1] = {"float32", 32, FLOATS}, [2] = {"uint8", 8, INT32S}, [3] = {"int8", 8, INT32S},
    [4] = {"uint16", 16, INT32S}, [5] = {"int16", 16, INT32S}, [6] = {"int32", 32, INT32S},
    [7] = {"int64", 64, INT64S}, [8] = {"string", 0, STRINGS}, [9] = {"bool", 8, INT32S},
    [10] = {"float16", 16, INT32S}, [11] = {"float64", 64, DOUBLES}, [12] = {"uint32", 32, UINT64S},
    [13] = {"uint64", 64, UINT64S}, [14] = {"complex64", 64, FLOATS},
    [15] = {"complex128", 128, DOUBLES}, [16] = {"bfloat16", 16, INT32S},
    [17] = {"float8e4m3fn", 8, INT32S}, [18] = {"float8e4m3fnuz", 8, INT32S},
    [19] = {"float8e5m2", 8, INT32S}, [20] = {"float8e5m2fnuz", 8, INT32S},
    [21] = {"uint4", 4, INT32S}, [22] = {"int4", 4, INT32S}, [23] = {"float4e2m1", 4, INT32S},
    [24] = {"float8e8m0", 8, INT32S}, [25] = {"uint2", 2, INT32S}, [26] = {"int2", 2, INT32S},
    [27] = {"float6e2m3", 6, INT32S}, [28] = {"float6e3m2", 6, INT32S},
};

static bool known(int type) {
    return type > 0 && type < (int)(sizeof types / sizeof *types);
}

int64_t type_bits(int type) {
    return known(type) ? types[type].bits : 0;
}

const char *type_name(int type) {
    return known(type) ? types[type].name : "unknown type";
}

bool type_size(int type, int64_t count, uint64_t *bytes) {
    uint64_t bits = 0;
    if (type_bits(type) == 0 || count < 0 ||
        __builtin_mul_overflow((uint64_t)count, (uint64_t)type_bits(type), &bits) ||
        bits > UINT64_MAX - 7) {
        return false;
    }
    *bytes = (bits + 7) / 8;
    return true;
}

/* What a walk over a TensorProto finds. */
typedef struct Found {
    Vec(int64_t) dims;
    bool external, raw;
    Range raw_body;
    Vec(Range) places;   /* entries of external_data */
    int field;           /* typed field that has entries, 0 if none */
    uint64_t entries;    /* in it */
    Range run;           /* packed entries when they are one run */
    int runs;
} Found;

static bool lies(const Model *m, const Tensor *t, const char *why) {
    Arena *a = m->session->arena;
    Diag *d = model_error_at(m->session, m->input, t->message.begin, "E1002",
                             "tensor `%s`: %s", str_safe_c(a, t->name), why);
    Buf shape = buf_on(a);
    for (int i = 0; i < t->rank; i++) {
        buf_printf(&shape, "%s%" PRId64, i ? "," : "", t->dims[i]);
    }
    diag_note(d, "it is declared as %s[%s]", type_name(t->type), shape.data ? shape.data : "");
    return false;
}

static uint64_t count_varints(const uint8_t *data, Range range) {
    uint64_t n = 0;
    for (uint64_t i = range.begin; i < range.end; i++) {
        n += data[i] < 0x80;
    }
    return n;
}

static bool add_dims(Model *m, Tensor *t, const WireField *f, Found *found) {
    Wire w = wire_over(m->input->data, f->body);
    uint64_t value;
    while (w.pos < w.end && wire_varint(&w, &value)) {
        if (found->dims.len == LIMIT_RANK) {
            model_error_at(m->session, m->input, t->message.begin, "E1008",
                           "a tensor has more than %d dimensions", LIMIT_RANK);
            return false;
        }
        vec_push(m->session->arena, &found->dims, (int64_t)value);
    }
    return true;
}

/* Entries of a typed field, packed or one by one. */
static bool add_typed(Model *m, Tensor *t, const WireField *f, Found *found) {
    const uint64_t size = f->body.end - f->body.begin;
    uint64_t n = 1;
    if (f->number != STRINGS && f->type == WIRE_BYTES) {
        n = f->number == FLOATS    ? size / 4
            : f->number == DOUBLES ? size / 8
                                   : count_varints(m->input->data, f->body);
    }
    if (n == 0) {
        return true;
    }
    if (found->field && found->field != (int)f->number) {
        return lies(m, t, "it has elements in two fields");
    }
    found->field = (int)f->number;
    found->entries += n;
    found->run = f->body;
    found->runs++;
    return true;
}

static bool find(Model *m, Tensor *t, Found *found) {
    Wire w = wire_over(m->input->data, t->message);
    WireField f;
    while (wire_next(&w, &f)) {
        switch (f.number) {
        case DIMS:
            TRY(add_dims(m, t, &f, found));
            break;
        case DATA_TYPE:
            t->type = (int)(int32_t)f.value;
            break;
        case NAME:
            t->name = wire_str(&w, &f);
            break;
        case RAW:
            found->raw = true;
            found->raw_body = f.body;
            break;
        case FLOATS: case INT32S: case STRINGS: case INT64S: case DOUBLES: case UINT64S:
            TRY(add_typed(m, t, &f, found));
            break;
        case EXTERNAL:
            vec_push(m->session->arena, &found->places, f.body);
            break;
        case LOCATION:
            found->external = f.value == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
            break;
        default:
            break;
        }
    }
    t->rank = (int)found->dims.len;
    t->dims = found->dims.at;
    return true;
}

/* Product of the dimensions and, for types of fixed width, the bytes that makes. */
static bool measure(const Model *m, Tensor *t) {
    t->count = 1;
    bool overflow = false, empty = false;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0) {
            return lies(m, t, "a dimension is negative");
        }
        empty |= t->dims[i] == 0;
        overflow |= __builtin_mul_overflow(t->count, t->dims[i], &t->count);
    }
    t->count = empty ? 0 : t->count;
    overflow = overflow && !empty;
    if (overflow || (type_bits(t->type) && !type_size(t->type, t->count, &t->size))) {
        return lies(m, t, "its size overflows");
    }
    return true;
}

static uint64_t entries_expected(const Tensor *t) {
    const uint64_t count = (uint64_t)t->count;
    const int64_t bits = type_bits(t->type);
    switch (bits) {
    case 2:
    case 4:
        return t->size;
    case 128:
        return 2 * count;
    default:
        return t->type == ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64 ? 2 * count : count;
    }
}

static bool use_typed(const Model *m, Tensor *t, const Found *found) {
    if (!known(t->type)) {
        return lies(m, t, "elements of an unknown type must be raw");
    }
    if (found->field != types[t->type].field) {
        return lies(m, t, "its elements are in a field for another type");
    }
    if (found->entries != entries_expected(t)) {
        return lies(m, t, str_format(m->session->arena,
                                     "it needs %" PRIu64 " entries, the file has %" PRIu64,
                                     entries_expected(t), found->entries).data);
    }
    t->carrier = CARRIER_TYPED;
    t->input = m->input;
    if ((found->field == FLOATS || found->field == DOUBLES) && found->runs == 1) {
        t->input_offset = found->run.begin;
        t->data = m->input->data + found->run.begin;
    }
    return true;
}

static bool use_raw(const Model *m, Tensor *t, const Found *found) {
    const uint64_t size = found->raw_body.end - found->raw_body.begin;
    if (t->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING) {
        return lies(m, t, "strings cannot be raw");
    }
    if (type_bits(t->type) == 0) {
        t->size = size;
    }
    if (size != t->size) {
        return lies(m, t, str_format(m->session->arena,
                                     "it needs %" PRIu64 " bytes, the file has %" PRIu64, t->size,
                                     size).data);
    }
    t->carrier = CARRIER_RAW;
    t->input = m->input;
    t->input_offset = found->raw_body.begin;
    t->data = m->input->data + found->raw_body.begin;
    return true;
}

static bool locate(Model *m, Tensor *t, const Found *found) {
    const bool raw = found->raw && found->raw_body.end > found->raw_body.begin;
    if (found->external) {
        if (raw || found->field) {
            return lies(m, t, "it has elements both here and in external data");
        }
        if (t->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING) {
            return lies(m, t, "strings cannot be external");
        }
        ExternalData where = {0};
        for (size_t i = 0; i < found->places.len; i++) {
            TRY(external_add(m, t, found->places.at[i], &where));
        }
        t->carrier = CARRIER_EXTERNAL;
        m->has_external = true;
        return external_open(m, t, &where);
    }
    if (raw && found->field) {
        return lies(m, t, "it has elements in two fields");
    }
    if (found->field) {
        return use_typed(m, t, found);
    }
    if (t->count == 0 && !raw) {
        return true;
    }
    if (!found->raw) {
        return lies(m, t, "it has no elements");
    }
    return use_raw(m, t, found);
}

Tensor *tensor_read(Model *m, SkimMessage *record) {
    Tensor *t = arena_new(m->session->arena, Tensor);
    *t = (Tensor){.field = record->whole, .message = record->body, .index = -1, .record = record,
                  .number = (int)m->tensors.len};
    Found found = {0};
    if (!find(m, t, &found) || !measure(m, t) || !locate(m, t, &found)) {
        return NULL;
    }
    record->tensor = t;
    vec_push(m->session->arena, &m->tensors, t);
    return t;
}

/* ---- elements */

typedef struct Unpack {
    uint8_t *out;
    uint64_t done; /* entries */
    size_t width;  /* bytes per entry */
} Unpack;

static void put_entry(Unpack *u, int bits, uint64_t value) {
    if (bits == 6) { /* one element per entry, packed densely here */
        const uint64_t at = u->done++ * 6;
        const uint32_t shifted = (uint32_t)(value & 63) << (at % 8);
        u->out[at / 8] |= (uint8_t)shifted;
        if (shifted >> 8) {
            u->out[at / 8 + 1] |= (uint8_t)(shifted >> 8);
        }
        return;
    }
    memcpy(u->out + u->done++ * u->width, &value, u->width);
}

static void put_field(Unpack *u, const Tensor *t, const uint8_t *data, const WireField *f) {
    const int bits = (int)type_bits(t->type);
    if (f->number == FLOATS || f->number == DOUBLES) { /* already little-endian IEEE */
        const size_t size = (size_t)(f->body.end - f->body.begin);
        if (size > 0) {
            memcpy(u->out + u->done, data + f->body.begin, size);
        }
        u->done += size;
        return;
    }
    Wire w = wire_over(data, f->body);
    uint64_t value;
    while (w.pos < w.end && wire_varint(&w, &value)) {
        put_entry(u, bits, value);
    }
}

const uint8_t *tensor_bytes(Session *s, const Tensor *t, Arena *arena) {
    if (t->data || t->carrier != CARRIER_TYPED) {
        return t->data ? t->data : (const uint8_t *)"";
    }
    if (type_bits(t->type) == 0) {
        diag_error(s, "E1002", NO_SPAN, "tensor `%s` holds %s: it has no raw bytes",
                   str_safe_c(s->arena, t->name), type_name(t->type));
        return NULL;
    }
    const int64_t bits = type_bits(t->type);
    Unpack u = {.out = arena_alloc(arena, (size_t)t->size + 1),
                .width = bits < 8 ? 1 : (size_t)bits / 8};
    const uint8_t *data = t->input->data;
    Wire w = wire_over(data, t->message);
    WireField f;
    while (wire_next(&w, &f)) {
        if ((int)f.number == types[t->type].field) {
            put_field(&u, t, data, &f);
        }
    }
    return u.out;
}
