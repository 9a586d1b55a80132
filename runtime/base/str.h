/* Str: a slice of bytes, borrowed, not NUL-terminated. Buf: text under construction, grows on an
 * arena; its data is NUL-terminated after every call. Interned ones (map.h) compare by pointer. */
#ifndef RUNTIME_BASE_STR_H
#define RUNTIME_BASE_STR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "runtime/base/arena.h"

typedef struct Str {
    const char *data;
    size_t len;
} Str;

#define STR(literal) ((Str){"" literal, sizeof(literal) - 1})
#define STR_ARG(s) (int)(s).len, (s).data /* for "%.*s" */

Str str_from(const char *c_string); /* NULL gives the empty Str */
bool str_eq(Str a, Str b);
bool str_is(Str a, const char *c_string);
int str_cmp(Str a, Str b); /* bytewise, like strcmp */
bool str_starts(Str s, Str prefix);
bool str_ends(Str s, Str suffix);
Str str_slice(Str s, size_t begin, size_t end); /* clamped to s */
int64_t str_find(Str s, char c);                /* index or -1 */
/* How many digits `s` begins with, and the number they make; 0 as well when it is too large. */
size_t str_digits(Str s, uint64_t *number);
Str str_copy(Arena *arena, Str s);      /* NUL-terminated copy */
const char *str_c(Arena *arena, Str s); /* same, as a C string; embedded NULs stay */
Str str_format(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct Buf {
    Arena *arena;
    char *data;
    size_t len, cap;
} Buf;

Buf buf_on(Arena *arena);
void buf_add(Buf *b, const void *bytes, size_t len);
void buf_str(Buf *b, Str s);
void buf_char(Buf *b, char c);
void buf_printf(Buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(Buf *b, const char *format, va_list args);
void buf_repeat(Buf *b, char c, size_t n);
Str buf_view(const Buf *b); /* valid until the next buf_ call */

/* Edit distance with transpositions (Damerau-Levenshtein, restricted), for "did you mean". */
size_t str_distance(Str a, Str b, size_t limit); /* stops early: anything > limit is limit + 1 */

/* 1234567 -> "1.2 M", bytes -> "4.3 MiB", 1482 -> "1,482"; on the arena. */
Str str_si(Arena *arena, double n);
Str str_bytes(Arena *arena, uint64_t bytes);
Str str_grouped(Arena *arena, uint64_t n);

#endif
