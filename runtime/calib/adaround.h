/* AdaRound (Nagel et al. 2020, arXiv:2004.10568): whether a weight goes to the grid's value below
 * or above it is learned, against the Gram matrix of the input in place of data. Between the two
 * lies h = clip(1.2 sigma(v) - 0.1, 0, 1); Adam moves v by the Gram loss and a term that pulls h to
 * 0 or 1. The schedule is fixed and nothing is random; sigma(v) = (1 + v / (1 + |v|)) / 2 needs no
 * libm. The Gram loss of no row is above that of rounding to nearest. */
#ifndef RUNTIME_CALIB_ADAROUND_H
#define RUNTIME_CALIB_ADAROUND_H
#include "runtime/calib/grid.h"

typedef struct Adaround {
    const Grid *grid;
    const Scales *scales;
    const float *w;      /* [rows][k] */
    const float *g;      /* [k][k], symmetric */
    const uint8_t *zero; /* [rows][k]: 1 where the result is 0; may be NULL */
    int steps;           /* 1000 */
} Adaround;

/* q [rows][k]: values of the grid. losses[2]: Gram loss of nearest and of q. False if the Spread
 * failed. */
bool adaround_round(const Adaround *adaround, float *q, double losses[2], Arena *arena,
                    const Spread *spread);

#endif
