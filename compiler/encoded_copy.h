/* observe = encoded: what is encoded in the copy of the model that a pass over the data is run on.
 * At a level (observations.h) these are
 *   - the weights of planned layers up to that depth, as the values that their codes stand for, in
 *     the type of the weight: any format, whether the engine knows it or not;
 *   - factors of smooth and awq in front of them, BatchNormalizations and biases taken in;
 *   - QuantizeLinear and DequantizeLinear of values of lower levels whose scale is solved.
 * Scales that values of several levels share wait for the last of them, and so do layers behind
 * them. The caller has solved all passes of lower levels. */
#ifndef COMPILER_ENCODED_COPY_H
#define COMPILER_ENCODED_COPY_H
#include "compiler/instrument.h"
#include "compiler/solve.h"

typedef struct EncodedCopy {
    Solve *solve;
    const Schedule *schedule;      /* has the kernels of weights that need no data */
    Arena *arena;                  /* of what lives as long as it */
    void **weights;                /* of Plan.layers_planned: decoded; NULL: not yet */
    Facts *facts;                  /* of the copy at hand */
    bool *ties, *streams, *layers; /* in the copy at hand */
    InstrumentEdits edits;
} EncodedCopy;

/* All memory is on the arena: the decoded weights, once. */
EncodedCopy *encoded_copy(Solve *solve, const Schedule *schedule, Arena *arena);

#endif
