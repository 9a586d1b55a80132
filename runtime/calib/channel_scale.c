/* A task has a few rows, and takes a strip of them through all steps while it lies in the cache,
 * for one candidate after the other: W s, scales of its grid, what rounding is off by, the loss.
 * Scales that need the whole weight come first. */
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
    const ScaledWeight *weights;
    size_t count;
    int64_t k, n;
    const float *g, *s;
    Scales *scales; /* [n][count]; those of a grid by rows are the same for all candidates */
    int64_t rows;   /* of all weights */
    double *losses; /* [n][rows] */
    char *rooms;    /* of each task: two strips, and what scales need */
    size_t room;
    Cut cut; /* of the rows of all weights */
} ScaledWork;

/* Rows [row, row + rows) of one weight. */
static void strip_losses(const ScaledWork *t, int64_t candidate, size_t weight, int64_t row,
                         int64_t rows, char *room, double *losses) {
    const ScaledWeight *from = &t->weights[weight];
    Scales *scales = &t->scales[(size_t)candidate * t->count + weight];
    const int64_t k = t->k;
    const float *w = from->w + row * k, *s = t->s + candidate * k;
    float *d = (float *)(void *)room, *r = d + GRAM_STRIP * k;
    channel_scale_weight(w, rows, k, s, d);
    if (grid_by_rows(from->grid)) {
        grid_row_scales(from->grid, d, row, rows, scales, r + GRAM_STRIP * k);
    }
    grid_round_rows(from->grid, scales, row, rows, d, d);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < k; j++) {
            d[i * k + j] = d[i * k + j] / s[j] - w[i * k + j];
        }
    }
    gram_strip_losses(t->g, d, rows, k, r, losses);
}

/* A task's rows may be the last of one weight and the first of the next. */
static void row_losses(void *user, size_t task) {
    const ScaledWork *t = user;
    const int64_t first = cut_first(&t->cut, task), end = cut_end(&t->cut, task);
    char *room = t->rooms + task * t->room;
    int64_t begin = 0; /* of a weight's rows among all */
    for (size_t i = 0; i < t->count; begin += t->weights[i++].rows) {
        const int64_t last = begin + t->weights[i].rows < end ? begin + t->weights[i].rows : end;
        int64_t row = begin < first ? first : begin;
        for (int64_t rows; row < last; row += rows) {
            rows = last - row < GRAM_STRIP ? last - row : GRAM_STRIP;
            for (int64_t c = 0; c < t->n; c++) {
                strip_losses(t, c, i, row - begin, rows, room, t->losses + c * t->rows + row);
            }
        }
    }
}

/* Scales of all candidates for a weight that they need as a whole. */
static bool whole_scales(const ScaledWork *t, size_t weight, Arena *arena, const Spread *spread) {
    const ScaledWeight *from = &t->weights[weight];
    float *scaled = arena_many(arena, float, (size_t)(from->rows * t->k));
    bool done = true;
    for (int64_t c = 0; c < t->n && done; c++) {
        channel_scale_weight(from->w, from->rows, t->k, t->s + c * t->k, scaled);
        done = grid_scales(from->grid, scaled, &t->scales[(size_t)c * t->count + weight], arena,
                           spread);
    }
    return done;
}

static bool prepare(ScaledWork *t, Arena *arena, const Spread *spread) {
    bool done = true;
    t->scales = arena_many(arena, Scales, (size_t)t->n * t->count);
    for (size_t i = 0; i < t->count; i++) {
        const ScaledWeight *from = &t->weights[i];
        const size_t room = grid_room(from->grid, GRAM_STRIP, t->k);
        t->room = room > t->room ? room : t->room;
        t->rows += from->rows;
        for (int64_t c = 0; c < t->n; c++) {
            const bool shared = c > 0 && grid_by_rows(from->grid);
            t->scales[(size_t)c * t->count + i] =
                shared ? t->scales[i] : scales_new(arena, from->grid, from->rows, t->k);
        }
        const ArenaMark mark = arena_mark(arena);
        done = done && (grid_by_rows(from->grid) || whole_scales(t, i, arena, spread));
        arena_reset(arena, mark);
    }
    return done;
}

bool channel_scale_losses(const ScaledWeight *weights, size_t count, int64_t k, const float *g,
                          const float *s, int64_t n, double *losses, Arena *arena,
                          const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    ScaledWork t = {.weights = weights, .count = count, .k = k, .n = n, .g = g, .s = s};
    bool done = prepare(&t, arena, spread);
    t.cut = cut_rows(t.rows, k);
    t.losses = arena_many(arena, double, (size_t)(n * t.rows));
    t.room += 2 * GRAM_STRIP * (size_t)k * sizeof(float);
    t.rooms = arena_alloc(arena, t.cut.tasks * t.room);
    done = done && spread_run(spread, row_losses, &t, t.cut.tasks);
    for (int64_t c = 0; c < n; c++) {
        losses[c] = 0;
        for (int64_t row = 0; row < t.rows; row++) {
            losses[c] += t.losses[c * t.rows + row];
        }
    }
    arena_reset(arena, mark);
    return done;
}
