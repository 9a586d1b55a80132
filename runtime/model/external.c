/* External data (ONNX, ExternalData.md): `location` is a path beneath the model's own directory,
 * `offset` and `length` are decimal numbers of bytes, `checksum` is never read by anybody. A key
 * given twice, a bad number, an unknown key or a range outside the file is refused: two readers
 * that disagree about where a weight is are an attack. No value of location is special. */
#include <limits.h>
#include <inttypes.h>
#include "runtime/base/sanitize.h"
#include "runtime/model/read.h"

enum { KEY = 1, VALUE = 2 };

static bool wrong(const Model *m, const Tensor *t, const char *format, Str shown) {
    Arena *a = m->session->arena;
    Diag *d = diag_error(m->session, "E1004", NO_SPAN, "external data of `%s`: %s",
                         str_safe_c(a, t->name), format);
    if (shown.len > 0) {
        diag_note(d, "the model says `%s`", str_safe_c(a, shown));
    }
    diag_where(d, "%s: @0x%" PRIx64, str_safe_c(a, m->input->path), t->message.begin);
    return false;
}

static bool number(Str text, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text.data[i] - '0'), &v)) {
            return false;
        }
    }
    *out = v;
    return text.len > 0;
}

bool external_add(Model *m, const Tensor *t, Range body, ExternalData *out) {
    static const char *const keys[] = {"location", "offset", "length", "checksum", "basepath"};
    Str key = STR(""), value = STR("");
    Wire w = wire_over(m->input->data, body);
    WireField f;
    while (wire_next(&w, &f)) {
        if (f.type == WIRE_BYTES && (f.number == KEY || f.number == VALUE)) {
            *(f.number == KEY ? &key : &value) = wire_str(&w, &f);
        }
    }
    if (w.error) {
        model_error_at(m->session, m->input, w.pos, "E1001",
                       "not a valid ONNX model: %s, in external data", w.error);
        return false;
    }
    uint32_t which = 0;
    while (which < 5 && !str_is(key, keys[which])) {
        which++;
    }
    if (which == 5) {
        return wrong(m, t, "an unknown key", key);
    }
    if (out->keys_seen >> which & 1) {
        return wrong(m, t, "a key is given twice", key);
    }
    out->keys_seen |= 1u << which;
    if (which == 0) {
        out->location = value;
    } else if (which <= 2 && !number(value, which == 1 ? &out->offset : &out->length)) {
        return wrong(m, t, which == 1 ? "the offset is not a number" : "the length is not a number",
                     value);
    }
    out->has_offset |= which == 1;
    out->has_length |= which == 2;
    return true;
}

static Input *open_once(Model *m, const Tensor *t, Str location) {
    Input *file = m->only_data ? m->only_data : map_get(&m->data_by_location, location);
    if (!file) {
        file = input_open_beneath(m->session, m->input, location, t->name);
        if (!file) { /* it has said why; which model asked is for us to say */
            diag_where(vec_last(&m->session->diags.all), "%s: @0x%" PRIx64,
                       str_safe_c(m->session->arena, m->input->path), t->message.begin);
            return NULL;
        }
        map_put(&m->data_by_location, location, file);
        vec_push(m->session->arena, &m->data_files, file);
    }
    return file;
}

bool external_open(Model *m, Tensor *t, const ExternalData *where) {
    if (!(where->keys_seen & 1)) {
        return wrong(m, t, "it has no location", STR(""));
    }
    const Input *file = open_once(m, t, where->location);
    if (!file) {
        return false;
    }
    Arena *a = m->session->arena;
    if (where->offset > file->size) {
        return wrong(m, t, str_format(a, "it begins at %" PRIu64 " of a file of %" PRIu64 " bytes",
                                      where->offset, file->size).data, where->location);
    }
    const uint64_t rest = file->size - where->offset;
    const bool sized = type_bits(t->type) != 0;
    const uint64_t size = where->has_length ? where->length : sized ? t->size : rest;
    if (sized && size != t->size) {
        return wrong(m, t, str_format(a, "it has %" PRIu64 " bytes, its shape needs %" PRIu64, size,
                                      t->size).data, STR(""));
    }
    if (size > rest) {
        return wrong(m, t, str_format(a, "it needs %" PRIu64 " bytes at %" PRIu64
                                         ", the file has %" PRIu64, size, where->offset,
                                      file->size).data, where->location);
    }
    t->size = size;
    t->input = file;
    t->input_offset = where->offset;
    t->data = file->data ? file->data + where->offset : NULL;
    return true;
}

static bool holds_data(Session *s, const Model *m, Str folder) {
    for (size_t i = 0; i < m->data_by_location.len; i++) {
        const MapEntry *entry = &m->data_by_location.entries[i];
        const Input *data = entry->value;
        const Str path = str_format(s->arena, "%.*s/%.*s", STR_ARG(folder), STR_ARG(entry->key));
        struct stat is;
        if (s->sys->stat(path.data, &is) != 0 || is.st_dev != data->identity.st_dev ||
            is.st_ino != data->identity.st_ino) {
            return false;
        }
    }
    return true;
}

Str model_data_folder(Session *s, const Model *m) {
    if (!m->has_external) {
        return (Str){0};
    }
    const Str folder = path_directory(s->arena, m->input->path);
    char real[PATH_MAX];
    if (holds_data(s, m, folder) || s->sys->resolve(m->input->path.data, real) != 0) {
        return folder;
    }
    return path_directory(s->arena, str_from(real));
}
