/* Name patterns over dotted layer paths: globs (language.md 2.5: * ? ** {a,b} {0..3}) and regexes
 * (always full match; POSIX extended with \d \w \s, through TRE, no back-references, linear time).
 * Errors: E0105 bad pattern, with the offset inside the string. */
#ifndef LANG_PATTERN_H
#define LANG_PATTERN_H
#include "runtime/base/session.h"

typedef struct Pattern Pattern;
Pattern *pattern_glob(Session *s, Str text, Span span);
Pattern *pattern_regex(Session *s, Str text, Span span);
bool pattern_match(const Pattern *p, Str path);

#endif
