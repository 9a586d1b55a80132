/* Rows do not meet, so a task learns a strip of them from the first step to the last: one product
 * with G for each step. Losses are measured in units of the diagonal of G and the square of the
 * step of each weight, so that one rate and one pull fit all layers. */
#include "runtime/calib/adaround.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/gram.h"
#include "runtime/calib/linear_algebra.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 32, MOST_VALUES = 256, ARRAYS = 7 };

/* Adam's constants, and the pull: none for the first fifth of the steps, then with an exponent that
 * falls from 20 to 2, as in the paper. */
#define RATE 0.05f
#define MEAN_DECAY 0.9f
#define SQUARE_DECAY 0.999f
#define PULL 0.1f

typedef struct AdaroundWork {
    const Adaround *adaround;
    float values[MOST_VALUES]; /* of the format's codes, in order */
    int count;
    float unit; /* 1 / mean of diag G */
    float *q, *rooms;
    Cut cut;
} AdaroundWork;

/* A strip: arrays of rows x k. */
typedef struct Learning {
    const AdaroundWork *work;
    int64_t row, n, k;
    float *low, *high; /* values beside w */
    float *v, *mean, *square;
    float *d, *r; /* D, D G */
} Learning;

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void list_values(const Format *f, AdaroundWork *t) {
    for (uint32_t code = 0; code < 1u << f->bits; code++) {
        const float v = f->decode(code);
        if (v >= -f->max_abs && v <= f->max_abs) {
            t->values[t->count++] = v;
        }
    }
    qsort(t->values, (size_t)t->count, sizeof *t->values, ascending);
}

/* The values around w; both are the nearest one where w is at or beyond an end. */
static void find_sides(const AdaroundWork *t, float divisor, float zero, float w, float *low,
                       float *high) {
    const float x = w / divisor + zero;
    int first = 0, last = t->count - 1;
    if (!(x > t->values[first] && x < t->values[last])) {
        *low = *high = grid_nearest(t->adaround->grid, divisor, zero, w);
        return;
    }
    while (last - first > 1) {
        const int middle = (first + last) / 2;
        if (t->values[middle] <= x) {
            first = middle;
        } else {
            last = middle;
        }
    }
    *low = (t->values[first] - zero) * divisor;
    *high = (t->values[last] - zero) * divisor;
}

/* h and its derivative by v */
static float between(float v, float *slope) {
    const float a = 1 + fabsf(v), h = 1.2f * 0.5f * (1 + v / a) - 0.1f;
    *slope = h > 0 && h < 1 ? 0.6f / (a * a) : 0.0f;
    return h < 0 ? 0.0f : h > 1 ? 1.0f : h;
}
/* the v of an h within (0, 1) */
static float start_of(float h) {
    const float u = 2 * (h + 0.1f) / 1.2f - 1; /* v / (1 + |v|) */
    return u / (1 - fabsf(u));
}

static void start(const Learning *t) {
    const Adaround *a = t->work->adaround;
    for (int64_t i = 0; i < t->n * t->k; i++) {
        const int64_t row = t->row + i / t->k, j = i % t->k, at = row * t->k + j;
        const int64_t scale = scale_index(a->scales, row, j);
        find_sides(t->work, a->scales->divisors[scale], a->scales->zeros[scale], a->w[at],
                   &t->low[i], &t->high[i]);
        if (a->zero && a->zero[at]) {
            t->low[i] = t->high[i] = 0;
        }
        const float width = t->high[i] - t->low[i];
        const float h = width > 0 ? (a->w[at] - t->low[i]) / width : 0.5f;
        t->v[i] = start_of(h < 0.01f ? 0.01f : h > 0.99f ? 0.99f : h);
        t->mean[i] = t->square[i] = 0;
    }
}

/* D by h; then D G. */
static void errors(const Learning *t) {
    const float *w = t->work->adaround->w + t->row * t->k;
    for (int64_t i = 0; i < t->n * t->k; i++) {
        float slope;
        const float h = between(t->v[i], &slope);
        const float q = t->low[i] + h * (t->high[i] - t->low[i]);
        t->d[i] = q - w[i];
    }
    matrix_multiply(&(Product){.m = t->n,
                               .n = t->k,
                               .k = t->k,
                               .a = t->d,
                               .lda = t->k,
                               .b = t->work->adaround->g,
                               .ldb = t->k,
                               .c = t->r,
                               .ldc = t->k,
                               .alpha = 1});
}

/* The derivative of 1 - |2h - 1|^power. */
static float pull(float h, int power) {
    const float u = 2 * h - 1, a = fabsf(u);
    float p = 1, square = a;
    for (int n = power - 1; n > 0; n /= 2) {
        p = n % 2 ? p * square : p;
        square *= square;
    }
    return (u < 0 ? 2.0f : -2.0f) * (float)power * p;
}

