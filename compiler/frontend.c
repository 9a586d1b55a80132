/* See frontend.h. */
#include "compiler/frontend.h"
#include "compiler/data_wish.h"
#include "compiler/embedded.h"
#include "compiler/vocabulary.h"
#include "lang/parse.h"
#include "runtime/base/file.h"
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"

const Source *frontend_source(Session *s, const Args *args, Str path) {
    if (path.len == 0) {
        return source_make(s->arena, STR("-e"), args->inline_recipe, false);
    }
    Str text;
    if (!file_read_text(s, path, LIMIT_RECIPE_BYTES, &text)) {
        return NULL;
    }
    return source_make(s->arena, str_is(path, "-") ? STR("stdin") : path, text, true);
}

bool frontend_parse(Session *s, const Source *source, Ast **ast) {
    return parse_file(s, source, ast);
}

/* stdlib/NAME.mor of the binary */
static bool std_text(void *user, Str name, Str *text) {
    (void)user;
    for (const Embedded *file = embedded; file->name; file++) {
        Str have = str_from(file->name);
        if (str_starts(have, STR("stdlib/")) && str_ends(have, STR(".mor")) &&
            str_eq(str_slice(have, 7, have.len - 4), name)) {
            *text = (Str){(const char *)file->data, file->size};
            return true;
        }
    }
    return false;
}

typedef Vec(ParamGiven) ParamList;

/* `let NAME = EXPR` lines of --params FILE */
static bool params_of_file(Session *s, Str path, ParamList *out) {
    Str text;
    TRY(file_read_text(s, path, LIMIT_RECIPE_BYTES, &text));
    const Source *source = source_make(s->arena, path, text, true);
    Ast *ast = NULL;
    TRY(parse_file(s, source, &ast));
    for (size_t i = 0; i < ast->kids.len; i++) {
        const Ast *item = ast->kids.at[i];
        if (item->kind != AST_LET) {
            Diag *d = diag_error(s, "E0101", item->span,
                                 "a parameter file holds `let NAME = EXPR` lines only");
            diag_label(d, "not a `let`");
            return false;
        }
        ParamGiven p = {item->name, item->name_span,
                        source_make(s->arena, path, span_text(item->a->span), false)};
        vec_push(s->arena, out, p);
    }
    return true;
}

bool frontend_resolve(Session *s, const Args *args, const Ast *ast, Recipe **recipe) {
    ParamList params = {0};
    if (args->params_file.len) {
        TRY(params_of_file(s, args->params_file, &params));
    }
    for (size_t i = 0; i < args->params.len; i++) {
        ParamFlag flag = args->params.at[i];
        ParamGiven p = {intern(&s->names, flag.name), flag.name_span,
                        source_make(s->arena, STR("command line"), flag.expr, false)};
        vec_push(s->arena, &params, p);
    }
    ResolveOptions options = {
        .vocabulary = &morc_vocabulary,
        .elements = morc_elements,
        .ops = morc_ops,
        .targets = morc_targets,
        .params = params.at,
        .param_count = params.len,
        .target = args->target,
        .std_file = std_text,
    };
    return resolve(s, ast, &options, recipe) && data_overrides_check(s, args, *recipe);
}

/* The selector is resolved as the rule of a recipe that does nothing else. */
bool frontend_selector(Session *s, Str text, const Selector **out) {
    Str recipe_text = str_format(s->arena, "on %.*s { skip }", STR_ARG(text));
    const Source *source = source_make(s->arena, STR("selector"), recipe_text, false);
    Ast *ast = NULL;
    Recipe *recipe = NULL;
    Args args;
    memset(&args, 0, sizeof args);
    TRY(parse_file(s, source, &ast) && frontend_resolve(s, &args, ast, &recipe));
    if (recipe->stages.len != 1 || recipe->stages.at[0].rules.len != 1) {
        diag_error(s, "E1110", NO_SPAN, "`%s` is not one selector", str_safe_c(s->arena, text));
        return false;
    }
    *out = recipe->stages.at[0].rules.at[0].selector;
    return true;
}
