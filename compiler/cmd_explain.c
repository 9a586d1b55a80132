/* `morc explain CODE` prints the long form of a diagnostic (docs/errors/CODE.md, embedded);
 * `morc explain RECIPE MODEL LAYER` says why a layer gets what it gets. */
#include "compiler/cmd.h"
#include "compiler/embedded.h"
#include "compiler/frontend.h"
#include "compiler/plan.h"
#include "runtime/base/sanitize.h"
#include "runtime/base/schema.h"

static Str code_of(const Embedded *file) {
    Str name = str_from(file->name);
    if (!str_starts(name, STR("docs/errors/"))) {
        return (Str){0};
    }
    name = str_slice(name, sizeof "docs/errors/" - 1, name.len);
    return str_slice(name, 0, name.len - sizeof ".md" + 1);
}

static bool explain_code(Console *c, Str code) {
    Session *s = c->s;
    Vec(Str) known = {0};
    for (const Embedded *file = embedded; file->name; file++) {
        Str have = code_of(file);
        if (have.len == 0) {
            continue;
        }
        if (str_eq(have, code)) {
            console_out(c, (Str){(const char *)file->data, file->size});
            cJSON *o = cJSON_CreateObject();
            cJSON_AddStringToObject(o, "type", "explain");
            json_text(o, "code", code);
            cJSON_AddStringToObject(o, "text", (const char *)file->data);
            console_json(c, o);
            return true;
        }
        vec_push(s->arena, &known, have);
    }
    Diag *d =
        diag_error(s, "E1110", NO_SPAN, "there is no diagnostic `%s`", str_safe_c(s->arena, code));
    Str near = nearest_of(code, known.at, known.len);
    if (near.len) {
        diag_help(d, "did you mean %.*s?", STR_ARG(near));
    }
    diag_help(d, "for a layer: morc explain RECIPE MODEL LAYER");
    return false;
}

bool cmd_explain(Console *c, const Args *args) {
    Session *s = c->s;
    size_t recipe_args = args->has_inline ? 0 : 1;
    if (!args->has_inline && args->files.len == 1) {
        return explain_code(c, args->files.at[0]);
    }
    if (args->files.len != recipe_args + 2) {
        Diag *d =
            diag_error(s, "E1110", NO_SPAN, "`morc explain` takes CODE, or RECIPE MODEL LAYER");
        diag_help(d, "morc inspect MODEL lists the layers");
        return false;
    }
    const Source *source =
        frontend_source(s, args, args->has_inline ? (Str){0} : args->files.at[0]);
    Ast *ast = NULL;
    Recipe *recipe = NULL;
    TRY(source && frontend_parse(s, source, &ast) && frontend_resolve(s, args, ast, &recipe));
    Model *model = model_open(s, args->files.at[recipe_args]);
    TRY(model);
    Layers *layers = layers_index(s, model);
    Plan *plan = NULL;
    Buf b = buf_on(s->arena);
    bool ok = layers && bind_plan(s, recipe, layers, &plan) &&
              plan_explain(s, plan, args->files.at[recipe_args + 1], &b);
    if (ok) {
        console_out(c, buf_view(&b));
    }
    model_close(model);
    return ok;
}
