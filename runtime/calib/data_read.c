/* Elements of samples, wherever and however the file has them (data_parts.h). */
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/data_parts.h"
#include "runtime/calib/data_random.h"

enum { STAGED = 512 /* elements copied at a time, of at most 8 bytes */ };

static int64_t place_of(const Dataset *d, const DataSlot *slot, int64_t sample) {
    if (slot->role == DATA_CONSTANT) {
        return 0;
    }
    const int64_t at = d->skip + sample;
    return d->shuffle ? (int64_t)data_random_place(d->seed, (uint64_t)d->total, (uint64_t)at) : at;
}

const uint8_t *data_at(const Dataset *d, const DataSlot *slot, int64_t sample) {
    const size_t align = array_type(slot->input->type)->bytes;
    if (!slot->plain || !slot->array || !slot->array->bytes ||
        (uintptr_t)slot->array->bytes % align != 0) {
        return NULL;
    }
    return slot->array->bytes + (uint64_t)place_of(d, slot, sample) * slot->row;
}

/* As many values as the type has, at most. */
static uint64_t limit_of(const DataInput *input) {
    const ArrayType *type = array_type(input->type);
    const uint64_t limit = input->limit > 0 ? (uint64_t)input->limit : 2;
    const size_t bits = 8 * type->bytes - (type->kind == ARRAY_INT ? 1 : 0);
    const uint64_t most = type->kind == ARRAY_BOOL ? 2 : bits < 64 ? UINT64_C(1) << bits : limit;
    return limit < most ? limit : most;
}

static void read_random(const Dataset *d, const DataSlot *slot, int64_t sample, int64_t first,
                        size_t count, uint8_t *out) {
    const ArrayType *type = array_type(slot->input->type);
    const uint64_t limit = limit_of(slot->input);
    const uint64_t place = (uint64_t)(d->skip + sample);
    const uint64_t begin = place * (uint64_t)slot->elements + (uint64_t)first;
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = data_random_bits(d->seed, slot->stream, begin + i);
        if (type->kind == ARRAY_FLOAT) {
            array_put_float(type->onnx, data_random_normal(bits), out + i * type->bytes);
        } else {
            const uint64_t value = data_random_below(bits, limit);
            memcpy(out + i * type->bytes, &value, type->bytes); /* little-endian: its low bytes */
        }
    }
}

/* Raw elements of a sample, which in this order lie apart: element (i, j, k) of an array of shape
 * [a, b, c] is at i + a * (j + b * k). */
static void stage_fortran(const DataArray *a, int64_t place, int64_t first, size_t count,
                          uint8_t *out) {
    const size_t bytes = array_type(a->type)->bytes;
    for (size_t i = 0; i < count; i++) {
        int64_t left = first + (int64_t)i, indices[LIMIT_RANK];
        for (int axis = a->rank - 1; axis > 0; axis--) {
            indices[axis] = left % a->dims[axis];
            left /= a->dims[axis];
        }
        int64_t at = 0;
        for (int axis = a->rank - 1; axis > 0; axis--) {
            at = (at + indices[axis]) * a->dims[axis - 1];
        }
        memcpy(out + i * bytes, a->bytes + (uint64_t)(at + place) * bytes, bytes);
    }
}

size_t data_read(const Dataset *d, const DataSlot *slot, int64_t sample, int64_t first,
                 size_t count, void *out) {
    if (count == 0) {
        return 0; /* an array of no elements has no bytes to point at */
    }
    if (!slot->array) {
        read_random(d, slot, sample, first, count, out);
        return count;
    }
    const DataArray *a = slot->array;
    const int to = slot->input->type;
    const size_t wide = array_type(a->type)->bytes, narrowed = array_type(to)->bytes;
    const int64_t place = place_of(d, slot, sample);
    if (!a->fortran) {
        const uint8_t *from = a->bytes + (uint64_t)place * slot->row + (uint64_t)first * wide;
        return array_convert(a->type, a->swapped, from, to, out, count);
    }
    uint8_t staged[STAGED * 8];
    for (size_t done = 0; done < count;) {
        const size_t take = count - done < STAGED ? count - done : STAGED;
        stage_fortran(a, place, first + (int64_t)done, take, staged);
        const size_t got =
            array_convert(a->type, a->swapped, staged, to, (uint8_t *)out + done * narrowed, take);
        done += got;
        if (got < take) {
            return done;
        }
    }
    return count;
}

bool data_inexact(Session *s, const Dataset *d, const DataSlot *slot, int64_t sample,
                  int64_t element) {
    const DataArray *a = slot->array;
    const int from = a->type;
    uint64_t raw = 0;
    DataInput same = *slot->input;
    same.type = from;
    DataSlot as_is = *slot;
    as_is.input = &same;
    data_read(d, &as_is, sample, element, 1, &raw);
    Str value = array_type(from)->kind == ARRAY_FLOAT
                    ? str_format(s->arena, "%g", array_value(from, &raw))
                    : str_format(s->arena, "%lld", (long long)array_integer(from, &raw));
    Diag *diag = diag_error(s, "E0702", d->span, "%.*s does not fit the model: %.*s is no %s",
                            STR_ARG(d->shown), STR_ARG(value), array_type_name(slot->input->type));
    diag_note(diag, "`%s` is %s in the file, and the model wants %s",
              str_safe_c(s->arena, slot->input->name), array_type_name(from),
              array_type_name(slot->input->type));
    diag_note(diag, "it is element %lld of sample %lld", (long long)element,
              (long long)place_of(d, slot, sample));
    return false;
}
