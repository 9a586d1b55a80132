/* Inside of solve: weights as rows of output channels, and what becomes of them. */
#ifndef COMPILER_SOLVE_WEIGHT_H
#define COMPILER_SOLVE_WEIGHT_H
#include "compiler/solve.h"
#include "runtime/calib/grid.h"

typedef struct Rows {
    int64_t rows, k;
    float *w; /* [rows][k] */
} Rows;

/* A quantized layer's weight after the steps before `until` (NULL: all) that change weights: masks,
 * factors of ties that are solved. */
bool solve_rows(Solve *solve, const PlanLayer *planned, const Step *until, Arena *arena, Rows *out);
Grid solve_grid(const PlanLayer *planned);
/* Stat of what the layer reads; the plan has asked for it. */
Stat *solve_stat(const Solve *solve, const PlanLayer *planned);
Stat *solve_stat_of(const Solve *solve, const ValueInfo *value, const Graph *graph);

/* Has any batch reached the layer? E0706 at what needs its statistics if not. */
bool solve_seen(Solve *solve, const PlanLayer *planned, const Stat *stat, Span needs);

/* Passes over the data that things wait for: a value's own; a tie's; the last of the streams that
 * share the scale. */
int solve_pass_of_value(const Solve *solve, const ValueInfo *value, const Graph *graph);
int solve_pass_of_tie(const Solve *solve, int tie);
int solve_pass_of_scale(const Solve *solve, int scale);

/* Weights of Solve.solved that wait for this pass. */
bool solve_weights(Solve *solve, int pass, const Spread *spread);

#endif
