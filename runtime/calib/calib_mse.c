/* mse: of the centers of bins from CALIB_START_BIN on, the one whose codes give the histogram the
 * least sum of squared errors; the first such. ModelOpt's _compute_amax_mse: codes and what they
 * stand for by float32 operations on the bins' centers, integers rounded as ModelOpt rounds them
 * (between -bound and bound), floats by the format itself. Its sums are float32, these float64.
 * Asymmetric: both sides are cut at the candidate.
 *
 * Bins of one code lie side by side, so a candidate costs a few operations for each code, not for
 * each bin: sum w (q - x)^2 = q^2 (sum w) - 2 q (sum w x) + sum w x^2, from sums over the first
 * 0, 1, ... bins. What cancels there leaves ten digits of the sum. */
#include "kernels/dialect.h"
#include "runtime/base/alloc.h"
#include "runtime/calib/calibrator.h"
#include "runtime/calib/code_levels.h"
#include "runtime/calib/stat_bins.h"
#include <math.h>

/* One sign's values, or both signs' magnitudes. */
typedef struct Side {
    int64_t bins;
    float *center;
    double *weight, *first, *second; /* sums of w, w x, w x^2 */
} Side;

static bool side_make(const Stat *stat, const uint64_t *counts, const uint64_t *more, Side *side) {
    const size_t n = (size_t)stat->bins + 1;
    double *block = mem_try(n * (3 * sizeof(double) + sizeof(float)));
    TRY(block);
    *side = (Side){stat->bins, (float *)(block + 3 * n), block, block + n, block + 2 * n};
    for (int64_t b = 0; b < stat->bins; b++) {
        side->center[b] = (bins_edge(stat, b + 1) + bins_edge(stat, b)) / 2.0f;
        const double x = (double)side->center[b];
        const double w = (double)(counts[b] + (more ? more[b] : 0));
        side->weight[b + 1] = side->weight[b] + w;
        side->first[b + 1] = side->first[b] + w * x;
        side->second[b + 1] = side->second[b] + w * x * x;
    }
    return true;
}

/* Codes for one candidate. */
typedef struct Grid {
    const CodeLevels *levels;
    float scale;
    double spacing; /* scale * width: steps of codes from one bin to the next */
    int most[2];    /* the last level of each side */
} Grid;

static Grid grid_of(const Stat *stat, const CodeLevels *levels, float cut) {
    const Format *f = levels->format;
    const int last = levels->count - 1;
    Grid g = {.levels = levels, .scale = f->scale_max / cut, .most = {last, last}};
    if (f->asymmetric) {
        const CalibRange r = calib_cut(stat, cut);
        g.scale = k_min(f->scale_max / (r.hi - r.lo), 0x1.fffffep127f);
        g.most[1] = (int)k_rint(-r.lo * g.scale);
        g.most[0] = last - g.most[1];
    }
    g.spacing = (double)g.scale * (double)stat->width;
    return g;
}

/* Whether x, not below 0, gets at least value k. */
static bool reaches(const Grid *g, float x, int k) {
    const Format *f = g->levels->format;
    const float code = f->integer ? k_rint(x * g->scale) : f->decode(f->encode(x * g->scale));
    return code >= g->levels->value[k];
}

/* The first bin from `from` on that gets at least value k: about where the middle lies. */
static int64_t start_of(const Grid *g, const Side *side, int k, int64_t from) {
    const double guess = ceil(g->levels->middle[k] / g->spacing - 0.5);
    int64_t b = guess < (double)side->bins ? (int64_t)guess : side->bins;
    b = b > from ? b : from;
    while (b > from && reaches(g, side->center[b - 1], k)) {
        b--;
    }
    while (b < side->bins && !reaches(g, side->center[b], k)) {
        b++;
    }
    return b;
}

static double error_of(const Grid *g, const Side *side, int most) {
    const float inverse = 1.0f / g->scale;
    double sum = 0.0;
    for (int64_t k = 0, b = 0, end = 0; k <= most && b < side->bins; k++, b = end) {
        const float value = g->levels->value[k];
        end = k == most ? side->bins : start_of(g, side, (int)k + 1, b);
        const double q = (double)(g->levels->format->integer ? value / g->scale : value * inverse);
        sum += q * q * (side->weight[end] - side->weight[b]);
        sum -= 2.0 * q * (side->first[end] - side->first[b]);
        sum += side->second[end] - side->second[b];
    }
    return sum;
}

static float best_cut(const Stat *stat, const CodeLevels *levels, const Side *sides, int count) {
    float best = bins_top(stat);
    double least = INFINITY;
    for (int64_t i = CALIB_START_BIN; i < stat->bins; i++) {
        const Grid grid = grid_of(stat, levels, sides[0].center[i]);
        double sum = 0.0;
        for (int k = 0; k < count; k++) {
            sum += error_of(&grid, &sides[k], grid.most[k]);
        }
        if (sum < least) {
            least = sum;
            best = sides[0].center[i];
        }
    }
    return best;
}

static const char *range(const Stat *stat, const CalibTarget *target, const CalibArgs *args,
                         CalibRange *out) {
    const bool two = target->format->asymmetric;
    CodeLevels levels;
    Side sides[2] = {{0}};
    (void)args;
    code_levels_make(target->format, &levels);
    const bool made = side_make(stat, stat->above, two ? NULL : stat->below, &sides[0]) &&
                      (!two || side_make(stat, stat->below, NULL, &sides[1]));
    if (made) {
        *out = calib_for(stat, target, best_cut(stat, &levels, sides, two ? 2 : 1));
    }
    mem_free(sides[0].weight);
    mem_free(sides[1].weight);
    return made ? NULL : "is too large: out of memory";
}

static const Param params[] = {{0}};

const Calibrator calibrator_mse = {
    .name = "mse",
    .doc = "the range with the least squared error of the values",
    .needs = STAT_RANGE | STAT_HISTOGRAM,
    .weighs = true,
    .params = params,
    .range = range,
};
