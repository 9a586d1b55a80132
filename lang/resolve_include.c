/* include: another file's rules, or those of one of its stages, with its parameters bound, as if
 * they stood here. Its `target` and `emit` count where the recipe has none of its own. */
#include "lang/resolve_parts.h"

/* The parameters of a file as a schema, so that arguments are checked as those of any step. */
static const Schema *module_schema(Resolver *r, const Module *module, const char *name) {
    const AstList *items = &module->ast->kids;
    Param *params = arena_many(r->s->arena, Param, items->len + 1);
    size_t n = 0;
    for (size_t i = 0; i < items->len; i++) {
        const Ast *item = items->at[i];
        if (item->kind == AST_PARAM) {
            params[n] = (Param){.name = str_c(r->s->arena, item->name),
                                .required = !item->b,
                                .doc = item->doc.len ? str_c(r->s->arena, item->doc) : ""};
            if (!param_type(r, item, &params[n++])) {
                return NULL;
            }
        }
    }
    Schema *schema = arena_new(r->s->arena, Schema);
    *schema = (Schema){.name = name, .kind = SCHEMA_STEP, .params = params};
    return schema;
}

/* A file with its parameters bound; NULL: reported. */
static Scope *instance(Resolver *r, const Reading *in, Module *module, const Ast *item) {
    const char *name = str_c(r->s->arena, span_text(item->a->span));
    const Schema *schema = module_schema(r, module, name);
    ArgList args = {0};
    Context c = {in->scope, AT_CONSTANT};
    if (!schema || !bind_args(r, c, schema, &item->kids, item->a->span, &args)) {
        return NULL;
    }
    if (item->kids.len == 0) {
        return module_shared(r, module);
    }
    if (r->files++ >= LIMIT_IMPORT_FILES) {
        diag_error(r->s, "E0806", item->span, "this recipe includes too much");
        return NULL;
    }
    Scope *scope = scope_new(r, NULL, module);
    declare_items(r, scope, &module->ast->kids);
    for (size_t i = 0; i < args.len; i++) {
        Decl *decl = map_get(&scope->names, str_from(args.at[i].param->name));
        if (decl && decl->ast->kind == AST_PARAM) {
            const Value *given = args.at[i].given ? args.at[i].value : NULL;
            const Value *v = param_value(r, scope, decl->ast, given, args.at[i].span, NULL);
            decl->value = v ? v : POISON;
            decl->state = DECL_DONE;
        }
    }
    return scope;
}

static void include_items(Resolver *r, Reading *in, Module *module, const AstList *items,
                          const Ast *item) {
    if (module->open || r->import_depth >= LIMIT_IMPORT_DEPTH) {
        Diag *d =
            diag_error(r->s, "E0806", item->span, "these files include each other in a circle");
        diag_label(d, "`%.*s` is being read", STR_ARG(module->source->name));
        return;
    }
    Scope *scope = instance(r, in, module, item);
    if (!scope) {
        return;
    }
    Reading inner = {scope, module->source->name, in->stage, true, false};
    module->open = true;
    r->import_depth++;
    inner.stage = stage_of(r, in, item->span);
    read_items(r, &inner, items);
    r->import_depth--;
    module->open = false;
    if (scope != module->shared) {
        evaluate_all(r, scope);
    }
}

/* include "./x.mor"(args), include name(args), include name.stage(args) */
void read_include(Resolver *r, Reading *in, const Ast *item) {
    if (item->a->kind == AST_STRING) {
        Module *module = import_file(r, in->scope, item->a);
        if (module) {
            include_items(r, in, module, &module->ast->kids, item);
        }
        return;
    }
    const AstList *path = &item->a->kids;
    Decl *decl = scope_find(in->scope, path->at[0]->name);
    if (!decl || decl->ast->kind != AST_USE || path->len > 2) {
        Diag *d = diag_error(r->s, decl ? "E0203" : "E0201", item->a->span,
                             "there is no import `%.*s`", STR_ARG(span_text(item->a->span)));
        diag_label(d, "`use` brings files");
        diag_help(d, "use \"./common.mor\" as %.*s", STR_ARG(path->at[0]->name));
        return;
    }
    if (!decl->module) {
        return; /* reported */
    }
    if (path->len == 1) {
        include_items(r, in, decl->module, &decl->module->ast->kids, item);
        return;
    }
    Decl *stage = import_member(r, in->scope, path->at[0], path->at[1]->name, path->at[1]->span);
    if (stage && stage->ast->kind != AST_STAGE) {
        diag_label(diag_error(r->s, "E0203", path->at[1]->span, "this is no stage"),
                   "only files and their stages are included");
    } else if (stage) {
        include_items(r, in, decl->module, &stage->ast->kids, item);
    }
}
