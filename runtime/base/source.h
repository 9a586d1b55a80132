/* A text that diagnostics can point into: a recipe file, a -p argument, the command line. The text
 * is a NUL-terminated copy (CRLF kept), offsets are 32 bit. Columns count characters, from 1. */
#ifndef RUNTIME_BASE_SOURCE_H
#define RUNTIME_BASE_SOURCE_H
#include "runtime/base/str.h"

typedef struct Source {
    Str name;        /* as the user wrote it: "r.mor", "command line" */
    Str text;        /* text.data[text.len] == 0 */
    bool is_file;    /* false: shown without line numbers */
    uint32_t *lines; /* offset of the first byte of each line */
    uint32_t line_count;
} Source;

typedef struct Span {
    const Source *source; /* NULL: no place in a text */
    uint32_t offset, length;
} Span;

typedef struct Place {
    uint32_t line, column; /* from 1 */
} Place;

Source *source_make(Arena *arena, Str name, Str text, bool is_file);
Place source_place(const Source *source, uint32_t offset);
Str source_line(const Source *source, uint32_t line); /* without its line end */
Str span_text(Span span);
Span span_join(Span first, Span last); /* from the start of one to the end of the other */

#endif
