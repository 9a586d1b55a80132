/* entropy: of the edges of bins from CALIB_START_BIN on, the one at which a histogram cut there
 * (what lies beyond is counted in its last bin) is nearest, by the Kullback-Leibler divergence, to
 * itself without those values and with its bins levelled to as many levels as there are codes; of
 * equal ones the last. ModelOpt's _compute_amax_entropy, where level k of n holds the bins from
 * k / n of the cut on, and empty bins stay empty; the first bin counts as the second does. The
 * codes of a float format are not evenly spread: there a level holds the bins whose centers round
 * to it. Asymmetric: one histogram of both signs, cut on both sides.
 *
 * With prefix sums a candidate costs a logarithm for each level, not for each bin:
 *   T * KL = sum p log p - sum over levels (sum p) log q + T log(sum q) - T log T
 * which is exact to about 1e-13, so divergences that differ by less than TIE are taken as equal. */
#include "kernels/dialect.h"
#include "runtime/base/alloc.h"
#include "runtime/calib/calibrator.h"
#include "runtime/calib/code_levels.h"
#include "runtime/calib/stat_bins.h"
#include <math.h>
#include <string.h>

#define TIE 1e-12

/* libm's last bit is not the same everywhere, and would decide here. x > 0 and normal. */
static double natural_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m /= 2.0;
        exponent++;
    }
    const double f = (m - 1.0) / (m + 1.0), z = f * f; /* log m = 2 artanh f, |f| < 0.172 */
    double series = 0.0;
    for (int k = 25; k >= 1; k -= 2) {
        series = series * z + 1.0 / (double)k;
    }
    return 2.0 * f * series + (double)exponent * 0.6931471805599453;
}

/* A histogram of one or both signs, with the sums of its first 0, 1, ... bins. */
typedef struct Density {
    int64_t bins, zero; /* all; those below 0 */
    uint64_t *count;
    int64_t *filled;   /* bins that are not empty */
    double *entropy;   /* sum c log c */
    const uint64_t *c; /* of each bin */
} Density;

static double self_entropy(uint64_t count) {
    return count > 0 ? (double)count * natural_log((double)count) : 0.0;
}

static int64_t side_bins(const uint64_t *counts, int64_t bins) {
    while (bins > 0 && counts[bins - 1] == 0) {
        bins--;
    }
    return bins;
}

static bool density_make(const Stat *stat, bool two_sides, Density *d) {
    const int64_t below = two_sides ? side_bins(stat->below, stat->bins) : 0;
    const int64_t above = two_sides ? side_bins(stat->above, stat->bins) : stat->bins;
    const size_t n = (size_t)(above + below);
    uint64_t *block = mem_try((4 * n + 3) * sizeof *block);
    TRY(block);
    *d = (Density){
        above + below,    below, block, (int64_t *)(block + n + 1), (double *)(block + 2 * n + 2),
        block + 3 * n + 3};
    uint64_t *c = block + 3 * n + 3;
    for (int64_t b = 0; b < below; b++) {
        c[below - 1 - b] = stat->below[b > 0 ? b : stat->bins > 1];
    }
    for (int64_t b = 0; b < above; b++) {
        const int64_t from = b > 0 ? b : stat->bins > 1;
        c[below + b] = stat->above[from] + (two_sides ? 0 : stat->below[from]);
    }
    for (size_t b = 0; b < n; b++) {
        d->count[b + 1] = d->count[b] + c[b];
        d->filled[b + 1] = d->filled[b] + (c[b] > 0);
        d->entropy[b + 1] = d->entropy[b] + self_entropy(c[b]);
    }
    return true;
}

/* ---- levels: level k of a cut of n bins begins at bin starts[k] of it */

typedef struct Levels {
    int count;
    bool even; /* integers */
    CodeLevels codes;
    int64_t starts[CODE_LEVELS_MOST + 1];
} Levels;

static void levels_make(const Format *f, Levels *l) {
    code_levels_make(f, &l->codes);
    l->even = f->integer;
    l->count = l->even ? 1 << (f->bits - (f->asymmetric ? 0 : 1)) : l->codes.count;
}

static void levels_cut(Levels *l, int64_t n) {
    l->starts[0] = 0;
    l->starts[l->count] = n;
    for (int k = 1; k < l->count; k++) {
        const int64_t start =
            l->even ? (k * n + l->count - 1) / l->count : code_levels_start(&l->codes, k, n);
        l->starts[k] = start < n ? start : n;
    }
}

/* T * KL - constant, divided by T; infinite where a value that was cut off meets an empty bin. */
static double divergence(const Density *d, Levels *l, int64_t first, int64_t end) {
    const uint64_t total = d->count[d->bins], low = d->count[first];
    const uint64_t high = total - d->count[end], kept = d->count[end] - low;
    if ((low > 0 && d->c[first] == 0) || (high > 0 && d->c[end - 1] == 0) || kept == 0) {
        return INFINITY;
    }
    double sum = d->entropy[end] - d->entropy[first];
    if (low > 0) {
        sum += self_entropy(d->c[first] + low) - self_entropy(d->c[first]);
    }
    if (high > 0) {
        sum += self_entropy(d->c[end - 1] + high) - self_entropy(d->c[end - 1]);
    }
    levels_cut(l, end - first);
    for (int k = 0; k < l->count; k++) {
        const int64_t a = first + l->starts[k], b = first + l->starts[k + 1];
        const uint64_t inside = d->count[b] - d->count[a];
        if (b > a && inside > 0) {
            const double level = (double)inside / (double)(d->filled[b] - d->filled[a]);
            const uint64_t p = inside + (a == first ? low : 0) + (b == end ? high : 0);
            sum -= (double)p * natural_log(level);
        }
    }
    return sum / (double)total + natural_log((double)kept) - natural_log((double)total);
}

static const char *range(const Stat *stat, const CalibTarget *target, const CalibArgs *args,
                         CalibRange *out) {
    Density d;
    Levels levels;
    (void)args;
    if (!density_make(stat, target->format->asymmetric, &d)) {
        return "is too large: out of memory";
    }
    levels_make(target->format, &levels);
    double least = INFINITY;
    int64_t best = stat->bins;
    for (int64_t i = CALIB_START_BIN; i <= stat->bins; i++) {
        const int64_t below = i < d.zero ? i : d.zero;
        const int64_t above = i < d.bins - d.zero ? i : d.bins - d.zero;
        const double kl = divergence(&d, &levels, d.zero - below, d.zero + above);
        if (kl <= least + TIE) {
            best = i;
            least = kl < least ? kl : least;
        }
    }
    mem_free(d.count);
    *out = calib_for(stat, target, bins_edge(stat, best));
    return NULL;
}

static const Param params[] = {{0}};

const Calibrator calibrator_entropy = {
    .name = "entropy",
    .doc = "the range that loses the least information (Kullback-Leibler divergence)",
    .needs = STAT_RANGE | STAT_HISTOGRAM,
    .params = params,
    .range = range,
};
