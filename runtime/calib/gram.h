/* The error of a layer's output, from the Gram matrix G = X^T X of its input alone: a weight that
 * is off by D (rows x k) has the summed squared error tr(D G D^T) over all tokens. */
#ifndef RUNTIME_CALIB_GRAM_H
#define RUNTIME_CALIB_GRAM_H
#include "runtime/base/arena.h"
#include "runtime/base/spread.h"
#include <stdint.h>

/* G as float32, [k][k]: what products are made with. */
float *gram_narrow(Arena *arena, const double *gram, int64_t k);

/* losses[row] = d_row G d_row^T, not below 0; what is below the diagonal of g is not used. False if
 * the Spread failed. */
bool gram_losses(const float *g, const float *d, int64_t rows, int64_t k, double *losses,
                 Arena *arena, const Spread *spread);

/* The sum over rows, in their order. False if the Spread failed. */
bool gram_loss(const float *g, const float *d, int64_t rows, int64_t k, double *loss, Arena *arena,
               const Spread *spread);

#endif
