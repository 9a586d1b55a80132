/* Steps and their arguments, checked against the vocabulary. */
#include <math.h>
#include <stdlib.h>
#include "lang/parse.h"
#include "lang/resolve_parts.h"

/* ---- choices: a bare name out of a closed list, perhaps with arguments */

static bool choice_find(const char *choices, Str name, bool *later)
{
    for (const char *p = choices; p && *p;) {
        p += strspn(p, " |");
        size_t n = strcspn(p, " |*");
        if (n && str_eq((Str){p, n}, name)) {
            *later = p[n] == '*';
            return true;
        }
        p += strcspn(p, "|");
    }
    return false;
}

static const Value *bad_choice(Resolver *r, const Param *param, const Ast *e)
{
    Vec(Str) all = {0};
    for (const char *p = param->choices; *p;) {
        p += strspn(p, " |*");
        size_t n = strcspn(p, " |*");
        if (n) {
            vec_push(r->s->arena, &all, (Str){p, n});
        }
        p += n;
    }
    Str got = span_text(e->span);
    Diag *d = diag_error(r->s, "E0206", e->span, "`%s` cannot be `%.*s`", param->name, STR_ARG(got));
    Str near = nearest_of(got, all.at, all.len);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
        diag_fix(d, false, e->span, "%.*s", STR_ARG(near));
    }
    Buf b = buf_on(r->s->arena);
    for (size_t i = 0; i < all.len; i++) {
        buf_printf(&b, "%s%.*s", i ? ", " : "", STR_ARG(all.at[i]));
    }
    diag_note(d, "`%s` is one of %s", param->name, b.data);
    return poison(r, e->span);
}

static const Value *choice(Resolver *r, const Param *param, const Ast *e)
{
    const Ast *bare = unparen(e);
    const Ast *name = bare->kind == AST_CALL ? unparen(bare->a) : bare;
    bool later = false;
    if (name->kind != AST_NAME || !choice_find(param->choices, name->name, &later)) {
        return bad_choice(r, param, e);
    }
    Value *v = value_new(r, VALUE_CHOICE, e->span);
    v->text = name->name;
    v->method = vocabulary_find(r->options->vocabulary, SCHEMA_METHOD, name->name);
    if (bare->kind == AST_CALL) {
        if (!v->method) {
            diag_error(r->s, "E0204", e->span, "`%.*s` takes no arguments", STR_ARG(name->name));
            return poison(r, e->span);
        }
        BoundArg *args;
        size_t count;
        if (!bind_args(r, v->method, &bare->kids, bare->span, &args, &count)) {
            return poison(r, e->span);
        }
        v->args.at = args;
        v->args.len = v->args.cap = count;
    }
    if (later || (v->method && v->method->later)) {
        Diag *d = diag_error(r->s, "E0001", e->span, "`%.*s` is not in this build", STR_ARG(name->name));
        diag_label(d, "part of the language, not built yet");
        return poison(r, e->span);
    }
    return v;
}

/* ---- arguments */

static const Value *argument(Resolver *r, const Param *param, const Ast *e)
{
    if (param->type == PARAM_CHOICE) {
        return choice(r, param, e);
    }
    const char *what = str_c(r->s->arena, str_format(r->s->arena, "`%s`", param->name));
    const Value *v = coerce(r, evaluate(r, e), param->type, what);
    double x;
    if (param->range && as_number(v, &x)) {
        const char *dots = strstr(param->range, ".."); /* strtod would read "19." of "19..28" */
        double low = strtod(param->range, NULL);
        double high = dots && dots[2] ? strtod(dots + 2, NULL) : HUGE_VAL;
        if (x < low || x > high) {
            Diag *d = diag_error(r->s, "E0206", v->span, "`%s` is out of range", param->name);
            diag_label(d, "must be in %s", param->range);
            return poison(r, v->span);
        }
    }
    return v;
}

static void unknown_argument(Resolver *r, const Schema *schema, const Ast *arg)
{
    Diag *d = diag_error(r->s, "E0202", arg->name_span, "`%s` has no argument `%.*s`", schema->name, STR_ARG(arg->name));
    Str near = schema_nearest(schema, arg->name);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
        diag_fix(d, false, arg->name_span, "%.*s", STR_ARG(near));
    }
    Buf b = buf_on(r->s->arena);
    schema_describe(schema, &b);
    if (b.len) {
        diag_line(d, "arguments of `%s`:\n%s", schema->name, b.data);
    } else {
        diag_note(d, "`%s` takes none", schema->name);
    }
}

