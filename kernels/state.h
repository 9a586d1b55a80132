/* What surveys learn about the whole tensor. Partials are merged by sums, minima and maxima of
 * integers, so neither chunks nor threads nor their order change a bit. The memory is the caller's:
 * a State with its arrays behind it (state_arrays finds them). */
#ifndef KERNELS_STATE_H
#define KERNELS_STATE_H
#include "kernels/shape.h"

typedef enum Pass {
    PASS_HIGH,  /* PRUNE_RATIO: histogram of the high bits of magnitudes (16-bit sources: all) */
    PASS_LOW,   /* ... of the low bits of those that share the high bits of the threshold */
    PASS_TIES,  /* ... how many weights of each chunk equal the threshold */
    PASS_INDEX, /* ... where the last of them that is kept lies */
    PASS_RANGE, /* ranges per tensor or channel */
    PASS_ERROR, /* METHOD_MSE: error of every ratio, per tensor or channel */
    PASS_COUNT
} Pass;

typedef struct State {
    uint32_t threshold; /* PRUNE_RATIO: smaller magnitudes go, ... */
    int64_t tie_index;  /* ... and equal ones from this index on */
    uint32_t high;      /* the threshold's high bits, after PASS_HIGH; of 16-bit sources all */
    int64_t below;      /* weights below what is known of the threshold */
    int64_t kept;       /* ties to keep; in the chunk tie_chunk, after PASS_TIES */
    int64_t tie_chunk;
    bool settled; /* the passes that are left for pruning have nothing to find */
    bool finite;  /* the ranges are: no weight that was kept is NaN or infinite */
    bool divides; /* the reciprocals may be used: see Lanes.reciprocals */
    float super;
} State;

/* One for each scale (GRANULE_BLOCK: one range for the tensor, nothing else). */
typedef struct StateArrays {
    uint64_t *histogram; /* HISTOGRAM_BINS */
    int64_t *ties;       /* one for each chunk */
    int32_t *lo, *hi;
    uint64_t *errors; /* [K_RATIOS][scales] */
    uint32_t *codes;
    float *s, *r, *z;
    size_t ranges_end, sums_end, size; /* State and ranges, then sums, then scales */
} StateArrays;

enum { HISTOGRAM_BINS = 1 << 16 };

StateArrays state_arrays(const Kernel *k, const Shape *s, const State *state);
bool state_has_scales(const Shape *s);      /* scales come from the state, not from the chunks */
Pass state_pass(const Kernel *k, int pass); /* what survey pass 0, 1, ... is */
#endif
