/* What the compile child and its parent say to each other: frames of a head and a body over a
 * socket. Both ends are one program, so numbers are in the machine's order and layout; but what the
 * other end sends is as good as any bytes. Every wire_* reader checks all sizes against the frame;
 * what it gives back lies in the frame. */
#ifndef RUNTIME_DEVICE_JIT_WIRE_H
#define RUNTIME_DEVICE_JIT_WIRE_H
#include "runtime/base/limits.h"
#include "runtime/base/str.h"
#include "runtime/device/nvrtc_api.h"
#include "runtime/device/nvrtc_log.h"

typedef enum WireKind {
    WIRE_FAILED = 1, /* child: it cannot work; the body says why */
    WIRE_LOADED,     /* child: WireLoaded, path */
    WIRE_READY,      /* child: WireReady */
    WIRE_PROGRAM,    /* parent: WireProgram, text */
    WIRE_RESULT      /* child: WireResult, log, output */
} WireKind;

typedef struct WireHead {
    uint32_t kind, size; /* of the body */
} WireHead;

enum {
    WIRE_LOG = 1 << 16, /* bytes of a log; more is cut */
    WIRE_BODY = LIMIT_KERNEL_BYTES + WIRE_LOG + 4096
};

/* Which file NVRTC is, so that its version is known the next time before it is loaded. */
typedef struct WireFile {
    int64_t size, seconds, nanoseconds; /* of modification */
    uint64_t device, inode;
} WireFile;

typedef struct WireLoaded {
    int32_t version, architectures;
    int32_t at[NVRTC_ARCHITECTURES];
    WireFile file;
    uint32_t path; /* bytes; 0: not known */
    uint32_t unused;
} WireLoaded;

typedef struct WireReady {
    uint32_t landlock, unused; /* 0 or 1 */
    double seconds;            /* from the fork on */
} WireReady;

typedef struct WireProgram {
    uint32_t index; /* the parent's */
    int32_t arch;
    uint32_t specific, ptx; /* 0 or 1 */
} WireProgram;

typedef struct WireResult {
    uint32_t index;
    int32_t status; /* NvrtcStatus; 0: output is the cubin, or the PTX */
    NvrtcUse use;
    double seconds;
    uint32_t log, output; /* bytes */
} WireResult;

bool wire_loaded(Str body, WireLoaded *out, Str *path);
bool wire_ready(Str body, WireReady *out);
bool wire_program(Str body, WireProgram *out, Str *text);
bool wire_result(Str body, WireResult *out, Str *log, Str *output);
/* Whether a body of that kind may have that size. */
bool wire_head(WireHead head);

#endif
