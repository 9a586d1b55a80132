/* The loss of one candidate s: W s into a buffer, scales of its grid, and then each task makes the
 * error of its rows in the same buffer. */
#include "runtime/calib/channel_scale.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/gram.h"
#include <math.h>

void channel_scale_weight(const float *w, int64_t rows, int64_t k, const float *s, float *out) {
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t j = 0; j < k; j++) {
            out[row * k + j] = w[row * k + j] * s[j];
        }
    }
}

void channel_scale_gram(const double *gram, int64_t k, const float *s, double *out) {
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < k; j++) {
            out[i * k + j] = gram[i * k + j] / ((double)s[i] * s[j]);
        }
    }
}

void channel_widen(const float *w, int64_t rows, int64_t k, float *amax) {
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t j = 0; j < k; j++) {
            const float a = fabsf(w[row * k + j]);
            amax[j] = a > amax[j] ? a : amax[j];
        }
    }
}

void channel_squares(const float *w, int64_t rows, int64_t k, double *squares) {
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t j = 0; j < k; j++) {
            squares[j] += (double)w[row * k + j] * w[row * k + j];
        }
    }
}

typedef struct ScaledWork {
    const ScaledWeight *weight;
    const Scales *scales;
    const float *s;
    float *d; /* W s, then the error */
    int64_t k;
    Cut cut;
} ScaledWork;

static void scale_rows(void *user, size_t task) {
    const ScaledWork *t = user;
    const int64_t first = cut_first(&t->cut, task), rows = cut_end(&t->cut, task) - first;
    const int64_t at = first * t->k;
    channel_scale_weight(t->weight->w + at, rows, t->k, t->s, t->d + at);
}

static void error_rows(void *user, size_t task) {
    const ScaledWork *t = user;
    const int64_t first = cut_first(&t->cut, task), rows = cut_end(&t->cut, task) - first;
    const float *w = t->weight->w + first * t->k;
    float *d = t->d + first * t->k;
    grid_round_rows(t->weight->grid, t->scales, first, rows, d, d);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t j = 0; j < t->k; j++) {
            d[row * t->k + j] = d[row * t->k + j] / t->s[j] - w[row * t->k + j];
        }
    }
}

static bool one_loss(const ScaledWeight *weight, int64_t k, const float *g, const float *s,
                     double *loss, Arena *arena, const Spread *spread) {
    Scales scales = scales_new(arena, weight->grid, weight->rows, k);
    ScaledWork t = {
        .weight = weight, .scales = &scales, .s = s, .k = k, .cut = cut_rows(weight->rows, k)};
    t.d = arena_many(arena, float, (size_t)(weight->rows * k));
    return spread_run(spread, scale_rows, &t, t.cut.tasks) &&
           grid_scales(weight->grid, t.d, &scales, arena, spread) &&
           spread_run(spread, error_rows, &t, t.cut.tasks) &&
           gram_loss(g, t.d, weight->rows, k, loss, arena, spread);
}

bool channel_scale_loss(const ScaledWeight *weights, size_t count, int64_t k, const float *g,
                        const float *s, double *loss, Arena *arena, const Spread *spread) {
    *loss = 0;
    for (size_t i = 0; i < count; i++) {
        const ArenaMark mark = arena_mark(arena);
        double one = 0;
        const bool done = one_loss(&weights[i], k, g, s, &one, arena, spread);
        arena_reset(arena, mark);
        if (!done) {
            return false;
        }
        *loss += one;
    }
    return true;
}
