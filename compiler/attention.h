/* The products of attention that have no weight, from the layer with the role `attention`: which
 * inputs of which nodes are queries, keys, probabilities and values. By structure alone:
 *
 *     q -> MatMul -> scale, mask, ... -> Softmax -> ... -> MatMul (the layer)
 *     k ---^                                      v ---^                                         */
#ifndef COMPILER_ATTENTION_H
#define COMPILER_ATTENTION_H
#include "compiler/plan.h"

typedef struct Attention { /* node NULL: not found, or inside of a fused op */
    PlanUse query, key, probability, value;
} Attention;

/* False if the layer is not the product with softmax's result, nor an op that holds all of it. */
bool attention_find(const Layer *layer, Attention *out);

#endif
