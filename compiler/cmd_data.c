/* `morc data describe FILE... [MODEL]`: what is in files of data, in one pass over them, and which
 * input of the model each array fits. With a model, a file that does not fit it is an error. */
#include "compiler/cmd.h"
#include "compiler/data_wish.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/data_fit.h"
#include "runtime/calib/data_stats.h"

typedef struct Described {
    Console *c;
    Str path, scratch;
    DataFile *file;
    const DataInput *inputs; /* NULL: no model */
    size_t count;
    size_t name_width, shape_width;
} Described;

static Str shape_text(Arena *arena, const DataArray *a) {
    return data_array_shape(arena, a->type, a->rank, a->dims);
}

static Str name_text(Arena *arena, const DataArray *a) {
    return a->name.len ? str_safe(arena, a->name) : STR("(one array)");
}

static void measure_columns(Described *d) {
    Arena *arena = d->c->s->arena;
    for (size_t i = 0; i < d->file->count; i++) {
        const size_t name = utf8_width(name_text(arena, &d->file->arrays[i]));
        const size_t shape = shape_text(arena, &d->file->arrays[i]).len;
        d->name_width = name > d->name_width ? name : d->name_width;
        d->shape_width = shape > d->shape_width ? shape : d->shape_width;
    }
}

/* Bounds of uint64 are its bits. */
static Str whole(Arena *arena, const DataArray *a, int64_t value) {
    return a->type == TYPE_UINT64 ? str_format(arena, "%llu", (unsigned long long)value)
                                  : str_format(arena, "%lld", (long long)value);
}

static void add_range(Buf *b, const DataArray *a, const DataStats *stats) {
    if (stats->values == 0) {
        buf_printf(b, "  no %svalues", stats->not_finite ? "finite " : "");
    } else if (stats->integers) {
        buf_printf(b, "  %s .. %s, mean %.6g", whole(b->arena, a, stats->least).data,
                   whole(b->arena, a, stats->most).data, stats->mean);
    } else {
        buf_printf(b, "  %.6g .. %.6g, mean %.6g", stats->min, stats->max, stats->mean);
    }
    if (stats->not_finite && stats->values) {
        buf_printf(b, ", %lld not finite", (long long)stats->not_finite);
    }
}

static void print_row(const Described *d, const DataArray *a, const DataStats *stats, Str fits) {
    Arena *arena = d->c->s->arena;
    Buf b = buf_on(arena);
    const Str name = name_text(arena, a), shape = shape_text(arena, a);
    buf_printf(&b, "  %.*s", STR_ARG(name));
    buf_repeat(&b, ' ', d->name_width - utf8_width(name));
    buf_printf(&b, "  %.*s", STR_ARG(shape));
    buf_repeat(&b, ' ', d->shape_width - shape.len);
    add_range(&b, a, stats);
    if (fits.len) {
        buf_printf(&b, "  %.*s", STR_ARG(fits));
    }
    buf_char(&b, '\n');
    console_out(d->c, buf_view(&b));
}

static void add_number(cJSON *o, const char *key, const DataStats *stats, Str integer,
                       double real) {
    if (stats->values == 0) {
        cJSON_AddNullToObject(o, key);
    } else if (stats->integers) {
        cJSON_AddRawToObject(o, key, integer.data); /* a double would lose digits */
    } else {
        cJSON_AddNumberToObject(o, key, real);
    }
}

static void print_json(const Described *d, const DataArray *a, const DataStats *stats, Str words,
                       int64_t input) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "array");
    json_text(o, "file", d->path);
    json_text(o, "name", a->name);
    cJSON_AddStringToObject(o, "dtype", array_type_name(a->type));
    cJSON *shape = cJSON_AddArrayToObject(o, "shape");
    for (int i = 0; i < a->rank; i++) {
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)a->dims[i]));
    }
    cJSON_AddNumberToObject(o, "samples", a->rank > 0 ? (double)a->dims[0] : 1);
    Arena *arena = d->c->s->arena;
    add_number(o, "min", stats, whole(arena, a, stats->least), stats->min);
    add_number(o, "max", stats, whole(arena, a, stats->most), stats->max);
    if (stats->values) {
        cJSON_AddNumberToObject(o, "mean", stats->mean);
    } else {
        cJSON_AddNullToObject(o, "mean");
    }
    cJSON_AddNumberToObject(o, "not_finite", (double)stats->not_finite);
    if (d->inputs) {
        if (input >= 0) {
            json_text(o, "fits", d->inputs[input].name);
        } else {
            cJSON_AddNullToObject(o, "fits");
        }
        json_text(o, "words", words);
    }
    console_json(d->c, o);
}

