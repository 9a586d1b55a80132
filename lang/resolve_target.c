/* Targets: which GPUs the recipe is for, and which of them is meant now. --target picks one of the
 * list; else this machine's GPU if the recipe is for it; else the first. */
#include "lang/resolve_parts.h"

/* The sm number of "sm_90", 0: reported. */
static int target_number(Resolver *r, Str word, Span at) {
    Vec(Str) words = {0};
    Buf all = buf_on(r->s->arena);
    for (const int *sm = r->options->targets; sm && *sm; sm++) {
        Str known = str_format(r->s->arena, "sm_%d", *sm);
        if (str_eq(known, word)) {
            return *sm;
        }
        vec_push(r->s->arena, &words, known);
        buf_printf(&all, " %.*s", STR_ARG(known));
    }
    if (!r->options->targets && sm_number(word)) {
        return sm_number(word);
    }
    Diag *d = diag_error(r->s, "E0211", at, "there is no target `%.*s`", STR_ARG(word));
    Str nearest = nearest_of(word, words.at, words.len);
    if (nearest.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, at, "%.*s", STR_ARG(nearest));
    }
    if (all.len) {
        diag_line(d, "targets:%s", all.data);
    }
    return 0;
}

static void add_target(Resolver *r, const Ast *e) {
    e = unwrap(e);
    if (e->kind != AST_NAME) {
        diag_label(diag_error(r->s, "E0203", e->span, "`target` takes names of GPU architectures"),
                   "as in target sm_90");
        return;
    }
    int sm = target_number(r, e->name, e->span);
    for (size_t i = 0; i < r->recipe->targets.len; i++) {
        if (sm && r->recipe->targets.at[i].sm == sm) {
            report_twice(r, e->span, r->recipe->targets.at[i].span,
                         span_text(e->span).data ? "target" : "");
            return;
        }
    }
    if (sm) {
        vec_push(r->s->arena, &r->recipe->targets, (Target){e->span, sm});
    }
}

static Module *included_module(Resolver *r, Scope *scope, const Ast *item) {
    if (item->a->kind == AST_STRING) {
        return import_file(r, scope, item->a);
    }
    const Decl *decl = scope_find(scope, item->a->kids.at[0]->name);
    return decl && decl->ast->kind == AST_USE ? decl->module : NULL;
}

/* Those of the file itself, or else of the first file it includes that has some. */
static void targets_of(Resolver *r, Scope *scope) {
    const AstList *items = &scope->module->ast->kids;
    scope->module->targets_read = true;
    for (size_t i = 0; i < items->len; i++) {
        const Ast *item = items->at[i];
        for (size_t t = 0; item->kind == AST_TARGET && t < item->kids.len; t++) {
            add_target(r, item->kids.at[t]);
        }
    }
    for (size_t i = 0; i < items->len && r->recipe->targets.len == 0; i++) {
        bool include = items->at[i]->kind == AST_INCLUDE;
        Module *module = include ? included_module(r, scope, items->at[i]) : NULL;
        if (module && !module->targets_read && resolver_enter(r, items->at[i]->span)) {
            targets_of(r, module_shared(r, module));
        }
    }
}

void collect_targets(Resolver *r) {
    targets_of(r, r->root);
    r->depth = 0;
}

static bool is_listed(const Recipe *recipe, int sm) {
    for (size_t i = 0; i < recipe->targets.len; i++) {
        if (recipe->targets.at[i].sm == sm) {
            return true;
        }
    }
    return recipe->targets.len == 0;
}

/* --target, else this machine's if the recipe is for it, else the first */
void pick_target(Resolver *r) {
    Recipe *recipe = r->recipe;
    if (r->options->target.len) {
        Str text = str_format(r->s->arena, "--target %.*s", STR_ARG(r->options->target));
        const Source *line = source_make(r->s->arena, STR("command line"), text, false);
        Span at = {line, 9, (uint32_t)r->options->target.len};
        int sm = target_number(r, r->options->target, at);
        if (sm && !is_listed(recipe, sm)) {
            Diag *d = diag_error(r->s, "E0211", at, "this recipe is not for sm_%d", sm);
            diag_label(d, "not among its targets");
            diag_span(d, recipe->targets.at[0].span, "the first of them");
        }
        recipe->target = sm;
    } else if (r->options->local_sm && is_listed(recipe, r->options->local_sm)) {
        recipe->target = r->options->local_sm;
    } else if (recipe->targets.len) {
        recipe->target = recipe->targets.at[0].sm;
    }
}
