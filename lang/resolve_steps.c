/* Stacks: steps against the vocabulary, transforms written out, and the order that makes sense. A
 * stack runs edit -> encode -> tune; what goes back is E0403. A step that is not in this build is
 * E0001, unless something else is wrong with it. */
#include "lang/resolve_parts.h"

/* ---- one step */

static const char *const weight_roles[] = {"weight", "bias", NULL};
static const char *const data_roles[] = {"input", "output", "kv", NULL};

static const FormatValue *role_format(const Step *step, const char *role, const BoundArg **arg) {
    if (!schema_param(step->schema, str_from(role))) {
        return NULL;
    }
    *arg = arg_given(&step->args, role);
    bool fits = *arg && (*arg)->value->type == VALUE_FORMAT;
    return fits ? (*arg)->value->format : NULL;
}

/* A weight is stored: its scale is known, and a format that only holds scales is no use. */
static bool check_weight(Resolver *r, const Step *step, const char *role) {
    const BoundArg *arg;
    const FormatValue *f = role_format(step, role, &arg);
    if (!f || f->none) {
        return true;
    }
    if (f->dynamic || f->per == PER_TOKEN) {
        Diag *d = diag_error(r->s, "E0506", arg->span, "weights are encoded once, before the run");
        diag_label(d, f->dynamic ? "`dynamic` scales are for activations"
                                 : "`per token` is for activations");
        return false;
    }
    for (const ElementInfo *e = r->options->elements; e && e->name; e++) {
        bool this = e->scale_only && str_is(f->element, e->name);
        if (this && str_is(f->element, "e8m0")) {
            Diag *d = diag_error(r->s, "E0210", arg->span, "`e8m0` does not fit a %s", role);
            diag_label(d, "it holds powers of two: a format of scales");
            return false;
        }
        if (this) {
            for_later(r, arg->span, "`%s` as a format of weights", e->name);
        }
    }
    return true;
}

static bool check_quantize(Resolver *r, const Step *step) {
    bool any = false, ok = true;
    for (size_t i = 0; i < step->args.len; i++) {
        any = any || (step->args.at[i].given && step->args.at[i].param->type == PARAM_FORMAT);
    }
    if (!any) {
        Diag *d = diag_error(r->s, "E0204", step->name_span, "`quantize` needs a format");
        diag_label(d, "as in quantize(weight = int8 per channel)");
        return false;
    }
    for (const char *const *role = weight_roles; *role; role++) {
        ok = check_weight(r, step, *role) && ok;
    }
    return ok;
}

static bool check_prune(Resolver *r, const Step *step) {
    for (size_t i = 0; i < step->args.len; i++) {
        const BoundArg *arg = &step->args.at[i];
        if (arg->given && (arg->param->type == PARAM_PATTERN || arg->param->type == PARAM_FN)) {
            return true;
        }
    }
    Diag *d = diag_error(r->s, "E0204", step->name_span, "`prune` needs a pattern");
    diag_label(d, "as in prune(2:4) or prune(0.5)");
    return false;
}

static void resolve_item(Resolver *r, Scope *scope, const Ast *item, Stack *out);

static bool alternatives(Resolver *r, Context c, const Ast *ast, Step *step) {
    bool ok = true;
    for (size_t i = 0; i < ast->b->kids.len; i++) {
        const Ast *kid = ast->b->kids.at[i];
        StepList *list = arena_new(r->s->arena, StepList);
        Stack stack = {.steps = list, .rule = -1};
        size_t errors = r->s->diags.errors;
        if (kid->kind == AST_EXPECT) {
            diag_label(diag_error(r->s, "E0209", kid->span, "an `expect` is no alternative"),
                       "it belongs in the rule");
        } else if (kid->kind == AST_BLOCK) {
            resolve_block(r, c.scope, kid, &stack);
        } else {
            resolve_item(r, c.scope, kid, &stack);
        }
        ok = ok && errors == r->s->diags.errors;
        vec_push(r->s->arena, &step->alternatives, list);
    }
    return ok;
}

