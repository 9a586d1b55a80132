/* See data_wish.h. */
#include "compiler/data_wish.h"
#include "runtime/base/sanitize.h"

/* ---- inputs of a model */

enum { HOPS = 4 /* of Cast and Identity between an input and the Gather that it is for */ };

static int64_t least(int64_t a, int64_t b) {
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* Rows of the smallest table that the value is an index of; 0: none. */
static int64_t rows_of(const ValueInfo *value, int hops) {
    int64_t rows = 0;
    for (size_t i = 0; hops > 0 && i < value->uses.len; i++) {
        const Node *node = value->uses.at[i].node;
        if (node->domain.len) {
            continue;
        }
        if (str_is(node->op, "Gather") && value->uses.at[i].slot == 1 && node->inputs[0]) {
            const ValueInfo *table = node->inputs[0];
            const int64_t axis = node_int(node, "axis", 0);
            if (table->constant && axis >= 0 && axis < table->rank) {
                rows = least(rows, table->dims[axis]);
            }
        } else if ((str_is(node->op, "Cast") || str_is(node->op, "Identity")) &&
                   node->output_count == 1 && node->outputs[0]) {
            rows = least(rows, rows_of(node->outputs[0], hops - 1));
        }
    }
    return rows;
}

/* Exporters write "?" for every size that they do not know: that is no name that two can share. */
static Str name_of_dim(const Onnx__TensorShapeProto__Dimension *dim) {
    const Str name = str_from(dim->has_dim_value ? NULL : dim->dim_param);
    return str_is(name, "?") ? (Str){0} : name;
}

static const Str *names_of_dims(Session *s, const Onnx__ValueInfoProto *proto, int rank) {
    const Onnx__TensorShapeProto *shape =
        proto->type && proto->type->tensor_type ? proto->type->tensor_type->shape : NULL;
    if (!shape || (int)shape->n_dim != rank) {
        return NULL;
    }
    Str *names = arena_many(s->arena, Str, (size_t)rank + 1);
    for (int i = 0; i < rank; i++) {
        names[i] = name_of_dim(shape->dim[i]);
    }
    return names;
}

const DataInput *data_inputs_of_model(Session *s, const Model *model, size_t *count) {
    const Onnx__GraphProto *graph = model->main->proto;
    DataInput *inputs = arena_many(s->arena, DataInput, graph->n_input + 1);
    *count = graph->n_input;
    for (size_t i = 0; i < graph->n_input; i++) {
        const Str name = str_from(graph->input[i]->name);
        const ValueInfo *value = graph_value(model->main, name);
        DataInput *in = &inputs[i];
        *in = (DataInput){.name = name, .rank = -1};
        if (!value) {
            continue;
        }
        in->type = value->type;
        in->rank = value->rank;
        in->dims = value->dims;
        in->dim_names = names_of_dims(s, graph->input[i], value->rank);
        in->optional = value->constant != NULL || value->sparse;
        in->limit = rows_of(value, HOPS);
    }
    return inputs;
}

/* ---- data of a recipe */

/* What was written, or the default if `defaults`; else `otherwise`. */
static int64_t int_arg(const Data *data, const char *name, bool defaults, int64_t otherwise) {
    const BoundArg *arg = args_find(&data->args, name);
    return arg && arg->value && (arg->given || defaults) ? arg->value->integer : otherwise;
}

static Str folder_of(Arena *arena, const Source *source) {
    const Str name = source && source->is_file ? source->name : STR("");
    size_t end = name.len;
    while (end > 0 && name.data[end - 1] != '/') {
        end--;
    }
    return str_copy(arena, str_slice(name, 0, end));
}

static bool shape_arg(Session *s, const Data *data, DataWish *out) {
    const BoundArg *arg = args_find(&data->args, "shape");
    if (!arg || !arg->value) {
        return true;
    }
    int64_t *sizes = arena_many(s->arena, int64_t, arg->value->items.len + 1);
    for (size_t i = 0; i < arg->value->items.len; i++) {
        const Value *item = arg->value->items.at[i];
        if (item->type != VALUE_INT || item->integer < 1) {
            Diag *d = diag_error(s, "E0203", item->span, "`shape` is a list of sizes");
            diag_label(d, "not a whole number above 0");
            return false;
        }
        sizes[i] = item->integer;
    }
    out->shape = sizes;
    out->shape_count = arg->value->items.len;
    return true;
}

bool data_of_recipe(Session *s, const Recipe *recipe, const Data *data, Str override,
                    DataWish *out) {
    (void)recipe;
    const BoundArg *path = args_find(&data->args, "path"), *shuffle = args_find(&data->args, "shuffle");
    *out =
        (DataWish){.loader = str_from(data->loader->name), .name = data->name, .span = data->span};
    if (path && path->value) {
        out->path = path->value->text;
        out->path_span = path->span;
        out->base = folder_of(s->arena, path->span.source);
    }
    if (override.len) {
        out->path = override;
        out->base = STR("");
    }
    out->samples = int_arg(data, "samples", true, 0);
    out->batch = int_arg(data, "batch", false, 0); /* not given: what the model takes */
    out->seed = (uint64_t)int_arg(data, "seed", true, 0);
    out->shuffle = shuffle && shuffle->value && shuffle->value->flag;
    return shape_arg(s, data, out);
}

bool data_of_step(Session *s, const Recipe *recipe, const Step *step, const Args *args,
                  const char *(*get)(const char *variable), DataWish *out) {
    const Data *data = step_arg(step, "data")->value->data;
    TRY(data_of_recipe(s, recipe, data, data_override(args, data->name), out));
    const BoundArg *samples = args_find(&step->args, "samples");
    if (samples && samples->given && samples->value &&
        (out->samples == 0 || samples->value->integer < out->samples)) {
        out->samples = samples->value->integer;
    }
    out->scratch = data_scratch(get);
    return true;
}

/* ---- the command line */

static const Data *find_data(const Recipe *recipe, Str name) {
    for (size_t i = 0; i < recipe->data.len; i++) {
        if (str_eq(recipe->data.at[i]->name, name)) {
            return recipe->data.at[i];
        }
    }
    return NULL;
}

static bool unknown_data(Session *s, const ParamFlag *flag, const Recipe *recipe) {
    Str *names = arena_many(s->arena, Str, recipe->data.len + 1);
    Buf all = buf_on(s->arena);
    for (size_t i = 0; i < recipe->data.len; i++) {
        names[i] = recipe->data.at[i]->name;
        buf_printf(&all, "%s%.*s", i ? ", " : "", STR_ARG(names[i]));
    }
    Diag *d = diag_error(s, "E0201", flag->name_span, "this recipe has no data `%s`",
                         str_safe_c(s->arena, flag->name));
    const Str near = nearest_of(flag->name, names, recipe->data.len);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
    }
    if (all.len) {
        diag_note(d, "its data: %s", all.data);
    }
    return false;
}

