/* The headers of kernels/ that device text may include, inside the binary: NVRTC gets them as
 * strings and reads no file. The table is generated (compiler/embed.cmake) from kernels/dialect.h,
 * compare.h, scale.h, format and gpu, and ends in a row whose name is NULL; names are as written in
 * an #include: "kernels/dialect.h". */
#ifndef RUNTIME_DEVICE_KERNEL_HEADERS_H
#define RUNTIME_DEVICE_KERNEL_HEADERS_H
#include "runtime/base/str.h"

typedef struct KernelHeader {
    const char *name;
    const unsigned char *data; /* NUL-terminated, size does not count the NUL */
    size_t size;
} KernelHeader;

extern const KernelHeader kernel_headers[];

enum { KERNEL_HEADERS_MAX = 128 };

/* What a text includes, directly or not, each once, in the order of first mention: all that a
 * compile of it may see. `#define NAME "kernels/..."` counts too, for `#include NAME`. Conditions
 * are not looked at, and names in <> are the compiler's own. */
typedef struct KernelIncludes {
    const KernelHeader *at[KERNEL_HEADERS_MAX];
    int count;
} KernelIncludes;

/* False: `unknown` is a name that is not in the table. Allocates nothing. */
bool kernel_includes(Str text, KernelIncludes *out, Str *unknown);
#endif
