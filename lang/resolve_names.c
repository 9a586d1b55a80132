/* Names: declarations of a file, what is built in, and imports. */
#include "lang/parse.h"
#include "lang/resolve_parts.h"
#include "runtime/base/file.h"
#include "runtime/base/limits.h"

bool is_builtin_name(Resolver *r, Str name, const char **what)
{
    static const Span nowhere = {0};
    if (is_builtin_selector(name) || is_selector_call(name)) {
        *what = "a built-in selector";
    } else if (format_named(r, name, nowhere) || is_format_call(name)) {
        *what = "a built-in format";
    } else if (str_is(name, "target")) {
        *what = "the picked target";
    } else {
        return false;
    }
    return true;
}

static int sm_of(Str name)
{
    int n = 0;
    if (!str_starts(name, STR("sm_")) || name.len < 5 || name.len > 6) {
        return 0;
    }
    for (size_t i = 3; i < name.len; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') {
            return 0;
        }
        n = n * 10 + (name.data[i] - '0');
    }
    return n;
}

static const Value *sm_value(Resolver *r, int sm, Span span)
{
    Value *v = value_new(r, VALUE_CHOICE, span);
    v->text = str_format(r->s->arena, "sm_%d", sm);
    v->integer = sm;
    return v;
}

static const Value *metric_value(Resolver *r, const Ast *e, bool is_int)
{
    Expr *x = arena_new(r->s->arena, Expr);
    x->kind = EXPR_METRIC;
    x->type = is_int ? VALUE_INT : VALUE_FLOAT;
    x->span = e->span;
    x->name = e->name;
    Value *v = value_new(r, VALUE_EXPR, e->span);
    v->expr = x;
    return v;
}

/* The bare words of `expect`. NULL if this is none of them. */
static const Value *metric_name(Resolver *r, const Ast *e)
{
    static const char *const outputs[] = {"cosine", "sqnr", "mse", "kl", "max_error", NULL};
    if (r->mode == MODE_RULE && str_is(e->name, "matches")) {
        return metric_value(r, e, true);
    }
    if (r->mode != MODE_RECIPE) {
        return NULL;
    }
    if (str_is(e->name, "bits") || str_is(e->name, "size")) {
        return metric_value(r, e, str_is(e->name, "size"));
    }
    for (int i = 0; outputs[i]; i++) {
        if (str_is(e->name, outputs[i])) {
            Diag *d = diag_error(r->s, "E0001", e->span, "metrics of the model's outputs are not in this build");
            diag_label(d, "needs an engine that runs the model");
            diag_help(d, "inside a rule, `expect .%s ...` judges the weights of each layer", outputs[i]);
            return poison(r, e->span);
        }
    }
    return NULL;
}

static const Value *unknown_name(Resolver *r, const Ast *e)
{
    static const char *const known[] = {"all", "linear", "conv", "embedding", "attention", "norm", "head",
                                        "residual", "fp8", "nvfp4", "mxfp4", "mxfp8", "none", "target",
                                        "first", "last", "block", "inputs", "users", "upstream",
                                        "downstream", "between", "siblings"};
    Vec(Str) all = {0};
    Arena *a = r->s->arena;
    for (size_t i = 0; i < r->module->names.len; i++) {
        vec_push(a, &all, r->module->names.entries[i].key);
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        vec_push(a, &all, str_from(known[i]));
    }
    for (const ElementInfo *x = r->options->elements; x->name; x++) {
        vec_push(a, &all, str_from(x->name));
    }
    for (const char *const *op = r->options->ops; op && *op; op++) {
        vec_push(a, &all, str_from(*op));
    }
    Diag *d = diag_error(r->s, "E0201", e->span, "nothing is called `%.*s`", STR_ARG(e->name));
    Str near = nearest_of(e->name, all.at, all.len);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
        diag_fix(d, false, e->span, "%.*s", STR_ARG(near));
    } else {
        diag_help(d, "a layer's name is written as a pattern in quotes: \"**.%.*s\"", STR_ARG(e->name));
    }
    return poison(r, e->span);
}