static bool describe_arrays(Described *d) {
    Session *s = d->c->s;
    measure_columns(d);
    console_out(d->c, str_format(s->arena, "%s: %zu array%s\n", str_safe_c(s->arena, d->path),
                                 d->file->count, d->file->count == 1 ? "" : "s"));
    for (size_t i = 0; i < d->file->count; i++) {
        DataArray *a = &d->file->arrays[i];
        DataStats stats;
        Str fits = {0};
        int64_t input = -1;
        TRY(data_file_load(s, d->file, a) && data_stats(s, a, &stats));
        if (d->inputs) {
            fits = data_fit_words(s, a, d->inputs, d->count, &input);
        }
        print_row(d, a, &stats, fits);
        print_json(d, a, &stats, fits, input);
    }
    return true;
}

/* The whole file against the whole model: E0702 says all that is missing, too. */
static bool check_fit(Described *d) {
    Session *s = d->c->s;
    const DataWish wish = {.path = d->path, .scratch = d->scratch};
    Dataset *data = dataset_over(s, &wish, d->file, d->inputs, d->count);
    d->file = NULL; /* whatever came of it */
    TRY(data);
    Buf notes = buf_on(s->arena);
    dataset_notes(data, &notes);
    console_out(d->c, buf_view(&notes));
    const bool same = dataset_unchanged(s, data);
    dataset_close(s, data);
    return same;
}

static bool describe(Described *d) {
    Session *s = d->c->s;
    Input *input = input_open(s, d->path);
    TRY(input);
    DataFormat format;
    if (!data_format_guess(input, &format)) {
        Diag *error = diag_error(s, "E0704", NO_SPAN, "%s is no file of arrays",
                                 str_safe_c(s->arena, d->path));
        diag_note(error, "it is neither .npy nor .npz nor .safetensors");
        input_close(s, input);
        return false;
    }
    d->file = data_file_over(s, format, input, d->scratch, NO_SPAN);
    TRY(d->file);
    bool ok = describe_arrays(d);
    if (ok && d->inputs) {
        ok = check_fit(d);
    } else {
        ok = ok && input_unchanged(s, input);
    }
    data_file_close(s, d->file);
    return ok;
}

bool cmd_data(Console *c, const Args *args) {
    Session *s = c->s;
    if (!str_is(args->files.at[0], "describe")) {
        Diag *d = diag_error(s, "E1110", NO_SPAN, "`morc data` knows only `describe`, not `%s`",
                             str_safe_c(s->arena, args->files.at[0]));
        diag_help(d, "usage: morc data describe FILE... [MODEL]");
        return false;
    }
    size_t files = args->files.len;
    Model *model = NULL;
    Described d = {.c = c, .scratch = data_scratch(c->env->get)};
    if (str_ends(args->files.at[files - 1], STR(".onnx"))) {
        model = model_open(s, args->files.at[--files]);
        TRY(model);
        d.inputs = data_inputs_of_model(s, model, &d.count);
    }
    if (files < 2) {
        diag_error(s, "E1110", NO_SPAN, "`morc data describe` needs a file of data");
    }
    bool ok = files >= 2;
    for (size_t i = 1; i < files && !session_stopped(s); i++) {
        d.path = args->files.at[i];
        d.name_width = d.shape_width = 0;
        ok = describe(&d) && ok;
        console_flush(c);
    }
    model_close(model);
    return ok && !session_stopped(s);
}
