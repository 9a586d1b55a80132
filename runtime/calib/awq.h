/* AWQ (Lin et al. 2024, arXiv:2306.00978): weights that meet large inputs are scaled up before they
 * are rounded, s = mean|x|^r / sqrt(max * min), and the input is scaled down. r is searched from 0
 * to 1 by the Gram loss of the layer's own grid, siblings together. No data is read again. */
#ifndef RUNTIME_CALIB_AWQ_H
#define RUNTIME_CALIB_AWQ_H
#include "runtime/calib/channel_scale.h"

typedef struct Awq {
    const ScaledWeight *weights; /* siblings */
    size_t count;
    int64_t k;
    const double *gram; /* [k][k] */
    const float *mean;  /* [k]: mean |x| of each channel, >= 0 */
    int steps;          /* r = 0, 1 / steps, ... 1; 20 */
} Awq;

typedef struct AwqReport {
    double ratio;        /* r */
    double before, loss; /* Gram losses of r = 0 (s = 1) and of the best */
} AwqReport;

/* s[k], within CHANNEL_SCALE_LEAST and _MOST; 1 for a channel that is always 0. False if the Spread
 * failed. */
bool awq_search(const Awq *awq, float *s, AwqReport *report, Arena *arena, const Spread *spread);

#endif
