/* Name patterns over dotted layer paths: globs (language.md 2.5) and regexes. Both match the whole
 * path, in time linear in its length.
 *
 * Glob: `*` any text within a segment, `?` one character of a segment, `**` any number of whole
 * segments (none, too), {a,b} alternatives, {0..3,28} numbers; they nest. No [...] classes.
 * Regex: POSIX extended with \d \w \s, run by TRE; no back-references.
 *
 * Errors: E0105 bad pattern, pointing into the literal that `span` covers. */
#ifndef LANG_PATTERN_H
#define LANG_PATTERN_H
#include "runtime/base/session.h"

typedef struct Pattern Pattern;
Pattern *pattern_glob(Session *s, Str text, Span span);  /* NULL: reported */
Pattern *pattern_regex(Session *s, Str text, Span span); /* NULL: reported */
bool pattern_match(const Pattern *p, Str path);
/* Patterns live on the session's arena; what TRE allocated is let go of when the session closes. */

#endif
