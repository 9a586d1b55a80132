/* With H = G + damp and the columns in the order they are done, the method needs the upper factor U
 * of H^-1 = U^T U. Turned around (last column first), H has a lower Cholesky factor L, and U is
 * L^-1 turned back: one factorization and one triangular inverse, no inverse of H. U then shrinks
 * to floats in place, and the room that leaves takes G for the losses. Columns are done in blocks:
 * within a block each column corrects the next ones, beyond it a product does (lazy updates). */
#include "runtime/calib/gptq.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/descent.h"
#include "runtime/calib/gram.h"
#include "runtime/calib/linear_algebra.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 32, MOST_BLOCK = 256, RAISES = 4 };

typedef struct GptqWork {
    const Gptq *gptq;
    const Scales *scales;
    int64_t k;
    int64_t *order; /* column that is done as number i */
    double *factor; /* k x k; later U and G as floats */
    const float *u; /* [k][k], upper */
    float *g;       /* [k][k] */
    double damp;    /* what was added to the diagonal */
    float *q;       /* [rows][k], columns as they are */
    float *error;   /* STRIP x block for each task */
    float *turn;    /* STRIP x k for each task: the rows in the order they are done */
    Cut cut;
} GptqWork;

/* ---- the factor */

typedef struct Rank {
    double weight;
    int64_t column;
} Rank;

static int heavier_first(const void *a, const void *b) {
    const Rank *x = a, *y = b;
    if (x->weight != y->weight) {
        return x->weight > y->weight ? -1 : 1;
    }
    return x->column < y->column ? -1 : 1;
}

static void choose_order(const Gptq *gptq, int64_t k, int64_t *order, Arena *arena) {
    const ArenaMark mark = arena_mark(arena);
    Rank *ranks = arena_many(arena, Rank, (size_t)k);
    for (int64_t j = 0; j < k; j++) {
        ranks[j] = (Rank){gptq->gram[j * k + j], j};
    }
    if (gptq->order == GPTQ_STATIC) {
        qsort(ranks, (size_t)k, sizeof *ranks, heavier_first);
    }
    for (int64_t j = 0; j < k; j++) {
        order[j] = ranks[j].column;
    }
    arena_reset(arena, mark);
}

/* H, last column first; a dead column has no part in it but a diagonal of the mean. */
static void fill_factor(GptqWork *t, double mean) {
    const int64_t k = t->k;
    const double *gram = t->gptq->gram;
    for (int64_t i = 0; i < k; i++) {
        const int64_t row = t->order[k - 1 - i];
        for (int64_t j = 0; j <= i; j++) {
            t->factor[i * k + j] = gram[row * k + t->order[k - 1 - j]];
        }
        const double own = t->factor[i * k + i];
        t->factor[i * k + i] = (own > 0 ? own : mean) + t->damp;
    }
}

/* *found is false where H has no factor, however large the damp. False: the Spread failed. */
static bool find_factor(GptqWork *t, GptqReport *report, bool *found, Arena *arena,
                        const Spread *spread) {
    const int64_t k = t->k;
    double sum = 0;
    *found = false;
    for (int64_t j = 0; j < k; j++) {
        const double own = t->gptq->gram[j * k + j];
        report->dead += !(own > 0);
        sum += own > 0 ? own : 0;
    }
    if (!(sum > 0 && sum < (double)INFINITY)) {
        return true;
    }
    const double mean = sum / (double)(k - report->dead);
    double damp = t->gptq->damp;
    for (report->raises = 0; report->raises <= RAISES; report->raises++) {
        t->damp = damp * mean;
        fill_factor(t, mean);
        if (!matrix_cholesky(t->factor, k, found, spread)) {
            return false;
        }
        if (*found) {
            return matrix_invert_lower(t->factor, k, arena, spread);
        }
        damp = damp > 0 ? 10 * damp : 1e-6;
    }
    report->raises = RAISES;
    return true;
}

