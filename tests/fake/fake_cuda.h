/* libcuda.so.1 without a GPU: the driver that runtime/device/cuda_api.h asks for, with one device
 * whose kernels run on the host (text_load.h, simt.h). Its modules are what fake_nvrtc.c makes. It
 * is right where a driver is (codes, contexts by thread, order of streams, no use after fork) and
 * strict where a driver is not: what only a bug of the caller can do aborts with a line.
 *
 * Environment, read by the first call and by `reset`:
 *   FAKE_CUDA             calls that fail (failpoints.h). A code after which a GPU is lost (700,
 *                         719, 214, ...) is returned by every later call that needs the context.
 *   FAKE_CUDA_MEMORY      bytes of the GPU (default: 1 GiB)
 *   FAKE_CUDA_CAPABILITY  MAJOR.MINOR (9.0)
 *   FAKE_CUDA_VERSION     of the driver (13000)
 *   FAKE_CUDA_DEVICES     0 or 1 (1)
 *   FAKE_CUDA_DEFER       1: streams do their work when somebody waits for it, as late as a GPU may
 *   FAKE_CUDA_SEED        order of a kernel's threads (simt.h) */
#ifndef TESTS_FAKE_FAKE_CUDA_H
#define TESTS_FAKE_FAKE_CUDA_H
#include <stddef.h>

typedef struct FakeCuda {
    void (*reset)(void);                       /* as if just loaded: nothing is left */
    void (*failures)(const char *list);        /* failpoints_set */
    unsigned long (*calls)(const char *entry); /* since the last `failures` or `reset` */
    unsigned (*live)(void);                    /* blocks, pinned blocks, modules, streams,
                                                * events, contexts that were not given back */
} FakeCuda;

/* The library's own symbol, for dlsym. */
#define FAKE_CUDA_SYMBOL "fake_cuda"
#endif
