/* See data_file.h. */
#include "runtime/calib/data_file.h"
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/npy.h"
#include "runtime/calib/tensors_file.h"
#include "runtime/calib/unpacked.h"

static const char *const formats[DATA_FORMATS] = {"npy", "npz", "safetensors"};

bool data_format_named(Str name, DataFormat *out) {
    for (int i = 0; i < DATA_FORMATS; i++) {
        if (str_is(name, formats[i])) {
            *out = (DataFormat)i;
            return true;
        }
    }
    return false;
}

bool data_format_guess(const Input *input, DataFormat *out) {
    const Str front = {(const char *)input->data, (size_t)(input->size < 16 ? input->size : 16)};
    if (str_starts(front, STR("\x93NUMPY"))) {
        *out = DATA_NPY;
        return true;
    }
    if (str_starts(front, STR("PK\3\4")) || str_starts(front, STR("PK\5\6"))) {
        *out = DATA_NPZ;
        return true;
    }
    if (front.len > 8 && front.data[8] == '{') {
        *out = DATA_SAFETENSORS;
        return true;
    }
    for (int i = 0; i < DATA_FORMATS; i++) {
        const size_t len = strlen(formats[i]);
        if (input->path.len > len && input->path.data[input->path.len - len - 1] == '.' &&
            str_ends(input->path, (Str){formats[i], len})) {
            *out = (DataFormat)i;
            return true;
        }
    }
    return false;
}

Str data_array_shape(Arena *arena, int type, int rank, const int64_t *dims) {
    Buf b = buf_on(arena);
    buf_printf(&b, "%s [", array_type_name(type));
    for (int i = 0; i < rank; i++) {
        buf_printf(&b, "%s%lld", i ? ", " : "", (long long)dims[i]);
    }
    buf_char(&b, ']');
    return buf_view(&b);
}

/* ---- errors */

/* Says what the file is when it is another kind than asked for. */
static void add_kind(Diag *d, const DataFile *f) {
    DataFormat is;
    if (data_format_guess(f->input, &is) && is != f->format) {
        diag_help(d, "it looks like a file for %s(...)", formats[is]);
    }
}

static bool refuse(Session *s, const DataFile *f, Str why) {
    Diag *d = diag_error(s, "E0704", f->at, "cannot use %s: %.*s",
                         str_safe_c(s->arena, f->input->path), STR_ARG(why));
    add_kind(d, f);
    return false;
}

static bool refuse_array(Session *s, const DataFile *f, Str name, Str why) {
    diag_error(s, "E0704", f->at, "cannot use the array `%s` of %s: %.*s",
               str_safe_c(s->arena, name), str_safe_c(s->arena, f->input->path), STR_ARG(why));
    return false;
}

static bool refuse_pickle(Session *s, const DataFile *f, Str name, Str why) {
    Diag *d = diag_error(s, "E0705", f->at, "%s holds a pickle, which is never read",
                         str_safe_c(s->arena, f->input->path));
    if (name.len) {
        diag_note(d, "`%s`: %.*s", str_safe_c(s->arena, name), STR_ARG(why));
    } else {
        diag_note(d, "%.*s", STR_ARG(why));
    }
    diag_note(d, "a pickle is a program, and runs with your rights when it is read");
    diag_help(d, "save arrays of numbers: numpy.savez(FILE, NAME = array)");
    return false;
}

/* ---- opening */

static bool take_npy(Session *s, const DataFile *f, Str front, uint64_t size, DataArray *a) {
    NpyHeader h;
    Str why = {0};
    if (!npy_header(s->arena, front, &h, &why)) {
        if (h.pickled) {
            return refuse_pickle(s, f, a->name, why);
        }
        return a->member ? refuse_array(s, f, a->name, why) : refuse(s, f, why);
    }
    if (size - h.begin != h.bytes) {
        const bool less = size - h.begin < h.bytes;
        why = str_format(s->arena, "its shape %s needs %s, and there are %s%s",
                         data_array_shape(s->arena, h.type, h.rank, h.dims).data,
                         str_bytes(s->arena, h.bytes).data,
                         str_bytes(s->arena, size - h.begin).data, less ? "" : ", too many");
        return a->member ? refuse_array(s, f, a->name, why) : refuse(s, f, why);
    }
    int64_t *dims = arena_many(s->arena, int64_t, (size_t)h.rank + 1);
    memcpy(dims, h.dims, (size_t)h.rank * sizeof *dims);
    a->type = h.type;
    a->swapped = h.swapped;
    a->fortran = h.fortran;
    a->rank = h.rank;
    a->dims = dims;
    a->count = h.count;
    a->size = h.bytes;
    a->header = h.begin;
    return true;
}

static bool open_npy(Session *s, DataFile *f) {
    const Input *in = f->input;
    const size_t front = in->size < NPY_FRONT ? (size_t)in->size : NPY_FRONT;
    DataArray *a = f->arrays = arena_new(s->arena, DataArray);
    f->count = 1;
    TRY(take_npy(s, f, (Str){(const char *)in->data, front}, in->size, a));
    a->bytes = a->size ? in->data + a->header : NULL;
    a->loaded = true;
    return true;
}

