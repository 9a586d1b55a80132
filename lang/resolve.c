/* Tree -> recipe. Declarations are evaluated when used and once more at the end, so that a wrong one
 * is reported even if nothing uses it; rules are read top to bottom. */
#include "lang/parse.h"
#include "lang/resolve_parts.h"

static void run_items(Resolver *r, const AstList *items, Str origin, int stage);

/* ---- parameters from the command line */

static void unknown_param(Resolver *r, const ParamGiven *given)
{
    Vec(Str) all = {0};
    Buf table = buf_on(r->s->arena);
    for (size_t i = 0; i < r->module->names.len; i++) {
        const Decl *decl = r->module->names.entries[i].value;
        const Ast *a = decl->ast;
        if (a->kind != AST_PARAM) {
            continue;
        }
        vec_push(r->s->arena, &all, a->name);
        buf_printf(&table, "%s%.*s   %.*s", table.len ? "\n" : "", STR_ARG(a->name), STR_ARG(a->type));
        if (a->a) {
            buf_printf(&table, " in %.*s", STR_ARG(span_text(a->a->span)));
        }
        if (a->b) {
            buf_printf(&table, " = %.*s", STR_ARG(span_text(a->b->span)));
        }
        if (a->doc.len) {
            buf_printf(&table, "     %.*s", STR_ARG(a->doc));
        }
    }
    Diag *d = diag_error(r->s, "E0207", given->name_span, "this recipe has no parameter `%.*s`", STR_ARG(given->name));
    Str near = nearest_of(given->name, all.at, all.len);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
    }
    if (all.len) {
        diag_line(d, "parameters of %.*s:\n%s", STR_ARG(r->module->source->name), table.data);
    } else {
        diag_note(d, "it has no parameters");
    }
}

static void set_params(Resolver *r)
{
    for (size_t i = 0; i < r->options->param_count; i++) {
        const ParamGiven *given = &r->options->params[i];
        Decl *decl = map_get(&r->module->names, given->name);
        if (!decl || decl->ast->kind != AST_PARAM) {
            unknown_param(r, given);
            continue;
        }
        if (decl->given) {
            diag_error(r->s, "E0207", given->name_span, "parameter `%.*s` is given twice", STR_ARG(given->name));
            continue;
        }
        Ast *ast = NULL;
        decl->given = true;
        decl->state = DECL_DONE;
        decl->value = poison(r, given->name_span);
        if (parse_expr(r->s, given->source, &ast)) {
            decl->state = DECL_NEW;
            param_set(r, decl, evaluate(r, ast));
        }
    }
}

static void record_params(Resolver *r)
{
    for (size_t i = 0; i < r->module->names.len; i++) {
        Decl *decl = r->module->names.entries[i].value;
        const Ast *a = decl->ast;
        if (a->kind != AST_PARAM) {
            continue;
        }
        RecipeParam p = {.name = a->name, .doc = a->doc, .given = decl->given, .span = a->span};
        p.type_text = a->a ? str_format(r->s->arena, "%.*s in %.*s", STR_ARG(a->type), STR_ARG(span_text(a->a->span))) : a->type;
        p.value = decl_value(r, decl, a->span);
        vec_push(r->s->arena, &r->recipe->params, p);
    }
}

/* ---- settings */

static void read_target(Resolver *r, const Ast *a)
{
    if (r->recipe->targets.len) {
        Diag *d = diag_error(r->s, "E0205", a->span, "`target` is written twice");
        diag_span(d, r->target_written, "first here");
        return;
    }
    r->target_written = a->span;
    for (size_t i = 0; i < a->kids.len; i++) {
        const Value *v = evaluate(r, a->kids.at[i]);
        if (v->type == VALUE_CHOICE && v->integer) {
            Target t = {v->span, (int)v->integer};
            vec_push(r->s->arena, &r->recipe->targets, t);
        } else {
            wrong_type(r, a->kids.at[i]->span, "a target such as sm_90", v);
        }
    }
}