static size_t param_count(const Schema *schema)
{
    size_t n = 0;
    while (schema->params[n].name) {
        n++;
    }
    return n;
}

/* Which parameter an argument is for; SIZE_MAX after an error. */
static size_t param_of(Resolver *r, const Schema *schema, const Ast *arg, size_t *position)
{
    size_t n = param_count(schema);
    if (arg->name.len == 0) {
        if (*position < n) {
            return (*position)++;
        }
        Diag *d = diag_error(r->s, "E0204", arg->span, "too many arguments for `%s`", schema->name);
        diag_label(d, n ? "one too many" : "it takes none");
        return SIZE_MAX;
    }
    const Param *param = schema_param(schema, arg->name);
    if (!param) {
        unknown_argument(r, schema, arg);
        return SIZE_MAX;
    }
    return (size_t)(param - schema->params);
}

static bool stays_out(const Param *param, const Value *v)
{
    return param->type == PARAM_FORMAT && v->type == VALUE_FORMAT && v->format->none;
}

static const Value *initial_value(Resolver *r, const Param *param)
{
    if (!param->initial) {
        return NULL;
    }
    const Source *source = source_make(r->s->arena, STR("default"), str_from(param->initial), false);
    Ast *ast = NULL;
    return parse_expr(r->s, source, &ast) ? argument(r, param, ast) : NULL;
}

bool bind_args(Resolver *r, const Schema *schema, const AstList *args, Span call, BoundArg **out, size_t *count)
{
    size_t errors = r->s->diags.errors, position = 0;
    bool poisoned = false;
    *count = param_count(schema);
    *out = arena_many(r->s->arena, BoundArg, *count + 1);
    for (size_t i = 0; i < args->len; i++) {
        const Ast *arg = args->at[i];
        size_t at = param_of(r, schema, arg, &position);
        if (at == SIZE_MAX) {
            continue;
        }
        BoundArg *bound = &(*out)[at];
        if (bound->given) {
            Diag *d = diag_error(r->s, "E0204", arg->span, "`%s` is given twice", schema->params[at].name);
            diag_span(d, bound->name_span, "first here");
            continue;
        }
        bound->given = true;
        bound->name_span = arg->name.len ? arg->name_span : arg->span;
        bound->span = arg->a->span;
        bound->value = argument(r, &schema->params[at], arg->a);
        poisoned = poisoned || bound->value->type == VALUE_POISON;
    }
    for (size_t i = 0; i < *count; i++) {
        BoundArg *bound = &(*out)[i];
        bound->param = &schema->params[i];
        if (!bound->given && bound->param->required) {
            Diag *d = diag_error(r->s, "E0204", call, "`%s` needs `%s`", schema->name, bound->param->name);
            diag_label(d, "%s", bound->param->doc);
        }
        if (!bound->given) {
            bound->value = initial_value(r, bound->param);
        }
    }
    for (size_t i = 0; i < *count && r->s->diags.errors == errors; i++) {
        const BoundArg *bound = &(*out)[i];
        if (bound->given && bound->param->later && !stays_out(bound->param, bound->value)) {
            Diag *d = diag_error(r->s, "E0001", bound->name_span, "`%s` of `%s` is not in this build", bound->param->name, schema->name);
            diag_label(d, "part of the language, not built yet");
        }
    }
    return r->s->diags.errors == errors && !poisoned;
}

/* ---- what a single step must obey */

static void check_scale_format(Resolver *r, const FormatValue *f)
{
    const FormatValue *scale = f->scale;
    if (!scale || str_is(scale->element, "f32")) {
        return;
    }
    bool two_level = str_is(scale->element, "e4m3") && f->per == PER_BLOCK && scale->per == PER_TENSOR;
    bool power = str_is(scale->element, "e8m0") && f->per == PER_BLOCK;
    bool is_float = false;
    for (const ElementInfo *x = r->options->elements; x->name; x++) {
        is_float = is_float || (str_is(f->element, x->name) && !x->integer);
    }
    if ((two_level || power) && is_float) {
        return;
    }
    Diag *d = diag_error(r->s, "E0001", f->element_span, "these scales are not in this build");
    diag_label(d, "scale %.*s of %.*s", STR_ARG(scale->element), STR_ARG(f->element));
    diag_note(d, "there are: scales in the weight's own float type (write none),\n"
                 "float elements per block(N) scale e8m0, and per block(N) scale e4m3 per tensor scale f32");
}

