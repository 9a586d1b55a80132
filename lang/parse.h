/* Text -> tree. Three entries into one grammar (language.md 2.3). On errors (E01xx, all of one
 * text in one run) false, and *out still holds what could be parsed, or NULL past a limit. */
#ifndef LANG_PARSE_H
#define LANG_PARSE_H
#include "lang/ast.h"

bool parse_file(Session *s, const Source *source, Ast **out); /* RECIPE */
bool parse_expr(Session *s, const Source *source, Ast **out); /* -p name=EXPR, inspect SELECTOR */
/* Token dump for `-d tokens`. */
void tokens_dump(Session *s, const Source *source, Buf *out);

#endif
