/* Factorizations by blocks of FACTOR_BLOCK columns or rows: what came before a block is one product
 * for it, and within it a few elements are solved for. Each task has elements of its own, and takes
 * the products of an element in the order of the law. */
#include "runtime/calib/linear_algebra.h"
#include "runtime/calib/product_lanes.h"
#include <math.h>
#include <string.h>

enum { STRIP = 128 }; /* rows, or columns, of a task */

void matrix_multiply(const Product *p) {
    product_lanes_best()->multiply(p);
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- Cholesky: columns [first, first + n) of L, from those before them */

typedef struct FactorWork {
    const ProductLanes *lanes;
    double *a;
    int64_t order, first, n;
} FactorWork;

static bool factor_diagonal(const FactorWork *t) {
    double block[FACTOR_BLOCK * FACTOR_BLOCK];
    const int64_t n = t->n, order = t->order;
    double *at = t->a + t->first * order, *own = at + t->first;
    for (int64_t i = 0; i < n; i++) {
        memcpy(block + i * n, own + i * order, (size_t)n * sizeof *block);
    }
    t->lanes->multiply_wide(&(WideProduct){.m = n,
                                           .n = n,
                                           .k = t->first,
                                           .a = at,
                                           .lda = order,
                                           .b = at,
                                           .ldb = order,
                                           .b_transposed = true,
                                           .c = block,
                                           .ldc = n,
                                           .alpha = -1,
                                           .beta = 1});
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = block[i * n + j];
            for (int64_t m = 0; m < j; m++) {
                sum -= block[i * n + m] * block[j * n + m];
            }
            if (i == j && !(sum > 0)) {
                return false;
            }
            block[i * n + j] = i == j ? sqrt(sum) : sum / block[j * n + j];
        }
        memcpy(own + i * order, block + i * n, (size_t)(i + 1) * sizeof *block);
    }
    return true;
}

static void factor_rows(void *user, size_t task) {
    const FactorWork *t = user;
    const int64_t order = t->order, row = t->first + t->n + (int64_t)task * STRIP;
    const int64_t rows = least(STRIP, order - row);
    double *at = t->a + row * order, *top = t->a + t->first * order;
    t->lanes->multiply_wide(&(WideProduct){.m = rows,
                                           .n = t->n,
                                           .k = t->first,
                                           .a = at,
                                           .lda = order,
                                           .b = top,
                                           .ldb = order,
                                           .b_transposed = true,
                                           .c = at + t->first,
                                           .ldc = order,
                                           .alpha = -1,
                                           .beta = 1});
    t->lanes->solve_right(top + t->first, order, t->n, at + t->first, order, rows);
}

bool matrix_cholesky(double *a, int64_t n, bool *positive, const Spread *spread) {
    FactorWork t = {.lanes = product_lanes_best(), .a = a, .order = n};
    *positive = true;
    for (; t.first < n; t.first += t.n) {
        t.n = least(FACTOR_BLOCK, n - t.first);
        if (!factor_diagonal(&t)) {
            *positive = false;
            return true;
        }
        const int64_t below = n - t.first - t.n;
        const size_t tasks = (size_t)((below + STRIP - 1) / STRIP);
        if (tasks > 0 && !spread_run(spread, factor_rows, &t, tasks)) {
            return false;
        }
    }
    return true;
}

/* ---- inverse: rows [first, first + n) of X, from those above them */

typedef struct InverseWork {
    const ProductLanes *lanes;
    double *a, *l; /* l: the rows before they become X, [n][order] */
    int64_t order, first, n;
} InverseWork;

static void invert_diagonal(const InverseWork *t) {
    double block[FACTOR_BLOCK * FACTOR_BLOCK] = {0};
    for (int64_t i = 0; i < t->n; i++) {
        block[i * t->n + i] = 1;
    }
    t->lanes->solve_left(t->l + t->first, t->order, t->n, block, t->n, t->n);
    for (int64_t i = 0; i < t->n; i++) {
        memcpy(t->a + (t->first + i) * t->order + t->first, block + i * t->n,
               (size_t)(i + 1) * sizeof *block);
    }
}

/* Task 0 has the diagonal, the others STRIP columns each. */
static void invert_columns(void *user, size_t task) {
    const InverseWork *t = user;
    if (task == 0) {
        invert_diagonal(t);
        return;
    }
    const int64_t order = t->order, column = (int64_t)(task - 1) * STRIP;
    const int64_t columns = least(STRIP, t->first - column);
    double *x = t->a + t->first * order + column;
    t->lanes->multiply_wide(&(WideProduct){.m = t->n,
                                           .n = columns,
                                           .k = t->first - column,
                                           .a = t->l + column,
                                           .lda = order,
                                           .b = t->a + column * order + column,
                                           .ldb = order,
                                           .shape = SHAPE_LOWER,
                                           .c = x,
                                           .ldc = order,
                                           .alpha = -1});
    t->lanes->solve_left(t->l + t->first, order, t->n, x, order, columns);
}

bool matrix_invert_lower(double *a, int64_t n, Arena *arena, const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    InverseWork t = {.lanes = product_lanes_best(), .a = a, .order = n};
    bool done = true;
    t.l = arena_many(arena, double, (size_t)(least(FACTOR_BLOCK, n) * n));
    for (; done && t.first < n; t.first += t.n) {
        t.n = least(FACTOR_BLOCK, n - t.first);
        for (int64_t i = 0; i < t.n; i++) {
            memcpy(t.l + i * n, a + (t.first + i) * n, (size_t)(t.first + i + 1) * sizeof *a);
        }
        done = spread_run(spread, invert_columns, &t, (size_t)((t.first + STRIP - 1) / STRIP) + 1);
    }
    arena_reset(arena, mark);
    return done;
}
