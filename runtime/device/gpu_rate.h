/* What a GPU's memory gives: the rate of a large copy within it, the measure of every kernel. */
#ifndef RUNTIME_DEVICE_GPU_RATE_H
#define RUNTIME_DEVICE_GPU_RATE_H
#include "runtime/device/gpu.h"

/* Bytes read and written a second, the median of several copies; 0: it could not be measured. The
 * calling thread must use the GPU's context. */
double gpu_copy_rate(Gpu *gpu);
#endif
