/* A GPU that runs kernels: driver, device, context, and a loaded program for every act of every
 * Kernel that has a text (gpu_programs.h). Opening compiles what the cache lacks, while the context
 * is made. Whatever goes wrong here or later, the host can do the same work with the same bytes.
 *
 * Opened, or its compiler, before the process has threads of its own (jit.h forks). Not for two
 * sessions at once. */
#ifndef RUNTIME_DEVICE_GPU_H
#define RUNTIME_DEVICE_GPU_H
#include <stdatomic.h>
#include "runtime/device/cuda_api.h"
#include "runtime/device/gpu_programs.h"
#include "runtime/device/jit.h"

typedef struct GpuWish {
    int ordinal;    /* of the GPU; -1: the first that can be used */
    Str cache_root; /* cubin_cache_root's; empty: none */
    bool timed;     /* measure copies and kernels apart (costs a few microseconds a chunk) */
    Jit *compiler;  /* gpu_compiler's, which gpu_open closes; NULL: it forks one */
} GpuWish;

/* How long opening took, in seconds: driver and device, the context, and from the start until every
 * program was compiled or found, which goes on beside the others: loading NVRTC, beside the driver,
 * and the program that took longest. */
typedef struct GpuStart {
    double driver, context, programs, load;
    double nvrtc, longest; /* 0: all programs were in the cache */
    int compiled, cached;  /* programs */
} GpuStart;

typedef struct Gpu {
    CudaApi api;
    CudaContext context;
    CudaDevice device;
    int ordinal, arch; /* 90: sm_90 */
    Str name;
    bool timed;
    GpuPrograms programs;
    CudaFunction (*functions)[GPU_STEPS]; /* of each program */
    CudaModule *modules;
    GpuStart start;
    atomic_int failed; /* first CudaStatus that was not expected; nothing is begun any more */
    _Atomic(const char *) act; /* what failed then */
    Cleanup cleanup;
} Gpu;

/* Forks the compile child early, for a process that will have threads when it opens the GPU. NULL:
 * none can be made, and why. */
Jit *gpu_compiler(Session *s, const GpuWish *wish, Str *why);
/* NULL: no GPU can do this, and why, in a few words. */
Gpu *gpu_open(Session *s, const GpuWish *wish, const Kernel *kernels, size_t stride, size_t count,
              Str *why);
void gpu_close(Session *s, Gpu *gpu); /* NULL is fine; lanes are closed before */
/* True if status is success; else remembers it and what was tried, and returns false. */
bool gpu_ok(Gpu *gpu, CudaStatus status, const char *act);
/* Why the GPU stopped, for people; empty while it works. */
Str gpu_failure(const Gpu *gpu, Arena *arena);
#endif