const Value *evaluate_name(Resolver *r, const Ast *e)
{
    for (Frame *f = r->frame; f; f = f->outer) {
        const Value *v = map_get(&f->values, e->name);
        if (v) {
            return v;
        }
    }
    Decl *decl = map_get(&r->module->names, e->name);
    if (decl) {
        return decl_value(r, decl, e->span);
    }
    const Value *v = metric_name(r, e);
    if (v) {
        return v;
    }
    if (str_is(e->name, "target")) {
        if (r->recipe->target == 0) {
            Diag *d = diag_error(r->s, "E0210", e->span, "no target is known");
            diag_label(d, "needs one");
            diag_help(d, "write `target sm_90` in the recipe, or morc --target sm_90");
            return poison(r, e->span);
        }
        return sm_value(r, r->recipe->target, e->span);
    }
    int sm = sm_of(e->name);
    if (sm) {
        return sm_value(r, sm, e->span);
    }
    v = selector_name(r, e->name, e->span);
    if (v) {
        return v;
    }
    const FormatValue *f = format_named(r, e->name, e->span);
    if (f) {
        Value *fv = value_new(r, VALUE_FORMAT, e->span);
        fv->format = f;
        return fv;
    }
    if (map_get(&r->module->imports, e->name)) {
        diag_error(r->s, "E0203", e->span, "`%.*s` is an import; its names are written %.*s.name", STR_ARG(e->name), STR_ARG(e->name));
        return poison(r, e->span);
    }
    return unknown_name(r, e);
}

const Value *evaluate_member(Resolver *r, const Ast *e)
{
    const Ast *left = unparen(e->a);
    Import *import = left->kind == AST_NAME ? map_get(&r->module->imports, left->name) : NULL;
    if (!import) {
        Diag *d = diag_error(r->s, "E0201", left->span, "only imports have members");
        diag_help(d, "use \"./%s.mor\" as %s", left->kind == AST_NAME ? str_c(r->s->arena, left->name) : "file", left->kind == AST_NAME ? str_c(r->s->arena, left->name) : "name");
        return poison(r, e->span);
    }
    if (!import->module) {
        return poison(r, e->span);
    }
    Decl *decl = map_get(&import->module->names, e->name);
    if (decl) {
        return decl_value(r, decl, e->span);
    }
    Vec(Str) all = {0};
    for (size_t i = 0; i < import->module->names.len; i++) {
        vec_push(r->s->arena, &all, import->module->names.entries[i].key);
    }
    Diag *d = diag_error(r->s, "E0201", e->name_span, "`%.*s` has no `%.*s`", STR_ARG(left->name), STR_ARG(e->name));
    Str near = nearest_of(e->name, all.at, all.len);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
    }
    return poison(r, e->span);
}

/* ---- declarations */

static const struct {
    const char *name;
    ParamType type;
} param_types[] = {
    {"int", PARAM_INT}, {"float", PARAM_FLOAT}, {"bool", PARAM_BOOL}, {"string", PARAM_STRING},
    {"ratio", PARAM_RATIO}, {"range", PARAM_RANGE}, {"list", PARAM_LIST}, {"selector", PARAM_SELECTOR},
    {"format", PARAM_FORMAT}, {"data", PARAM_DATA}, {"fn", PARAM_FN},
};
enum { PARAM_TYPES = sizeof param_types / sizeof *param_types };

bool type_named(Resolver *r, const Ast *declaration, ParamType *out)
{
    Str names[PARAM_TYPES];
    for (int i = 0; i < PARAM_TYPES; i++) {
        names[i] = str_from(param_types[i].name);
        if (str_eq(names[i], declaration->type)) {
            *out = param_types[i].type;
            return true;
        }
    }
    Diag *d = diag_error(r->s, "E0201", declaration->type_span, "there is no type `%.*s`", STR_ARG(declaration->type));
    Str near = nearest_of(declaration->type, names, PARAM_TYPES);
    diag_label(d, near.len ? "did you mean `%.*s`?" : "int float bool string ratio range list selector format data%.*s", STR_ARG(near));
    return false;
}

/* Is v inside the range or list that the parameter declares? */
static bool in_bounds(Resolver *r, const Ast *ast, const Value *v)
{
    const Value *bounds = ast->a ? evaluate(r, ast->a) : NULL;
    double x, y;
    if (!bounds || bounds->type == VALUE_POISON) {
        return bounds == NULL;
    }
    bool ok = false;
    if (bounds->type == VALUE_RANGE) {
        ok = as_number(v, &x) && x >= bounds->number && x <= bounds->number2;
    } else if (bounds->type == VALUE_LIST) {
        for (size_t i = 0; i < bounds->items.len; i++) {
            const Value *item = bounds->items.at[i];
            ok = ok || (as_number(v, &x) && as_number(item, &y) && x == y) ||
                 (v->type == VALUE_STRING && item->type == VALUE_STRING && str_eq(v->text, item->text));
        }
    } else {
        wrong_type(r, ast->a->span, "a range or a list", bounds);
        return false;
    }
    if (!ok) {
        bool given = v->span.source != ast->span.source;
        Diag *d = diag_error(r->s, given ? "E0207" : "E0206", v->span, "`%.*s` is out of range", STR_ARG(ast->name));
        Buf b = buf_on(r->s->arena);
        value_print(bounds, &b);
        diag_label(d, "must be in %s", b.data);
        if (given) {
            diag_span(d, ast->a->span, "declared here");
        }
    }
    return ok;
}

