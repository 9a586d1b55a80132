/* What is known of a value's shape before anything runs: what the model declares, and where it
 * declares nothing, what follows from a constant shape, a permutation or a weight. Dimensions are
 * counted from the last one, which is 1, as broadcasting does. A declared shape is believed. */
#ifndef COMPILER_KNOWN_SHAPE_H
#define COMPILER_KNOWN_SHAPE_H
#include "runtime/model/model.h"

int known_rank(const ValueInfo *value); /* -1: unknown */
/* Extent of the dimension; -1: unknown, or there is none. */
int64_t known_dim(Session *s, const ValueInfo *value, int from_end);

#endif
