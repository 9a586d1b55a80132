/* SmoothQuant (Xiao et al. 2023, arXiv:2211.10438): channels with large inputs get smaller inputs
 * and larger weights, s = a^alpha / w^(1 - alpha), so that one scale fits all channels of the
 * input. The alpha of a layer is searched by an estimate of its output's error, from the statistics
 * alone. */
#ifndef RUNTIME_CALIB_SMOOTH_H
#define RUNTIME_CALIB_SMOOTH_H
#include "runtime/calib/calibrator.h"
#include "runtime/calib/channel_scale.h"

/* s[k] from the maxima of the input's channels and of the weight's columns (of all siblings). A
 * channel that is always 0 (a <= 2^-31) gets 1; w is at least 1e-5; s is kept within
 * CHANNEL_SCALE_LEAST and _MOST. */
void smooth_scale(const float *activation_amax, const float *weight_amax, int64_t k, double alpha,
                  float *s);

/* The search ends here: with alpha = 1 the maximum of every channel is the end of the range, and
 * the first larger input of any of them is clipped, which no statistic of the data foretells.
 * Measured on pylm-7m, INT8: perplexity 5.651 (1: 5.673), on other text 4.998 (5.004). A range that
 * clips on purpose does not change that: by mse, on data held out, 4.522 (1: 4.525). */
#define SMOOTH_MOST_ALPHA 0.95

/* Where each row has its own scale, what counts is the largest channel of an ordinary row, not of
 * the rarest: so many deviations. Measured on pylm-7m, INT8 per token: perplexity 5.6146
 * (2.5: 5.618, 4: 5.616, 8: 5.623, the maxima of all rows: 5.633, no smoothing: 5.630,
 * float: 5.6149). */
#define SMOOTH_TYPICAL_ROW 3.0

typedef struct Smooth {
    const ScaledWeight *weights; /* siblings; a grid without a format: stays float */
    size_t count;
    int64_t k;
    int64_t taps; /* columns of one channel, which lie together and have one s: of a convolution's
                   * weight the places of its kernel; 0 is 1 */
    const double *gram; /* [k][k], a sum over `tokens` */
    int64_t tokens;
    const float *amax;        /* [k]: max |x| of each column's channel */
    const Format *activation; /* of the input, one scale for the tensor; NULL: stays float */
    bool rows;                /* ... or one for each row */
    /* How the range of x / s is found, with magnitudes of the channels for it; NULL: the largest
     * magnitude. */
    const Stat *magnitudes;
    const Calibrator *calibrator;
    CalibArgs args;
    int steps; /* alpha = 0, 1 / steps, ... SMOOTH_MOST_ALPHA; 20 */
} Smooth;

typedef struct SmoothReport {
    double alpha;
    double before, weight,
        activation; /* estimated error for s = 1; of the best, in its two parts */
} SmoothReport;

/* s of the best alpha; all 1 and alpha -1 if no alpha is better than none. False if the Spread
 * failed. */
bool smooth_search(const Smooth *smooth, float *s, SmoothReport *report, Arena *arena,
                   const Spread *spread);

#endif
