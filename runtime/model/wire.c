#include "runtime/model/wire.h"
#include <string.h>

enum { VARINT_BYTES = 10, FIELD_BITS = 29 };

Wire wire_over(const uint8_t *data, Range range) {
    return (Wire){.data = data, .pos = range.begin, .end = range.end};
}

static bool fail(Wire *w, const char *why) {
    w->error = why;
    return false;
}

bool wire_varint(Wire *w, uint64_t *value) {
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_BYTES; i++) {
        if (w->pos + i >= w->end) {
            return fail(w, "a number is cut off");
        }
        const uint8_t byte = w->data[w->pos + i];
        if (i == VARINT_BYTES - 1 && byte > 1) {
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            w->pos += i + 1;
            *value = v;
            return true;
        }
    }
    return fail(w, "a number has more than 64 bits");
}

static bool take(Wire *w, WireField *field, uint64_t size) {
    if (size > w->end - w->pos) {
        return fail(w, "a field is longer than the message that holds it");
    }
    field->body = (Range){w->pos, w->pos + size};
    w->pos += size;
    field->whole.end = w->pos;
    return true;
}

static bool take_fixed(Wire *w, WireField *field, size_t size) {
    const uint64_t at = w->pos;
    if (!take(w, field, size)) {
        return false;
    }
    field->value = 0;
    memcpy(&field->value, w->data + at, size);
    return true;
}

bool wire_next(Wire *w, WireField *field) {
    if (w->error || w->pos >= w->end) {
        return false;
    }
    const uint64_t begin = w->pos;
    uint64_t tag = 0, size = 0;
    if (!wire_varint(w, &tag)) {
        return false;
    }
    field->whole.begin = begin;
    if (tag >> 3 == 0 || tag >> 3 >= (1u << FIELD_BITS)) {
        w->pos = begin;
        return fail(w, "a field number is out of range");
    }
    field->number = (uint32_t)(tag >> 3);
    field->type = (WireType)(tag & 7);
    switch (tag & 7) {
    case WIRE_VARINT:
        field->body.begin = w->pos;
        if (!wire_varint(w, &field->value)) {
            return false;
        }
        field->body.end = field->whole.end = w->pos;
        return true;
    case WIRE_FIXED64:
        return take_fixed(w, field, 8);
    case WIRE_FIXED32:
        return take_fixed(w, field, 4);
    case WIRE_BYTES:
        return wire_varint(w, &size) && take(w, field, size);
    default:
        w->pos = begin;
        return fail(w, (tag & 7) <= 4 ? "groups are not part of ONNX" : "an unknown wire type");
    }
}

Str wire_str(const Wire *w, const WireField *field) {
    return (Str){(const char *)w->data + field->body.begin,
                 (size_t)(field->body.end - field->body.begin)};
}

void wire_put_varint(Buf *b, uint64_t value) {
    while (value >= 0x80) {
        buf_char(b, (char)(uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_char(b, (char)(uint8_t)value);
}

void wire_put_tag(Buf *b, uint32_t number, WireType type) {
    wire_put_varint(b, (uint64_t)number << 3 | (uint64_t)type);
}

void wire_put_bytes(Buf *b, uint32_t number, Str bytes) {
    wire_put_tag(b, number, WIRE_BYTES);
    wire_put_varint(b, bytes.len);
    buf_str(b, bytes);
}

void wire_put_int(Buf *b, uint32_t number, uint64_t value) {
    wire_put_tag(b, number, WIRE_VARINT);
    wire_put_varint(b, value);
}
