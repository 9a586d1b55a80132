/* The loss of one candidate s. A task takes a strip of rows through all steps while it lies in the
 * cache: W s, scales of its grid, what rounding is off by, the loss. Scales that need the whole
 * weight come first. */
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

typedef struct ScaledWork {
    const ScaledWeight *weights;
    Scales *scales; /* of each weight */
    size_t count;
    int64_t k;
    const float *g, *s;
    double *losses; /* of all rows */
    char *rooms;    /* of each task: two strips, and what scales need */
    size_t room;
    Cut cut; /* of the rows of all weights */
} ScaledWork;

/* Rows [row, row + rows) of one weight. */
static void strip_losses(const ScaledWork *t, size_t weight, int64_t row, int64_t rows, char *room,
                         double *losses) {
    const ScaledWeight *from = &t->weights[weight];
    const int64_t k = t->k;
    const float *w = from->w + row * k;
    float *d = (float *)(void *)room, *r = d + GRAM_STRIP * k;
    channel_scale_weight(w, rows, k, t->s, d);
    if (grid_by_rows(from->grid)) {
        grid_row_scales(from->grid, d, row, rows, &t->scales[weight], r + GRAM_STRIP * k);
    }
    grid_round_rows(from->grid, &t->scales[weight], row, rows, d, d);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < k; j++) {
            d[i * k + j] = d[i * k + j] / t->s[j] - w[i * k + j];
        }
    }
    gram_strip_losses(t->g, d, rows, k, r, losses);
}

/* A task's rows may be the last of one weight and the first of the next. */
static void row_losses(void *user, size_t task) {
    const ScaledWork *t = user;
    const int64_t first = cut_first(&t->cut, task), end = cut_end(&t->cut, task);
    int64_t begin = 0; /* of a weight's rows among all */
    for (size_t i = 0; i < t->count; begin += t->weights[i++].rows) {
        const int64_t last = begin + t->weights[i].rows < end ? begin + t->weights[i].rows : end;
        int64_t row = begin < first ? first : begin;
        for (int64_t rows; row < last; row += rows) {
            rows = last - row < GRAM_STRIP ? last - row : GRAM_STRIP;
            strip_losses(t, i, row - begin, rows, t->rooms + task * t->room, t->losses + row);
        }
    }
}

/* Scales of W s, if they need all of it. */
static bool whole_scales(const ScaledWork *t, size_t weight, Arena *arena, const Spread *spread) {
    const ScaledWeight *from = &t->weights[weight];
    if (grid_by_rows(from->grid)) {
        return true;
    }
    const ArenaMark mark = arena_mark(arena);
    float *scaled = arena_many(arena, float, (size_t)(from->rows * t->k));
    channel_scale_weight(from->w, from->rows, t->k, t->s, scaled);
    const bool done = grid_scales(from->grid, scaled, &t->scales[weight], arena, spread);
    arena_reset(arena, mark);
    return done;
}

bool channel_scale_loss(const ScaledWeight *weights, size_t count, int64_t k, const float *g,
                        const float *s, double *loss, Arena *arena, const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    ScaledWork t = {.weights = weights, .count = count, .k = k, .g = g, .s = s};
    const size_t strips = 2 * GRAM_STRIP * (size_t)k * sizeof(float);
    int64_t rows = 0;
    bool done = true;
    t.scales = arena_many(arena, Scales, count);
    for (size_t i = 0; i < count; i++) {
        t.scales[i] = scales_new(arena, weights[i].grid, weights[i].rows, k);
        done = done && whole_scales(&t, i, arena, spread);
        const size_t room = strips + grid_room(weights[i].grid, GRAM_STRIP, k);
        t.room = room > t.room ? room : t.room;
        rows += weights[i].rows;
    }
    t.cut = cut_rows(rows, k);
    t.losses = arena_many(arena, double, (size_t)rows);
    t.rooms = arena_alloc(arena, t.cut.tasks * t.room);
    done = done && spread_run(spread, row_losses, &t, t.cut.tasks);
    *loss = 0;
    for (int64_t row = 0; row < rows; row++) {
        *loss += t.losses[row];
    }
    arena_reset(arena, mark);
    return done;
}
