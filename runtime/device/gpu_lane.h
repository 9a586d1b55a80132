/* One worker's place on a GPU: a stream, pinned memory and device memory for the acts it has under
 * way. An act is begun (weights are gathered into pinned memory; copies and kernels are enqueued)
 * and finished later (waited for), so a worker with two slots has one act on the GPU while it
 * gathers or writes another. All memory is taken when a lane is opened; workers allocate nothing.
 *
 * Every act either gives its result or false, and then nothing of it remains: the caller lets the
 * host do that chunk. After an error of the GPU no act is begun any more. */
#ifndef RUNTIME_DEVICE_GPU_LANE_H
#define RUNTIME_DEVICE_GPU_LANE_H
#include "runtime/device/device.h"
#include "runtime/device/gpu.h"
#include "runtime/device/gpu_launch.h"

enum { GPU_SLOTS = 2 };

typedef struct GpuSizes {
    size_t in, out, scratch; /* bytes of a slot: pinned and device in and out, device scratch */
} GpuSizes;

typedef struct GpuTimes {
    double in, kernel, out; /* seconds on the GPU; only if Gpu.timed */
    uint64_t bytes_in, bytes_out, acts;
} GpuTimes;

typedef struct GpuLane GpuLane;

/* What the largest act of a Kernel takes. */
void gpu_lane_sizes(const Gpu *gpu, size_t kernel, const Kernel *k, GpuSizes *sizes);
/* NULL: no memory for another lane, pinned or of the GPU; nothing is left of it. Called by the main
 * thread; `least` bytes of the GPU stay free. */
GpuLane *gpu_lane_open(Session *s, Gpu *gpu, const GpuSizes *sizes, size_t least);
void gpu_lane_close(Session *s, GpuLane *lane); /* waits for what is under way; NULL is fine */
/* By the worker, once, before its first act. */
void gpu_lane_enter(GpuLane *lane);

/* False: the host has to do it. kernel: the index in gpu_open's array; state: as kernel_encode. */
bool gpu_lane_begin(GpuLane *lane, int slot, size_t kernel, const Kernel *k, int act, int64_t chunk,
                    const void *source, const void *state);
/* Of an encode: outputs lie in the slot's memory until its next act. */
bool gpu_lane_finish(GpuLane *lane, int slot, DeviceResult *result);
/* Of a survey: folds it into `state` as device_survey does; partial: memory for a state. */
bool gpu_lane_finish_survey(GpuLane *lane, int slot, void *state, pthread_mutex_t *lock,
                            void *partial);
const GpuTimes *gpu_lane_times(const GpuLane *lane);
#endif
