/* See readings.h. Each reading is tried as one more rule of the recipe, with every ambiguous place
 * replaced by its first reading so that the rest of the recipe resolves. */
#include "compiler/readings.h"
#include "compiler/frontend.h"
#include "compiler/names.h"
#include "compiler/select.h"

static bool is_ambiguous(const Diag *d) {
    return str_is(d->code, "E0103") && d->fixes.len == 2;
}

/* The recipe with the first reading in every ambiguous place. Errors come in text order. */
static Str first_readings(Session *s, const Diags *diags, const Source *source) {
    Buf b = buf_on(s->arena);
    uint32_t at = 0;
    for (size_t i = 0; i < diags->all.len; i++) {
        const Diag *d = diags->all.at[i];
        if (!is_ambiguous(d) || d->fixes.at[0].span.source != source ||
            d->fixes.at[0].span.offset < at) {
            continue;
        }
        const DiagFix *fix = &d->fixes.at[0];
        buf_str(&b, str_slice(source->text, at, fix->span.offset));
        buf_str(&b, fix->text);
        at = fix->span.offset + fix->span.length;
    }
    buf_str(&b, str_slice(source->text, at, source->text.len));
    return buf_view(&b);
}

/* How many layers `reading` selects; false if that cannot be told. */
static bool count(Session *s, const Args *args, const Layers *layers, Str name, Str recipe_text,
                  Str reading, size_t *out) {
    Str text =
        str_format(s->arena, "%.*s\non %.*s { skip }\n", STR_ARG(recipe_text), STR_ARG(reading));
    Ast *ast = NULL;
    Recipe *recipe = NULL;
    LayerSet set;
    const Source *source = source_make(s->arena, name, text, true);
    if (!frontend_parse(s, source, &ast) || !frontend_resolve(s, args, ast, &recipe)) {
        return false;
    }
    const Stage *stage = &vec_last(&recipe->stages);
    if (stage->rules.len == 0 ||
        !select_layers(s, layers, vec_last(&stage->rules).selector, &set)) {
        return false;
    }
    *out = set_count(layers, &set);
    return true;
}

static void count_in(Session *own, Session *s, const Args *args, const Layers *layers,
                     const Source *source, Diag *d) {
    Str recipe = first_readings(own, &s->diags, source);
    size_t width = 0;
    for (size_t f = 0; f < 2; f++) {
        width = d->fixes.at[f].text.len > width ? d->fixes.at[f].text.len : width;
    }
    for (size_t i = 0; i < d->lines.len; i++) {
        for (size_t f = 0; f < 2; f++) {
            Str reading = d->fixes.at[f].text;
            size_t layer_count;
            if (str_eq(d->lines.at[i], str_format(own->arena, "help: %.*s", STR_ARG(reading))) &&
                count(own, args, layers, source->name, recipe, reading, &layer_count)) {
                d->lines.at[i] = str_format(s->arena, "%.*s%*s%zu layer%s of %.*s",
                                            STR_ARG(d->lines.at[i]), (int)(width - reading.len) + 5,
                                            "", layer_count, layer_count == 1 ? "" : "s",
                                            STR_ARG(model_file_name(layers->model)));
                break;
            }
        }
    }
}

static void close_own(Session *s, void *own) {
    (void)s;
    session_close(own);
}

void readings_count(Session *s, const Args *args, const Source *source, Str model_path) {
    bool any = false;
    for (size_t i = 0; i < s->diags.all.len; i++) {
        any = any || is_ambiguous(s->diags.all.at[i]);
    }
    if (!any) {
        return;
    }
    Cleanup *cleanup = arena_new(s->arena, Cleanup); /* when an allocation fails in here */
    Session *own = session_open(s->sys);
    session_on_close(s, cleanup, close_own, own);
    Model *model = model_open(own, model_path);
    Layers *layers = model ? layers_index(own, model) : NULL;
    for (size_t i = 0; layers && i < s->diags.all.len; i++) {
        if (is_ambiguous(s->diags.all.at[i])) {
            count_in(own, s, args, layers, source, s->diags.all.at[i]);
        }
    }
    if (model) {
        model_close(model);
    }
    session_forget(s, cleanup);
    session_close(own);
}
