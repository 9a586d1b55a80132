/* Files that travel inside the binary: stdlib/NAME.mor, docs/errors/CODE.md, style and
 * script of the report.
 * The table is generated (compiler/embed.cmake) and ends in a row whose name is NULL. */
#ifndef COMPILER_EMBEDDED_H
#define COMPILER_EMBEDDED_H
#include <stddef.h>

typedef struct Embedded {
    const char *name;          /* path in the source tree, e.g. "stdlib/llm.mor" */
    const unsigned char *data; /* NUL-terminated, size does not count the NUL */
    size_t size;
} Embedded;

extern const Embedded embedded[];

#endif
