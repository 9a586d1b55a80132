/* Kernel text to cubin, by NVRTC. Compiling happens in a child process that a compile bomb or a bug
 * of NVRTC cannot leave: after loading NVRTC it may open no file (Landlock, where the kernel has
 * it), and its CPU time, memory and lifetime are limited (it dies with its parent). It is forked by
 * jit_open, before this process has threads or a GPU, and loads NVRTC while the caller goes on;
 * programs are compiled there in parallel, each one NVRTC program of its own. Results come through
 * the cache (cubin_cache.h) when it has them, and are stored there; when it has all of them, nobody
 * waits for the child.
 *
 * NVRTC is looked for as libnvrtc.so.13, then .12, in the loader's path, beside the binary, and in
 * /usr/local/cuda/lib64; 12.0 or later. */
#ifndef RUNTIME_DEVICE_JIT_H
#define RUNTIME_DEVICE_JIT_H
#include "runtime/device/cubin_cache.h"

typedef struct JitProgram {
    Str text;      /* in: includes name embedded headers of kernels/ only; LIMIT_KERNEL_TEXT */
    bool specific; /* in: wants sm_XXa */
    Str cubin;     /* out, on the session's arena, aligned to 16 */
    Str ptx;       /* out, with JitOptions.ptx only */
    /* out: of its largest function (bytes); spills: bytes stored and loaded; each -1 when it is not
     * known, as with PTX */
    int registers, stack, shared, spills;
    bool cached;    /* out */
    double seconds; /* out: of compiling; 0 when cached */
} JitProgram;

typedef struct JitOptions {
    CubinCache *cache; /* NULL: none */
    int threads;       /* at most this many programs at a time */
    bool ptx;          /* give PTX instead of a cubin; not cached */
    int seconds;       /* of processor time for one program; 0: JIT_SECONDS */
} JitOptions;

/* The longest kernel of ours takes less than one. */
enum { JIT_SECONDS = 20 };

typedef struct Jit Jit;

/* Forks the child; the calling thread must live as long as the Jit. NULL: no child could be made;
 * `why` says the reason in a few words. That NVRTC is missing shows in jit_ready. The child ends at
 * jit_close, at session_close, or with us. */
Jit *jit_open(Session *s, const JitOptions *options, Str *why);
/* Waits until NVRTC is loaded there. False: it is missing or too old, and why. jit_build does this
 * itself where it has something to compile. */
bool jit_ready(Session *s, Jit *jit, Str *why);
int jit_version(const Jit *jit);                          /* 13000: NVRTC 13.0; 0: not known yet */
bool jit_supports(const Jit *jit, int arch);              /* after jit_ready */
const int *jit_architectures(const Jit *jit, int *count); /* ascending; after jit_ready */
Str jit_path(const Jit *jit);      /* where NVRTC lies; empty: not known; after jit_ready */
bool jit_confined(const Jit *jit); /* Landlock is in force; after jit_ready */
/* Seconds from jit_open until NVRTC was loaded; 0: nobody had to wait for it. */
double jit_loading(const Jit *jit);
/* Compiles what the cache lacks. False: `why` holds the log of the program that failed (a bug of
 * ours), with the lines around the place, or says what happened to the child (a limit, a crash, a
 * signal); a child that is gone stays gone, and what the cache has is still given. */
bool jit_build(Session *s, Jit *jit, int arch, JitProgram *programs, size_t count, Str *why);
void jit_close(Session *s, Jit *jit); /* NULL is fine */
#endif