/* --target, else this machine's GPU if the recipe lists it, else the first of the list. */
static void pick_target(Resolver *r)
{
    Recipe *recipe = r->recipe;
    Str asked = r->options->target;
    if (asked.len) {
        for (size_t i = 0; i < recipe->targets.len; i++) {
            if (str_eq(asked, str_format(r->s->arena, "sm_%d", recipe->targets.at[i].sm))) {
                recipe->target = recipe->targets.at[i].sm;
            }
        }
        char *text = (char *)(uintptr_t)str_c(r->s->arena, asked);
        int sm = 0;
        if (recipe->targets.len == 0 && sscanf(text, "sm_%d", &sm) == 1 && sm >= 50 && sm < 1000) {
            recipe->target = sm;
        }
        if (recipe->target == 0) {
            Span at = recipe->targets.len ? r->target_written : NO_SPAN;
            Diag *d = diag_error(r->s, "E0210", at, "--target %.*s is not a target of this recipe", STR_ARG(asked));
            if (recipe->targets.len) {
                diag_label(d, "it lists these");
            } else {
                diag_help(d, "targets are written sm_90");
            }
        }
        return;
    }
    for (size_t i = 0; i < recipe->targets.len; i++) {
        if (recipe->targets.at[i].sm == r->options->local_sm) {
            recipe->target = r->options->local_sm;
        }
    }
    if (recipe->target == 0) {
        recipe->target = recipe->targets.len ? recipe->targets.at[0].sm : r->options->local_sm;
    }
}

static void read_edition(Resolver *r, const Ast *a)
{
    if (!a->a->is_int || a->a->integer != 1) {
        Diag *d = diag_error(r->s, "E0211", a->a->span, "this morc knows edition 1");
        diag_label(d, "not this one");
    }
}

static void read_within(Resolver *r, const Ast *a)
{
    const Value *v = evaluate(r, a->a);
    double bound;
    if (v->type != VALUE_POISON && !as_number(v, &bound)) {
        wrong_type(r, a->a->span, "a number", v);
        return;
    }
    Diag *d = diag_error(r->s, "E0001", a->span, "searching within a budget is not in this build");
    diag_help(d, "`expect` judges the result instead: expect bits <= 5.0");
}

/* ---- rules */

static bool has_steps(const Ast *block)
{
    for (size_t i = 0; i < block->kids.len; i++) {
        if (block->kids.at[i]->kind != AST_EXPECT) {
            return true;
        }
    }
    return false;
}

static void read_rule(Resolver *r, const Ast *a, Str origin, int stage)
{
    Stage *to = &r->recipe->stages.at[stage];
    int index = (int)to->rules.len;
    Rule rule = {.span = a->span, .selector_span = a->a->span, .override = a->flag, .origin = origin};
    rule.selector = want_selector(r, a->a);
    resolve_steps(r, a->b, &rule.steps, stage, index);
    if (!has_steps(a->b) && rule.selector) {
        Diag *d = diag_error(r->s, "E0204", a->span, "this rule does nothing");
        diag_help(d, "to leave the layers alone, say so: { skip }");
    }
    check_stack(r, &rule);
    vec_push(r->s->arena, &to->rules, rule);
}

static void read_include(Resolver *r, const Ast *a, int stage)
{
    Module *m = NULL;
    Str origin, wanted = {"", 0};
    if (a->a->kind == AST_STRING) {
        m = module_import(r, a->a);
        origin = a->a->text;
    } else {
        const AstList *path = &a->a->kids;
        origin = path->at[0]->name;
        Import *import = map_get(&r->module->imports, origin);
        if (!import || path->len > 2) {
            Diag *d = diag_error(r->s, "E0201", a->a->span, "nothing is imported as `%.*s`", STR_ARG(span_text(a->a->span)));
            diag_help(d, "use \"./file.mor\" as %.*s", STR_ARG(origin));
            return;
        }
        wanted = path->len == 2 ? path->at[1]->name : wanted;
        /* its own copy: another include may bind other parameters */
        m = import->module ? module_load(r, import->module->source, import->module->ast, import->module->folder, import->module->std, import->module->depth) : NULL;
    }
    if (!m || m->depth > 60) {
        if (m) {
            diag_error(r->s, "E0804", a->span, "recipes include each other in a circle");
        }
        return;
    }
    for (size_t i = 0; i < a->kids.len; i++) {
        const Ast *arg = a->kids.at[i];
        Decl *decl = map_get(&m->names, arg->name);
        if (!decl || decl->ast->kind != AST_PARAM || decl->given) {
            diag_error(r->s, "E0202", arg->span, decl && decl->given ? "given twice" : "`%.*s` has no parameter of this name", STR_ARG(origin));
            continue;
        }
        decl->given = true;
        param_set(r, decl, evaluate(r, arg->a));
    }
    Module *outer = r->module;
    r->module = m;
    m->depth++;
    bool found = wanted.len == 0;
    for (size_t i = 0; i < m->ast->kids.len && !found; i++) {
        const Ast *item = m->ast->kids.at[i];
        if (item->kind == AST_STAGE && str_eq(item->name, wanted)) {
            run_items(r, &item->kids, origin, stage);
            found = true;
        }
    }
    if (wanted.len == 0) {
        run_items(r, &m->ast->kids, origin, stage);
    } else if (!found) {
        diag_error(r->s, "E0201", a->a->span, "`%.*s` has no stage `%.*s`", STR_ARG(origin), STR_ARG(wanted));
    }
    r->module = outer;
}

