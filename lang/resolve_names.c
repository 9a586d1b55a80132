/* Names: scopes, declarations in any order with cycles found, parameters, and what to say about a
 * name that nobody knows. A name means one thing: nothing is redefined, no built-in is shadowed. */
#include "lang/resolve_parts.h"

/* ---- built-in names */

static const char *builtin_kind(const Resolver *r, Str name) {
    for (const char *const *word = selector_names; *word; word++) {
        if (str_is(name, *word)) {
            return "selector";
        }
    }
    for (const char *const *word = block_formats; *word; word++) {
        if (str_is(name, *word)) {
            return "format";
        }
    }
    for (const ElementInfo *e = r->options->elements; e && e->name; e++) {
        if (str_is(name, e->name)) {
            return "format";
        }
    }
    for (const char *const *word = metric_names; *word; word++) {
        if (str_is(name, *word)) {
            return "metric";
        }
    }
    for (const char *const *op = r->options->ops; op && *op; op++) {
        if (str_is(name, *op)) {
            return "ONNX op";
        }
    }
    if (selector_function(name) || format_function(name)) {
        return "function";
    }
    return str_is(name, "none") ? "format" : str_is(name, "target") ? "word" : NULL;
}

static const char *taken_by(const Resolver *r, const Ast *ast, Str name) {
    bool step = vocabulary_find(r->options->vocabulary, SCHEMA_STEP, name) ||
                vocabulary_find(r->options->vocabulary, SCHEMA_SETTING, name);
    return ast->kind == AST_TRANSFORM && step ? "step" : builtin_kind(r, name);
}

/* ---- scopes */

Scope *scope_new(Resolver *r, Scope *outer, Module *module) {
    Scope *scope = arena_new(r->s->arena, Scope);
    scope->outer = outer;
    scope->module = module;
    scope->names = map_on(r->s->arena);
    return scope;
}

Decl *scope_find(const Scope *scope, Str name) {
    for (; scope; scope = scope->outer) {
        Decl *decl = map_get(&scope->names, name);
        if (decl) {
            return decl;
        }
    }
    return NULL;
}

/* NULL: reported */
static Decl *declare(Resolver *r, Scope *scope, const Ast *ast, Str name, Span span) {
    const char *kind = taken_by(r, ast, name);
    if (kind) {
        Diag *d = diag_error(r->s, "E0205", span, "`%.*s` is built in", STR_ARG(name));
        diag_label(d, "%s %s: choose another name",
                   strcmp(kind, "ONNX op") ? "it is a" : "it is an", kind);
        return NULL;
    }
    const Decl *first = map_get(&scope->names, name);
    if (first) {
        Diag *d = diag_error(r->s, "E0205", span, "`%.*s` is defined twice", STR_ARG(name));
        diag_label(d, "again here");
        diag_span(d, first->span, "first here");
        return NULL;
    }
    Decl *decl = arena_new(r->s->arena, Decl);
    *decl = (Decl){.ast = ast, .name = name, .span = span, .scope = scope};
    map_put(&scope->names, name, decl);
    return decl;
}

Decl *declare_value(Resolver *r, Scope *scope, const Ast *ast, const Value *value) {
    Decl *decl = declare(r, scope, ast, ast->name, ast->name_span);
    if (decl) {
        decl->state = DECL_DONE;
        decl->value = value;
    }
    return decl;
}

/* "./lib/common.mor" and "std/llm" are called by their last part, without .mor */
static Str import_name(Resolver *r, const Ast *use) {
    if (use->name.len) {
        return use->name;
    }
    Str address = use->a->text;
    size_t from = address.len;
    while (from > 0 && address.data[from - 1] != '/') {
        from--;
    }
    Str last = str_slice(address, from, address.len);
    last = str_ends(last, STR(".mor")) ? str_slice(last, 0, last.len - 4) : last;
    return intern(&r->s->names, last);
}

static bool is_name(Str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool letter = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return s.len > 0;
}

static void declare_use(Resolver *r, Scope *scope, const Ast *use) {
    Module *module = import_file(r, scope, use->a);
    Str name = import_name(r, use);
    if (!is_name(name)) {
        if (module) {
            Diag *d = diag_error(r->s, "E0204", use->a->span, "this import needs a name");
            diag_label(d, "write `as NAME` after it");
        }
        return;
    }
    Decl *decl = declare(r, scope, use, name, use->name.len ? use->name_span : use->a->span);
    if (module) {
        module_shared(r, module); /* now, so that a circle is seen where it closes */
    }
    if (decl) {
        decl->module = module;
    }
}

void declare_items(Resolver *r, Scope *scope, const AstList *items) {
    for (size_t i = 0; i < items->len; i++) {
        const Ast *item = items->at[i];
        switch (item->kind) {
        case AST_USE:
            declare_use(r, scope, item);
            break;
        case AST_PARAM:
        case AST_LET:
        case AST_SELECT:
        case AST_FORMAT:
        case AST_DATA:
        case AST_FN:
        case AST_TRANSFORM:
        case AST_STAGE:
            declare(r, scope, item, item->name, item->name_span);
            break;
        default:
            break;
        }
    }
}

