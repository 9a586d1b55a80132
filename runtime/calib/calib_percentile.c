/* percentile(p): the edge of the bin in which the share of the values that lie within it reaches p
 * percent. ModelOpt's _compute_amax_percentile: shares are float64, summed one after the other. The
 * first bin's lower edge would be 0, which is no range; its upper one is taken instead.
 * Asymmetric, with values on both sides: each side loses half of what is cut. */
#include "runtime/calib/calibrator.h"
#include "runtime/calib/stat_bins.h"

static uint64_t count_of(const uint64_t *counts, int64_t bins) {
    uint64_t sum = 0;
    for (int64_t b = 0; b < bins; b++) {
        sum += counts[b];
    }
    return sum;
}

/* The first bin at which shares of the total reach `share`; other: NULL or counts to be added. */
static float reach(const Stat *stat, const uint64_t *counts, const uint64_t *other, double share) {
    const uint64_t all = count_of(counts, stat->bins) + (other ? count_of(other, stat->bins) : 0);
    double sum = 0.0;
    int64_t b = 0;
    for (; b < stat->bins; b++) {
        sum += (double)(counts[b] + (other ? other[b] : 0)) / (double)all;
        if (sum >= share) {
            break;
        }
    }
    return bins_edge(stat, b > 0 ? b : 1);
}

/* Where one side of a histogram is cut, so that `cut` of all values lie beyond. */
static float side(const Stat *stat, const uint64_t *counts, double cut) {
    const double own = (double)count_of(counts, stat->bins);
    const double all =
        own + (double)count_of(counts == stat->above ? stat->below : stat->above, stat->bins);
    const double share = 1.0 - cut * all / own; /* of this side's own values */
    return reach(stat, counts, NULL, share > 0.0 ? share : 0.0);
}

static const char *range(const Stat *stat, const CalibTarget *target, const CalibArgs *args,
                         CalibRange *out) {
    const double share = args->percentile / 100.0;
    if (!target->format->asymmetric || stat->min >= 0.0f || stat->max <= 0.0f) {
        *out = calib_for(stat, target, reach(stat, stat->above, stat->below, share));
        return NULL;
    }
    const float low = side(stat, stat->below, (1.0 - share) / 2.0);
    const float high = side(stat, stat->above, (1.0 - share) / 2.0);
    out->lo = calib_cut(stat, low).lo;
    out->hi = calib_cut(stat, high).hi;
    out->amax = -out->lo > out->hi ? -out->lo : out->hi;
    return NULL;
}

static const Param params[] = {
    {.name = "p",
     .type = PARAM_FLOAT,
     .initial = "99.99",
     .range = "0.0..100.0",
     .doc = "percent of the values that the range shall hold"},
    {0},
};

const Calibrator calibrator_percentile = {
    .name = "percentile",
    .doc = "the range that holds p percent of the values",
    .needs = STAT_RANGE | STAT_HISTOGRAM,
    .params = params,
    .range = range,
};