static void learn(const Learning *t, int step, int steps, float mean_share, float square_share) {
    const float done = (float)step / (float)steps;
    const int power = 20 - (int)(18 * (done - 0.2f) / 0.8f);
    errors(t);
    for (int64_t i = 0; i < t->n * t->k; i++) {
        const float width = t->high[i] - t->low[i];
        if (!(width > 0)) {
            continue;
        }
        float slope;
        const float h = between(t->v[i], &slope);
        if (slope == 0) {
            continue; /* settled; its moments would fade into subnormals, which are slow */
        }
        float g = 2 * t->r[i] * t->work->unit / width;
        g += done > 0.2f ? PULL * pull(h, power) : 0.0f;
        g *= slope;
        t->mean[i] = MEAN_DECAY * t->mean[i] + (1 - MEAN_DECAY) * g;
        t->square[i] = SQUARE_DECAY * t->square[i] + (1 - SQUARE_DECAY) * g * g;
        t->v[i] -= RATE * (t->mean[i] / mean_share) / (sqrtf(t->square[i] / square_share) + 1e-8f);
    }
}

static void learn_rows(void *user, size_t task) {
    const AdaroundWork *t = user;
    const int64_t k = t->adaround->scales->k, end = cut_end(&t->cut, task), size = STRIP * k;
    float *room = t->rooms + (int64_t)task * ARRAYS * size;
    for (int64_t row = cut_first(&t->cut, task); row < end; row += STRIP) {
        const Learning l = {t,
                            row,
                            end - row < STRIP ? end - row : STRIP,
                            k,
                            room,
                            room + size,
                            room + 2 * size,
                            room + 3 * size,
                            room + 4 * size,
                            room + 5 * size,
                            room + 6 * size};
        float mean_left = 1, square_left = 1;
        start(&l);
        for (int step = 0; step < t->adaround->steps; step++) {
            mean_left *= MEAN_DECAY;
            square_left *= SQUARE_DECAY;
            learn(&l, step, t->adaround->steps, 1 - mean_left, 1 - square_left);
        }
        for (int64_t i = 0; i < l.n * k; i++) {
            float slope;
            t->q[row * k + i] = between(l.v[i], &slope) > 0.5f ? l.high[i] : l.low[i];
        }
    }
}

static void round_plain(const Adaround *a, int64_t row, int64_t rows, float *out) {
    const int64_t at = row * a->scales->k;
    grid_round_rows(a->grid, a->scales, row, rows, a->w + at, out);
    for (int64_t i = 0; a->zero && i < rows * a->scales->k; i++) {
        out[i] = a->zero[at + i] ? 0.0f : out[i];
    }
}

static bool losses_of(const Adaround *a, const float *q, float *d, double *losses, Arena *arena,
                      const Spread *spread) {
    for (int64_t i = 0; i < a->scales->rows * a->scales->k; i++) {
        d[i] = q[i] - a->w[i];
    }
    return gram_losses(a->g, d, a->scales->rows, a->scales->k, losses, arena, spread);
}

bool adaround_round(const Adaround *a, float *q, double losses[2], Arena *arena,
                    const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    const int64_t rows = a->scales->rows, k = a->scales->k;
    AdaroundWork *t = arena_new(arena, AdaroundWork);
    *t = (AdaroundWork){.adaround = a, .q = q, .cut = cut_rows(rows, k)};
    list_values(a->grid->format, t);
    double sum = 0;
    for (int64_t j = 0; j < k; j++) {
        sum += (double)a->g[j * k + j];
    }
    t->unit = sum > 0 ? (float)((double)k / sum) : 0.0f;
    t->rooms = arena_many(arena, float, t->cut.tasks *ARRAYS *STRIP *(size_t)k);
    float *d = arena_many(arena, float, (size_t)(rows * k));
    double *nearest = arena_many(arena, double, (size_t)rows);
    double *own = arena_many(arena, double, (size_t)rows);
    round_plain(a, 0, rows, d);
    const bool done = losses_of(a, d, d, nearest, arena, spread) &&
                      spread_run(spread, learn_rows, t, t->cut.tasks) &&
                      losses_of(a, q, d, own, arena, spread);
    losses[0] = losses[1] = 0;
    for (int64_t row = 0; row < rows && done; row++) {
        losses[0] += nearest[row];
        losses[1] += own[row] < nearest[row] ? own[row] : nearest[row];
        if (!(own[row] < nearest[row])) {
            round_plain(a, row, 1, q + row * k);
        }
    }
    arena_reset(arena, mark);
    return done;
}
