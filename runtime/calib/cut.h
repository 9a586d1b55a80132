/* How the rows of a weight are cut into tasks for a Spread: by the shape alone, into no more than
 * CUT_TASKS, so that every task can have scratch of its own, made before the first one starts. */
#ifndef RUNTIME_CALIB_CUT_H
#define RUNTIME_CALIB_CUT_H
#include <stddef.h>
#include <stdint.h>

enum { CUT_TASKS = 64, CUT_WEIGHTS = 1 << 14 }; /* a task has that many weights, or a row */

typedef struct Cut {
    int64_t rows, step; /* task i has the rows [i * step, min(rows, (i + 1) * step)) */
    size_t tasks;
} Cut;

static inline Cut cut_rows(int64_t rows, int64_t k) {
    const int64_t least = (CUT_WEIGHTS + k - 1) / (k > 0 ? k : 1);
    const int64_t share = (rows + CUT_TASKS - 1) / CUT_TASKS;
    const int64_t step = share > least ? share : least;
    return (Cut){rows, step, (size_t)((rows + step - 1) / step)};
}
static inline int64_t cut_first(const Cut *cut, size_t task) {
    return (int64_t)task * cut->step;
}
static inline int64_t cut_end(const Cut *cut, size_t task) {
    const int64_t end = cut_first(cut, task) + cut->step;
    return end < cut->rows ? end : cut->rows;
}

#endif
