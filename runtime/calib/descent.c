/* Rows are independent. A task has r = D G of a strip of rows, from one product, and keeps it up to
 * date: a code that changes adds a row of G. */
#include "runtime/calib/descent.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/linear_algebra.h"
#include <math.h>
#include <string.h>

enum { STRIP = 32 };

typedef struct DescentWork {
    const Descent *descent;
    Scales *scales;
    float *q, *rooms; /* two strips and a row for each task */
    double *losses;
    Cut cut;
} DescentWork;

/* One row. */
typedef struct Line {
    const Descent *descent;
    Scales *scales;
    int64_t row, k;
    const float *w;
    const uint8_t *zero;
    float *q, *r, *z;
} Line;

static void add_row(float *restrict r, const float *restrict g, float factor, int64_t k) {
    for (int64_t j = 0; j < k; j++) {
        r[j] += factor * g[j];
    }
}

static int64_t sweep_codes(const Line *t) {
    const Grid *grid = t->descent->grid;
    int64_t changes = 0;
    for (int64_t j = 0; j < t->k; j++) {
        const float *g = t->descent->g + j * t->k;
        if (!(g[j] > 0) || (t->zero && t->zero[j])) {
            continue;
        }
        const int64_t at = scale_index(t->scales, t->row, j);
        const float best = t->q[j] - t->r[j] / g[j];
        const float v = grid_nearest(grid, t->scales->divisors[at], t->scales->zeros[at], best);
        const float step = v - t->q[j];
        if (step * (2 * t->r[j] + step * g[j]) < 0) {
            t->q[j] = v;
            add_row(t->r, g, step, t->k);
            changes++;
        }
    }
    return changes;
}

/* z and the sums of a block under its scale: z r_b and z G_bb z. */
static void block_sums(const Line *t, int64_t first, int64_t n, double *zr, double *zgz) {
    const Grid *grid = t->descent->grid;
    const int64_t at = scale_index(t->scales, t->row, first);
    const float d = t->scales->divisors[at], zero = t->scales->zeros[at];
    *zr = *zgz = 0;
    for (int64_t i = 0; i < n; i++) {
        t->z[i] = grid_value(grid, 1.0f, zero, grid_code(grid, d, zero, t->q[first + i]));
        *zr += (double)t->z[i] * t->r[first + i];
    }
    for (int64_t i = 0; i < n; i++) {
        const float *g = t->descent->g + (first + i) * t->k + first;
        double sum = 0;
        for (int64_t j = 0; j < n; j++) {
            sum += (double)(t->z[j] * g[j]);
        }
        *zgz += t->z[i] * sum;
    }
}

static int64_t move_scale(const Line *t, int64_t first, int64_t n) {
    const Grid *grid = t->descent->grid;
    const int64_t at = scale_index(t->scales, t->row, first);
    const uint32_t code = t->scales->codes[at];
    const float old = t->scales->divisors[at];
    double zr, zgz;
    block_sums(t, first, n, &zr, &zgz);
    const double best = old - zr / zgz;
    if (!(zgz > 0 && best > 0 && best < (double)INFINITY)) {
        return 0;
    }
    grid_set_divisor(grid, t->scales, at, (float)best);
    const double step = (double)t->scales->divisors[at] - old;
    if (!(step * (2 * zr + step * zgz) < 0)) {
        t->scales->codes[at] = code;
        t->scales->divisors[at] = old;
        return 0;
    }
    for (int64_t i = 0; i < n; i++) {
        const float v = t->z[i] * t->scales->divisors[at];
        if (v != t->q[first + i]) {
            add_row(t->r, t->descent->g + (first + i) * t->k, v - t->q[first + i], t->k);
        }
        t->q[first + i] = v;
    }
    return 1;
}

static void descend(const Line *t) {
    const bool scales = t->descent->scales && t->scales->row_step > 0;
    for (int sweep = 0; sweep < t->descent->sweeps; sweep++) {
        int64_t changes = sweep_codes(t);
        for (int64_t at = 0; scales && at < t->k; at += t->scales->length) {
            const int64_t rest = t->k - at;
            changes += move_scale(t, at, rest < t->scales->length ? rest : t->scales->length);
        }
        if (changes == 0) {
            break;
        }
    }
}

static double dot(const float *r, const float *q, const float *w, int64_t k) {
    double sum = 0;
    for (int64_t j = 0; j < k; j++) {
        sum += (double)r[j] * ((double)q[j] - w[j]);
    }
    return sum <= 0 ? 0 : sum < INFINITY ? sum : INFINITY;
}

static void descend_rows(void *user, size_t task) {
    const DescentWork *t = user;
    const Descent *descent = t->descent;
    const int64_t k = t->scales->k, end = cut_end(&t->cut, task);
    float *d = t->rooms + (int64_t)task * (2 * STRIP + 1) * k, *r = d + STRIP * k;
    for (int64_t row = cut_first(&t->cut, task); row < end; row += STRIP) {
        const int64_t n = end - row < STRIP ? end - row : STRIP;
        for (int64_t i = 0; i < n * k; i++) {
            d[i] = t->q[row * k + i] - descent->w[row * k + i];
        }
        matrix_multiply(&(Product){.m = n, .n = k, .k = k, .a = d, .lda = k, .b = descent->g,
                                   .ldb = k, .c = r, .ldc = k, .alpha = 1});
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = (row + i) * k;
            const Line line = {descent, t->scales, row + i, k, descent->w + at,
                               descent->zero ? descent->zero + at : NULL, t->q + at, r + i * k,
                               r + STRIP * k};
            descend(&line);
            t->losses[row + i] = dot(line.r, line.q, line.w, k);
        }
    }
}

bool descent_run(const Descent *descent, Scales *scales, float *q, double *losses, Arena *arena,
                 const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    DescentWork t = {.descent = descent, .scales = scales, .q = q, .losses = losses,
                     .cut = cut_rows(scales->rows, scales->k)};
    t.rooms = arena_many(arena, float, t.cut.tasks * (2 * STRIP + 1) * (size_t)scales->k);
    const bool done = spread_run(spread, descend_rows, &t, t.cut.tasks);
    arena_reset(arena, mark);
    return done;
}
