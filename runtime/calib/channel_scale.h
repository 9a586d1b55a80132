/* Scales of a layer's input channels: X W^T = (X / s) (W s)^T. Which s makes W s and X / s easier
 * to round is what smooth.h and awq.h look for; here is what both need. Layers that read one tensor
 * are siblings and share s. */
#ifndef RUNTIME_CALIB_CHANNEL_SCALE_H
#define RUNTIME_CALIB_CHANNEL_SCALE_H
#include "runtime/calib/grid.h"

/* One sibling. */
typedef struct ScaledWeight {
    const Grid *grid;
    const float *w; /* [rows][k] */
    int64_t rows;
} ScaledWeight;

#define CHANNEL_SCALE_LEAST 1e-4f
#define CHANNEL_SCALE_MOST 1e4f

/* out = W s and out = G / (s s^T): weight and Gram matrix of the scaled layer. In place is fine. */
void channel_scale_weight(const float *w, int64_t rows, int64_t k, const float *s, float *out);
void channel_scale_gram(const double *gram, int64_t k, const float *s, double *out);

/* amax[j] = max(amax[j], |w| of column j) */
void channel_widen(const float *w, int64_t rows, int64_t k, float *amax);
/* squares[j] += |column j|^2 */
void channel_squares(const float *w, int64_t rows, int64_t k, double *squares);

/* Gram loss of rounding W s on its grid, with scales by the grid's method: of the error Q(W s) / s
 * - W against g, the Gram matrix of X itself. Summed over siblings; one loss for each of the n
 * candidates s[n][k]. False if the Spread failed. */
bool channel_scale_losses(const ScaledWeight *weights, size_t count, int64_t k, const float *g,
                          const float *s, int64_t n, double *losses, Arena *arena,
                          const Spread *spread);
static inline bool channel_scale_loss(const ScaledWeight *weights, size_t count, int64_t k,
                                      const float *g, const float *s, double *loss, Arena *arena,
                                      const Spread *spread) {
    return channel_scale_losses(weights, count, k, g, s, 1, loss, arena, spread);
}

#endif