static bool check_block(Resolver *r, Context c, const Ast *ast, Step *step) {
    const Schema *schema = step->schema;
    if (ast->b && !schema->takes_block) {
        Diag *d = diag_error(r->s, "E0209", ast->b->span, "`%s` takes no block", schema->name);
        diag_label(d, "only `choose` has alternatives");
        return false;
    }
    if (!ast->b && schema->takes_block) {
        Diag *d =
            diag_error(r->s, "E0204", step->name_span, "`%s` needs alternatives", schema->name);
        diag_label(d, "write them in braces after it");
        return false;
    }
    return !ast->b || alternatives(r, c, ast, step);
}

Step *resolve_step(Resolver *r, Context c, const Schema *schema, const Ast *ast) {
    Step *step = arena_new(r->s->arena, Step);
    *step = (Step){.schema = schema, .span = ast->span, .name_span = ast->a->span};
    bool ok = bind_args(r, c, schema, &ast->kids, step->name_span, &step->args);
    if (ok && str_is(str_from(schema->name), "quantize")) {
        ok = check_quantize(r, step);
    }
    if (ok && str_is(str_from(schema->name), "prune")) {
        ok = check_prune(r, step);
    }
    ok = check_block(r, c, ast, step) && ok;
    if (!ok) {
        step->wrong = true;
        not_for_later(r, ast->span);
    } else if (schema->later) {
        not_for_later(r, ast->span); /* the step says it for its arguments, too */
        for_later(r, step->name_span, "`%s`", schema->name);
    }
    return step;
}

/* ---- transforms */

/* The parameters as a schema, so that arguments are checked as those of any step. */
static const Schema *transform_schema(Resolver *r, Decl *decl) {
    if (decl->schema) {
        return decl->schema;
    }
    const AstList *formals = &decl->ast->kids;
    Param *params = arena_many(r->s->arena, Param, formals->len + 1);
    for (size_t i = 0; i < formals->len; i++) {
        const Ast *formal = formals->at[i];
        params[i] = (Param){.name = str_c(r->s->arena, formal->name),
                            .required = !formal->b,
                            .doc = formal->b ? "" : "it has no default"};
        if (!param_type(r, formal, &params[i])) {
            return NULL;
        }
    }
    Schema *schema = arena_new(r->s->arena, Schema);
    *schema =
        (Schema){.name = str_c(r->s->arena, decl->name), .kind = SCHEMA_STEP, .params = params};
    decl->schema = schema;
    return schema;
}

enum { EXPANSION_WORK = 10 }; /* a scope of its own is more than one evaluation */

/* Body of a transform with its parameters bound; args NULL: a trial, unknown ones are poison. */
static void expand(Resolver *r, Decl *decl, const ArgList *args, Stack *out, Span at) {
    if (decl->state == DECL_BUSY) {
        Diag *d = diag_error(r->s, "E0208", decl->span, "`%.*s` is defined by itself",
                             STR_ARG(decl->name));
        diag_label(d, "a transform cannot contain itself");
        return;
    }
    decl->state = DECL_BUSY;
    r->work += EXPANSION_WORK;
    Scope *local = scope_new(r, decl->scope, decl->scope->module);
    for (size_t i = 0; i < decl->ast->kids.len; i++) {
        const Ast *formal = decl->ast->kids.at[i];
        const Value *given = args && args->at[i].given ? args->at[i].value : NULL;
        Span place = given ? args->at[i].span : formal->span;
        const Value *v = param_value(r, decl->scope, formal, given, place, NULL);
        declare_value(r, local, formal, v ? v : POISON);
    }
    if (resolver_enter(r, at)) {
        resolve_block(r, local, decl->ast->a, out);
    }
    resolver_leave(r);
    decl->state = DECL_NEW;
}

