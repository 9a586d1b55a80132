/* One batch's share of range, histogram and channels, cut into tasks that depend on its shape alone
 * and run by a Spread. Memory comes from the caller; nothing here allocates. Functions return false
 * when the Spread could not run all tasks. */
#ifndef RUNTIME_CALIB_STAT_TASKS_H
#define RUNTIME_CALIB_STAT_TASKS_H
#include "runtime/calib/stat_lanes.h"
#include "runtime/calib/stats.h"

enum { STAT_STRIP = 2048 /* floats that a task widens at once, on its stack */ };

typedef struct StatInput {
    int type; /* FLOAT, FLOAT16, DOUBLE or BFLOAT16 */
    const void *x;
    StatView view;
    int64_t count; /* of all values */
    bool direct;   /* x can be read as floats where it lies */
    const StatLanes *lanes;
} StatInput;

/* Elements first .. first + n (at most STAT_STRIP) as floats: where they lie, or in buffer. */
const float *stat_floats(const StatInput *in, int64_t first, int64_t n, float *buffer);

/* Keys (stat_key) of the least and the largest value; needs stat_range_scratch bytes. */
size_t stat_range_scratch(const StatInput *in);
bool stat_range(const StatInput *in, const Spread *spread, void *scratch, int32_t *lo, int32_t *hi);

/* Counts all magnitudes in bins over [0, top]. */
size_t stat_histogram_scratch(int64_t bins);
bool stat_histogram(const StatInput *in, const Spread *spread, void *scratch, int64_t bins,
                    float top, uint64_t *above, uint64_t *below);

bool stat_channels(const StatInput *in, const Spread *spread, float *amax, double *sum,
                   double *sum_abs);

#endif
