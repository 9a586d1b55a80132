/* Arguments against a Schema: by position or by name, every one known, of its type and in its
 * range, given once; what is missing gets its default. Every wrong argument of a call is reported.
 */
#include "lang/resolve_parts.h"
#include "lang/parse.h"
#include <stdlib.h>

/* ---- choices: "max | mse | gptq*" */

/* The next word of a choice list, and whether it is for later; false at the end. */
static bool next_choice(const char **at, Str *word, bool *later) {
    const char *p = *at + strspn(*at, " |");
    size_t n = strcspn(p, " |");
    *word = (Str){p, n};
    *later = n > 0 && p[n - 1] == '*';
    word->len -= *later ? 1 : 0;
    *at = p + n;
    return n > 0;
}

static bool find_choice(const Param *p, Str name, bool *later) {
    Str word;
    for (const char *at = p->choices ? p->choices : ""; next_choice(&at, &word, later);) {
        if (str_eq(word, name)) {
            return true;
        }
    }
    return false;
}

static void unknown_choice(Resolver *r, const Param *p, const Ast *e, const char *what) {
    Str words[32], word, name = e->kind == AST_NAME ? e->name : STR("");
    size_t n = 0;
    bool later;
    for (const char *at = p->choices; n < 32 && next_choice(&at, &word, &later);) {
        words[n++] = word;
    }
    Buf all = buf_on(r->s->arena);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&all, "%s%.*s", i == 0 ? "" : i + 1 == n ? " or " : ", ", STR_ARG(words[i]));
    }
    Diag *d = diag_error(r->s, "E0203", e->span, "%s is %s", what, all.data);
    Str nearest = nearest_of(name, words, n);
    if (nearest.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, e->span, "%.*s", STR_ARG(nearest));
    }
}

static const Value *choice_value(Resolver *r, Context c, const Ast *e, Str name, bool later) {
    Value *v = value_new(r, VALUE_CHOICE, e->span);
    v->text = name;
    v->method = vocabulary_find(r->options->vocabulary, SCHEMA_METHOD, name);
    bool called = e->kind == AST_CALL;
    static const AstList nothing;
    if (v->method) {
        ArgList args = {0};
        if (!bind_args(r, c, v->method, called ? &e->kids : &nothing, e->span, &args)) {
            return POISON;
        }
        for (size_t i = 0; i < args.len; i++) {
            vec_push(r->s->arena, &v->args, args.at[i]);
        }
    } else if (called && e->kids.len) {
        diag_label(diag_error(r->s, "E0204", e->span, "`%.*s` takes no arguments", STR_ARG(name)),
                   "write `%.*s`", STR_ARG(name));
        return POISON;
    }
    if (later) {
        for_later(r, e->span, "`%.*s`", STR_ARG(name));
    }
    return v;
}

/* A bare word of the list, seen through parentheses and `if`; NULL: not one, look elsewhere. */
static const Value *eval_choice(Resolver *r, Context c, const Ast *e, const Param *p,
                                const char *what) {
    e = unwrap(e);
    if (e->kind == AST_IF) {
        const Value *condition = eval(r, c, e->a);
        const Value *then = eval_for(r, c, e->b, p, what),
                    *otherwise = eval_for(r, c, e->c, p, what);
        if (condition->type == VALUE_BOOL) {
            return condition->flag ? then : otherwise;
        }
        if (condition->type != VALUE_POISON) {
            diag_error(r->s, "E0203", e->a->span, "the condition of `if` is true or false");
        }
        return POISON;
    }
    bool later = false, is_call = e->kind == AST_CALL && e->a->kind == AST_NAME;
    Str name = e->kind == AST_NAME ? e->name : is_call ? e->a->name : STR("");
    if (find_choice(p, name, &later)) {
        return choice_value(r, c, e, name, later);
    }
    if (p->type != PARAM_CHOICE) {
        return NULL;
    }
    unknown_choice(r, p, is_call ? e->a : e, what);
    return POISON;
}

/* ---- conversion */

static bool type_fits(ParamType type, const Value *v) {
    switch (type) {
    case PARAM_INT:
        return v->type == VALUE_INT;
    case PARAM_FLOAT:
        return value_is_number(v);
    case PARAM_BOOL:
        return v->type == VALUE_BOOL;
    case PARAM_STRING:
        return v->type == VALUE_STRING;
    case PARAM_RATIO:
        return v->type == VALUE_RATIO;
    case PARAM_RANGE:
        return v->type == VALUE_RANGE;
    case PARAM_LIST:
        return v->type == VALUE_LIST;
    case PARAM_SELECTOR:
        return v->type == VALUE_SELECTOR || v->type == VALUE_STRING;
    case PARAM_FORMAT:
        return v->type == VALUE_FORMAT;
    case PARAM_DATA:
        return v->type == VALUE_DATA;
    case PARAM_FN:
        return v->type == VALUE_FN;
    case PARAM_CHOICE:
        return v->type == VALUE_CHOICE;
    case PARAM_PATTERN:
        return v->type == VALUE_RATIO || value_is_number(v);
    case PARAM_POSITION:
        return v->type == VALUE_INT || (v->type == VALUE_RANGE && v->flag);
    }
    return false;
}

