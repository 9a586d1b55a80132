/* The one way a byte that came from a file reaches a terminal, a log or a message: control
 * characters, escapes, C1, bidirectional overrides, invisible characters and bytes that are not
 * UTF-8 become visible \x1b or \u{202e} forms. `diag_*` and the table printers call it; printf on
 * such a Str is a bug. Sanitising twice changes nothing. */
#ifndef RUNTIME_BASE_SANITIZE_H
#define RUNTIME_BASE_SANITIZE_H
#include "runtime/base/str.h"

void buf_safe(Buf *b, Str untrusted);      /* appends the visible form */
Str str_safe(Arena *arena, Str untrusted); /* s itself when nothing needs a change */
const char *str_safe_c(Arena *arena, Str untrusted);
void buf_json(Buf *b, Str untrusted);       /* a JSON string: quoted, no control bytes */
void buf_html(Buf *b, Str untrusted);       /* the visible form as text or attribute of HTML */
bool utf8_valid(Str s, size_t *bad_offset); /* bad_offset may be NULL */
size_t utf8_width(Str s);                   /* characters, for carets and columns */

#endif
