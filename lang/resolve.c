/* Tree -> recipe. Declarations are entered first, so that they may come in any order; then items
 * are read top to bottom; then everything that was declared is evaluated, used or not, so that one
 * run shows every error. What this build lacks (E0001) is reported last, and only where nothing
 * else is wrong. */
#include "lang/resolve_parts.h"

typedef struct Reading { /* a list of items on its way into a stage */
    Scope *scope;
    Str origin; /* file that an `include` brought; empty for the recipe itself */
    int stage;  /* index, -1: "main", made when something needs it */
    bool in_stage;
} Reading;

/* ---- E0001 */

void for_later(Resolver *r, Span at, const char *format, ...) {
    if (r->trial) {
        return;
    }
    va_list args;
    va_start(args, format);
    Buf b = buf_on(r->s->arena);
    buf_vprintf(&b, format, args);
    va_end(args);
    vec_push(r->s->arena, &r->later, (Later){at, buf_view(&b)});
}

void not_for_later(Resolver *r, Span within) {
    size_t kept = 0;
    for (size_t i = 0; i < r->later.len; i++) {
        Span at = r->later.at[i].span;
        bool inside = at.source == within.source && at.offset >= within.offset &&
                      at.offset + at.length <= within.offset + within.length;
        if (!inside) {
            r->later.at[kept++] = r->later.at[i];
        }
    }
    r->later.len = kept;
}

static void report_later(Resolver *r) {
    for (size_t i = 0; i < r->later.len; i++) {
        const Later *later = &r->later.at[i];
        Diag *d = diag_error(r->s, "E0001", later->span, "%.*s is not in this build",
                             STR_ARG(later->message));
        diag_label(d, "in the language, for a later build");
    }
}

/* ---- settings */

static void twice(Resolver *r, Span at, Span first, const char *word) {
    Diag *d = diag_error(r->s, "E0205", at, "`%s` is given twice", word);
    diag_label(d, "again here");
    diag_span(d, first, "first here");
}

static void edition(Resolver *r, const Ast *item) {
    if (!item->a->is_int || item->a->integer != 1) {
        Diag *d = diag_error(r->s, "E0212", item->a->span, "this morc speaks edition 1");
        diag_label(d, "write `mor 1`");
        diag_fix(d, false, item->a->span, "1");
    }
}

static const Schema *emit_schema(Resolver *r, const Ast *callee) {
    const Vocabulary *vocabulary = r->options->vocabulary;
    Str word = callee->kind == AST_NAME ? callee->name : STR("");
    const Schema *schema = vocabulary_find(vocabulary, SCHEMA_EMIT, word);
    if (!schema) {
        Diag *d = diag_error(r->s, word.len ? "E0201" : "E0203", callee->span,
                             word.len ? "there is no form of output `%.*s`"
                                      : "`emit` takes a form of output%.*s",
                             STR_ARG(word));
        Str nearest = vocabulary_nearest(vocabulary, SCHEMA_EMIT, word);
        if (nearest.len) {
            diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
            diag_fix(d, false, callee->span, "%.*s", STR_ARG(nearest));
        }
        diag_help(d, "as in  emit qdq  or  emit ort");
    }
    return schema;
}

/* emit NAME or emit NAME(args); the recipe's own counts more than an included one. */
static void emit(Resolver *r, const Reading *in, const Ast *item) {
    bool own = in->scope == r->root;
    if (r->recipe->emit_written && !own) {
        return;
    }
    if (r->recipe->emit_written && own) {
        twice(r, item->span, r->recipe->emit->span, "emit");
        return;
    }
    const Ast *e = unwrap(item->a), *callee = e->kind == AST_CALL ? e->a : e;
    const Schema *schema = emit_schema(r, callee);
    if (!schema) {
        return;
    }
    static const AstList nothing;
    Step *step = arena_new(r->s->arena, Step);
    *step = (Step){.schema = schema, .span = item->span, .name_span = callee->span};
    Context c = {in->scope, AT_CONSTANT};
    if (!bind_args(r, c, schema, e->kind == AST_CALL ? &e->kids : &nothing, callee->span,
                   &step->args)) {
        not_for_later(r, item->span);
    } else if (schema->later) {
        not_for_later(r, item->span);
        for_later(r, callee->span, "`emit %s`", schema->name);
    }
    r->recipe->emit = step;
    r->recipe->emit_written = true;
}