/* L^-1 turned back, as floats in the first half of the room. */
static void shrink_factor(GptqWork *t) {
    const int64_t k = t->k, n = k * k;
    for (int64_t i = 0; i < n / 2; i++) {
        const double first = t->factor[i];
        t->factor[i] = t->factor[n - 1 - i];
        t->factor[n - 1 - i] = first;
    }
    char *bytes = (char *)t->factor;
    for (int64_t i = 0; i < n; i++) {
        double wide;
        memcpy(&wide, bytes + 8 * i, sizeof wide);
        const float narrow = i % k >= i / k ? (float)wide : 0.0f;
        memcpy(bytes + 4 * i, &narrow, sizeof narrow);
    }
    t->u = (const float *)(const void *)t->factor;
}

/* ---- columns */

/* Columns [first, first + n) of a strip; error takes what each was off by, in units of U_jj. */
static void round_block(const GptqWork *t, int64_t row, int64_t rows, int64_t first, int64_t n,
                        float *turn, float *error) {
    const Gptq *gptq = t->gptq;
    const int64_t k = t->k;
    for (int64_t i = 0; i < rows; i++) {
        float *restrict w = turn + i * k + first;
        const uint8_t *zero = gptq->zero ? gptq->zero + (row + i) * k : NULL;
        for (int64_t c = 0; c < n; c++) {
            const int64_t column = t->order[first + c];
            const int64_t at = scale_index(t->scales, row + i, column);
            const float *restrict u = t->u + (first + c) * k + first;
            const bool pruned = zero && zero[column];
            const float v = pruned ? 0.0f
                                   : grid_nearest(gptq->grid, t->scales->divisors[at],
                                                  t->scales->zeros[at], w[c]);
            const float e = (w[c] - v) / u[c];
            error[i * n + c] = e;
            t->q[(row + i) * k + column] = v;
            for (int64_t j = c + 1; j < n; j++) {
                w[j] -= e * u[j];
            }
        }
    }
}

static void round_rows(void *user, size_t task) {
    const GptqWork *t = user;
    const int64_t k = t->k, block = t->gptq->block, end = cut_end(&t->cut, task);
    float *turn = t->turn + (int64_t)task * STRIP * k;
    float *error = t->error + (int64_t)task * STRIP * block;
    for (int64_t row = cut_first(&t->cut, task); row < end; row += STRIP) {
        const int64_t rows = end - row < STRIP ? end - row : STRIP;
        for (int64_t i = 0; i < rows * k; i++) {
            turn[i] = t->gptq->w[(row + i / k) * k + t->order[i % k]];
        }
        for (int64_t first = 0; first < k; first += block) {
            const int64_t n = k - first < block ? k - first : block, rest = k - first - n;
            round_block(t, row, rows, first, n, turn, error);
            if (rest == 0) {
                break;
            }
            matrix_multiply(&(Product){.m = rows,
                                       .n = rest,
                                       .k = n,
                                       .a = error,
                                       .lda = n,
                                       .b = t->u + first * k + first + n,
                                       .ldb = k,
                                       .c = turn + first + n,
                                       .ldc = k,
                                       .alpha = -1,
                                       .beta = 1});
        }
    }
}

/* ---- the result */

static void round_plain(const Gptq *gptq, const Scales *s, int64_t row, int64_t rows, float *out) {
    const int64_t at = row * s->k;
    grid_round_rows(gptq->grid, s, row, rows, gptq->w + at, out);
    for (int64_t i = 0; gptq->zero && i < rows * s->k; i++) {
        out[i] = gptq->zero[at + i] ? 0.0f : out[i];
    }
}

/* Loss of each row, by G without damp; d is scratch for the whole weight. */
static bool losses_of(const GptqWork *t, const float *q, float *d, double *losses, Arena *arena,
                      const Spread *spread) {
    const int64_t rows = t->scales->rows;
    for (int64_t i = 0; i < rows * t->k; i++) {
        d[i] = q[i] - t->gptq->w[i];
    }
    return gram_losses(t->g, d, rows, t->k, losses, arena, spread);
}