void check_transform(Resolver *r, Decl *decl) {
    bool trial = r->trial;
    StepList steps = {0};
    Stack stack = {.steps = &steps, .rule = -1};
    r->trial = true;
    if (transform_schema(r, decl)) {
        expand(r, decl, NULL, &stack, decl->span);
        check_stack(r, &steps);
    }
    r->trial = trial;
}

static void call_transform(Resolver *r, Scope *scope, Decl *decl, const Ast *ast, Stack *out) {
    const Schema *schema = transform_schema(r, decl);
    ArgList args = {0};
    if (ast->b) {
        diag_label(diag_error(r->s, "E0209", ast->b->span, "a transform takes no block"),
                   "only `choose` has alternatives");
    }
    Context c = {scope, AT_CONSTANT};
    if (schema && bind_args(r, c, schema, &ast->kids, ast->a->span, &args)) {
        expand(r, decl, &args, out, ast->span);
    }
}

/* ---- a line of a stack */

static void unknown_step(Resolver *r, Scope *scope, const Ast *ast, Str name) {
    Vec(Str) words = {0};
    for (const Schema *const *row = r->options->vocabulary->rows; *row; row++) {
        if ((*row)->kind == SCHEMA_STEP || (*row)->kind == SCHEMA_SETTING) {
            vec_push(r->s->arena, &words, str_from((*row)->name));
        }
    }
    for (const Scope *in = scope; in; in = in->outer) {
        for (size_t i = 0; i < in->names.len; i++) {
            const Decl *decl = in->names.entries[i].value;
            if (decl->ast->kind == AST_TRANSFORM) {
                vec_push(r->s->arena, &words, decl->name);
            }
        }
    }
    Str nearest = nearest_of(name, words.at, words.len);
    Diag *d = diag_error(r->s, "E0201", ast->a->span, "there is no step `%.*s`", STR_ARG(name));
    if (scope_find(scope, name)) {
        diag_label(d, "this name is no transform");
    } else if (nearest.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, ast->a->span, "%.*s", STR_ARG(nearest));
    }
    for (size_t i = 0; i < ast->kids.len; i++) {
        const Ast *value = unwrap(ast->kids.at[i]->a);
        if (value->kind != AST_NAME) { /* a bare word may be a method that only the step knows */
            eval_constant(r, scope, value);
        }
    }
}

static void step_line(Resolver *r, Scope *scope, const Ast *ast, Stack *out) {
    const AstList *path = &ast->a->kids;
    Str name = path->at[0]->name;
    if (path->len > 2) {
        diag_label(diag_error(r->s, "E0203", ast->a->span, "imports have no members of members"),
                   "write NAME or IMPORT.NAME");
        return;
    }
    if (path->len == 2) {
        Decl *decl = import_member(r, scope, path->at[0], path->at[1]->name, path->at[1]->span);
        if (decl && decl->ast->kind == AST_TRANSFORM) {
            call_transform(r, scope, decl, ast, out);
        } else if (decl) {
            diag_label(diag_error(r->s, "E0203", ast->a->span, "this is no transform"),
                       "a stack is made of steps and transforms");
        }
        return;
    }
    const Schema *schema = vocabulary_find(r->options->vocabulary, SCHEMA_STEP, name);
    schema = schema ? schema : vocabulary_find(r->options->vocabulary, SCHEMA_SETTING, name);
    Decl *decl = schema ? NULL : scope_find(scope, name);
    if (schema && strcmp(schema->name, "evaluate") == 0) {
        diag_label(diag_error(r->s, "E0209", ast->a->span, "`evaluate` has no meaning here"),
                   "it judges the whole model: write it outside of the rules");
    } else if (schema) {
        vec_push(r->s->arena, out->steps,
                 resolve_step(r, (Context){scope, AT_CONSTANT}, schema, ast));
    } else if (decl && decl->ast->kind == AST_TRANSFORM) {
        call_transform(r, scope, decl, ast, out);
    } else {
        unknown_step(r, scope, ast, name);
    }
}