static void default_emit(Resolver *r) {
    static const AstList nothing;
    const Schema *schema = vocabulary_find(r->options->vocabulary, SCHEMA_EMIT, STR("qdq"));
    if (!r->recipe->emit && schema) {
        Step *step = arena_new(r->s->arena, Step);
        *step = (Step){.schema = schema};
        bind_args(r, (Context){r->root, AT_CONSTANT}, schema, &nothing, NO_SPAN, &step->args);
        r->recipe->emit = step;
    }
}

/* ---- targets */

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
            twice(r, e->span, r->recipe->targets.at[i].span,
                  span_text(e->span).data ? "target" : "");
            return;
        }
    }
    if (sm) {
        vec_push(r->s->arena, &r->recipe->targets, (Target){e->span, sm});
    }
}

/* Module that an `include` names, without a word about what is wrong with it; NULL. */
static Module *included_module(const Resolver *r, const Scope *scope, const Ast *item) {
    (void)r;
    if (item->a->kind != AST_PATH) {
        return NULL;
    }
    const Decl *decl = scope_find(scope, item->a->kids.at[0]->name);
    return decl && decl->ast->kind == AST_USE ? decl->module : NULL;
}

/* The recipe's own targets, or else those of the first file it includes that has some. */
static void collect_targets(Resolver *r) {
    const AstList *items = &r->root->module->ast->kids;
    for (int pass = 0; pass < 2 && r->recipe->targets.len == 0; pass++) {
        for (size_t i = 0; i < items->len; i++) {
            const Ast *item = items->at[i];
            Module *module =
                item->kind == AST_INCLUDE && pass ? included_module(r, r->root, item) : NULL;
            for (size_t k = 0; module && !r->recipe->targets.len && k < module->ast->kids.len;
                 k++) {
                const Ast *inner = module->ast->kids.at[k];
                for (size_t t = 0; inner->kind == AST_TARGET && t < inner->kids.len; t++) {
                    add_target(r, inner->kids.at[t]);
                }
            }
            for (size_t t = 0; !pass && item->kind == AST_TARGET && t < item->kids.len; t++) {
                add_target(r, item->kids.at[t]);
            }
        }
    }
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
static void pick_target(Resolver *r) {
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

/* ---- stages and rules */

static int new_stage(Resolver *r, Str name, Span span) {
    for (size_t i = 0; i < r->recipe->stages.len; i++) {
        if (str_eq(r->recipe->stages.at[i].name, name)) {
            return (int)i;
        }
    }
    if (r->recipe->stages.len == 1) {
        for_later(r, span, "a second stage");
    }
    vec_push(r->s->arena, &r->recipe->stages, (Stage){.name = name, .span = span});
    return (int)r->recipe->stages.len - 1;
}

static int stage_of(Resolver *r, Reading *in, Span span) {
    if (in->stage < 0) {
        in->stage = new_stage(r, STR("main"), span);
    }
    return in->stage;
}

void resolve_expect(Resolver *r, Context c, const Ast *ast, int rule, int stage) {
    const Value *v = eval(r, c, ast->a);
    ValueType type = value_static_type(v);
    if (type != VALUE_BOOL) {
        if (type != VALUE_POISON) {
            Diag *d = diag_error(r->s, "E0203", ast->a->span, "an expectation is true or false");
            diag_label(d, "this is %s: compare it with something", value_type_words(type));
        }
        not_for_later(r, ast->span);
        return;
    }
    const Expr *condition = v->expr;
    if (v->type == VALUE_BOOL) {
        Expr *constant = arena_new(r->s->arena, Expr);
        *constant =
            (Expr){.kind = EXPR_CONST, .type = VALUE_BOOL, .span = ast->a->span, .value = v};
        condition = constant;
    }
    Expect expect = {.span = ast->a->span, .condition = condition, .rule = rule, .stage = stage};
    expect.message = ast->b ? ast->b->text : STR("");
    if (!r->trial) {
        vec_push(r->s->arena, &r->recipe->expects, expect);
    }
}

static void rule(Resolver *r, Reading *in, const Ast *item) {
    int stage = stage_of(r, in, item->span);
    Rule out = {.span = span_join((Span){item->span.source, item->span.offset, 0}, item->a->span),
                .selector_span = item->a->span,
                .override = item->flag,
                .origin = in->origin};
    const Value *v = eval_constant(r, in->scope, item->a);
    if (v->type != VALUE_POISON && !is_selector_like(v)) {
        Diag *d = diag_error(r->s, "E0203", item->a->span, "`on` takes a selector");
        diag_label(d, "this is %s", value_type_words(value_static_type(v)));
    }
    out.selector = as_selector(r, v);
    Stack stack = {.steps = &out.steps, .stage = stage};
    stack.rule = (int)r->recipe->stages.at[stage].rules.len;
    resolve_block(r, in->scope, item->b, &stack);
    if (item->b->kids.len == 0) {
        Diag *d = diag_error(r->s, "E0213", item->b->span, "this rule does nothing");
        diag_label(d, "no steps");
        diag_help(d, "to keep these layers as they are, say so:  skip");
    }
    check_stack(r, &out.steps);
    vec_push(r->s->arena, &r->recipe->stages.at[stage].rules, out);
}

static void setting(Resolver *r, Reading *in, const Ast *item) {
    Str name = item->a->kids.at[0]->name;
    const Vocabulary *vocabulary = r->options->vocabulary;
    const Schema *schema =
        item->a->kids.len == 1 ? vocabulary_find(vocabulary, SCHEMA_SETTING, name) : NULL;
    if (!schema) {
        bool step = vocabulary_find(vocabulary, SCHEMA_STEP, name) != NULL;
        const Decl *decl = scope_find(in->scope, name);
        if (step || (decl && (decl->ast->kind == AST_TRANSFORM || decl->ast->kind == AST_USE))) {
            Diag *d = diag_error(r->s, "E0209", item->a->span, "a step stands in a rule");
            diag_label(d, "on which layers?");
            diag_help(d, "on linear { %.*s }", STR_ARG(span_text(item->span)));
            return;
        }
        Str nearest = vocabulary_nearest(vocabulary, SCHEMA_SETTING, name);
        Diag *d =
            diag_error(r->s, "E0201", item->a->span, "there is no setting `%.*s`", STR_ARG(name));
        if (nearest.len) {
            diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
            diag_fix(d, false, item->a->span, "%.*s", STR_ARG(nearest));
        }
        return;
    }
    int stage = stage_of(r, in, item->span);
    StepList *settings = &r->recipe->stages.at[stage].settings;
    for (size_t i = 0; i < settings->len; i++) {
        const Step *other = settings->at[i];
        if (other->schema == schema && other->span.source == item->span.source) {
            twice(r, item->span, other->span, schema->name);
            return;
        }
    }
    Step *step = resolve_step(r, (Context){in->scope, AT_CONSTANT}, schema, item);
    vec_push(r->s->arena, &r->recipe->stages.at[stage].settings, step);
}

static void within(Resolver *r, Reading *in, const Ast *item) {
    static const char *const units[] = {"bits", "kl", "mse", "max_error", "cosine", "sqnr"};
    Str words[6];
    bool known = item->name.len == 0; /* bytes: 5 GiB */
    for (int i = 0; i < 6; i++) {
        words[i] = str_from(units[i]);
        known = known || str_eq(words[i], item->name);
    }
    const Value *v = eval_constant(r, in->scope, item->a);
    if (!known) {
        Str nearest = nearest_of(item->name, words, 6);
        Diag *d = diag_error(r->s, "E0201", item->name_span, "there is no budget of `%.*s`",
                             STR_ARG(item->name));
        if (nearest.len) {
            diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        }
    } else if (v->type != VALUE_POISON && !value_is_number(v)) {
        Diag *d = diag_error(r->s, "E0203", item->a->span, "a budget is a number");
        diag_label(d, "this is %s", value_type_words(value_static_type(v)));
    } else if (v->type != VALUE_POISON) {
        vec_push(r->s->arena, &r->recipe->withins, (Within){item->span, v->number, item->name});
        for_later(r, item->span, "`within`");
    }
}

/* ---- include */

static void read_items(Resolver *r, Reading *in, const AstList *items);

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
    Reading inner = {scope, module->source->name, in->stage, true};
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
static void include(Resolver *r, Reading *in, const Ast *item) {
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

/* ---- items */

static bool is_declaration(AstKind kind) {
    return kind == AST_USE || kind == AST_PARAM || kind == AST_LET || kind == AST_SELECT ||
           kind == AST_FORMAT || kind == AST_DATA || kind == AST_FN || kind == AST_TRANSFORM;
}

static void stage_item(Resolver *r, Reading *in, const Ast *item) {
    if (in->in_stage) {
        if (in->origin.len) {
            for_later(r, item->name_span, "including a file with stages");
        } else {
            diag_label(diag_error(r->s, "E0209", item->name_span, "a stage has no stages"),
                       "write it beside, not inside");
        }
        return;
    }
    Reading inner = {in->scope, in->origin, new_stage(r, item->name, item->name_span), true};
    for (size_t i = 0; i < item->kids.len; i++) {
        AstKind kind = item->kids.at[i]->kind;
        if (is_declaration(kind) || kind == AST_TARGET || kind == AST_EMIT || kind == AST_EDITION) {
            Diag *d =
                diag_error(r->s, "E0209", item->kids.at[i]->span, "this belongs to the recipe");
            diag_label(d, "write it outside of the stage");
        }
    }
    read_items(r, &inner, &item->kids);
}

static void read_item(Resolver *r, Reading *in, const Ast *item) {
    switch (item->kind) {
    case AST_EDITION:
        edition(r, item);
        break;
    case AST_EMIT:
        if (in->scope != r->root) {
            emit(r, in, item); /* the recipe's own was read before */
        }
        break;
    case AST_STEP:
        setting(r, in, item);
        break;
    case AST_ON:
        rule(r, in, item);
        break;
    case AST_INCLUDE:
        include(r, in, item);
        break;
    case AST_STAGE:
        stage_item(r, in, item);
        break;
    case AST_WITHIN:
        within(r, in, item);
        break;
    case AST_EXPECT:
        resolve_expect(r, (Context){in->scope, AT_RECIPE_EXPECT}, item, -1,
                       in->stage < 0 ? 0 : in->stage);
        break;
    default: /* declarations and targets were read before */
        break;
    }
}

static void read_items(Resolver *r, Reading *in, const AstList *items) {
    for (size_t i = 0; i < items->len; i++) {
        bool go_on = resolver_enter(r, items->at[i]->span);
        if (go_on) {
            read_item(r, in, items->at[i]);
        }
        resolver_leave(r);
    }
}

/* ---- parameters of the recipe */

static Str param_text(const Ast *ast) {
    return span_text(ast->a ? span_join(ast->type_span, ast->a->span) : ast->type_span);
}

/* The table of sample 12: name, type, default and what it is for. */
static void list_params(Resolver *r, Diag *d) {
    Buf table = buf_on(r->s->arena);
    size_t name_width = 0, type_width = 0, value_width = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < r->root->names.len; i++) {
            const Ast *ast = ((Decl *)r->root->names.entries[i].value)->ast;
            if (ast->kind != AST_PARAM) {
                continue;
            }
            Str type = param_text(ast),
                initial = ast->b ? span_text(ast->b->span) : STR("required");
            Str value = str_format(r->s->arena, "%s%.*s", ast->b ? "= " : "", STR_ARG(initial));
            name_width = ast->name.len > name_width ? ast->name.len : name_width;
            type_width = type.len > type_width ? type.len : type_width;
            value_width = value.len > value_width ? value.len : value_width;
            if (pass == 1) {
                buf_printf(&table, "\n%-*.*s   %-*.*s %-*.*s%s%.*s", (int)name_width,
                           STR_ARG(ast->name), (int)type_width, STR_ARG(type),
                           ast->doc.len ? (int)value_width : 0, STR_ARG(value),
                           ast->doc.len ? "     " : "", STR_ARG(ast->doc));
            }
        }
    }
    if (table.len) {
        diag_line(d, "parameters of %.*s:%s", STR_ARG(r->recipe->source->name), table.data);
    } else {
        diag_line(d, "%.*s has no parameters", STR_ARG(r->recipe->source->name));
    }
}

static void unknown_params(Resolver *r) {
    for (size_t i = 0; i < r->options->param_count; i++) {
        const ParamGiven *given = &r->options->params[i];
        const Decl *decl = map_get(&r->root->names, given->name);
        if (decl && decl->ast->kind == AST_PARAM) {
            continue;
        }
        Span at = given->name_span;
        if (!at.source) {
            Str text = str_format(r->s->arena, "-p %.*s=%.*s", STR_ARG(given->name),
                                  STR_ARG(given->source->text));
            at = (Span){source_make(r->s->arena, STR("command line"), text, false), 3,
                        (uint32_t)given->name.len};
        }
        Vec(Str) words = {0};
        for (size_t k = 0; k < r->root->names.len; k++) {
            const Decl *other = r->root->names.entries[k].value;
            if (other->ast->kind == AST_PARAM) {
                vec_push(r->s->arena, &words, other->name);
            }
        }
        Str nearest = nearest_of(given->name, words.at, words.len);
        Diag *d = diag_error(r->s, "E0207", at, "this recipe has no parameter `%.*s`",
                             STR_ARG(given->name));
        if (nearest.len) {
            diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        }
        list_params(r, d);
    }
}

static void record_params(Resolver *r) {
    for (size_t i = 0; i < r->root->names.len; i++) {
        const Decl *decl = r->root->names.entries[i].value;
        if (decl->ast->kind != AST_PARAM) {
            continue;
        }
        RecipeParam p = {.name = decl->name,
                         .doc = decl->ast->doc,
                         .type_text = param_text(decl->ast),
                         .value = decl->value,
                         .span = decl->ast->span};
        p.initial =
            decl->ast->b ? param_value(r, r->root, decl->ast, NULL, decl->span, NULL) : NULL;
        for (size_t k = 0; k < r->options->param_count; k++) {
            p.given = p.given || str_eq(r->options->params[k].name, decl->name);
        }
        vec_push(r->s->arena, &r->recipe->params, p);
    }
}

/* ---- the whole */

static Str directory_of(const Source *source) {
    Str name = source->is_file ? source->name : STR("");
    size_t end = name.len;
    while (end > 0 && name.data[end - 1] != '/') {
        end--;
    }
    return str_slice(name, 0, end > 1 ? end - 1 : end);
}

static bool has_required_params(const Module *module) {
    for (size_t i = 0; i < module->ast->kids.len; i++) {
        const Ast *item = module->ast->kids.at[i];
        if (item->kind == AST_PARAM && !item->b) {
            return true;
        }
    }
    return false;
}

static void open_root(Resolver *r, const Ast *ast) {
    const Source *source = ast->span.source;
    Module *module = arena_new(r->s->arena, Module);
    r->directory = directory_of(source);
    size_t skip = r->directory.len ? r->directory.len + (str_is(r->directory, "/") ? 0 : 1) : 0;
    Str path = source->is_file ? str_slice(source->name, skip, source->name.len) : STR("");
    *module = (Module){.source = source, .ast = ast, .path = path, .open = true};
    r->recipe->source = source;
    vec_push(r->s->arena, &r->recipe->sources, source);
    if (path.len) {
        map_put(&r->modules, path, module);
    }
    r->root = scope_new(r, NULL, module);
    module->shared = r->root;
    declare_items(r, r->root, &ast->kids);
}

static void read_recipe(Resolver *r, const Ast *ast) {
    collect_targets(r);
    pick_target(r);
    Reading in = {.scope = r->root, .stage = -1};
    for (size_t i = 0; i < ast->kids.len; i++) {
        if (ast->kids.at[i]->kind == AST_EMIT) {
            emit(r, &in, ast->kids.at[i]);
        }
    }
    read_items(r, &in, &ast->kids);
    default_emit(r);
    for (size_t i = 0; i < r->modules.len; i++) {
        Module *module = r->modules.entries[i].value;
        if (module->shared && !module->broken &&
            (module->shared == r->root || !has_required_params(module))) {
            evaluate_all(r, module->shared);
        }
    }
    evaluate_all(r, r->root);
}

bool resolve(Session *s, const Ast *ast, const ResolveOptions *options, Recipe **out) {
    size_t errors = s->diags.errors;
    Resolver r = {.s = s, .options = options, .recipe = arena_new(s->arena, Recipe)};
    r.modules = map_on(s->arena);
    r.defaults = map_on(s->arena);
    open_root(&r, ast);
    read_recipe(&r, ast);
    unknown_params(&r);
    record_params(&r);
    for (size_t i = 0; i < r.recipe->stages.len; i++) {
        check_stage(&r, &r.recipe->stages.at[i]);
    }
    report_later(&r);
    *out = r.recipe;
    return s->diags.errors == errors;
}