static void check_quantize(Resolver *r, const Step *step)
{
    const BoundArg *weight = step_arg(step, "weight");
    if (!weight->given) {
        bool any = false;
        for (size_t i = 0; i < step->args.len; i++) {
            any = any || (step->args.at[i].given && step->args.at[i].param->type == PARAM_FORMAT);
        }
        if (!any) {
            Diag *d = diag_error(r->s, "E0204", step->span, "`quantize` does not say what");
            diag_help(d, "quantize(weight = int8 per channel)");
        }
        return;
    }
    const FormatValue *f = weight->value->format;
    if (f->none) {
        return;
    }
    if (f->dynamic || f->per == PER_TOKEN) {
        Diag *d = diag_error(r->s, "E0203", weight->span, "weights are encoded once, before the model runs");
        diag_label(d, f->dynamic ? "`dynamic` scales are for inputs" : "`per token` is for inputs");
        return;
    }
    bool wide = f->bits > 8 || str_is(f->element, "e8m0");
    if (wide) {
        Diag *d = diag_error(r->s, "E0001", weight->span, "weights in %.*s are not in this build", STR_ARG(f->element));
        diag_label(d, "a weight format has at most 8 bits");
        return;
    }
    check_scale_format(r, f);
}

static void check_prune(Resolver *r, const Step *step)
{
    const Value *v = step_arg(step, "pattern")->value;
    double x;
    if (v->type == VALUE_RATIO) {
        if (v->integer < 1 || v->integer >= v->integer2 || v->integer2 > 32) {
            Diag *d = diag_error(r->s, "E0206", v->span, "%lld:%lld is not a pattern", (long long)v->integer, (long long)v->integer2);
            diag_label(d, "N:M keeps N of M neighbours, N below M, M at most 32");
        }
    } else if (!as_number(v, &x) || x <= 0 || x >= 1) {
        Diag *d = diag_error(r->s, "E0206", v->span, "a fraction to prune lies between 0 and 1");
        diag_label(d, "0.5 zeroes half of each tensor");
    }
}

static Step *step_of(Resolver *r, const Schema *schema, const Ast *e)
{
    BoundArg *args;
    size_t count, errors = r->s->diags.errors;
    Step *step = arena_new(r->s->arena, Step);
    step->schema = schema;
    step->span = e->span;
    step->name_span = e->a->span;
    bool ok = bind_args(r, schema, &e->kids, e->a->span, &args, &count);
    step->args.at = args;
    step->args.len = step->args.cap = count;
    if (e->b && !schema->takes_block) {
        diag_error(r->s, "E0204", e->b->span, "`%s` takes no block", schema->name);
        return NULL;
    }
    if (schema->later && r->s->diags.errors == errors) {
        Diag *d = diag_error(r->s, "E0001", e->a->span, "`%s` is not in this build", schema->name);
        diag_label(d, "part of the language, not built yet");
    }
    if (ok && str_is(str_from(schema->name), "quantize")) {
        check_quantize(r, step);
    } else if (ok && str_is(str_from(schema->name), "prune")) {
        check_prune(r, step);
    }
    return r->s->diags.errors == errors && ok ? step : NULL;
}

/* ---- stacks */

static void unknown_step(Resolver *r, const Ast *path, Str name)
{
    Vec(Str) all = {0};
    for (size_t i = 0; r->options->vocabulary->rows[i]; i++) {
        const Schema *row = r->options->vocabulary->rows[i];
        if (row->kind == SCHEMA_STEP || row->kind == SCHEMA_SETTING) {
            vec_push(r->s->arena, &all, str_from(row->name));
        }
    }
    for (size_t i = 0; i < r->module->names.len; i++) {
        const Decl *decl = r->module->names.entries[i].value;
        if (decl->ast->kind == AST_TRANSFORM) {
            vec_push(r->s->arena, &all, r->module->names.entries[i].key);
        }
    }
    Diag *d = diag_error(r->s, "E0201", path->span, "there is no step `%.*s`", STR_ARG(name));
    Str near = nearest_of(name, all.at, all.len);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
        diag_fix(d, false, path->span, "%.*s", STR_ARG(near));
    } else {
        diag_note(d, "steps are quantize, prune, skip; later builds add smooth, awq, rotate, map, choose, finetune");
    }
}

