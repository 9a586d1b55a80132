/* Coordinate descent on the Gram loss tr(D G D^T), D = q - w: each code in turn takes the value of
 * its grid that is best beside all others, and each scale the best one beside its codes. The loss
 * of a row never grows. What starts from GPTQ's result changes a few codes only.
 *
 *   a code   q_j <- nearest(q_j - r_j / G_jj), r = D G
 *   a scale  s <- s - z r_b / (z G_bb z), z the codes' values; kept if the stored one is better */
#ifndef RUNTIME_CALIB_DESCENT_H
#define RUNTIME_CALIB_DESCENT_H
#include "runtime/calib/grid.h"

typedef struct Descent {
    const Grid *grid;
    const float *w;      /* [rows][k], finite */
    const float *g;      /* [k][k], symmetric */
    const uint8_t *zero; /* [rows][k]: 1 where q is 0 and stays; may be NULL */
    int sweeps;          /* over all codes, at most; a row without changes is done */
    bool scales;         /* scales move, too (not that of a whole tensor) */
} Descent;

/* q holds values of the grid under `scales` and stays there; both are changed. False if the Spread
 * failed. */
bool descent_run(const Descent *descent, Scales *scales, float *q, Arena *arena,
                 const Spread *spread);

#endif