static void resolve_item(Resolver *r, Scope *scope, const Ast *item, Stack *out) {
    if (!resolver_enter(r, item->span)) {
        resolver_leave(r);
        return;
    }
    if (item->kind == AST_STEP) {
        step_line(r, scope, item, out);
    } else if (item->kind == AST_EXPECT) {
        resolve_expect(r, (Context){scope, AT_RULE_EXPECT}, item, out->rule, out->stage);
        out->expects++;
    } else if (item->kind == AST_BLOCK) {
        Diag *d = diag_error(r->s, "E0209", item->span, "a group of steps has no meaning here");
        diag_label(d, "groups are alternatives of `choose`");
    }
    resolver_leave(r);
}

void resolve_block(Resolver *r, Scope *scope, const Ast *block, Stack *out) {
    for (size_t i = 0; i < block->kids.len; i++) {
        resolve_item(r, scope, block->kids.at[i], out);
    }
}

/* ---- order */

static void order_texts(Diag *d, const Step *early, const Step *late) {
    static const char *const done[] = {
        [PHASE_EDIT] = "edited", [PHASE_ENCODE] = "encoded", [PHASE_TUNE] = "trained"};
    if (late->schema->phase == PHASE_EDIT) {
        diag_label(d, "... so `%s` can no longer edit them", late->schema->name);
    } else {
        diag_label(d, "... so `%s` comes too late", late->schema->name);
    }
    diag_span(d, early->name_span, "these weights are %s here ...", done[early->schema->phase]);
}

/* Do two steps of one text stand on lines of their own, with nothing between them? */
static bool next_to(const Step *a, const Step *b) {
    const Source *source = a->span.source;
    uint32_t from = a->span.offset + a->span.length, to = b->span.offset;
    if (source != b->span.source || from > to) {
        return false;
    }
    Str between = str_slice(source->text, from, to);
    for (size_t i = 0; i < between.len; i++) {
        if (!strchr(" \t\r\n", between.data[i])) {
            return false;
        }
    }
    return str_find(between, '\n') >= 0;
}

static void report_order(Resolver *r, const Step *early, const Step *late, bool adjacent) {
    Diag *d = diag_error(r->s, "E0403", late->name_span, "`%s` cannot come after `%s`",
                         late->schema->name, early->schema->name);
    order_texts(d, early, late);
    const Source *source = late->span.source;
    uint32_t a = source_place(source, early->span.offset).line,
             b = source_place(source, late->span.offset).line;
    if (adjacent && next_to(early, late)) {
        diag_help(d, "swap lines %u and %u  (morc check --fix does it)", a, b);
        Str early_text = span_text(early->span), late_text = span_text(late->span);
        diag_fix(d, true, early->span, "%.*s", STR_ARG(late_text));
        diag_fix(d, true, late->span, "%.*s", STR_ARG(early_text));
    } else {
        diag_help(
            d, "put `%s` before `%s`; to change weights again after that, write a second `stage`",
            late->schema->name, early->schema->name);
    }
    not_for_later(r, late->span);
    not_for_later(r, early->span);
}

static void report_pair(Resolver *r, const Step *first, const Step *second) {
    bool skip = first->schema->phase == PHASE_SKIP || second->schema->phase == PHASE_SKIP;
    bool edit = first->schema->phase == PHASE_EDIT;
    Diag *d = diag_error(r->s, "E0403", second->name_span, "%s",
                         skip   ? "`skip` stands alone"
                         : edit ? "these weights get the same step twice"
                                : "these weights get two encodings");
    diag_label(d, skip ? "it leaves nothing for other steps" : "... and again here");
    diag_span(d, first->name_span,
              skip   ? "beside this"
              : edit ? "first here ..."
                     : "encoded here ...");
    not_for_later(r, first->span);
    not_for_later(r, second->span);
}

