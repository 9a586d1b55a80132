/* Biases that change: with a BatchNormalization taken in, or as the int32 codes that integer
 * kernels add to their sums, scale = input scale x weight scale (ONNX Runtime's and TensorRT's
 * rule). */
#ifndef COMPILER_SOLVE_BIAS_H
#define COMPILER_SOLVE_BIAS_H
#include "compiler/solve.h"

/* Fills those of `facts` that are of biases. Streams and weights are solved. False: reported. */
bool solve_biases(Solve *solve, const Facts *facts);

#endif