static void read_stage(Resolver *r, const Ast *a, Str origin)
{
    Stage *first = &r->recipe->stages.at[0];
    if (first->rules.len || first->span.source) {
        Diag *d = diag_error(r->s, "E0001", a->name_span, "more than one stage is not in this build");
        diag_label(d, "a second pass over the model");
        return;
    }
    first->name = a->name;
    first->span = a->span;
    run_items(r, &a->kids, origin, 0);
}

static void run_items(Resolver *r, const AstList *items, Str origin, int stage)
{
    bool root = origin.len == 0;
    for (size_t i = 0; i < items->len; i++) {
        const Ast *a = items->at[i];
        switch (a->kind) {
        case AST_EDITION:
            read_edition(r, a);
            break;
        case AST_ON:
            read_rule(r, a, origin, stage);
            break;
        case AST_EXPECT:
            resolve_expect(r, a, stage, -1);
            break;
        case AST_INCLUDE:
            read_include(r, a, stage);
            break;
        case AST_STAGE:
            read_stage(r, a, origin);
            break;
        case AST_WITHIN:
            read_within(r, a);
            break;
        case AST_STEP:
            resolve_setting(r, a, &r->recipe->stages.at[stage].settings);
            break;
        case AST_EMIT:
            if (root && r->recipe->emit_written) {
                diag_error(r->s, "E0205", a->span, "`emit` is written twice");
            } else if (root) {
                r->recipe->emit_written = true;
                r->recipe->emit = resolve_emit(r, a);
            }
            break;
        default: /* declarations; `target` was read before */
            break;
        }
    }
}

static void evaluate_unused(Resolver *r)
{
    for (size_t i = 0; i < r->module->names.len; i++) {
        Decl *decl = r->module->names.entries[i].value;
        bool is_param = decl->ast->kind == AST_PARAM;
        if (decl->ast->kind != AST_TRANSFORM && (!is_param || decl->ast->b || decl->given)) {
            decl_value(r, decl, decl->ast->span);
        }
    }
}

bool resolve(Session *s, const Ast *ast, const ResolveOptions *options, Recipe **out)
{
    size_t errors = s->diags.errors;
    Recipe *recipe = arena_new(s->arena, Recipe);
    Resolver r = {.s = s, .options = options, .recipe = recipe};
    const Source *source = ast->span.source;
    recipe->source = source;
    Stage main_stage = {.name = STR("main")};
    vec_push(s->arena, &recipe->stages, main_stage);
    size_t end = source->name.len;
    while (end > 0 && source->name.data[end - 1] != '/') {
        end--;
    }
    r.module = module_load(&r, source, ast, str_slice(source->name, 0, end), false, 0);
    for (size_t i = 0; i < ast->kids.len; i++) {
        if (ast->kids.at[i]->kind == AST_TARGET) {
            read_target(&r, ast->kids.at[i]);
        }
    }
    pick_target(&r);
    set_params(&r);
    run_items(&r, &ast->kids, (Str){"", 0}, 0);
    evaluate_unused(&r);
    record_params(&r);
    if (!recipe->emit_written) {
        recipe->emit = resolve_emit(&r, NULL);
    }
    if (recipe->stages.at[0].rules.len == 0 && s->diags.errors == errors && recipe->expects.len == 0 && ast->kids.len == 0) {
        Diag *d = diag_error(s, "E0204", (Span){source, 0, 1}, "this recipe is empty");
        diag_help(d, "on linear { quantize(weight = int8 per channel) }");
    }
    *out = recipe;
    return s->diags.errors == errors;
}