/* buffer: NPY_FRONT bytes */
static bool open_member(Session *s, const DataFile *f, const NpzMember *m, void *buffer,
                        DataArray *a) {
    Str front, why = {0};
    const bool npy = str_ends(m->name, STR(".npy"));
    a->member = m;
    a->name = npy ? str_slice(m->name, 0, m->name.len - 4) : m->name;
    if (!npz_front(s->arena, f->input->data, m, buffer, NPY_FRONT, &front, &why)) {
        return refuse_array(s, f, a->name, why);
    }
    if (str_ends(m->name, STR(".pkl"))) {
        return refuse_pickle(s, f, m->name, STR("a member of this name is one"));
    }
    if (!npy) {
        return refuse_array(s, f, a->name, STR("it is no .npy member"));
    }
    return take_npy(s, f, front, m->size, a);
}

static bool open_npz(Session *s, DataFile *f) {
    NpzDirectory directory;
    Str why = {0};
    if (!npz_directory(s->arena, f->input->data, f->input->size, &directory, &why)) {
        return refuse(s, f, why);
    }
    f->count = directory.count;
    f->arrays = arena_many(s->arena, DataArray, f->count + 1);
    f->unpacked = arena_many(s->arena, Unpacked *, f->count + 1);
    void *buffer = arena_alloc(s->arena, NPY_FRONT);
    bool ok = true;
    for (size_t i = 0; i < f->count; i++) {
        ok = open_member(s, f, &directory.members[i], buffer, &f->arrays[i]) && ok;
    }
    return ok;
}

static bool open_safetensors(Session *s, DataFile *f) {
    TensorsHeader header;
    Str why = {0};
    if (!tensors_header(s->arena, f->input->data, f->input->size, &header, &why)) {
        return refuse(s, f, why);
    }
    f->count = header.count;
    f->arrays = arena_many(s->arena, DataArray, f->count + 1);
    for (size_t i = 0; i < f->count; i++) {
        const TensorsItem *t = &header.items[i];
        f->arrays[i] = (DataArray){.name = t->name,
                                   .type = t->type,
                                   .rank = t->rank,
                                   .dims = t->dims,
                                   .count = t->count,
                                   .size = t->bytes,
                                   .bytes = t->bytes ? f->input->data + t->begin : NULL,
                                   .loaded = true};
    }
    return true;
}

DataFile *data_file_over(Session *s, DataFormat format, Input *input, Str folder, Span at) {
    DataFile *f = arena_new(s->arena, DataFile);
    *f = (DataFile){.input = input, .format = format, .folder = folder, .at = at};
    const bool ok = format == DATA_NPY   ? open_npy(s, f)
                    : format == DATA_NPZ ? open_npz(s, f)
                                         : open_safetensors(s, f);
    if (!ok) {
        data_file_close(s, f);
        return NULL;
    }
    return f;
}

DataFile *data_file_open(Session *s, DataFormat format, Str path, Str folder, Span at) {
    Input *input = input_open(s, path);
    return input ? data_file_over(s, format, input, folder, at) : NULL;
}

void data_file_close(Session *s, DataFile *file) {
    if (file) {
        for (size_t i = 0; file->unpacked && i < file->count; i++) {
            unpacked_close(s, file->unpacked[i]);
        }
        input_close(s, file->input);
        file->input = NULL;
    }
}

/* ---- members of an .npz */

typedef struct Check {
    Session *s;
    uint64_t done, total;
} Check;

static bool put_nowhere(void *user, const void *bytes, size_t size) {
    Check *c = user;
    (void)bytes;
    c->done += size;
    unpacked_progress(c->s, c->done, c->total);
    return !session_stopped(c->s);
}

static bool load_stored(Session *s, const DataFile *f, DataArray *a) {
    Check check = {s, 0, a->member->size};
    Str why;
    if (!npz_unpack(s->arena, f->input->data, a->member, put_nowhere, &check, &why)) {
        return why.len > 0 && refuse_array(s, f, a->name, why);
    }
    a->bytes = f->input->data + a->member->begin + a->header;
    return true;
}

static bool load_deflated(Session *s, const DataFile *f, DataArray *a) {
    Str what = str_format(s->arena, "`%.*s` of %.*s", STR_ARG(a->name), STR_ARG(f->input->path));
    Unpacked *u = unpacked_open(s, f->folder, what, a->member->size);
    TRY(u);
    f->unpacked[a - f->arrays] = u;
    Str why;
    if (!npz_unpack(s->arena, f->input->data, a->member, unpacked_put, u, &why) && why.len > 0) {
        return refuse_array(s, f, a->name, why);
    }
    TRY(unpacked_map(u));
    a->bytes = u->data + a->header;
    return true;
}

bool data_file_load(Session *s, DataFile *file, DataArray *array) {
    if (!array->loaded) {
        TRY(array->member->deflated ? load_deflated(s, file, array) : load_stored(s, file, array));
        array->loaded = true;
    }
    return true;
}