/* ---- values of declarations */

static const Value *report_cycle(Resolver *r, Decl *decl) {
    if (decl->reported) {
        return POISON;
    }
    Diag *d =
        diag_error(r->s, "E0208", decl->span, "`%.*s` is defined by itself", STR_ARG(decl->name));
    const Decl *inner = r->evaluating;
    diag_label(d, inner == decl ? "it names itself" : "the circle begins here");
    for (Decl *on = r->evaluating; on && on != decl; on = on->waiting) {
        on->reported = true;
        diag_span(d, on->span, "and goes through `%.*s`", STR_ARG(on->name));
    }
    decl->reported = true;
    return POISON;
}

static const Value *wrong_kind(Resolver *r, const Ast *ast, const Value *v) {
    if (v->type != VALUE_POISON) {
        const char *word = ast->kind == AST_SELECT ? "select" : "format";
        Diag *d = diag_error(r->s, "E0203", ast->a->span, "`%s` names a %s", word,
                             ast->kind == AST_SELECT ? "selector" : "format");
        diag_label(d, "this is %s", value_type_words(value_static_type(v)));
        if (v->type != VALUE_DATA) {
            diag_help(d, "any value can be named by `let`");
        }
    }
    return POISON;
}

static const Value *selector_decl(Resolver *r, const Decl *decl) {
    const Value *v = eval_constant(r, decl->scope, decl->ast->a);
    if (!is_selector_like(v)) {
        return wrong_kind(r, decl->ast, v);
    }
    const Selector *selector = as_selector(r, v);
    if (!selector) {
        return POISON;
    }
    Value *set = value_new(r, VALUE_SELECTOR, decl->ast->a->span);
    set->selector = selector;
    return set;
}

static const Value *data_decl(Resolver *r, const Decl *decl) {
    const Ast *e = unwrap(decl->ast->a);
    const Ast *callee = e->kind == AST_CALL ? e->a : e;
    Str word = callee->kind == AST_NAME ? callee->name : STR("");
    const Vocabulary *vocabulary = r->options->vocabulary;
    const Schema *loader = vocabulary_find(vocabulary, SCHEMA_DATA, word);
    if (!loader) {
        Diag *d = diag_error(r->s, word.len ? "E0201" : "E0203", callee->span,
                             word.len ? "there is no data loader `%.*s`"
                                      : "`data` names a data loader%.*s",
                             STR_ARG(word));
        Str nearest = vocabulary_nearest(vocabulary, SCHEMA_DATA, word);
        if (nearest.len) {
            diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
            diag_fix(d, false, callee->span, "%.*s", STR_ARG(nearest));
        }
        diag_help(d, "as in  data calib = npz(\"calib.npz\")");
        return POISON;
    }
    static const AstList nothing;
    Data *data = arena_new(r->s->arena, Data);
    *data = (Data){.name = decl->name, .span = decl->ast->span, .loader = loader};
    Context c = {decl->scope, AT_CONSTANT};
    if (!bind_args(r, c, loader, e->kind == AST_CALL ? &e->kids : &nothing, callee->span,
                   &data->args)) {
        return POISON;
    }
    vec_push(r->s->arena, &r->recipe->data, data);
    Value *v = value_new(r, VALUE_DATA, decl->ast->span);
    v->data = data;
    return v;
}

static const Value *compute(Resolver *r, Decl *decl) {
    switch (decl->ast->kind) {
    case AST_PARAM:
        return param_decl(r, decl);
    case AST_LET:
        return eval_constant(r, decl->scope, decl->ast->a);
    case AST_SELECT:
        return selector_decl(r, decl);
    case AST_FORMAT: {
        const Value *v = eval_constant(r, decl->scope, decl->ast->a);
        return v->type == VALUE_FORMAT ? v : wrong_kind(r, decl->ast, v);
    }
    case AST_DATA:
        return data_decl(r, decl);
    case AST_FN:
        for_later(r, decl->span, "a function of your own");
        return POISON;
    default:
        return NULL; /* USE TRANSFORM STAGE: no values */
    }
}

const Value *decl_value(Resolver *r, Decl *decl, Span use) {
    AstKind kind = decl->ast->kind;
    if (kind == AST_USE || kind == AST_TRANSFORM || kind == AST_STAGE) {
        Diag *d = diag_error(r->s, "E0203", use, "`%.*s` is no value", STR_ARG(decl->name));
        diag_label(d,
                   kind == AST_USE         ? "it is an import: `%.*s.NAME` is something in it"
                   : kind == AST_TRANSFORM ? "it is a transform: `%.*s(...)` stands in a rule"
                                           : "it is a stage: `include %.*s` brings its rules",
                   STR_ARG(decl->name));
        return POISON;
    }
    if (decl->state == DECL_BUSY) {
        return report_cycle(r, decl);
    }
    if (decl->state == DECL_NEW) {
        decl->state = DECL_BUSY;
        decl->waiting = r->evaluating;
        r->evaluating = decl;
        bool trial = r->trial; /* a value is shared: what it lacks counts, whoever asks first */
        r->trial = false;
        decl->value = resolver_enter(r, use) ? compute(r, decl) : POISON;
        resolver_leave(r);
        r->trial = trial;
        r->evaluating = decl->waiting;
        decl->state = DECL_DONE;
    }
    return decl->value;
}

