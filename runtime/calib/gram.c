/* Strips of rows, each a product with G and dot products in double: sums within a row are in a
 * fixed order, and rows do not meet. */
#include "runtime/calib/gram.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/linear_algebra.h"
#include <math.h>

float *gram_narrow(Arena *arena, const double *gram, int64_t k) {
    float *g = arena_many(arena, float, (size_t)(k * k));
    for (int64_t i = 0; i < k * k; i++) {
        g[i] = (float)gram[i];
    }
    return g;
}

/* Eight sums, so that they do not wait for one another. */
double gram_dot(const float *a, const float *b, int64_t n) {
    enum { SUMS = 8 };
    double sums[SUMS] = {0};
    int64_t j = 0;
    for (; j + SUMS <= n; j += SUMS) {
        for (int i = 0; i < SUMS; i++) {
            sums[i] += (double)a[j + i] * b[j + i];
        }
    }
    for (int i = 0; j < n; i++, j++) {
        sums[i] += (double)a[j] * b[j];
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void gram_strip_losses(const float *g, const float *d, int64_t rows, int64_t k, float *room,
                       double *losses) {
    matrix_multiply(&(Product){.m = rows,
                               .n = k,
                               .k = k,
                               .a = d,
                               .lda = k,
                               .b = g,
                               .ldb = k,
                               .shape = SHAPE_FOLDED,
                               .c = room,
                               .ldc = k,
                               .alpha = 1});
    for (int64_t i = 0; i < rows; i++) {
        const double sum = gram_dot(room + i * k, d + i * k, k);
        /* rounding may leave a sum below 0; a NaN must not look like the best */
        losses[i] = sum <= 0 ? 0 : sum < INFINITY ? sum : INFINITY;
    }
}

typedef struct LossWork {
    const float *g, *d;
    int64_t k;
    float *rooms;
    double *losses;
    Cut cut;
} LossWork;

static void row_losses(void *user, size_t task) {
    const LossWork *t = user;
    const int64_t k = t->k, end = cut_end(&t->cut, task);
    for (int64_t row = cut_first(&t->cut, task); row < end; row += GRAM_STRIP) {
        const int64_t n = end - row < GRAM_STRIP ? end - row : GRAM_STRIP;
        gram_strip_losses(t->g, t->d + row * k, n, k, t->rooms + (int64_t)task * GRAM_STRIP * k,
                          t->losses + row);
    }
}

bool gram_losses(const float *g, const float *d, int64_t rows, int64_t k, double *losses,
                 Arena *arena, const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    LossWork t = {.g = g, .d = d, .k = k, .losses = losses, .cut = cut_rows(rows, k)};
    t.rooms = arena_many(arena, float, t.cut.tasks *GRAM_STRIP *(size_t)k);
    const bool done = spread_run(spread, row_losses, &t, t.cut.tasks);
    arena_reset(arena, mark);
    return done;
}
