/* BatchNormalization behind a convolution, taken into its weight and bias:
 *
 *     (conv(x, W) + b - mean) g + beta  =  conv(x, W g) + ((b - mean) g + beta),   g = gamma /
 * sqrt(var + eps)
 *
 * with one g for each output channel (Ioffe and Szegedy 2015, at inference). Computed in double and
 * rounded once to the weight's type. */
#ifndef COMPILER_BATCHNORM_H
#define COMPILER_BATCHNORM_H
#include "runtime/model/layers.h"

/* The BatchNormalization that reads all of what the layer writes and has constants only; NULL if
 * there is none, or if somebody else reads the layer's result, its weight or a bias that varies. */
const Node *batchnorm_behind(const Layer *layer);
/* gain and bias: one for each channel of the output, on `arena`. False: a tensor cannot be read. */
bool batchnorm_factors(Session *s, const Layer *layer, const Node *norm, Arena *arena,
                       double **gain, double **bias);

#endif