void evaluate_all(Resolver *r, Scope *scope) {
    for (size_t i = 0; i < scope->names.len; i++) {
        Decl *decl = scope->names.entries[i].value;
        if (decl->ast->kind == AST_TRANSFORM) {
            check_transform(r, decl);
        } else if (decl->ast->kind != AST_USE && decl->ast->kind != AST_STAGE) {
            decl_value(r, decl, decl->span);
        }
    }
}

/* ---- names that nobody knows */

typedef Vec(Str) StrList;

static void add_words(Resolver *r, StrList *list, const char *const *words) {
    for (; words && *words; words++) {
        vec_push(r->s->arena, list, str_from(*words));
    }
}

static void add_schemas(Resolver *r, StrList *list, const Schema *schemas) {
    for (; schemas->name; schemas++) {
        vec_push(r->s->arena, list, str_from(schemas->name));
    }
}

static void add_scope(Resolver *r, StrList *list, const Scope *scope) {
    for (; scope; scope = scope->outer) {
        for (size_t i = 0; i < scope->names.len; i++) {
            vec_push(r->s->arena, list, scope->names.entries[i].key);
        }
    }
}

static const char *elsewhere(const Resolver *r, Str name) {
    static const struct {
        SchemaKind kind;
        const char *text;
    } rows[] = {
        {SCHEMA_STEP, "it is a step: it stands in a rule"},
        {SCHEMA_SETTING, "it is a setting: it stands on a line of its own"},
        {SCHEMA_EMIT, "it is a form of output: `emit` takes it"},
        {SCHEMA_DATA, "it loads data: `data NAME = ` takes it"},
        {SCHEMA_METHOD, "it is a method: it stands as an argument of a step"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (vocabulary_find(r->options->vocabulary, rows[i].kind, name)) {
            return rows[i].text;
        }
    }
    return NULL;
}

void report_unknown(Resolver *r, Scope *scope, Position position, Str name, Span at) {
    StrList words = {0};
    add_words(r, &words, r->options->ops);
    if (scope) {
        add_scope(r, &words, scope);
        add_words(r, &words, selector_names);
        add_words(r, &words, block_formats);
        add_schemas(r, &words, selector_functions);
        add_schemas(r, &words, format_functions);
        vec_push(r->s->arena, &words, STR("target"));
        for (const ElementInfo *e = r->options->elements; e && e->name; e++) {
            vec_push(r->s->arena, &words, str_from(e->name));
        }
    }
    if (position == AT_RULE_EXPECT || position == AT_RECIPE_EXPECT) {
        add_words(r, &words, metric_names);
    }
    Diag *d =
        diag_error(r->s, "E0201", at, scope ? "unknown name `%.*s`" : "there is no ONNX op `%.*s`",
                   STR_ARG(name));
    const char *other = scope ? elsewhere(r, name) : NULL;
    Str nearest = nearest_of(name, words.at, words.len);
    if (other) {
        diag_label(d, "%s", other);
    } else if (nearest.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, at, scope ? "%.*s" : "\"%.*s\"", STR_ARG(nearest));
    }
}

Decl *import_member(Resolver *r, Scope *scope, const Ast *object, Str name, Span at) {
    object = unwrap(object);
    if (object->kind != AST_NAME) {
        Diag *d = diag_error(r->s, "E0203", object->span, "only an import has members");
        diag_label(d, "a name that `use` brought");
        return NULL;
    }
    Decl *import = scope_find(scope, object->name);
    if (!import || import->ast->kind != AST_USE) {
        if (!import && !builtin_kind(r, object->name)) {
            report_unknown(r, scope, AT_CONSTANT, object->name, object->span);
            return NULL;
        }
        Diag *d =
            diag_error(r->s, "E0203", object->span, "`%.*s` is no import", STR_ARG(object->name));
        diag_label(d, "only what `use` brought has members");
        return NULL;
    }
    Scope *members = import->module ? module_shared(r, import->module) : NULL;
    if (!members) {
        return NULL; /* the import was reported */
    }
    Decl *decl = map_get(&members->names, name);
    if (decl && decl->ast->kind != AST_USE) {
        return decl;
    }
    StrList words = {0};
    add_scope(r, &words, members);
    Diag *d =
        diag_error(r->s, "E0201", at, "`%.*s` has no `%.*s`", STR_ARG(object->name), STR_ARG(name));
    Str nearest = nearest_of(name, words.at, words.len);
    if (nearest.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, at, "%.*s", STR_ARG(nearest));
    }
    Buf all = buf_on(r->s->arena);
    for (size_t i = 0; i < words.len && i < 20; i++) {
        buf_printf(&all, " %.*s", STR_ARG(words.at[i]));
    }
    diag_line(d, "it has:%s", all.len ? all.data : " nothing");
    return NULL;
}
