/* Statistics -> what the output takes from the data: scales of inputs, factors of smooth and awq,
 * and the weights that these or gptq change, encoded. From statistics alone; nothing is read again.
 * Pass by pass over the data (data_passes.h): what the statistics of one decide is decided before
 * the next begins, and its Gram matrices are freed.
 *
 *     ties (factors) -> streams (ranges) -> weights, one after the other, each on all threads
 *     and behind the last pass facts, biases
 *
 * In the order of the plan, with the same bits for any number of threads and any cut into passes.
 */
#ifndef COMPILER_SOLVE_H
#define COMPILER_SOLVE_H
#include "compiler/assemble.h"
#include "compiler/facts.h"
#include "compiler/observations.h"
#include "runtime/calib/calibrator.h"
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
    uint32_t *codes;      /* ... and the scale as it is stored */
    CalibRange *ranges;   /* seen, of those that share a scale together */
    bool *ranged, *done;  /* of streams, of Solve.solved: decided */
    GptqReport *rounded;  /* of the plan's layers: zeros where gptq rounds nothing */
} Solve;

/* Fills ties, amax, scales, the bytes of facts, the outputs and metrics of solved weights; all on
 * the session's arena. False: reported (E0706: a value has no range), or stopped. */
bool solve(Solve *solve); /* of one pass: the three below */

void solve_begin(Solve *solve);
/* What needs nothing but passes up to this one, which are in Solve.stats; frees the Gram matrices.
 */
bool solve_pass(Solve *solve, int pass);
bool solve_end(Solve *solve);
/* The bytes of facts, from what is decided by now. */
bool solve_facts(Solve *solve, Facts *facts);

#endif
