/* A strip of rows at a time, block after block: errors of all its rows under one ratio, one product
 * with the block of G on the diagonal. */
#include "runtime/calib/clip.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/gram.h"
#include "runtime/calib/linear_algebra.h"
#include <math.h>

enum { STRIP = 32, RATIOS = 25 };

static float ratio_of(int index) {
    return (float)(20 + index) / 40.0f;
}

typedef struct ClipWork {
    const Grid *grid;
    const float *w, *g;
    Scales *scales;
    float *rooms; /* two strips of a block for each task */
    int64_t length;
    Cut cut;
} ClipWork;

/* The block at `first` of rows [row, row + rows). */
typedef struct ClipBlock {
    const ClipWork *work;
    int64_t row, rows, first, n;
    float *d, *dg;
} ClipBlock;

static void losses(const ClipBlock *t, double *loss) {
    const Scales *s = t->work->scales;
    for (int64_t i = 0; i < t->rows; i++) {
        const float *w = t->work->w + (t->row + i) * s->k + t->first;
        const int64_t at = scale_index(s, t->row + i, t->first);
        float *d = t->d + i * t->n;
        grid_round_run(t->work->grid, s->divisors[at], s->zeros[at], t->n, w, d);
        for (int64_t j = 0; j < t->n; j++) {
            d[j] -= w[j];
        }
    }
    matrix_multiply(&(Product){.m = t->rows,
                               .n = t->n,
                               .k = t->n,
                               .a = t->d,
                               .lda = t->n,
                               .b = t->work->g + t->first * s->k + t->first,
                               .ldb = s->k,
                               .shape = SHAPE_FOLDED,
                               .c = t->dg,
                               .ldc = t->n,
                               .alpha = 1});
    for (int64_t i = 0; i < t->rows; i++) {
        const double sum = gram_dot(t->dg + i * t->n, t->d + i * t->n, t->n);
        loss[i] = sum < INFINITY ? sum : INFINITY;
    }
}

static void ranges(const ClipBlock *t, float *lo, float *hi) {
    const bool asymmetric = t->work->grid->format->asymmetric;
    for (int64_t i = 0; i < t->rows; i++) {
        const float *w = t->work->w + (t->row + i) * t->work->scales->k + t->first;
        lo[i] = hi[i] = 0;
        for (int64_t j = 0; j < t->n; j++) {
            const float x = asymmetric ? w[j] : fabsf(w[j]);
            lo[i] = x < lo[i] ? x : lo[i];
            hi[i] = x > hi[i] ? x : hi[i];
        }
    }
}

typedef struct Kept {
    uint32_t code;
    float divisor, zero;
} Kept;

static void clip_block(const ClipBlock *t) {
    Scales *s = t->work->scales;
    float lo[STRIP], hi[STRIP];
    double least[STRIP], loss[STRIP];
    Kept best[STRIP];
    ranges(t, lo, hi);
    for (int ratio = -1; ratio < RATIOS; ratio++) { /* -1: as they came */
        for (int64_t i = 0; ratio >= 0 && i < t->rows; i++) {
            const int64_t at = scale_index(s, t->row + i, t->first);
            grid_set_scale(t->work->grid, s, at, lo[i], hi[i], ratio_of(ratio));
        }
        losses(t, loss);
        for (int64_t i = 0; i < t->rows; i++) {
            const int64_t at = scale_index(s, t->row + i, t->first);
            if (ratio < 0 || loss[i] < least[i]) {
                least[i] = loss[i];
                best[i] = (Kept){s->codes[at], s->divisors[at], s->zeros[at]};
            }
        }
    }
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t at = scale_index(s, t->row + i, t->first);
        s->codes[at] = best[i].code;
        s->divisors[at] = best[i].divisor;
        s->zeros[at] = best[i].zero;
    }
}

static void clip_rows(void *user, size_t task) {
    const ClipWork *t = user;
    const int64_t k = t->scales->k, end = cut_end(&t->cut, task);
    float *d = t->rooms + (int64_t)task * 2 * STRIP * t->length;
    for (int64_t row = cut_first(&t->cut, task); row < end; row += STRIP) {
        const int64_t rows = end - row < STRIP ? end - row : STRIP;
        for (int64_t at = 0; at < k; at += t->length) {
            const int64_t n = k - at < t->length ? k - at : t->length;
            clip_block(&(ClipBlock){t, row, rows, at, n, d, d + STRIP * t->length});
        }
    }
}

bool clip_scales(const Grid *grid, const float *w, const float *g, Scales *scales, Arena *arena,
                 const Spread *spread) {
    if (scales->row_step == 0) {
        return true;
    }
    const ArenaMark mark = arena_mark(arena);
    ClipWork t = {
        .grid = grid, .w = w, .g = g, .scales = scales, .cut = cut_rows(scales->rows, scales->k)};
    t.length = scales->length < scales->k ? scales->length : scales->k;
    t.rooms = arena_many(arena, float, t.cut.tasks * 2 * STRIP * (size_t)t.length);
    const bool done = spread_run(spread, clip_rows, &t, t.cut.tasks);
    arena_reset(arena, mark);
    return done;
}