void check_stack(Resolver *r, const StepList *steps) {
    const Step *last = NULL, *furthest = NULL;
    for (size_t i = 0; i < steps->len; i++) {
        const Step *step = steps->at[i];
        if (step->schema->phase == PHASE_SETTING) {
            continue;
        }
        bool skip =
            step->schema->phase == PHASE_SKIP || (last && last->schema->phase == PHASE_SKIP);
        bool twice =
            last && (last->schema == step->schema ||
                     (last->schema->phase == PHASE_ENCODE && step->schema->phase == PHASE_ENCODE));
        if (last && (skip || twice)) {
            report_pair(r, last, step);
        } else if (furthest && step->schema->phase < furthest->schema->phase) {
            report_order(r, furthest, step, furthest == last);
        }
        if (!furthest || step->schema->phase >= furthest->schema->phase) {
            furthest = step;
        }
        last = step;
    }
}

/* ---- what a step needs from the rest of its stage */

static bool has_step(const StepList *steps, const char *name) {
    for (size_t i = 0; i < steps->len; i++) {
        if (strcmp(steps->at[i]->schema->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool quantizes_weights(const Step *step) {
    const BoundArg *arg;
    const FormatValue *f =
        strcmp(step->schema->name, "quantize") == 0 ? role_format(step, "weight", &arg) : NULL;
    bool found = (f && !f->none) || step->wrong;
    for (size_t i = 0; i < step->alternatives.len && !found; i++) {
        for (size_t k = 0; k < step->alternatives.at[i]->len && !found; k++) {
            found = quantizes_weights(step->alternatives.at[i]->at[k]);
        }
    }
    return found;
}

/* Static scales of activations are measured on data. */
static void check_data(Resolver *r, const Step *step) {
    for (const char *const *role = data_roles; *role; role++) {
        const BoundArg *arg;
        const FormatValue *f = role_format(step, *role, &arg);
        if (!f || f->none || f->dynamic || step->wrong) {
            continue;
        }
        Span whole = span_join(arg->name_span, arg->span);
        Diag *d =
            diag_error(r->s, "E0701", whole, "static `%s` scales need calibration data", *role);
        diag_label(d, r->recipe->data.len ? "measured on data, and nothing calibrates"
                                          : "measured on data, and this recipe has none");
        diag_help(d, "data calib = npz(\"calib.npz\")      and      calibrate(data = calib)");
        diag_note(d, "random data is never used unless you write  data calib = random(seed = 0)");
        not_for_later(r, whole);
    }
    for (size_t i = 0; i < step->alternatives.len; i++) {
        for (size_t k = 0; k < step->alternatives.at[i]->len; k++) {
            check_data(r, step->alternatives.at[i]->at[k]);
        }
    }
}

static void report_awq(Resolver *r, const Step *awq) {
    Diag *d = diag_error(r->s, "E0404", awq->name_span, "`awq` has no format to prepare for");
    diag_label(d, "no rule of this stage quantizes weights");
    diag_help(d, "add a step after it:  quantize(weight = int4 per block(128))");
    not_for_later(r, awq->span);
}

void check_stage(Resolver *r, const Stage *stage) {
    bool encodes = false;
    for (size_t i = 0; i < stage->rules.len; i++) {
        for (size_t k = 0; k < stage->rules.at[i].steps.len; k++) {
            encodes = encodes || quantizes_weights(stage->rules.at[i].steps.at[k]);
        }
    }
    for (size_t i = 0; i < stage->rules.len; i++) {
        const StepList *steps = &stage->rules.at[i].steps;
        bool calibrated = has_step(&stage->settings, "calibrate") || has_step(steps, "calibrate");
        for (size_t k = 0; k < steps->len; k++) {
            if (!calibrated) {
                check_data(r, steps->at[k]);
            }
            if (!encodes && strcmp(steps->at[k]->schema->name, "awq") == 0) {
                report_awq(r, steps->at[k]);
            }
        }
    }
}
