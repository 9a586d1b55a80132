/* See data.h. The parts: data_file.h reads files, data_fit.c says which array is which input,
 * data_read.c gives elements of samples, data_hash.c names all of it. */
#include "runtime/calib/data.h"
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/data_parts.h"

/* ---- opening */

Str data_path(Session *s, const DataWish *wish) {
    const bool absolute = wish->path.len > 0 && wish->path.data[0] == '/';
    if (absolute || wish->base.len == 0 || wish->path.len == 0) {
        return wish->path;
    }
    const char *slash = str_ends(wish->base, STR("/")) ? "" : "/";
    return str_format(s->arena, "%.*s%s%.*s", STR_ARG(wish->base), slash, STR_ARG(wish->path));
}

static Str shown_name(Session *s, const DataWish *wish) {
    if (wish->name.len) {
        return str_format(s->arena, "`%s`", str_safe_c(s->arena, wish->name));
    }
    return wish->path.len ? str_safe(s->arena, wish->path) : STR("random data");
}

static Dataset *make(Session *s, const DataWish *wish, const DataInput *inputs, size_t count) {
    Dataset *d = arena_new(s->arena, Dataset);
    d->shown = shown_name(s, wish);
    d->span = wish->path_span.source ? wish->path_span : wish->span;
    d->slots = arena_many(s->arena, DataSlot, count + 1);
    d->count = count;
    d->seed = wish->seed;
    for (size_t i = 0; i < count; i++) {
        d->slots[i].input = &inputs[i];
        d->slots[i].stream = i;
    }
    return d;
}

/* Samples that must stay together: a batch where the model takes no other number of them. */
static int64_t together(const Dataset *d) {
    bool fixed = !d->file; /* random data are whole batches */
    for (size_t i = 0; i < d->count; i++) {
        const DataSlot *slot = &d->slots[i];
        fixed = fixed ||
                (slot->role == DATA_BATCHED && slot->input->rank > 0 && slot->input->dims[0] >= 0);
    }
    return fixed ? d->batch : 1;
}

static bool take_part(Session *s, const DataWish *wish, Dataset *d) {
    if (wish->part == DATA_ALL) {
        return true;
    }
    const int64_t unit = together(d), tenth = d->samples / 10 / unit * unit;
    const int64_t held = tenth ? tenth : unit, kept = d->samples - held;
    if (kept < 1) {
        Diag *diag = diag_error(s, "E0702", d->span, "%.*s cannot be split", STR_ARG(d->shown));
        diag_note(diag, "a tenth of its samples is held out to judge the model, and it has %lld",
                  (long long)d->samples);
        diag_help(diag, "evaluate(data = ...) judges on other data");
        return false;
    }
    d->skip = wish->part == DATA_TENTH ? kept : 0;
    d->samples = wish->part == DATA_TENTH ? held : kept;
    return true;
}

Dataset *dataset_over(Session *s, const DataWish *wish, DataFile *file, const DataInput *inputs,
                      size_t count) {
    Dataset *d = make(s, wish, inputs, count);
    d->file = file;
    d->shuffle = wish->shuffle;
    bool ok = data_fit(s, wish, d) && take_part(s, wish, d);
    for (size_t i = 0; ok && i < file->count; i++) {
        ok = data_file_load(s, file, &file->arrays[i]);
    }
    if (!ok) {
        dataset_close(s, d);
        return NULL;
    }
    return d;
}

/* A recipe that was written for another folder is not wrong. */
static void help_find(Session *s, const DataWish *wish) {
    Diag *d = s->diags.all.len ? vec_last(&s->diags.all) : NULL;
    const bool placed = d && str_is(d->code, "E1101") && wish->path_span.source;
    const Str quoted = str_format(s->arena, "\"%.*s\"", STR_ARG(wish->path));
    if (placed && str_eq(span_text(wish->path_span), quoted)) { /* not the one of --data */
        diag_span(d, wish->path_span, "read here, relative to the recipe");
        diag_help(d, "--data %s=FILE reads it from elsewhere", str_safe_c(s->arena, wish->name));
    }
}

