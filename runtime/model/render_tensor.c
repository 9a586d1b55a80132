/* Tensors as they are written: left as they are, or with their elements as raw_data, or with their
 * elements in the data file (ONNX's ExternalData.md: location, offset, length; page-aligned). */
#include <inttypes.h>
#include "runtime/model/render.h"

enum { ALIGNMENT = 4096, SMALLEST_OUTSIDE = 1024 };

static bool is_payload(uint32_t number) {
    return number == 4 || number == 5 || number == 6 || number == 7 || number == 9 ||
           number == 10 || number == 11 || number == TENSOR_EXTERNAL || number == TENSOR_LOCATION;
}

/* Elements that come from elsewhere or are one run of bytes can be moved. */
static bool movable(const Tensor *t) {
    const TensorEdit *e = t->record->edit;
    return (e && e->replaced) || t->data;
}

bool tensor_goes_outside(const Render *r, const Tensor *t) {
    const bool weight = t->graph || t->constant || t->carrier == CARRIER_EXTERNAL;
    return r->external && weight && movable(t) && t->size >= SMALLEST_OUTSIDE;
}

static void put_entry(Buf *b, Arena *arena, const char *key, Str value) {
    Buf entry = buf_on(arena);
    wire_put_bytes(&entry, ENTRY_KEY, str_from(key));
    wire_put_bytes(&entry, ENTRY_VALUE, value);
    wire_put_bytes(b, TENSOR_EXTERNAL, buf_view(&entry));
}

/* Reserves an aligned place in the data file and describes it in `out`. */
static void begin_outside(Render *r, Rope *out, uint64_t size) {
    static const char zeros[ALIGNMENT];
    const uint64_t over = r->data->size % ALIGNMENT;
    if (over > 0) {
        rope_bytes(r->data, (Str){zeros, (size_t)(ALIGNMENT - over)});
    }
    Buf b = buf_on(r->arena);
    put_entry(&b, r->arena, "location", r->data_name);
    put_entry(&b, r->arena, "offset", str_format(r->arena, "%" PRIu64, r->data->size));
    put_entry(&b, r->arena, "length", str_format(r->arena, "%" PRIu64, size));
    wire_put_int(&b, TENSOR_LOCATION, ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
    rope_bytes(out, buf_view(&b));
}

/* Where the elements are to be appended. */
static Rope *begin_elements(Render *r, Rope *out, uint64_t size, bool outside) {
    if (outside) {
        begin_outside(r, out, size);
        return r->data;
    }
    Buf b = buf_on(r->arena);
    wire_put_tag(&b, TENSOR_RAW, WIRE_BYTES);
    wire_put_varint(&b, size);
    rope_bytes(out, buf_view(&b));
    return out;
}

void render_tensor(Render *r, Rope *out, const SkimMessage *record) {
    const Tensor *t = record->tensor;
    const TensorEdit *e = record->edit;
    const bool replaced = e && e->replaced, outside = tensor_goes_outside(r, t);
    const bool move = replaced || outside || t->carrier == CARRIER_EXTERNAL;
    Wire w = wire_over(r->m->input->data, record->body);
    WireField f;
    while (wire_next(&w, &f)) {
        if (!move || !is_payload(f.number)) {
            rope_input(out, r->m->input, f.whole.begin, f.whole.end - f.whole.begin);
        }
    }
    if (!move) {
        return;
    }
    Rope *to = begin_elements(r, out, t->size, outside);
    if (replaced) {
        rope_tensor(to, e->tag, t->size);
    } else {
        rope_input(to, t->input, t->input_offset, t->size);
    }
}

void render_new_tensor(Render *r, Rope *out, const NewTensor *t) {
    Buf b = buf_on(r->arena);
    for (int i = 0; i < t->rank; i++) {
        wire_put_int(&b, TENSOR_DIMS, (uint64_t)t->dims[i]);
    }
    wire_put_int(&b, TENSOR_TYPE, (uint64_t)t->type);
    wire_put_bytes(&b, TENSOR_NAME, t->name);
    rope_bytes(out, buf_view(&b));
    Rope *to = begin_elements(r, out, t->size, r->external && t->size >= SMALLEST_OUTSIDE);
    if (t->bytes) {
        rope_bytes(to, (Str){t->bytes, (size_t)t->size});
    } else {
        rope_tensor(to, t->tag, t->size);
    }
}
