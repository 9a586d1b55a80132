/* Calibrators: from the statistics of a tensor to the range that its codes shall cover. Each says
 * what it needs; results are the same on every machine. On the same histogram and for the formats
 * that it knows they choose what NVIDIA ModelOpt 0.47 chooses (modelopt/torch/quantization/calib),
 * but where its arithmetic fails: squares of values beyond 1e19 or below 1e-19, which float32 has
 * no room for; bins that are all empty below a cut, where it divides 0 by 0; a percentile within
 * the first bin, whose lower edge is 0.
 *
 * Symmetric formats have a range of -amax to amax. Asymmetric ones have lo <= 0 <= hi; where all
 * values have one sign, that is what the symmetric rule says for an unsigned format, and else the
 * rule is stretched to both sides as the files say. A tensor of zeros has the range 0 to 0. */
#ifndef RUNTIME_CALIB_CALIBRATOR_H
#define RUNTIME_CALIB_CALIBRATOR_H
#include "kernels/kernels.h"
#include "runtime/base/schema.h"
#include "runtime/calib/stats.h"

typedef struct CalibTarget {
    const Format *format; /* of codes; says whether they are asymmetric */
} CalibTarget;

typedef struct CalibArgs {
    double percentile; /* of `percentile`, in percent */
} CalibArgs;

#define CALIB_ARGS_DEFAULT ((CalibArgs){.percentile = 99.99})

typedef struct CalibRange {
    float lo, hi;
    float amax; /* the larger of their magnitudes */
} CalibRange;

typedef struct Calibrator {
    const char *name;
    const char *doc;
    unsigned needs;      /* of StatWhat */
    bool weighs;         /* counts may be weights: what counts is a sum of errors, not of values */
    const Param *params; /* ends in a row whose name is NULL */
    /* NULL, or why there is no range, as a text that continues "tensor NAME ". Called through
     * calibrator_range, which has checked that the Stat holds what is needed. */
    const char *(*range)(const Stat *stat, const CalibTarget *target, const CalibArgs *args,
                         CalibRange *range);
} Calibrator;

extern const Calibrator *const calibrators[];
extern const int calibrator_count;
const Calibrator *calibrator_find(Str name); /* NULL if there is none */

/* For use by several threads at once, each on a Stat of its own. */
const char *calibrator_range(const Calibrator *calibrator, const Stat *stat,
                             const CalibTarget *target, const CalibArgs *args, CalibRange *range);

/* The ranges that a symmetric amax, or a magnitude that both sides are cut at, stand for. */
CalibRange calib_symmetric(float amax);
CalibRange calib_cut(const Stat *stat, float magnitude);
CalibRange calib_for(const Stat *stat, const CalibTarget *target, float magnitude);

/* Candidates for a cut begin at this bin, as in ModelOpt. */
enum { CALIB_START_BIN = 128 };

#endif
