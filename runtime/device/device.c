/* The host device: cuts one worker's output memory among the outputs of a chunk and calls the
 * kernel. Outputs start on cache lines. */
#include "runtime/device/device.h"
#include <string.h>

enum { LINE = 64 };

static size_t room(int64_t size) {
    return ((size_t)size + LINE - 1) / LINE * LINE;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* An output that has no part in the first chunk has none in any: it comes from the survey. */
static bool is_chunked(const Kernel *k, KernelOutput out) {
    int64_t offset = 0, size = 0;
    if (kernel_chunks(k) > 0) {
        kernel_extent(k, 0, out, &offset, &size);
    }
    return size > 0;
}

bool device_has_globals(const Kernel *k) {
    for (KernelOutput out = 0; out < OUT_COUNT; out++) {
        if (kernel_output_size(k, out) > 0 && !is_chunked(k, out)) {
            return true;
        }
    }
    return false;
}

void device_need(const Kernel *k, DeviceNeed *need) {
    size_t globals = 0, largest = 0;
    const int64_t chunks = kernel_chunks(k);
    for (KernelOutput out = 0; out < OUT_COUNT; out++) {
        globals += is_chunked(k, out) ? 0 : room(kernel_output_size(k, out));
    }
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        size_t outputs = 0;
        for (KernelOutput out = 0; out < OUT_COUNT; out++) {
            int64_t offset, size;
            kernel_extent(k, chunk, out, &offset, &size);
            outputs += room(size);
        }
        largest = larger(largest, outputs);
    }
    need->outputs = larger(need->outputs, larger(globals, largest));
    need->scratch = larger(need->scratch, kernel_scratch_size(k));
    need->state = larger(need->state, kernel_state_size(k));
}

void device_survey(const Kernel *k, int pass, int64_t chunk, const void *source, void *state,
                   pthread_mutex_t *lock, const DeviceSpace *space) {
    pthread_mutex_lock(lock);
    kernel_state_fork(k, space->partial, state);
    pthread_mutex_unlock(lock);
    kernel_survey(k, pass, chunk, source, space->partial, space->scratch);
    pthread_mutex_lock(lock);
    kernel_state_merge(k, pass, state, space->partial);
    pthread_mutex_unlock(lock);
}

void device_encode(const Kernel *k, int64_t chunk, const void *source, const void *state,
                   const DeviceSpace *space, DeviceResult *result) {
    void *outs[OUT_COUNT];
    uint8_t *free_space = space->outputs;
    memset(result, 0, sizeof *result);
    for (KernelOutput out = 0; out < OUT_COUNT; out++) {
        kernel_extent(k, chunk, out, &result->out[out].offset, &result->out[out].size);
        result->out[out].data = outs[out] = result->out[out].size > 0 ? free_space : NULL;
        free_space += room(result->out[out].size);
    }
    kernel_encode(k, chunk, source, state, outs, &result->metrics, space->scratch);
}

void device_globals(const Kernel *k, const void *state, const DeviceSpace *space,
                    DeviceResult *result) {
    uint8_t *free_space = space->outputs;
    memset(result, 0, sizeof *result);
    for (KernelOutput out = 0; out < OUT_COUNT; out++) {
        const int64_t size = kernel_output_size(k, out);
        if (size > 0 && !is_chunked(k, out) && kernel_global(k, out, state, free_space)) {
            result->out[out].data = free_space;
            result->out[out].size = size;
            free_space += room(size);
        }
    }
}
