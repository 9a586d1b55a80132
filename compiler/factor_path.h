/* Where the factors of a value's channels can go, so that no Mul has to stand in front of its
 * readers: backwards from the value through ops that a positive factor for each channel commutes
 * with, to the constants that take 1 / s in. These are the gain (and offset) of a norm, or the
 * output channels of a linear or convolution layer (and its bias):
 *
 *     act(x) / s = act(x / s) for Relu and its kin      (a b) / s = a (b / s)
 *     (P V) / s = P (V / s) where s lies along V's columns and heads
 *     Reshape and Transpose, where shapes prove which channel is which
 *
 * From the graph alone: no weight is read, nothing is changed. What the recipe does to the layers
 * on the way, and who reads the value, is for the caller to judge. */
#ifndef COMPILER_FACTOR_PATH_H
#define COMPILER_FACTOR_PATH_H
#include "runtime/model/layers.h"

typedef struct FactorConstant { /* a constant; channels lie along this dimension of it */
    const ValueInfo *value;
    int axis;
} FactorConstant;

typedef struct FactorPath {
    Vec(const Node *)
        nodes;          /* from the value's producer to the one whose constants take 1 / s in */
    const Layer *layer; /* the last one, whose weight does; NULL: a norm */
    Vec(FactorConstant) constants; /* weight or gain first, then bias or offset, those of Adds */
    Str why; /* there is none: what stands in the way, to follow "by a Mul: " */
} FactorPath;

/* value: has `channels` of them along its last dimension, or with `behind` dimensions behind them.
 * Everything on the way has one reader only. False: no way, see `why`. */
bool factor_path(const Layers *layers, const ValueInfo *value, int64_t channels, int behind,
                 FactorPath *out);

#endif