/* The arguments of a transform become a frame; false after an error. */
static bool bind_frame(Resolver *r, const Decl *decl, const Ast *e, Frame *frame)
{
    const Ast *t = decl->ast;
    size_t errors = r->s->diags.errors, position = 0;
    frame->values = map_on(r->s->arena);
    for (size_t i = 0; i < e->kids.len; i++) {
        const Ast *arg = e->kids.at[i], *formal = NULL;
        for (size_t k = 0; k < t->kids.len && arg->name.len; k++) {
            formal = str_eq(t->kids.at[k]->name, arg->name) ? t->kids.at[k] : formal;
        }
        if (arg->name.len == 0 && position < t->kids.len) {
            formal = t->kids.at[position++];
        }
        ParamType type;
        if (!formal) {
            Diag *d = diag_error(r->s, arg->name.len ? "E0202" : "E0204", arg->span, "`%.*s` does not take this", STR_ARG(t->name));
            diag_span(d, t->name_span, "declared here with %zu parameter%s", t->kids.len, t->kids.len == 1 ? "" : "s");
        } else if (type_named(r, formal, &type)) {
            const Value *v = coerce(r, evaluate(r, arg->a), type, str_c(r->s->arena, str_format(r->s->arena, "`%.*s`", STR_ARG(formal->name))));
            if (!map_put(&frame->values, formal->name, (void *)(uintptr_t)v)) {
                diag_error(r->s, "E0204", arg->span, "`%.*s` is given twice", STR_ARG(formal->name));
            }
        }
    }
    Module *outer = r->module;
    r->module = decl->module;
    for (size_t k = 0; k < t->kids.len; k++) {
        const Ast *formal = t->kids.at[k];
        ParamType type;
        if (map_get(&frame->values, formal->name) || !type_named(r, formal, &type)) {
            continue;
        }
        if (!formal->b) {
            diag_error(r->s, "E0204", e->span, "`%.*s` needs `%.*s`", STR_ARG(t->name), STR_ARG(formal->name));
            continue;
        }
        const Value *v = coerce(r, evaluate(r, formal->b), type, "a default");
        map_put(&frame->values, formal->name, (void *)(uintptr_t)v);
    }
    r->module = outer;
    return r->s->diags.errors == errors;
}

static void inline_transform(Resolver *r, Decl *decl, const Ast *e, StepList *out, int stage, int rule)
{
    Frame frame = {.transform = decl->ast, .outer = NULL, .depth = r->frame ? r->frame->depth + 1 : 1};
    if (frame.depth > 32) {
        Diag *d = diag_error(r->s, "E0208", e->span, "`%.*s` uses itself", STR_ARG(decl->ast->name));
        diag_span(d, decl->ast->name_span, "declared here");
        return;
    }
    if (e->b) {
        diag_error(r->s, "E0204", e->b->span, "`%.*s` takes no block", STR_ARG(decl->ast->name));
        return;
    }
    if (!bind_frame(r, decl, e, &frame)) {
        return;
    }
    Frame *outer = r->frame;
    Module *module = r->module;
    r->frame = &frame;
    r->module = decl->module;
    size_t errors = r->s->diags.errors;
    resolve_steps(r, decl->ast->a, out, stage, rule);
    if (r->s->diags.errors > errors && decl->ast->span.source) {
        diag_span(vec_last(&r->s->diags.all), e->span, "used here");
    }
    r->frame = outer;
    r->module = module;
}