Dataset *dataset_open(Session *s, const DataWish *wish, const DataInput *inputs, size_t count) {
    if (str_is(wish->loader, "random")) {
        Dataset *d = make(s, wish, inputs, count);
        return data_fit_random(s, wish, d) && take_part(s, wish, d) ? d : NULL;
    }
    DataFormat format;
    if (!data_format_named(wish->loader, &format)) {
        diag_error(s, "E0704", wish->span, "there is no loader `%s` that reads a file",
                   str_safe_c(s->arena, wish->loader));
        return NULL;
    }
    const Str folder = wish->scratch.len ? wish->scratch : STR("/var/tmp");
    DataFile *file = data_file_open(s, format, data_path(s, wish), folder, wish->path_span);
    if (!file) {
        help_find(s, wish);
        return NULL;
    }
    return dataset_over(s, wish, file, inputs, count);
}

void dataset_close(Session *s, Dataset *d) {
    if (d) {
        data_file_close(s, d->file);
        d->file = NULL;
    }
}

int64_t dataset_samples(const Dataset *d) {
    return d->samples;
}

int64_t dataset_batches(const Dataset *d) {
    return (d->samples + d->batch - 1) / d->batch;
}

int64_t dataset_samples_in(const Dataset *d, int64_t batches) {
    return batches < dataset_batches(d) ? batches * d->batch : d->samples;
}

bool dataset_unchanged(Session *s, const Dataset *d) {
    return !d->file || input_unchanged(s, d->file->input);
}

/* ---- batches */

/* Samples begin .. begin + n of a slot: where they lie, or in its buffer. NULL after an error. */
static const void *gather(Session *s, const Dataset *d, DataSlot *slot, int64_t begin, int64_t n) {
    const uint8_t *in_place = n == 1 || !d->shuffle ? data_at(d, slot, begin) : NULL;
    if (in_place) {
        return in_place;
    }
    if (!slot->buffer) {
        const int64_t most = slot->role == DATA_BATCHED ? d->batch : 1;
        slot->buffer = arena_alloc(s->arena, (size_t)slot->bytes * (size_t)most + 1);
    }
    for (int64_t i = 0; i < n; i++) {
        uint8_t *out = slot->buffer + (uint64_t)i * slot->bytes;
        const uint8_t *from = data_at(d, slot, begin + i);
        if (from) {
            memcpy(out, from, (size_t)slot->bytes);
            continue;
        }
        const size_t got = data_read(d, slot, begin + i, 0, (size_t)slot->elements, out);
        if (got < (size_t)slot->elements) {
            data_inexact(s, d, slot, begin + i, (int64_t)got);
            return NULL;
        }
    }
    return slot->buffer;
}

static bool give(Session *s, const Dataset *d, DataSlot *slot, int64_t index, DataTensor *out) {
    *out = (DataTensor){.name = slot->input->name, .type = slot->input->type};
    if (slot->role == DATA_ABSENT) {
        return true;
    }
    const int64_t begin = index * d->batch;
    int64_t n = 1;
    if (slot->role == DATA_BATCHED) {
        n = d->samples - begin < d->batch ? d->samples - begin : d->batch;
        slot->dims[0] = n;
    }
    out->rank = slot->rank;
    out->dims = slot->dims;
    out->size = (uint64_t)n * slot->bytes;
    out->data = gather(s, d, slot, slot->role == DATA_CONSTANT ? 0 : begin, n);
    return out->data != NULL;
}

bool dataset_batch(Session *s, Dataset *d, int64_t index, DataTensor *out) {
    for (size_t i = 0; i < d->count; i++) {
        TRY(give(s, d, &d->slots[i], index, &out[i]));
    }
    return true;
}

bool dataset_has_labels(const Dataset *d) {
    return d->labels.role != DATA_ABSENT;
}

bool dataset_labels(Session *s, Dataset *d, int64_t index, DataTensor *out) {
    return d->labels.role != DATA_ABSENT && give(s, d, &d->labels, index, out);
}

/* ---- notes */

void dataset_notes(const Dataset *d, Buf *out) {
    for (size_t i = 0; i < d->count; i++) {
        const DataSlot *slot = &d->slots[i];
        if (!slot->array || slot->array->type == slot->input->type) {
            continue;
        }
        const ArrayType *from = array_type(slot->array->type), *to = array_type(slot->input->type);
        const bool rounded = from->kind == ARRAY_FLOAT && to->bytes < from->bytes;
        buf_printf(out, "%.*s: ", STR_ARG(d->shown));
        buf_safe(out, slot->input->name);
        buf_printf(out, " is %s in the file and %s in the model: %s\n", from->name, to->name,
                   rounded ? "rounded to nearest" : "converted exactly");
    }
}
