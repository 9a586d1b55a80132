/* Tree -> recipe. Declarations are entered first, so that they may come in any order; then items
 * are read top to bottom; then everything that was declared is evaluated, used or not, so that one
 * run shows every error. What this build lacks (E0001) is reported last, and only where nothing
 * else is wrong. */
#include "lang/resolve_parts.h"

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

void report_twice(Resolver *r, Span at, Span first, const char *word) {
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
        report_twice(r, item->span, r->recipe->emit->span, "emit");
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

/* ---- stages and rules */

/* Stages run in the order in which they are made. Written names were declared, so only the "main"
 * of the rules outside can meet one of them here. */
static int new_stage(Resolver *r, Str name, Span span, bool written) {
    for (size_t i = 0; i < r->recipe->stages.len; i++) {
        const Stage *other = &r->recipe->stages.at[i];
        if (str_eq(other->name, name) && other->written != written) {
            Diag *d =
                diag_error(r->s, "E0205", written ? span : other->span,
                           "`%.*s` is the stage of what stands outside of stages", STR_ARG(name));
            diag_label(d, "this one needs another name");
            diag_span(d, written ? other->span : span, "outside of stages");
        }
    }
    Stage stage = {.name = name, .span = span, .written = written};
    vec_push(r->s->arena, &r->recipe->stages, stage);
    return (int)r->recipe->stages.len - 1;
}

/* The stage that an item belongs to. Those outside of stages are one stage and stand together:
 * one below another stage would run above it. */
int stage_of(Resolver *r, Reading *in, Span span) {
    if (in->stage < 0) {
        in->stage = new_stage(r, STR("main"), span, false);
    }
    const Stage *last = &vec_last(&r->recipe->stages);
    if (!in->in_stage && !in->split && last->written) {
        in->split = true;
        Diag *d = diag_error(r->s, "E0209", span,
                             "this stands below the stage `%.*s`, but would "
                             "run above it",
                             STR_ARG(last->name));
        diag_label(d, "one stage with what stands outside above");
        diag_span(d, last->span, "a stage of its own");
        diag_help(d, "give these rules a stage, too:   stage rest { ... }");
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
            report_twice(r, item->span, other->span, schema->name);
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
    int stage = new_stage(r, item->name, item->name_span, true);
    Reading inner = {in->scope, in->origin, stage, true, false};
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
        read_include(r, in, item);
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

void read_items(Resolver *r, Reading *in, const AstList *items) {
    for (size_t i = 0; i < items->len; i++) {
        bool go_on = resolver_enter(r, items->at[i]->span);
        if (go_on) {
            read_item(r, in, items->at[i]);
        }
        resolver_leave(r);
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
    if (ast->kids.len == 0) {
        Diag *d = diag_error(r->s, "E0213", ast->span, "this recipe is empty");
        diag_help(d, "on linear { quantize(weight = int8 per channel) }");
    }
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
    check_evaluation(&r);
    report_later(&r);
    *out = r.recipe;
    return s->diags.errors == errors;
}