static Decl *transform_named(Resolver *r, const Ast *path, bool *reported)
{
    Module *m = r->module;
    Str name = path->kids.at[path->kids.len - 1]->name;
    *reported = false;
    if (path->kids.len > 2) {
        diag_error(r->s, "E0201", path->span, "a step is NAME or IMPORT.NAME");
        *reported = true;
        return NULL;
    }
    if (path->kids.len == 2) {
        Import *import = map_get(&m->imports, path->kids.at[0]->name);
        if (!import) {
            diag_error(r->s, "E0201", path->kids.at[0]->span, "nothing is imported as `%.*s`", STR_ARG(path->kids.at[0]->name));
        }
        *reported = !import || !import->module;
        m = import ? import->module : NULL;
    }
    Decl *decl = m ? map_get(&m->names, name) : NULL;
    return decl && decl->ast->kind == AST_TRANSFORM ? decl : NULL;
}

static void one_step(Resolver *r, const Ast *e, StepList *out, int stage, int rule)
{
    bool reported;
    Decl *decl = transform_named(r, e->a, &reported);
    Str name = e->a->kids.at[e->a->kids.len - 1]->name;
    if (reported) {
        return;
    }
    if (decl) {
        inline_transform(r, decl, e, out, stage, rule);
        return;
    }
    const Schema *schema = vocabulary_find(r->options->vocabulary, SCHEMA_STEP, name);
    schema = schema ? schema : vocabulary_find(r->options->vocabulary, SCHEMA_SETTING, name);
    if (!schema || e->a->kids.len > 1) {
        unknown_step(r, e->a, name);
        return;
    }
    Step *step = step_of(r, schema, e);
    if (step) {
        vec_push(r->s->arena, out, step);
    }
}

void resolve_steps(Resolver *r, const Ast *block, StepList *out, int stage, int rule)
{
    for (size_t i = 0; i < block->kids.len; i++) {
        const Ast *e = block->kids.at[i];
        if (e->kind == AST_EXPECT) {
            resolve_expect(r, e, stage, rule);
        } else if (e->kind == AST_BLOCK) {
            diag_error(r->s, "E0204", e->span, "a block of its own stands only inside `choose`");
        } else {
            one_step(r, e, out, stage, rule);
        }
    }
}

/* A step's phase must not go back; a phase is not entered twice; skip stands alone. */
void check_stack(Resolver *r, const Rule *rule)
{
    for (size_t i = 1; i < rule->steps.len; i++) {
        const Step *a = rule->steps.at[i - 1], *b = rule->steps.at[i];
        if (a->schema->phase == PHASE_SKIP || b->schema->phase == PHASE_SKIP) {
            const Step *skip = a->schema->phase == PHASE_SKIP ? a : b, *other = skip == a ? b : a;
            Diag *d = diag_error(r->s, "E0407", skip->span, "`skip` leaves a layer alone; it cannot stand beside `%s`", other->schema->name);
            diag_span(d, other->name_span, "this would change the layer");
        } else if (b->schema->phase < a->schema->phase) {
            Diag *d = diag_error(r->s, "E0403", b->name_span, "`%s` cannot come after `%s`", b->schema->name, a->schema->name);
            diag_label(d, "... so `%s` can no longer edit them", b->schema->name);
            diag_span(d, a->name_span, "these weights are encoded here ...");
            bool adjacent = a->span.source == b->span.source;
            if (adjacent) {
                diag_help(d, "swap lines %u and %u  (morc check --fix does it)", source_place(a->span.source, a->span.offset).line, source_place(b->span.source, b->span.offset).line);
                Str first = span_text(a->span), second = span_text(b->span);
                diag_fix(d, true, a->span, "%.*s", STR_ARG(second));
                diag_fix(d, true, b->span, "%.*s", STR_ARG(first));
            }
        } else if (a->schema == b->schema) {
            Diag *d = diag_error(r->s, "E0407", b->name_span, "`%s` stands twice in one stack", b->schema->name);
            diag_label(d, "again here");
            diag_span(d, a->name_span, "first here");
        }
    }
}

bool resolve_setting(Resolver *r, const Ast *e, StepList *out)
{
    Str name = e->a->kids.at[e->a->kids.len - 1]->name;
    const Schema *schema = vocabulary_find(r->options->vocabulary, SCHEMA_SETTING, name);
    if (!schema) {
        if (vocabulary_find(r->options->vocabulary, SCHEMA_STEP, name)) {
            Diag *d = diag_error(r->s, "E0204", e->span, "`%.*s` needs layers to work on", STR_ARG(name));
            diag_help(d, "on linear { %.*s }", STR_ARG(span_text(e->span)));
        } else {
            unknown_step(r, e->a, name);
        }
        return false;
    }
    Step *step = step_of(r, schema, e);
    if (step) {
        vec_push(r->s->arena, out, step);
    }
    return step != NULL;
}