bool data_overrides_check(Session *s, const Args *args, const Recipe *recipe) {
    bool ok = true;
    for (size_t i = 0; i < args->data.len; i++) {
        const ParamFlag *flag = &args->data.at[i];
        const Data *data = find_data(recipe, flag->name);
        if (!data) {
            ok = unknown_data(s, flag, recipe);
        } else if (!args_find(&data->args, "path")) {
            Diag *d = diag_error(s, "E0203", flag->name_span, "`%.*s` is not read from a file",
                                 STR_ARG(flag->name));
            diag_span(d, data->span, "made by %s(...)", data->loader->name);
            ok = false;
        }
        for (size_t k = 0; data && k < i; k++) {
            if (str_eq(args->data.at[k].name, flag->name)) {
                Diag *d = diag_error(s, "E0205", flag->name_span, "data `%.*s` is given twice",
                                     STR_ARG(flag->name));
                diag_span(d, args->data.at[k].name_span, "first here");
                ok = false;
            }
        }
    }
    return ok;
}

Str data_override(const Args *args, Str name) {
    for (size_t i = 0; i < args->data.len; i++) {
        if (str_eq(args->data.at[i].name, name)) {
            return args->data.at[i].expr;
        }
    }
    return (Str){0};
}

Str data_scratch(const char *(*get)(const char *variable)) {
    const char *folder = get("TMPDIR");
    return folder && *folder ? str_from(folder) : STR("/var/tmp");
}
