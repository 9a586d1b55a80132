/* The compile child: loads NVRTC, compiles an empty program so that all of it is loaded, gives up
 * its rights (confine.h), then compiles what it is sent, each program in a thread of its own, until
 * the parent hangs up. Everything that it says is a frame (jit_wire.h). Never returns: a child that
 * went back into the caller's code would be a second compiler run. */
#ifndef RUNTIME_DEVICE_JIT_CHILD_H
#define RUNTIME_DEVICE_JIT_CHILD_H
#include "runtime/device/jit_wire.h"

typedef struct JitChild {
    const Sys *sys;
    pid_t parent;
    int socket;
    int threads; /* at most this many programs at a time */
    int seconds; /* of processor time, for each program */
} JitChild;

enum {
    JIT_CHILD_DONE = 0,
    JIT_CHILD_MEMORY = 3,  /* exit codes: it ran out of memory, */
    JIT_CHILD_BROKEN = 4,  /* or was sent nonsense */
    JIT_CHILD_FAILED = 5,  /* or said why in a frame */
    JIT_CHILD_TOTAL = 600, /* seconds of processor time for all programs together */
};

/* A program that takes more memory than this ends the child. NVRTC needs 20 MB for itself and 10 to
 * 30 for each program at work. */
#define JIT_CHILD_BYTES ((uint64_t)4 << 30)

_Noreturn void jit_child_run(const JitChild *child);

#endif