/* Descent, with the damp that the factor had; and losses before it of rounding to nearest, and
 * after it of the result. */
static bool descend(GptqWork *t, Scales *scales, double *nearest, double *losses, Arena *arena,
                    const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    const Gptq *gptq = t->gptq;
    const int64_t k = t->k;
    t->g = (float *)(void *)t->factor + k * k; /* behind U */
    for (int64_t i = 0; i < k * k; i++) {
        t->g[i] = (float)gptq->gram[i];
    }
    float *d = arena_many(arena, float, (size_t)(scales->rows * k));
    round_plain(gptq, scales, 0, scales->rows, d);
    bool done = losses_of(t, d, d, nearest, arena, spread);
    for (int64_t j = 0; j < k; j++) {
        t->g[j * k + j] = (float)(gptq->gram[j * k + j] + t->damp);
    }
    const Descent descent = {.grid = gptq->grid,
                             .w = gptq->w,
                             .g = t->g,
                             .zero = gptq->zero,
                             .sweeps = gptq->sweeps,
                             .scales = gptq->scales};
    done = done && descent_run(&descent, scales, t->q, arena, spread);
    for (int64_t j = 0; j < k; j++) {
        t->g[j * k + j] = (float)gptq->gram[j * k + j];
    }
    done = done && losses_of(t, t->q, d, losses, arena, spread);
    arena_reset(arena, mark);
    return done;
}

/* A row that came out worse than nearest is rounded to nearest, under the scales that it had. */
static void settle(const Gptq *gptq, const Scales *before, Scales *scales, const double *nearest,
                   const double *losses, float *q, GptqReport *report) {
    const int64_t k = scales->k;
    for (int64_t row = 0; row < scales->rows; row++) {
        report->nearest += nearest[row];
        if (losses[row] < nearest[row]) {
            report->loss += losses[row];
            continue;
        }
        report->loss += nearest[row];
        const size_t n = (size_t)scales->row_step, at = (size_t)row * n;
        memcpy(scales->codes + at, before->codes + at, n * sizeof *scales->codes);
        memcpy(scales->divisors + at, before->divisors + at, n * sizeof *scales->divisors);
        round_plain(gptq, scales, row, 1, q + row * k);
    }
}

bool gptq_round(const Gptq *gptq, Scales *scales, float *q, GptqReport *report, Arena *arena,
                const Spread *spread) {
    assert(gptq->block > 0 && gptq->block <= MOST_BLOCK);
    const ArenaMark mark = arena_mark(arena);
    const int64_t k = scales->k, rows = scales->rows;
    *report = (GptqReport){0};
    GptqWork t = {.gptq = gptq, .scales = scales, .k = k, .q = q, .cut = cut_rows(rows, k)};
    t.order = arena_many(arena, int64_t, (size_t)k);
    t.factor = arena_many(arena, double, (size_t)(k * k));
    choose_order(gptq, k, t.order, arena);
    bool found;
    if (!find_factor(&t, report, &found, arena, spread)) {
        arena_reset(arena, mark);
        return false;
    }
    if (!found) {
        report->plain = true;
        round_plain(gptq, scales, 0, rows, q);
        arena_reset(arena, mark);
        return true;
    }
    shrink_factor(&t);
    const ArenaMark rooms = arena_mark(arena);
    t.turn = arena_many(arena, float, t.cut.tasks *STRIP *(size_t)k);
    t.error = arena_many(arena, float, t.cut.tasks *STRIP *(size_t)gptq->block);
    bool done = spread_run(spread, round_rows, &t, t.cut.tasks);
    arena_reset(arena, rooms);
    Scales before = scales_new(arena, gptq->grid, rows, k);
    scales_copy(&before, scales);
    double *nearest = arena_many(arena, double, (size_t)rows);
    double *losses = arena_many(arena, double, (size_t)rows);
    done = done && descend(&t, scales, nearest, losses, arena, spread);
    if (done) {
        settle(gptq, &before, scales, nearest, losses, q, report);
    }
    arena_reset(arena, mark);
    return done;
}
