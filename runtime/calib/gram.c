/* Strips of rows, each a product with G and dot products in double: sums within a row are in a
 * fixed order, and rows do not meet. The upper triangle U of G does, with half the products:
 * d G d^T = sum of d_j (2 (d U)_j - d_j G_jj). */
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

enum { STRIP = 32 }; /* rows of a product: G is read once for each */

typedef struct LossWork {
    const float *g, *d;
    int64_t k;
    float *rooms;
    double *losses;
    Cut cut;
} LossWork;

static double row_loss(const LossWork *t, const float *r, const float *d) {
    double sum = 0;
    for (int64_t j = 0; j < t->k; j++) {
        const double own = (double)d[j] * t->g[j * t->k + j];
        sum += (2.0 * r[j] - own) * d[j];
    }
    /* rounding may leave a sum below 0; a NaN must not look like the best */
    return sum <= 0 ? 0 : sum < INFINITY ? sum : INFINITY;
}

static void row_losses(void *user, size_t task) {
    const LossWork *t = user;
    const int64_t k = t->k, end = cut_end(&t->cut, task);
    for (int64_t row = cut_first(&t->cut, task); row < end; row += STRIP) {
        const int64_t n = end - row < STRIP ? end - row : STRIP;
        float *r = t->rooms + (int64_t)task * STRIP * k;
        matrix_multiply(&(Product){.m = n,
                                   .n = k,
                                   .k = k,
                                   .a = t->d + row * k,
                                   .lda = k,
                                   .b = t->g,
                                   .ldb = k,
                                   .shape = SHAPE_UPPER,
                                   .c = r,
                                   .ldc = k,
                                   .alpha = 1});
        for (int64_t i = 0; i < n; i++) {
            t->losses[row + i] = row_loss(t, r + i * k, t->d + (row + i) * k);
        }
    }
}

bool gram_losses(const float *g, const float *d, int64_t rows, int64_t k, double *losses, Arena *arena,
                 const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    LossWork t = {.g = g, .d = d, .k = k, .losses = losses, .cut = cut_rows(rows, k)};
    t.rooms = arena_many(arena, float, t.cut.tasks *STRIP *(size_t)k);
    const bool done = spread_run(spread, row_losses, &t, t.cut.tasks);
    arena_reset(arena, mark);
    return done;
}

bool gram_loss(const float *g, const float *d, int64_t rows, int64_t k, double *loss, Arena *arena,
               const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    double *losses = arena_many(arena, double, (size_t)rows);
    const bool done = gram_losses(g, d, rows, k, losses, arena, spread);
    *loss = 0;
    for (int64_t row = 0; row < rows; row++) {
        *loss += losses[row];
    }
    arena_reset(arena, mark);
    return done;
}
