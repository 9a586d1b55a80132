/* A model made of a few lines (tiny_model.h) or read from a file, its layers, and recipes bound to
 * it: what the tests of selectors, bind and plans start from. */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H
#include "compiler/plan.h"
#include "compiler/vocabulary.h"
#include "lang/parse.h"
#include "tests/unit/tiny_model.h"
#include "tests/unit/unit.h"

typedef struct World {
    Session *s;
    Model *model;
    Layers *layers;
    Recipe *recipe;
    Plan *plan;
    char *directory;
} World;

static const char *const world_ops[] = {"Add", "Conv", "Gather", "Gemm", "MatMul", "Relu", NULL};

static inline World world_file(const char *path) {
    World w = {.s = session_open(&sys_real)};
    w.model = model_open(w.s, str_from(path));
    if (!w.model) {
        fail_msg("%s", unit_diags(w.s));
    }
    w.layers = layers_index(w.s, w.model);
    return w;
}

static inline World world_text(const char *model) {
    char *directory = unit_directory(), path[4200];
    snprintf(path, sizeof path, "%s/m.onnx", directory);
    tiny_model_write(path, model);
    World w = world_file(path);
    w.directory = directory;
    return w;
}

static inline void world_close(World *w) {
    model_close(w->model);
    session_close(w->s);
    if (w->directory) {
        unit_remove(w->directory);
    }
}

/* Parses and resolves; a recipe with errors of its own fails the test. */
static inline const Recipe *world_recipe(World *w, const char *text) {
    const Source *source = source_make(w->s->arena, STR("r.mor"), str_from(text), true);
    ResolveOptions options = {
        .vocabulary = &morc_vocabulary, .elements = morc_elements, .ops = world_ops};
    Ast *ast = NULL;
    if (!parse_file(w->s, source, &ast) || !resolve(w->s, ast, &options, &w->recipe)) {
        fail_msg("%s", unit_diags(w->s));
    }
    return w->recipe;
}

static inline bool world_bind(World *w, const char *text) {
    diags_clear(&w->s->diags);
    return bind_plan(w->s, world_recipe(w, text), w->layers, &w->plan);
}

/* The one diagnostic's code; fails when there is none or another. */
static inline Diag *world_diag(World *w, const char *code) {
    for (size_t i = 0; i < w->s->diags.all.len; i++) {
        if (str_is(w->s->diags.all.at[i]->code, code)) {
            return w->s->diags.all.at[i];
        }
    }
    fail_msg("no %s in:\n%s", code, unit_diags(w->s));
    return NULL;
}

#endif
