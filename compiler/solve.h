/* Statistics -> what the output takes from the data: scales of inputs, factors of smooth and awq,
 * and the weights that these or gptq change, encoded. From statistics alone; nothing is read again.
 *
 *     ties (factors) -> streams (ranges) -> facts -> weights, one after the other, each on all
 * threads
 *     -> biases
 *
 * In the order of the plan, with the same bits for any number of threads. */
#ifndef COMPILER_SOLVE_H
#define COMPILER_SOLVE_H
#include "compiler/assemble.h"
#include "compiler/facts.h"
#include "compiler/observations.h"
#include "runtime/calib/gptq.h"

/* What was found for one tie, for reports. */
typedef struct SolvedTie {
    float *s;      /* [PlanTie.k] */
    double choice; /* alpha or the exponent of awq; -1: none helps */
    double before,
        after;       /* estimated error of the outputs, without s and with it; 0: not estimated */
    double *squares; /* [PlanTie.k] of the columns of its layers' weights, before s */
} SolvedTie;

typedef struct Solve {
    Session *s;
    const Plan *plan;
    const ObservationList *seen;
    Stats *stats;
    Facts *facts;
    SolvedList *solved;
    /* results, one for each tie and stream of the plan */
    SolvedTie *ties;
    float *amax, *scales; /* of streams: the range that codes cover, and its scale */
    uint8_t *zeros;       /* ... and zero point */
    GptqReport *rounded;  /* of the plan's layers: zeros where gptq rounds nothing */
} Solve;

/* Fills ties, amax, scales, the bytes of facts, the outputs and metrics of solved weights; all on
 * the session's arena. False: reported (E0706: a value has no range), or stopped. */
bool solve(Solve *solve);

#endif
