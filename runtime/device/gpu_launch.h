/* One act on one chunk, ready to launch: sizes of the buffers, the arguments, how many blocks each
 * step takes. Plain arithmetic on Kernel and text; no driver is called here. */
#ifndef RUNTIME_DEVICE_GPU_LAUNCH_H
#define RUNTIME_DEVICE_GPU_LAUNCH_H
#include "kernels/gpu/args.h"
#include "runtime/device/gpu_text.h"

/* A chunk's weights in the tensor: `pieces` runs of `run` weights, `stride` weights apart. */
typedef struct GpuSource {
    int64_t first, run, stride, pieces;
} GpuSource;

typedef struct GpuLaunch {
    GpuSource source;
    int64_t weights; /* of the chunk */
    GpuArgs args;    /* sizes and numbers; addresses and, for each step, units are the caller's */
    int64_t units[GPU_STEPS], blocks[GPU_STEPS];
    size_t scratch;  /* bytes for s, and again for z, that steps use between them; 0: none */
} GpuLaunch;

/* state: of the surveys, as kernel_encode takes it; may be NULL if there are none. False: the chunk
 * is larger than a text can count (2^31 weights), or holds none. */
bool gpu_launch(const Kernel *k, const GpuText *about, int64_t chunk, const void *state,
                GpuLaunch *out);
/* Copies the chunk's weights out of the tensor: gpu_source's type, zeros up to a multiple of 16
 * bytes. */
void gpu_gather(const Kernel *k, const GpuLaunch *launch, const void *tensor, void *to);
size_t gpu_gather_size(const Kernel *k, const GpuLaunch *launch);
#endif