bool param_set(Resolver *r, Decl *decl, const Value *v)
{
    ParamType type;
    TRY(type_named(r, decl->ast, &type));
    const char *what = str_c(r->s->arena, str_format(r->s->arena, "parameter `%.*s`", STR_ARG(decl->ast->name)));
    v = coerce(r, v, type, what);
    decl->state = DECL_DONE;
    decl->value = v;
    if (v->type != VALUE_POISON && !in_bounds(r, decl->ast, v)) {
        decl->value = poison(r, v->span);
    }
    return decl->value->type != VALUE_POISON;
}

static const Value *decl_evaluate(Resolver *r, Decl *decl)
{
    const Ast *a = decl->ast;
    switch (a->kind) {
    case AST_PARAM:
        if (!a->b) {
            Diag *d = diag_error(r->s, "E0207", a->name_span, "parameter `%.*s` has no value", STR_ARG(a->name));
            diag_label(d, "required");
            diag_help(d, "morc ... -p %.*s=VALUE", STR_ARG(a->name));
            return poison(r, a->span);
        }
        param_set(r, decl, evaluate(r, a->b));
        return decl->value;
    case AST_LET:
        return evaluate(r, a->a);
    case AST_SELECT:
        return coerce(r, evaluate(r, a->a), PARAM_SELECTOR, "`select`");
    case AST_FORMAT:
        return coerce(r, evaluate(r, a->a), PARAM_FORMAT, "`format`");
    case AST_DATA:
        return evaluate_data(r, a->name, a->a);
    case AST_FN:
        diag_error(r->s, "E0001", a->name_span, "functions of your own are not in this build");
        return poison(r, a->span);
    default: {
        Diag *d = diag_error(r->s, "E0203", a->name_span, "`%.*s` is a stack of steps, not a value", STR_ARG(a->name));
        diag_help(d, "use it as a step: on linear { %.*s(...) }", STR_ARG(a->name));
        return poison(r, a->span);
    }
    }
}

const Value *decl_value(Resolver *r, Decl *decl, Span used)
{
    if (decl->state == DECL_BUSY) {
        Diag *d = diag_error(r->s, "E0208", decl->ast->name_span, "`%.*s` is defined by itself", STR_ARG(decl->ast->name));
        diag_span(d, used, "needed again here");
        decl->value = poison(r, used);
        decl->state = DECL_DONE;
    }
    if (decl->state == DECL_NEW) {
        Module *module = r->module;
        Frame *frame = r->frame;
        Mode mode = r->mode;
        r->module = decl->module;
        r->frame = NULL;
        r->mode = MODE_CONST;
        decl->state = DECL_BUSY;
        const Value *v = decl_evaluate(r, decl);
        if (decl->state != DECL_DONE || !decl->value) {
            decl->value = v;
        }
        decl->state = DECL_DONE;
        r->module = module;
        r->frame = frame;
        r->mode = mode;
    }
    return decl->value;
}

/* ---- files */

static void declare(Resolver *r, Module *m, const Ast *a)
{
    const char *what = NULL;
    if (is_builtin_name(r, a->name, &what)) {
        Diag *d = diag_error(r->s, "E0205", a->name_span, "`%.*s` is %s", STR_ARG(a->name), what);
        diag_label(d, "pick another name");
        return;
    }
    Decl *old = map_get(&m->names, a->name);
    if (old) {
        Diag *d = diag_error(r->s, "E0205", a->name_span, "`%.*s` is already declared", STR_ARG(a->name));
        diag_label(d, "again here");
        diag_span(d, old->ast->name_span, "first here");
        return;
    }
    Decl *decl = arena_new(r->s->arena, Decl);
    decl->ast = a;
    decl->module = m;
    map_put(&m->names, a->name, decl);
}

/* The name an import goes by: `as name`, else the file's stem. */
static Str alias_of(Resolver *r, const Ast *use)
{
    if (use->name.len) {
        return use->name;
    }
    Str text = use->a->text;
    size_t begin = text.len;
    while (begin > 0 && text.data[begin - 1] != '/') {
        begin--;
    }
    Str name = str_slice(text, begin, text.len);
    if (str_ends(name, STR(".mor"))) {
        name = str_slice(name, 0, name.len - 4);
    }
    return intern(&r->s->names, name);
}

