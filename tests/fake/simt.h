/* Runs a GPU kernel on the host: every GPU thread is a coroutine with a stack of its own, and the
 * functions that kernels/gpu/threads.h leaves to its includer (k_thread, k_sync, k_xor, ...) are
 * here. It is stricter than a GPU: lanes of a warp that are at different calls, a thread that ends
 * before a k_sync that others wait for, a lane number of 32 or more, a stack that overflows: each
 * aborts with one line that says where.
 *
 * Threads of a block take turns only at such calls; blocks run one after the other. The order is
 * decided by a seed, and a right kernel gives the same bytes for every seed. Runs of several host
 * threads may overlap unless their kernels share statics. Kernels may allocate nothing. */
#ifndef TESTS_FAKE_SIMT_H
#define TESTS_FAKE_SIMT_H
#include <stddef.h>
#include <stdint.h>

enum { SIMT_STACK = 64 << 10, SIMT_THREADS = 1024 /* of a block, at most */ };

typedef void SimtKernel(void **parameters);

typedef struct SimtOptions {
    uint64_t seed; /* 0: the first block, warp and lane that can run, each as far as it comes */
    void *shared; /* if not NULL: filled with rubbish (SIMT_RUBBISH for seed 0) before each block */
    size_t shared_size;
} SimtOptions;

enum { SIMT_RUBBISH = 0xa5 };

/* `grid` blocks of `threads` threads, a multiple of 32. */
void simt_run(SimtKernel *kernel, unsigned grid, unsigned threads, void **parameters);
void simt_run_as(SimtKernel *kernel, unsigned grid, unsigned threads, void **parameters,
                 const SimtOptions *options);
#endif
