/* A kernel over a whole tensor on this thread, for work outside of exec's schedule. */
#ifndef RUNTIME_DEVICE_WHOLE_H
#define RUNTIME_DEVICE_WHOLE_H
#include "kernels/kernels.h"
#include "runtime/base/arena.h"

/* outs[i]: kernel_output_size bytes; the arena is scratch and given back. metrics may be NULL. */
void device_whole(const Kernel *k, const void *source, void *const outs[OUT_COUNT],
                  KernelMetrics *metrics, Arena *arena);

#endif
