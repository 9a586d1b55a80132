/* What every GPU kernel is called with: one chunk of one weight tensor. Filled by
 * runtime/device/gpu_launch.c, read by the texts of this folder; addresses are the device's.
 *
 * The chunk is a box of the unit view (kernels/shape.h), copied together: element (o, k, i) of it,
 * o < outer, k < rows, i < columns, lies at (o * rows + k) * columns + i, and is element
 * first + (o * axis + k) * inner + i of the tensor. Outputs are those of kernel_extent: they begin
 * with the chunk. Codes, zeros and the report are zeroed before a launch, ranges and errors before
 * a survey. All buffers are aligned to 16 bytes and have room up to the next multiple of 16; the
 * source is followed by zeros up to there. */
#ifndef KERNELS_GPU_ARGS_H
#define KERNELS_GPU_ARGS_H
#include "kernels/compare.h"

/* Metrics of a chunk, before the host makes doubles of them. */
typedef struct GpuReport {
    uint64_t ww[K_LIMBS], qq[K_LIMBS], ee[K_LIMBS];
    uint64_t zeros, nonfinite;
    uint64_t not_first;  /* ~(index of the first weight that is not finite); 0: there is none */
    uint32_t max_error;  /* bits of a float */
    uint32_t padding;
} GpuReport;

typedef struct GpuArgs {
    const uint8_t *source;
    uint8_t *codes, *scales, *zeros; /* outputs; NULL when the kernel has none */
    float *s, *z;     /* divisors and zero points: of tensor or channels, from the survey; or, of
                       * blocks, scratch between two steps of a kernel */
    int32_t *lo, *hi; /* ranges of tensor or channels (kernels/lanes.h: Range) */
    uint64_t *errors; /* survey of METHOD_MSE: [K_RATIOS][scales] */
    GpuReport *report;
    int64_t outer, rows, columns; /* of the box */
    int64_t axis, inner;          /* of the unit view */
    int64_t first;                /* element of the tensor at (0, 0, 0) */
    int64_t channels, run;        /* channel of element x: x / run % channels; 1 channel: tensor */
    /* PRUNE_NM: element x is number x / prune_inner % prune_axis of its axis; in the box, the next
     * one of the axis is prune_stride elements on */
    int64_t prune_axis, prune_inner, prune_stride;
    int64_t block;                /* weights of a scale, where the text does not say it */
    int64_t units;                /* of work: what the entry's loop counts */
    int64_t tie_index;            /* PRUNE_RATIO, as State */
    uint32_t threshold;
    float super; /* two-level scales: of the tensor */
} GpuArgs;
#endif