static const char *type_wanted(ParamType type) {
    static const char *const words[] = {
        [PARAM_INT] = "a whole number",
        [PARAM_FLOAT] = "a number",
        [PARAM_BOOL] = "true or false",
        [PARAM_STRING] = "a string",
        [PARAM_RATIO] = "a ratio",
        [PARAM_RANGE] = "a range",
        [PARAM_LIST] = "a list",
        [PARAM_SELECTOR] = "a selector",
        [PARAM_FORMAT] = "a format",
        [PARAM_DATA] = "data",
        [PARAM_FN] = "a function",
        [PARAM_CHOICE] = "a word",
        [PARAM_PATTERN] = "N:M or a fraction",
        [PARAM_POSITION] = "a whole number or a range of them",
    };
    return words[type];
}

/* "0.0..1.0", "1.." */
static bool in_range(const char *range, double x) {
    const char *dots = strstr(range, "..");
    assert(dots && "a range has two ends");
    return x >= strtod(range, NULL) && (!dots[2] || x <= strtod(dots + 2, NULL));
}

static const Value *range_error(Resolver *r, Span at, const char *what, const char *label,
                                const char *code) {
    diag_label(diag_error(r->s, code, at, "%s is out of range", what), "%s", label);
    return POISON;
}

/* 2:4 keeps some of each group, a fraction zeroes some of all. */
static const Value *check_pattern(Resolver *r, const Value *v, Span at, const char *what,
                                  const char *code) {
    if (v->type == VALUE_RATIO) {
        bool fits = v->integer >= 1 && v->integer < v->integer2 && v->integer2 <= 64;
        return fits ? v : range_error(r, at, what, "N:M keeps N of each M, 1 <= N < M <= 64", code);
    }
    bool fits = v->number > 0.0 && v->number < 1.0;
    return fits ? v : range_error(r, at, what, "a fraction lies between 0 and 1", code);
}

const Value *convert(Resolver *r, const Value *v, const Param *p, Span at, const char *what,
                     const char *code) {
    if (v->type == VALUE_POISON || (v->type == VALUE_CHOICE && p->choices)) {
        return v;
    }
    const char *wrong_type = code ? code : "E0203", *wrong_range = code ? code : "E0206";
    if (p->type == PARAM_FORMAT && v->type == VALUE_LIST) {
        for_later(r, at, "a list of formats");
        return POISON;
    }
    if (!type_fits(p->type, v)) {
        Diag *d = diag_error(r->s, wrong_type, at, "%s takes %s", what, type_wanted(p->type));
        diag_label(d, "this is %s", value_type_words(v->type == VALUE_EXPR ? VALUE_EXPR : v->type));
        return POISON;
    }
    if (p->type == PARAM_SELECTOR && v->type == VALUE_STRING) {
        const Selector *selector = as_selector(r, v);
        Value *set = value_new(r, VALUE_SELECTOR, v->span);
        set->selector = selector;
        return selector ? set : POISON;
    }
    if (p->type == PARAM_PATTERN) {
        return check_pattern(r, v, at, what, wrong_range);
    }
    if (p->range && value_is_number(v) && !in_range(p->range, v->number)) {
        return range_error(r, at, what, str_format(r->s->arena, "allowed: %s", p->range).data,
                           wrong_range);
    }
    return p->type == PARAM_FLOAT && v->type == VALUE_INT ? value_float(r, v->number, v->span) : v;
}

const Value *eval_for(Resolver *r, Context c, const Ast *e, const Param *p, const char *what) {
    if (p->choices) {
        const Value *v = resolver_enter(r, e->span) ? eval_choice(r, c, e, p, what) : POISON;
        resolver_leave(r);
        if (v) {
            return v;
        }
    }
    const Ast *inner = unwrap(e);
    if (p->type == PARAM_FN && inner->kind == AST_NAME) {
        Decl *decl = scope_find(c.scope, inner->name);
        if (decl && decl->ast->kind == AST_FN) {
            return POISON; /* its declaration is E0001 */
        }
    }
    return convert(r, eval(r, c, e), p, e->span, what, NULL);
}

/* ---- defaults: recipe text in the schema, evaluated once */

