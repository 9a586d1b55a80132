/* mse: of the centers of bins from CALIB_START_BIN on, the one whose codes give the histogram the
 * least sum of squared errors; the first such. ModelOpt's _compute_amax_mse: float32 operations on
 * the bins' centers, but squares and sums in float64, which have no noise and no limits. Integers
 * are rounded as ModelOpt rounds them (from -bound to bound), floats by the format itself.
 * Asymmetric: both sides are cut at the candidate. */
#include "kernels/dialect.h"
#include "runtime/calib/calibrator.h"
#include "runtime/calib/stat_bins.h"

/* Codes for one candidate. */
typedef struct Grid {
    const Format *format;
    float scale, inverse;
    float lo, hi; /* of codes */
    float zero;
} Grid;

static Grid grid_of(const Stat *stat, const CalibTarget *target, float cut) {
    const Format *f = target->format;
    Grid g = {.format = f, .scale = f->scale_max / cut, .lo = -f->scale_max, .hi = f->scale_max};
    if (f->asymmetric) {
        const CalibRange r = calib_cut(stat, cut);
        g.scale = f->scale_max / (r.hi - r.lo);
        g.zero = k_rint(-r.lo * g.scale);
        g.lo = -g.zero;
        g.hi = f->scale_max - g.zero;
    }
    g.inverse = 1.0f / g.scale;
    return g;
}

static double integer_error(const Grid *g, const float *x, const double *weight, int64_t n) {
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) {
        const float code = k_max(k_min(k_rint(x[j] * g->scale), g->hi), g->lo);
        const float error = code / g->scale - x[j];
        sum += (double)error * (double)error * weight[j];
    }
    return sum;
}

static double float_error(const Grid *g, const float *x, const double *weight, int64_t n) {
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) {
        const float code = g->format->decode(g->format->encode(x[j] * g->scale));
        const float error = code * g->inverse - x[j];
        sum += (double)error * (double)error * weight[j];
    }
    return sum;
}

enum { STRIP = 1024 /* bins whose centers and counts are made at once */ };

typedef struct Side {
    const uint64_t *counts, *more; /* more: NULL, or counts to be added */
    float sign;
} Side;

static double error_of(const Stat *stat, const Grid *g, const Side *side) {
    float x[STRIP];
    double weight[STRIP];
    double sum = 0.0;
    for (int64_t first = 0; first < stat->bins; first += STRIP) {
        const int64_t n = stat->bins - first < STRIP ? stat->bins - first : STRIP;
        for (int64_t j = 0; j < n; j++) {
            const int64_t b = first + j;
            x[j] = side->sign * ((bins_edge(stat, b + 1) + bins_edge(stat, b)) / 2.0f);
            weight[j] = (double)(side->counts[b] + (side->more ? side->more[b] : 0));
        }
        sum += (g->format->integer ? integer_error : float_error)(g, x, weight, n);
    }
    return sum;
}

static const char *range(const Stat *stat, const CalibTarget *target, const CalibArgs *args,
                         CalibRange *out) {
    const bool two = target->format->asymmetric;
    const Side sides[2] = {{stat->above, two ? NULL : stat->below, 1.0f},
                           {stat->below, NULL, -1.0f}};
    float best = bins_top(stat);
    double least = 0.0;
    (void)args;
    for (int64_t i = CALIB_START_BIN; i < stat->bins; i++) {
        const float cut = (bins_edge(stat, i + 1) + bins_edge(stat, i)) / 2.0f;
        const Grid grid = grid_of(stat, target, cut);
        double sum = error_of(stat, &grid, &sides[0]);
        sum += two ? error_of(stat, &grid, &sides[1]) : 0.0;
        if (i == CALIB_START_BIN || sum < least) {
            least = sum;
            best = cut;
        }
    }
    *out = calib_for(stat, target, best);
    return NULL;
}

static const Param params[] = {{0}};

const Calibrator calibrator_mse = {
    .name = "mse",
    .doc = "the range with the least squared error of the values",
    .needs = STAT_RANGE | STAT_HISTOGRAM,
    .params = params,
    .range = range,
};