Module *module_load(Resolver *r, const Source *source, const Ast *ast, Str folder, bool std, int depth)
{
    Module *m = arena_new(r->s->arena, Module);
    m->source = source;
    m->ast = ast;
    m->folder = folder;
    m->std = std;
    m->depth = depth;
    m->names = map_on(r->s->arena);
    m->imports = map_on(r->s->arena);
    vec_push(r->s->arena, &r->recipe->sources, source);
    Module *outer = r->module;
    r->module = m;
    for (size_t i = 0; i < ast->kids.len; i++) {
        const Ast *a = ast->kids.at[i];
        switch (a->kind) {
        case AST_PARAM: case AST_LET: case AST_SELECT: case AST_FORMAT: case AST_DATA: case AST_FN:
        case AST_TRANSFORM:
            declare(r, m, a);
            break;
        case AST_USE: {
            Import *import = arena_new(r->s->arena, Import);
            import->ast = a;
            import->module = module_import(r, a->a);
            Str alias = alias_of(r, a);
            if (map_get(&m->imports, alias)) {
                diag_error(r->s, "E0205", a->span, "`%.*s` is already imported; add `as another_name`", STR_ARG(alias));
            }
            map_put(&m->imports, alias, import);
            break;
        }
        default:
            break;
        }
    }
    r->module = outer;
    return m;
}

static bool check_address(Resolver *r, const Ast *string, bool *std)
{
    Str text = string->text;
    *std = str_starts(text, STR("std/"));
    if (*std) {
        return true;
    }
    if (!str_starts(text, STR("./"))) {
        bool remote = str_find(text, '@') >= 0 || str_starts(text, STR("git")) || str_starts(text, STR("file:"));
        Diag *d = diag_error(r->s, remote ? "E0001" : "E0801", string->span, remote ? "imports from repositories are not in this build" : "this is not an address");
        diag_label(d, "addresses are \"std/NAME\" and \"./FILE.mor\"");
        return false;
    }
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] == '.' && text.data[i + 1] == '.' && (i == 0 || text.data[i - 1] == '/')) {
            Diag *d = diag_error(r->s, "E0803", string->span, "an import may not leave the recipe's folder");
            diag_label(d, "`..` climbs out of it");
            return false;
        }
    }
    if (memchr(text.data, 0, text.len)) {
        diag_error(r->s, "E0801", string->span, "an address may not hold a NUL");
        return false;
    }
    if (r->module->std) {
        diag_error(r->s, "E0803", string->span, "the standard library imports itself only");
        return false;
    }
    return true;
}

Module *module_import(Resolver *r, const Ast *string)
{
    bool std;
    Session *s = r->s;
    if (!check_address(r, string, &std)) {
        return NULL;
    }
    int depth = r->module->depth + 1;
    if (depth > LIMIT_IMPORT_DEPTH || ++r->files > LIMIT_IMPORT_FILES) {
        Diag *d = diag_error(s, "E0804", string->span, "imports go in a circle, or too deep");
        diag_label(d, "at most %d files in a chain, %d in all", LIMIT_IMPORT_DEPTH, LIMIT_IMPORT_FILES);
        return NULL;
    }
    Str name = str_slice(string->text, std ? 4 : 2, string->text.len), text;
    Str path = string->text;
    if (std) {
        if (!r->options->std_file || !r->options->std_file(r->options->user, name, &text)) {
            Diag *d = diag_error(s, "E0802", string->span, "the standard library has no `%.*s`", STR_ARG(name));
            diag_label(d, "not found in this build");
            return NULL;
        }
    } else {
        path = str_format(s->arena, "%.*s%.*s", STR_ARG(r->module->folder), STR_ARG(name));
        struct stat info;
        if (s->sys->stat(str_c(s->arena, path), &info) != 0) {
            Diag *d = diag_error(s, "E0802", string->span, "there is no file %.*s", STR_ARG(path));
            diag_label(d, "paths are relative to the importing file");
            return NULL;
        }
        if (!file_read_text(s, path, LIMIT_RECIPE_BYTES, &text)) {
            return NULL;
        }
    }
    const Source *source = source_make(s->arena, path, text, true);
    Ast *ast = NULL;
    if (!parse_file(s, source, &ast)) {
        return NULL;
    }
    size_t end = path.len;
    while (end > 0 && path.data[end - 1] != '/') {
        end--;
    }
    return module_load(r, source, ast, str_slice(path, 0, end), std, depth);
}
