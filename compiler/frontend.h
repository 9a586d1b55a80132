/* Recipe text -> Recipe, as every verb needs it: read, parse, resolve with the -p values, the
 * target and the embedded stdlib. Diagnostics stay in the session. */
#ifndef COMPILER_FRONTEND_H
#define COMPILER_FRONTEND_H
#include "compiler/args.h"
#include "lang/recipe.h"

/* The recipe that args name: -e TEXT, `-` or a file (`path`). NULL after an error. */
const Source *frontend_source(Session *s, const Args *args, Str path);
/* *ast is set even when parsing failed (for -d ast). */
bool frontend_parse(Session *s, const Source *source, Ast **ast);
bool frontend_resolve(Session *s, const Args *args, const Ast *ast, Recipe **recipe);
/* A selector given on the command line (inspect). */
bool frontend_selector(Session *s, Str text, const Selector **out);

#endif
