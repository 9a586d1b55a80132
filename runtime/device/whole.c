/* Surveys, then chunk after chunk, each straight to its place (whole.h). */
#include "runtime/device/whole.h"
#include <string.h>

static void survey(const Kernel *k, const void *source, void *state, void *partial, void *scratch) {
    for (int pass = 0; pass < kernel_surveys(k); pass++) {
        for (int64_t chunk = 0; chunk < kernel_chunks(k); chunk++) {
            kernel_state_fork(k, partial, state);
            kernel_survey(k, pass, chunk, source, partial, scratch);
            kernel_state_merge(k, pass, state, partial);
        }
        kernel_state_close(k, pass, state);
    }
}

void device_whole(const Kernel *k, const void *source, void *const outs[OUT_COUNT],
                  KernelMetrics *metrics, Arena *arena) {
    const ArenaMark mark = arena_mark(arena);
    const size_t size = kernel_state_size(k);
    void *state = size ? arena_alloc(arena, size) : NULL;
    void *partial = size ? arena_alloc(arena, size) : NULL;
    void *scratch = arena_alloc(arena, kernel_scratch_size(k));
    if (size) {
        kernel_state_init(k, state);
    }
    survey(k, source, state, partial, scratch);
    KernelMetrics sum = {.first_nonfinite = -1};
    for (int64_t chunk = 0; chunk < kernel_chunks(k); chunk++) {
        void *parts[OUT_COUNT] = {0};
        for (KernelOutput out = 0; out < OUT_COUNT; out++) {
            int64_t offset, part;
            kernel_extent(k, chunk, out, &offset, &part);
            parts[out] = part > 0 ? (char *)outs[out] + offset : NULL;
        }
        KernelMetrics one;
        kernel_encode(k, chunk, source, state, parts, &one, scratch);
        kernel_metrics_add(&sum, &one);
    }
    for (KernelOutput out = 0; out < OUT_COUNT; out++) {
        if (kernel_output_size(k, out) > 0) {
            kernel_global(k, out, state, outs[out]);
        }
    }
    if (metrics) {
        *metrics = sum;
    }
    arena_reset(arena, mark);
}
