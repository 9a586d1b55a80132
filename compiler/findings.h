/* What a run found out on data, small and for reports: ranges of inputs with their histograms at
 * most FOUND_BARS bars wide, factors that smooth and awq chose, what gptq gained. Copies: the
 * statistics may be closed. */
#ifndef COMPILER_FINDINGS_H
#define COMPILER_FINDINGS_H
#include "compiler/calibrate.h"
#include "compiler/solve.h"

enum { FOUND_BARS = 256 };

/* Bar i counts values of about [first + i, first + i + 1) * width. */
typedef struct FoundBars {
    int count; /* 0: no histogram was taken */
    int first; /* not positive */
    double width;
    uint64_t *counts;
} FoundBars;

typedef struct FoundInput { /* of one PlanStream that has a format */
    Str tensor;             /* its name in the model */
    Str method;             /* "max", "percentile(p = 99.9)"; "scaled" of a tie's by max */
    float min, max;         /* seen */
    float lo, hi; /* what codes reach: values beyond are cut off. Of a tie's input: scaled */
    float amax, scale;
    int zero;
    FoundBars bars; /* of the values that codes stand for: of a tie's, scaled */
} FoundInput;

typedef struct Findings {
    const Plan *plan;
    FoundInput *inputs;        /* of Plan.streams; those without a format are zeros */
    const SolvedTie *ties;     /* of Plan.ties */
    const GptqReport *rounded; /* of Plan.layers_planned */
    Str engine, data;          /* what ran the model; the data set's name */
    int64_t samples;
    double seconds_calibrate, seconds_solve;
} Findings;

/* After solve(), while its statistics are open. On the session's arena; seconds are left to the
 * caller. */
Findings *findings_take(const Solve *solve, const Calibration *calibration);

/* What gptq did to a layer, or to the one that shares its weight; NULL: nothing. */
const GptqReport *found_rounding(const Findings *findings, const PlanLayer *planned);
/* NULL: the layer reads it as a float. `findings` may be NULL. */
const FoundInput *found_input(const Findings *findings, const PlanLayer *planned);
const SolvedTie *found_tie(const Findings *findings, const PlanLayer *planned);

/* "int8 to 12.5, smooth 0.55": what a layer reads, in a few words; empty: a float as it is.
 * Without findings (before solve) the words have no numbers. */
void found_input_print(const Findings *findings, const Plan *plan, const PlanLayer *planned,
                       Buf *out);
/* "smooth", "awq" */
const char *tie_name(const PlanTie *tie);

#endif
