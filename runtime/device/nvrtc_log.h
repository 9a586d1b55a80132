/* What NVRTC's log says. Comes from a process that may be anything, so: any bytes are read safely,
 * numbers are clamped, and what is shown to people is sanitised here. */
#ifndef RUNTIME_DEVICE_NVRTC_LOG_H
#define RUNTIME_DEVICE_NVRTC_LOG_H
#include "runtime/base/str.h"

/* The largest over a program's functions; -1: not known (the log of PTX, or of another compiler).
 */
typedef struct NvrtcUse {
    int32_t registers, stack, shared, spills; /* bytes; spills: stored and loaded */
} NvrtcUse;

/* Reads what `ptxas -v` prints: "Used 28 registers, 128 bytes smem", "16 bytes stack frame, 12
 * bytes spill stores, 12 bytes spill loads". */
NvrtcUse nvrtc_log_use(Str log);

/* The log's first lines, then the lines of the text around the first error, numbered. `text` is
 * what kernel.cu holds; a place in an embedded header shows that header. */
Str nvrtc_log_explain(Arena *arena, Str text, Str log);

#endif
