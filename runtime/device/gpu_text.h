/* The text of the GPU kernels for one act on a Kernel: a few #defines and the one or two headers of
 * kernels/gpu that they specialise. A text depends on what the Kernel does and on its class of
 * shape, not on its size, so a whole model needs few; equal texts are one program.
 *
 * Entries are called one after the other with the same GpuArgs (gpu_launch.h fills it). */
#ifndef RUNTIME_DEVICE_GPU_TEXT_H
#define RUNTIME_DEVICE_GPU_TEXT_H
#include "kernels/kernels.h"
#include "runtime/base/str.h"

enum { GPU_ENCODE = -1 /* an act; 0, 1, ...: that survey pass */ };

typedef struct GpuStep {
    const char *entry;
    int threads;       /* of a block */
    int64_t work;      /* units that one block does; 0: one block per unit of GpuArgs.units */
} GpuStep;

typedef struct GpuText {
    const char *skeleton; /* "rows", "columns", ...: for people */
    bool specific;        /* needs an arch-specific target (sm_XXa) */
    int steps;
    GpuStep step[3];
} GpuText;

/* False: the host does this act (a pass that no GPU text exists for). */
bool gpu_text(const Kernel *k, int act, GpuText *about, Buf *text);
#endif
