/* Which array fills which input (data_parts.h): names, types, shapes, counts. All that does not fit
 * becomes lines of one diagnostic, so that one run shows everything. */
#include <string.h>
#include "runtime/base/map.h"
#include "runtime/base/sanitize.h"
#include "runtime/base/schema.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/data_fit.h"
#include "runtime/calib/data_parts.h"

typedef struct Fit {
    Session *s;
    const DataWish *wish;
    Dataset *d;
    Vec(Str) misfits;
    Map sizes; /* name of a dimension -> FitSize */
} Fit;

typedef struct FitSize {
    int64_t size;
    Str owner; /* the input that said so first */
} FitSize;

static void misfit(Fit *f, Str text) {
    vec_push(f->s->arena, &f->misfits, text);
}

static const char *safe(const Fit *f, Str text) {
    return str_safe_c(f->s->arena, text);
}

/* "int64 [batch, sequence]" */
static const char *shape_text(Arena *arena, const DataInput *in) {
    Buf b = buf_on(arena);
    buf_printf(&b, "%s [", array_type_name(in->type));
    for (int i = 0; i < in->rank; i++) {
        const Str name = in->dim_names ? in->dim_names[i] : (Str){0};
        buf_printf(&b, "%s", i ? ", " : "");
        if (in->dims[i] >= 0) {
            buf_printf(&b, "%lld", (long long)in->dims[i]);
        } else if (name.len) {
            buf_safe(&b, name);
        } else {
            buf_char(&b, '?');
        }
    }
    buf_printf(&b, "%s]", in->rank < 0 ? "..." : "");
    return b.data;
}

static const char *shape_of(const Fit *f, const DataInput *in) {
    return shape_text(f->s->arena, in);
}

static const char *shape_of_array(const Fit *f, const DataArray *a) {
    return data_array_shape(f->s->arena, a->type, a->rank, a->dims).data;
}

bool data_measure(DataSlot *slot, int64_t batch) {
    uint64_t bytes = array_type(slot->input->type)->bytes, all;
    slot->elements = 1;
    for (int i = slot->role == DATA_BATCHED ? 1 : 0; i < slot->rank; i++) {
        if (__builtin_mul_overflow(slot->elements, slot->dims[i], &slot->elements) ||
            __builtin_mul_overflow(bytes, (uint64_t)slot->dims[i], &bytes)) {
            return false;
        }
    }
    slot->bytes = bytes;
    return !__builtin_mul_overflow(bytes, (uint64_t)batch, &all) && all <= PTRDIFF_MAX;
}

/* ---- names */

