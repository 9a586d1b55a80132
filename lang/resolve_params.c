/* Parameters: their types, ranges and defaults; the values that -p gives to those of the recipe;
 * and the list of them that a wrong one is answered with. */
#include "lang/resolve_parts.h"
#include "lang/parse.h"

/* ---- types and ranges */

static const struct {
    const char *word;
    ParamType type;
} param_types[] = {
    {"int", PARAM_INT},       {"float", PARAM_FLOAT},
    {"bool", PARAM_BOOL},     {"string", PARAM_STRING},
    {"ratio", PARAM_RATIO},   {"range", PARAM_RANGE},
    {"list", PARAM_LIST},     {"selector", PARAM_SELECTOR},
    {"format", PARAM_FORMAT}, {"data", PARAM_DATA},
    {"fn", PARAM_FN},
};
enum { PARAM_TYPES = sizeof param_types / sizeof *param_types };

bool param_type(Resolver *r, const Ast *ast, Param *out) {
    Str words[PARAM_TYPES];
    for (int i = 0; i < PARAM_TYPES; i++) {
        if (str_is(ast->type, param_types[i].word)) {
            out->type = param_types[i].type;
            return true;
        }
        words[i] = str_from(param_types[i].word);
    }
    Diag *d =
        diag_error(r->s, "E0201", ast->type_span, "there is no type `%.*s`", STR_ARG(ast->type));
    Str nearest = nearest_of(ast->type, words, PARAM_TYPES);
    if (nearest.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
        diag_fix(d, false, ast->type_span, "%.*s", STR_ARG(nearest));
    }
    diag_line(d, "types: int float bool string ratio range list selector format data fn");
    return false;
}

static bool in_bounds(const Value *v, const Value *bounds) {
    if (bounds->type == VALUE_RANGE) {
        return !value_is_number(v) || (v->number >= bounds->number && v->number <= bounds->number2);
    }
    for (size_t i = 0; i < bounds->items.len; i++) {
        const Value *item = bounds->items.at[i];
        bool numbers = value_is_number(item) && value_is_number(v);
        if (numbers ? item->number == v->number
                    : item->type == v->type && str_eq(item->text, v->text) &&
                          item->integer == v->integer && item->integer2 == v->integer2) {
            return true;
        }
    }
    return false;
}

/* `in` of a parameter: a range of numbers or a list; NULL without one or after an error */
static const Value *param_bounds(Resolver *r, Scope *scope, const Ast *ast, const Param *p) {
    if (!ast->a) {
        return NULL;
    }
    const Value *bounds = eval_constant(r, scope, ast->a);
    bool number = p->type == PARAM_INT || p->type == PARAM_FLOAT;
    bool plain = number || p->type == PARAM_STRING || p->type == PARAM_RATIO;
    if ((bounds->type == VALUE_RANGE && number) || (bounds->type == VALUE_LIST && plain)) {
        return bounds;
    }
    if (bounds->type != VALUE_POISON) {
        Diag *d = diag_error(r->s, "E0203", ast->a->span, "`in` does not fit this parameter");
        diag_label(d, plain ? "a range of numbers, or a list of values"
                            : "only numbers, strings and ratios are limited");
    }
    return NULL;
}

static const Value *check_bounds(Resolver *r, const Ast *ast, const Value *v, const Value *bounds,
                                 Span at, const char *code) {
    if (!bounds || v->type == VALUE_POISON || in_bounds(v, bounds)) {
        return v;
    }
    Diag *d = diag_error(r->s, code, at, "`%.*s` is out of range", STR_ARG(ast->name));
    diag_label(d, "allowed: %.*s", STR_ARG(span_text(ast->a->span)));
    return POISON;
}

const Value *param_value(Resolver *r, Scope *scope, const Ast *ast, const Value *given, Span at,
                         const char *code) {
    Param p = {.name = str_c(r->s->arena, ast->name)};
    if (!param_type(r, ast, &p)) {
        return POISON;
    }
    const char *what = str_format(r->s->arena, "`%s`", p.name).data;
    const Value *bounds = param_bounds(r, scope, ast, &p), *v = NULL;
    if (ast->b) {
        v = convert(r, eval_constant(r, scope, ast->b), &p, ast->b->span, what, NULL);
        v = check_bounds(r, ast, v, bounds, ast->b->span, "E0206");
    }
    if (given) {
        v = convert(r, given, &p, at, what, code);
        v = check_bounds(r, ast, v, bounds, at, code ? code : "E0206");
    }
    return v;
}

/* ---- values from outside */

/* The same place in the whole command line, when that is where the expression came from. */
static Span in_command_line(const ParamGiven *given, Span at) {
    Span name = given->name_span;
    Str expr = given->source->text;
    size_t from = name.offset + name.length + 1;
    if (!name.source || !str_eq(str_slice(name.source->text, from, from + expr.len), expr)) {
        return at;
    }
    return (Span){name.source, (uint32_t)from + at.offset, at.length};
}

/* Value that -p gives to a parameter of the recipe itself; NULL if none. The last one counts. */
static const Value *given_value(Resolver *r, const Decl *decl, Span *at) {
    const ParamGiven *given = NULL;
    for (size_t i = 0; i < r->options->param_count; i++) {
        if (str_eq(r->options->params[i].name, decl->name)) {
            given = &r->options->params[i];
        }
    }
    if (!given || decl->scope != r->root) {
        return NULL;
    }
    Ast *e = NULL;
    if (!parse_expr(r->s, given->source, &e)) {
        return POISON;
    }
    *at = in_command_line(given, e->span);
    return eval_constant(r, decl->scope, e);
}

const Value *param_decl(Resolver *r, const Decl *decl) {
    Span at = decl->span;
    const Value *given = given_value(r, decl, &at);
    const Value *v = param_value(r, decl->scope, decl->ast, given, at, "E0207");
    if (!v) {
        Diag *d = diag_error(r->s, "E0207", decl->span, "parameter `%.*s` has no value",
                             STR_ARG(decl->name));
        diag_label(d, "it has no default");
        if (decl->scope == r->root) {
            diag_help(d, "give it one:  -p %.*s=VALUE", STR_ARG(decl->name));
        } else {
            diag_help(d, "give it one where the file is included:  include ...(%.*s = VALUE)",
                      STR_ARG(decl->name));
        }
        return POISON;
    }
    return v;
}

/* ---- the parameters of the recipe as a list */

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

/* A flag may overrule a file of parameters, but not another flag. */
static void check_once(Resolver *r, size_t index) {
    const ParamGiven *given = &r->options->params[index];
    for (size_t i = 0; i < index; i++) {
        const ParamGiven *first = &r->options->params[i];
        bool same_text = first->name_span.source == given->name_span.source;
        if (same_text && given->name_span.source && str_eq(first->name, given->name)) {
            Diag *d = diag_error(r->s, "E0207", given->name_span, "parameter `%.*s` is given twice",
                                 STR_ARG(given->name));
            diag_label(d, "again here");
            diag_span(d, first->name_span, "first here");
        }
    }
}

void unknown_params(Resolver *r) {
    for (size_t i = 0; i < r->options->param_count; i++) {
        const ParamGiven *given = &r->options->params[i];
        const Decl *decl = map_get(&r->root->names, given->name);
        if (decl && decl->ast->kind == AST_PARAM) {
            check_once(r, i);
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

void record_params(Resolver *r) {
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