static const Value *default_value(Resolver *r, const Schema *schema, const Param *p) {
    Str key = {(const char *)&p, sizeof p};
    const Value *known = map_get(&r->defaults, key);
    if (known || !p->initial) {
        return known;
    }
    Ast *ast = NULL;
    const Source *source =
        source_make(r->s->arena, str_from(schema->name), str_from(p->initial), false);
    bool ok = parse_expr(r->s, source, &ast);
    assert(ok && "the default of a schema parses");
    (void)ok;
    Scope *nothing = scope_new(r, NULL, NULL);
    const size_t depth = r->depth, work = r->work;
    const bool spent = r->spent;
    r->depth = r->work = 0; /* a default is right whatever the recipe did */
    r->spent = false;
    const Value *v = eval_for(r, (Context){nothing, AT_CONSTANT}, ast, p, p->name);
    r->depth = depth;
    r->work = work;
    r->spent = spent;
    assert(v->type != VALUE_POISON && "the default of a schema fits");
    map_put(&r->defaults, key, (void *)(uintptr_t)v);
    return v;
}

/* ---- binding */

void report_unknown_argument(Resolver *r, const Schema *schema, Str name, Span at) {
    Diag *d =
        diag_error(r->s, "E0202", at, "`%s` has no argument `%.*s`", schema->name, STR_ARG(name));
    Str nearest = schema_nearest(schema, name);
    if (nearest.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, at, "%.*s", STR_ARG(nearest));
    }
    if (schema->params && schema->params->name) {
        Buf table = buf_on(r->s->arena);
        schema_describe(schema, &table);
        diag_line(d, "arguments of `%s`:\n%s", schema->name, table.data);
    } else {
        diag_line(d, "`%s` takes no arguments", schema->name);
    }
}

static size_t param_count(const Schema *schema) {
    size_t n = 0;
    while (schema->params && schema->params[n].name) {
        n++;
    }
    return n;
}

/* Parameter that an argument is for; its index, or -1: reported. */
static int param_of(Resolver *r, const Schema *schema, const Ast *arg, size_t position,
                    bool named) {
    size_t count = param_count(schema);
    if (arg->name.len) {
        const Param *p = schema_param(schema, arg->name);
        if (!p) {
            report_unknown_argument(r, schema, arg->name, arg->name_span);
        }
        return p ? (int)(p - schema->params) : -1;
    }
    if (named) {
        Diag *d = diag_error(r->s, "E0204", arg->span, "this argument needs its name");
        diag_label(d, "it comes after arguments with names");
        return -1;
    }
    if (position >= count) {
        Diag *d = diag_error(r->s, "E0204", arg->span, "`%s` takes at most %zu argument%s",
                             schema->name, count, count == 1 ? "" : "s");
        diag_label(d, "one too many");
        return -1;
    }
    return (int)position;
}

static bool bind_one(Resolver *r, Context c, const Schema *schema, const Ast *arg,
                     BoundArg *bound) {
    Span name = arg->name.len ? arg->name_span : arg->a->span;
    if (bound->given) {
        Diag *d = diag_error(r->s, "E0204", name, "`%s` is given twice", bound->param->name);
        diag_label(d, "again here");
        diag_span(d, bound->name_span, "first here");
        return false;
    }
    bound->given = true;
    bound->name_span = name;
    bound->span = arg->a->span;
    const char *what =
        str_format(r->s->arena, "`%s` of `%s`", bound->param->name, schema->name).data;
    bound->value = eval_for(r, c, arg->a, bound->param, what);
    bool none = bound->value->type == VALUE_FORMAT && bound->value->format->none;
    if (bound->param->later && !none) {
        for_later(r, arg->span, "`%s` of `%s`", bound->param->name, schema->name);
    }
    return bound->value->type != VALUE_POISON;
}

bool bind_args(Resolver *r, Context c, const Schema *schema, const AstList *args, Span name,
               ArgList *out) {
    size_t count = param_count(schema);
    for (size_t i = 0; i < count; i++) {
        const Param *p = &schema->params[i];
        BoundArg bound = {.param = p, .name_span = name, .span = name};
        bound.value = default_value(r, schema, p);
        vec_push(r->s->arena, out, bound);
    }
    bool ok = true, named = false;
    for (size_t i = 0; i < args->len; i++) {
        const Ast *arg = args->at[i];
        int at = param_of(r, schema, arg, i, named);
        named = named || arg->name.len > 0;
        if (at < 0) {
            eval(r, c, arg->a);
        }
        ok = at >= 0 && bind_one(r, c, schema, arg, &out->at[at]) && ok;
    }
    for (size_t i = 0; i < count; i++) {
        if (schema->params[i].required && !out->at[i].given && ok) {
            Diag *d = diag_error(r->s, "E0204", name, "`%s` needs `%s`", schema->name,
                                 schema->params[i].name);
            diag_label(d, "%s", schema->params[i].doc);
            ok = false;
        }
    }
    return ok;
}

const BoundArg *arg_named(const ArgList *args, const char *name) {
    size_t i = 0;
    while (i < args->len && strcmp(args->at[i].param->name, name) != 0) {
        i++;
    }
    assert(i < args->len);
    return &args->at[i];
}

const BoundArg *arg_given(const ArgList *args, const char *name) {
    const BoundArg *arg = arg_named(args, name);
    return arg->given ? arg : NULL;
}