static bool find_input(const Fit *f, Str name, size_t *index) {
    for (size_t i = 0; i < f->d->count; i++) {
        if (str_eq(f->d->slots[i].input->name, name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* The one input that an array without a name can be for, or -1. */
static int64_t only_input(const DataInput *inputs, size_t count) {
    int64_t found = -1;
    int required = 0;
    for (size_t i = 0; i < count; i++) {
        if (!inputs[i].optional) {
            found = (int64_t)i;
            required++;
        }
    }
    return required == 1 ? found : count == 1 ? 0 : -1;
}

static const char *near_input(const Fit *f, Str name) {
    Str *free_names = arena_many(f->s->arena, Str, f->d->count + 1);
    size_t n = 0;
    for (size_t i = 0; i < f->d->count; i++) {
        if (!f->d->slots[i].array) {
            free_names[n++] = f->d->slots[i].input->name;
        }
    }
    const Str near = nearest_of(name, free_names, n);
    return near.len ? str_format(f->s->arena, "; did you mean `%s`?", safe(f, near)).data : "";
}

/* Arrays go to the inputs of their names; labels are kept; `strays` are the others. */
static size_t match_names(const Fit *f, DataArray **strays) {
    DataFile *file = f->d->file;
    size_t stray = 0, at = 0;
    for (size_t i = 0; i < file->count; i++) {
        DataArray *a = &file->arrays[i];
        const int64_t only =
            a->name.len == 0 && f->d->count ? only_input(f->d->slots[0].input, f->d->count) : -1;
        if (only >= 0) {
            f->d->slots[only].array = a;
        } else if (a->name.len && find_input(f, a->name, &at)) {
            f->d->slots[at].array = a;
        } else if (str_is(a->name, "labels")) {
            f->d->labels.array = a;
        } else {
            strays[stray++] = a;
        }
    }
    return stray;
}

static void check_names(Fit *f) {
    DataArray **strays = arena_many(f->s->arena, DataArray *, f->d->file->count + 1);
    const size_t stray = match_names(f, strays);
    const DataInput *missing = NULL;
    size_t missed = 0;
    for (size_t i = 0; i < f->d->count; i++) {
        const DataSlot *slot = &f->d->slots[i];
        if (!slot->array && !slot->input->optional) {
            missing = slot->input;
            missed++;
        }
    }
    if (stray == 1 && missed == 1 && strays[0]->name.len) { /* most likely the same thing */
        misfit(f, str_format(f->s->arena, "the model wants %s %s; the file has %s %s%s",
                             safe(f, missing->name), shape_of(f, missing), safe(f, strays[0]->name),
                             shape_of_array(f, strays[0]), near_input(f, strays[0]->name)));
        return;
    }
    for (size_t i = 0; i < f->d->count; i++) {
        const DataSlot *slot = &f->d->slots[i];
        if (!slot->array && !slot->input->optional) {
            misfit(f, str_format(f->s->arena, "the model wants %s %s; the file has none",
                                 safe(f, slot->input->name), shape_of(f, slot->input)));
        }
    }
    for (size_t i = 0; i < stray; i++) {
        misfit(f, strays[i]->name.len
                      ? str_format(f->s->arena,
                                   "the file has %s %s; no input of the model is called so%s",
                                   safe(f, strays[i]->name), shape_of_array(f, strays[i]),
                                   near_input(f, strays[i]->name))
                      : STR("an .npy file is one array without a name, for a model of one input; "
                            "an .npz file has names"));
    }
}

/* ---- types and shapes */

static bool dims_fit(const DataInput *in, int first, const int64_t *dims) {
    for (int i = first; i < in->rank; i++) {
        if (in->dims[i] >= 0 && in->dims[i] != dims[i]) {
            return false;
        }
    }
    return true;
}

/* The role that the array's shape gives it; DATA_ABSENT: none. */
static DataRole role_of(const DataInput *in, const DataArray *a) {
    if (in->rank < 0) {
        return a->rank > 0 ? DATA_BATCHED : DATA_CONSTANT;
    }
    if (a->rank == in->rank + 1) {
        return dims_fit(in, 0, a->dims + 1) ? DATA_WHOLE : DATA_ABSENT;
    }
    if (a->rank != in->rank) {
        return DATA_ABSENT;
    }
    return a->rank == 0 ? DATA_CONSTANT : dims_fit(in, 1, a->dims) ? DATA_BATCHED : DATA_ABSENT;
}

static bool fit_slot(Fit *f, DataSlot *slot) {
    const DataInput *in = slot->input;
    const DataArray *a = slot->array;
    const DataRole role = role_of(in, a);
    if (!array_convertible(a->type, in->type) || role == DATA_ABSENT) {
        misfit(f, str_format(f->s->arena, "the model wants %s %s; the file has %s",
                             safe(f, in->name), shape_of(f, in), shape_of_array(f, a)));
        return false;
    }
    const int skip = role == DATA_WHOLE ? 1 : 0;
    slot->role = role;
    slot->rank = a->rank - skip;
    for (int i = 0; i < slot->rank; i++) {
        slot->dims[i] = a->dims[i + skip];
    }
    slot->plain = a->type == in->type && !a->swapped && !a->fortran;
    return true;
}

Str data_fit_words(Session *s, const DataArray *array, const DataInput *inputs, size_t count,
                   int64_t *input) {
    int64_t at = array->name.len == 0 ? only_input(inputs, count) : -1;
    for (size_t i = 0; i < count && array->name.len; i++) {
        at = str_eq(inputs[i].name, array->name) ? (int64_t)i : at;
    }
    *input = -1;
    if (at < 0) {
        return str_is(array->name, "labels") ? STR("labels, kept for accuracy")
                                             : STR("no input is called so");
    }
    const DataInput *in = &inputs[at];
    if (!array_convertible(array->type, in->type) || role_of(in, array) == DATA_ABSENT) {
        return str_format(s->arena, "does not fit %s: %s", str_safe_c(s->arena, in->name),
                          shape_text(s->arena, in));
    }
    *input = at;
    return str_format(s->arena, "fits %s", str_safe_c(s->arena, in->name));
}

/* A dimension that the model names has one size in all arrays. */
static void check_size(Fit *f, const DataInput *in, int axis, int64_t size) {
    const Str name = in->dim_names && axis < in->rank ? in->dim_names[axis] : (Str){0};
    if (name.len == 0) {
        return;
    }
    FitSize *known = map_get(&f->sizes, name);
    if (!known) {
        known = arena_new(f->s->arena, FitSize);
        *known = (FitSize){size, in->name};
        map_put(&f->sizes, name, known);
    } else if (known->size != size) {
        misfit(f, str_format(f->s->arena, "%s is %lld in %s, %lld in %s", safe(f, name),
                             (long long)known->size, safe(f, known->owner), (long long)size,
                             safe(f, in->name)));
    }
}

/* ---- counts */

static void count_samples(Fit *f, const DataSlot *slot, const DataInput **first) {
    if (slot->role != DATA_BATCHED && slot->role != DATA_WHOLE) {
        return;
    }
    const int64_t n = slot->array->dims[0];
    if (!*first) {
        *first = slot->input;
        f->d->total = n;
    } else if (n != f->d->total) {
        misfit(f,
               str_format(f->s->arena, "%s has %lld samples, %s has %lld", safe(f, (*first)->name),
                          (long long)f->d->total, safe(f, slot->input->name), (long long)n));
    }
}

/* The batch that inputs with a fixed first dimension take; 0: any. */
static int64_t fixed_batch(Fit *f) {
    int64_t batch = 0;
    for (size_t i = 0; i < f->d->count; i++) {
        const DataSlot *slot = &f->d->slots[i];
        const DataInput *in = slot->input;
        const bool fixed = slot->role == DATA_BATCHED && in->rank > 0 && in->dims[0] >= 0;
        const int64_t wants = slot->role == DATA_WHOLE ? 1 : fixed ? in->dims[0] : 0;
        if (wants == 0 && !fixed) {
            continue;
        }
        if (wants == 0 || (batch && batch != wants)) {
            misfit(f, str_format(f->s->arena, "%s takes %lld samples at a time, another input %lld",
                                 safe(f, in->name), (long long)wants, (long long)batch));
        } else if (f->wish->batch && f->wish->batch != wants) {
            misfit(f, str_format(f->s->arena, "%s takes %lld sample%s at a time; batch is %lld",
                                 safe(f, in->name), (long long)wants, wants == 1 ? "" : "s",
                                 (long long)f->wish->batch));
        }
        batch = wants ? wants : batch;
    }
    return batch;
}

static void fit_counts(Fit *f) {
    Dataset *d = f->d;
    const DataInput *first = NULL;
    d->total = 1;
    for (size_t i = 0; i < d->count; i++) {
        count_samples(f, &d->slots[i], &first);
    }
    count_samples(f, &d->labels, &first);
    d->samples = f->wish->samples ? f->wish->samples : d->total;
    if (d->total == 0) {
        misfit(f, STR("there are no samples"));
    } else if (d->samples > d->total) {
        misfit(f, str_format(f->s->arena, "%lld samples are asked for; the file has %lld",
                             (long long)d->samples, (long long)d->total));
    }
    const int64_t fixed = fixed_batch(f);
    d->batch = f->wish->batch ? f->wish->batch : fixed ? fixed : 1;
    d->batch = d->batch > d->samples && !fixed && d->samples > 0 ? d->samples : d->batch;
    if (fixed > 0 && d->samples % fixed != 0) {
        misfit(f,
               str_format(f->s->arena, "the model takes %lld samples at a time; %lld leave a rest",
                          (long long)fixed, (long long)d->samples));
    }
}

/* ---- the whole */

static bool verdict(Fit *f) {
    if (f->misfits.len == 0) {
        return true;
    }
    const Span at = f->wish->path_span.source ? f->wish->path_span : f->wish->span;
    Diag *d = diag_error(f->s, "E0702", at, "%.*s does not fit the model", STR_ARG(f->d->shown));
    for (size_t i = 0; i < f->misfits.len; i++) {
        diag_line(d, "%.*s", STR_ARG(f->misfits.at[i]));
    }
    return false;
}

/* The batch's own name ("batch") has its size wherever else it appears. */
static void check_sizes(Fit *f) {
    for (size_t i = 0; i < f->d->count; i++) {
        const DataSlot *slot = &f->d->slots[i];
        if (slot->role == DATA_ABSENT) {
            continue;
        }
        for (int axis = 0; axis < slot->rank; axis++) {
            const bool batch = axis == 0 && slot->role == DATA_BATCHED;
            check_size(f, slot->input, axis, batch ? f->d->batch : slot->dims[axis]);
        }
    }
}

static void fit_labels(Fit *f) {
    DataSlot *slot = &f->d->labels;
    if (!slot->array) {
        return;
    }
    DataInput *in = arena_new(f->s->arena, DataInput);
    *in = (DataInput){.name = slot->array->name, .type = slot->array->type, .rank = -1};
    slot->input = in;
    fit_slot(f, slot);
}

static void measure_slot(Fit *f, DataSlot *slot) {
    if (slot->role == DATA_ABSENT) {
        return;
    }
    const bool small = data_measure(slot, slot->role == DATA_BATCHED ? f->d->batch : 1);
    slot->row = slot->array ? (uint64_t)slot->elements * array_type(slot->array->type)->bytes : 0;
    if (!small) {
        misfit(f, str_format(f->s->arena, "a batch of %s is too large for this machine",
                             safe(f, slot->input->name)));
    }
    if (slot->role == DATA_BATCHED) {
        slot->dims[0] = f->d->batch;
    }
}

static bool finish(Fit *f) {
    check_sizes(f);
    for (size_t i = 0; i < f->d->count; i++) {
        measure_slot(f, &f->d->slots[i]);
    }
    measure_slot(f, &f->d->labels);
    return verdict(f);
}

bool data_fit(Session *s, const DataWish *wish, Dataset *d) {
    Fit f = {.s = s, .wish = wish, .d = d, .sizes = map_on(s->arena)};
    check_names(&f);
    for (size_t i = 0; i < d->count; i++) {
        if (d->slots[i].array) {
            fit_slot(&f, &d->slots[i]);
        }
    }
    fit_labels(&f);
    TRY(verdict(&f)); /* counts of what does not fit mean nothing */
    fit_counts(&f);
    TRY(verdict(&f));
    return finish(&f);
}

/* ---- random */

/* Dimensions that only the recipe can know, by name, in the order of the inputs. */
typedef struct Open {
    Map known; /* name -> FitSize */
    Buf names;
    size_t count;
} Open;

static int64_t open_size(Fit *f, Open *open, const DataInput *in, int axis) {
    const Str name = in->dim_names ? in->dim_names[axis] : (Str){0};
    FitSize *known = name.len ? map_get(&open->known, name) : NULL;
    if (!known) {
        known = arena_new(f->s->arena, FitSize);
        known->size = open->count < f->wish->shape_count ? f->wish->shape[open->count] : 1;
        if (name.len) {
            map_put(&open->known, name, known);
        }
        buf_printf(
            &open->names, "%s%s", open->count ? ", " : "",
            name.len
                ? safe(f, name)
                : str_format(f->s->arena, "dimension %d of %s", axis + 1, safe(f, in->name)).data);
        open->count++;
    }
    return known->size;
}

static void fit_random_slot(Fit *f, Open *open, DataSlot *slot, bool any_open) {
    const DataInput *in = slot->input;
    if (!array_type(in->type) || in->rank < 0 || in->rank > LIMIT_RANK) {
        misfit(f, str_format(f->s->arena, "there are no random values for %s %s", safe(f, in->name),
                             shape_of(f, in)));
        return;
    }
    const bool open_first = in->rank > 0 && in->dims[0] < 0;
    /* beside inputs whose batch is open, a fixed first dimension is none: a state, a rate */
    slot->role = in->rank > 0 && (open_first || !any_open) ? DATA_BATCHED : DATA_WHOLE;
    slot->rank = in->rank;
    for (int i = 0; i < in->rank; i++) {
        const bool batch = slot->role == DATA_BATCHED && i == 0;
        slot->dims[i] = in->dims[i] >= 0 ? in->dims[i]
                        : batch          ? f->d->batch
                                         : open_size(f, open, in, i);
    }
}

static bool any_open_batch(const Dataset *d, Str *name) {
    for (size_t i = 0; i < d->count; i++) {
        const DataInput *in = d->slots[i].input;
        if (!in->optional && in->rank > 0 && in->dims[0] < 0) {
            *name = in->dim_names ? in->dim_names[0] : (Str){0};
            return true;
        }
    }
    return false;
}

/* Inputs that all have the same fixed first dimension take batches of it. */
static int64_t batch_of_all(Fit *f) {
    for (size_t i = 0; i < f->d->count; i++) {
        DataSlot *slot = &f->d->slots[i];
        slot->role = slot->input->optional ? DATA_ABSENT : DATA_BATCHED;
    }
    return fixed_batch(f);
}

bool data_fit_random(Session *s, const DataWish *wish, Dataset *d) {
    Fit f = {.s = s, .wish = wish, .d = d, .sizes = map_on(s->arena)};
    Open open = {.known = map_on(s->arena), .names = buf_on(s->arena)};
    Str batch_name = {0};
    const bool any_open = any_open_batch(d, &batch_name);
    const int64_t fixed = any_open ? 0 : batch_of_all(&f);
    d->samples = d->total = wish->samples ? wish->samples : fixed ? fixed : 1;
    d->batch = wish->batch ? wish->batch : fixed ? fixed : 1;
    d->batch = d->batch > d->samples && !fixed ? d->samples : d->batch;
    if (fixed > 0 && d->samples % fixed != 0) {
        misfit(&f, str_format(s->arena, "the model takes %lld samples at a time; %lld leave a rest",
                              (long long)fixed, (long long)d->samples));
    }
    if (any_open && d->samples % d->batch != 0) {
        misfit(&f, str_format(s->arena, "%lld samples are no whole batches of %lld",
                              (long long)d->samples, (long long)d->batch));
    }
    if (batch_name.len) {
        FitSize *size = arena_new(s->arena, FitSize);
        size->size = d->batch;
        map_put(&open.known, batch_name, size);
    }
    for (size_t i = 0; i < d->count; i++) {
        if (!d->slots[i].input->optional) {
            fit_random_slot(&f, &open, &d->slots[i], any_open);
        }
    }
    if (open.count != wish->shape_count) {
        misfit(&f, open.count == 0
                       ? str_format(s->arena, "the model leaves no dimension open; `shape` has %zu",
                                    wish->shape_count)
                       : str_format(s->arena,
                                    "the model leaves open: %s; random(shape = [...]) gives %zu of "
                                    "%zu sizes",
                                    open.names.data, wish->shape_count, open.count));
    }
    TRY(verdict(&f));
    return finish(&f);
}
