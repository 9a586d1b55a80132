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

/* The same for a strip of at most GRAM_STRIP rows, on this thread; room: GRAM_STRIP x k. */
enum { GRAM_STRIP = 32 }; /* rows of a product: G is read once for each */
void gram_strip_losses(const float *g, const float *d, int64_t rows, int64_t k, float *room,
                       double *losses);

/* The sum of a_j b_j, in one fixed order. */
double gram_dot(const float *a, const float *b, int64_t n);

#endif