const Step *resolve_emit(Resolver *r, const Ast *emit)
{
    Ast *step_ast = arena_new(r->s->arena, Ast);
    const Ast *e = emit ? unparen(emit->a) : NULL;
    const Ast *name = e && e->kind == AST_CALL ? unparen(e->a) : e;
    Str word = name ? name->name : STR("qdq");
    const Schema *schema = vocabulary_find(r->options->vocabulary, SCHEMA_EMIT, word);
    if (!schema || (name && name->kind != AST_NAME)) {
        Diag *d = diag_error(r->s, "E0201", e->span, "there is no output `%.*s`", STR_ARG(span_text(name->span)));
        Str near = vocabulary_nearest(r->options->vocabulary, SCHEMA_EMIT, word);
        diag_label(d, near.len ? "did you mean `%.*s`?" : "qdq, ort%.*s", STR_ARG(near));
        return NULL;
    }
    step_ast->kind = AST_STEP;
    step_ast->span = e ? e->span : (Span){0};
    step_ast->a = step_ast;
    if (e && e->kind == AST_CALL) {
        step_ast->kids = e->kids;
    }
    return step_of(r, schema, step_ast);
}

const Value *evaluate_data(Resolver *r, Str name, const Ast *e)
{
    const Ast *call = unparen(e);
    const Ast *loader = call->kind == AST_CALL ? unparen(call->a) : NULL;
    if (!loader || loader->kind != AST_NAME) {
        return wrong_type(r, e->span, "a data source such as npz(\"calib.npz\")", evaluate(r, e));
    }
    const Schema *schema = vocabulary_find(r->options->vocabulary, SCHEMA_DATA, loader->name);
    if (!schema) {
        Diag *d = diag_error(r->s, "E0201", loader->span, "there is no data source `%.*s`", STR_ARG(loader->name));
        Str near = vocabulary_nearest(r->options->vocabulary, SCHEMA_DATA, loader->name);
        diag_label(d, near.len ? "did you mean `%.*s`?" : "npz, npy, safetensors, random%.*s", STR_ARG(near));
        return poison(r, e->span);
    }
    BoundArg *args;
    size_t count;
    if (!bind_args(r, schema, &call->kids, call->span, &args, &count)) {
        return poison(r, e->span);
    }
    if (schema->later) {
        diag_error(r->s, "E0001", loader->span, "`%s` is not in this build", schema->name);
        return poison(r, e->span);
    }
    Data *data = arena_new(r->s->arena, Data);
    data->name = name;
    data->span = e->span;
    data->loader = schema;
    data->args.at = args;
    data->args.len = data->args.cap = count;
    vec_push(r->s->arena, &r->recipe->data, data);
    Value *v = value_new(r, VALUE_DATA, e->span);
    v->data = data;
    return v;
}

void resolve_expect(Resolver *r, const Ast *e, int stage, int rule)
{
    Mode mode = r->mode;
    r->mode = rule >= 0 ? MODE_RULE : MODE_RECIPE;
    const Value *v = evaluate(r, e->a);
    r->mode = mode;
    if (v->type == VALUE_POISON) {
        return;
    }
    Expect expect = {.span = e->a->span, .message = e->b ? e->b->text : (Str){"", 0}, .rule = rule, .stage = stage};
    if (v->type == VALUE_EXPR && v->expr->type == VALUE_BOOL) {
        expect.condition = v->expr;
    } else if (v->type == VALUE_BOOL) {
        Expr *x = arena_new(r->s->arena, Expr);
        x->kind = EXPR_CONST;
        x->type = VALUE_BOOL;
        x->span = v->span;
        x->value = v;
        expect.condition = x;
    } else {
        wrong_type(r, e->a->span, "a condition, such as bits <= 5.0,", v);
        return;
    }
    vec_push(r->s->arena, &r->recipe->expects, expect);
}
