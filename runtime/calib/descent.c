/* Rows are independent. A task has r = D G of a strip of rows, from one product, and keeps it up to
 * date: a code that changes adds a row of G, scales that move add a product for all rows at once.
 */
#include "runtime/calib/descent.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/linear_algebra.h"
#include <math.h>

enum { STRIP = 32 };

typedef struct DescentWork {
    const Descent *descent;
    Scales *scales;
    float *q, *rooms;
    size_t room; /* floats of a task: those of Strip */
    Cut cut;
} DescentWork;

/* Rows [row, row + rows), and what they are worked on with. */
typedef struct Strip {
    const Descent *descent;
    Scales *scales;
    int64_t row, rows, k;
    float *q; /* of the first row */
    float *r; /* rows x k: D G */
    float *z; /* rows x length: values of codes; before the first product, D */
    float *zg;
} Strip;

static size_t strip_floats(const Scales *s) {
    const int64_t length = s->length < s->k ? s->length : s->k;
    return STRIP * (size_t)(2 * s->k + length);
}

static void add_row(float *restrict r, const float *restrict g, float factor, int64_t k) {
    for (int64_t j = 0; j < k; j++) {
        r[j] += factor * g[j];
    }
}

static bool is_zero(const Strip *t, int64_t row, int64_t j) {
    return t->descent->zero && t->descent->zero[row * t->k + j];
}

static int64_t sweep_codes(const Strip *t, int64_t i) {
    const Grid *grid = t->descent->grid;
    float *q = t->q + i * t->k, *r = t->r + i * t->k;
    int64_t changes = 0;
    for (int64_t j = 0; j < t->k; j++) {
        const float *g = t->descent->g + j * t->k;
        if (!(g[j] > 0) || is_zero(t, t->row + i, j)) {
            continue;
        }
        const int64_t at = scale_index(t->scales, t->row + i, j);
        const float v =
            grid_nearest(grid, t->scales->divisors[at], t->scales->zeros[at], q[j] - r[j] / g[j]);
        const float step = v - q[j];
        if (step * (2 * r[j] + step * g[j]) < 0) {
            q[j] = v;
            add_row(r, g, step, t->k);
            changes++;
        }
    }
    return changes;
}

/* The scale of row i's block at `first`: z and z G_bb are there. z becomes what is added to q. */
static int64_t move_scale(const Strip *t, int64_t i, int64_t first, int64_t n) {
    float *z = t->z + i * n, *q = t->q + i * t->k + first;
    const float *r = t->r + i * t->k + first, *zg = t->zg + i * n;
    const int64_t at = scale_index(t->scales, t->row + i, first);
    const uint32_t code = t->scales->codes[at];
    const float old = t->scales->divisors[at];
    double zr = 0, zgz = 0, step = 0;
    for (int64_t j = 0; j < n; j++) {
        zr += (double)z[j] * r[j];
        zgz += (double)z[j] * zg[j];
    }
    const double best = old - zr / zgz;
    if (zgz > 0 && best > 0 && best < (double)INFINITY) {
        grid_set_divisor(t->descent->grid, t->scales, at, (float)best);
        step = (double)t->scales->divisors[at] - old;
    }
    const bool moves = step * (2 * zr + step * zgz) < 0;
    if (!moves) {
        t->scales->codes[at] = code;
        t->scales->divisors[at] = old;
    }
    for (int64_t j = 0; j < n; j++) {
        const float v = moves ? z[j] * t->scales->divisors[at] : q[j];
        z[j] = v - q[j];
        q[j] = v;
    }
    return moves;
}

static int64_t move_scales(const Strip *t, int64_t first, int64_t n) {
    const Grid *grid = t->descent->grid;
    const float *g = t->descent->g + first * t->k;
    int64_t moves = 0;
    for (int64_t i = 0; i < t->rows; i++) {
        const int64_t at = scale_index(t->scales, t->row + i, first);
        const float d = t->scales->divisors[at], zero = t->scales->zeros[at];
        for (int64_t j = 0; j < n; j++) {
            const uint32_t code = grid_code(grid, d, zero, t->q[i * t->k + first + j]);
            t->z[i * n + j] = grid_value(grid, 1.0f, zero, code);
        }
    }
    matrix_multiply(&(Product){.m = t->rows,
                               .n = n,
                               .k = n,
                               .a = t->z,
                               .lda = n,
                               .b = g + first,
                               .ldb = t->k,
                               .c = t->zg,
                               .ldc = n,
                               .alpha = 1});
    for (int64_t i = 0; i < t->rows; i++) {
        moves += move_scale(t, i, first, n);
    }
    if (moves > 0) {
        matrix_multiply(&(Product){.m = t->rows,
                                   .n = t->k,
                                   .k = n,
                                   .a = t->z,
                                   .lda = n,
                                   .b = g,
                                   .ldb = t->k,
                                   .c = t->r,
                                   .ldc = t->k,
                                   .alpha = 1,
                                   .beta = 1});
    }
    return moves;
}

static void descend(const Strip *t) {
    const bool scales = t->descent->scales && t->scales->row_step > 0;
    bool moving[STRIP];
    for (int64_t i = 0; i < t->rows; i++) {
        moving[i] = true;
    }
    for (int sweep = 0; sweep < t->descent->sweeps; sweep++) {
        int64_t changes = 0;
        for (int64_t i = 0; i < t->rows; i++) {
            const int64_t own = moving[i] ? sweep_codes(t, i) : 0;
            moving[i] = scales || own > 0;
            changes += own;
        }
        for (int64_t at = 0; scales && at < t->k; at += t->scales->length) {
            const int64_t rest = t->k - at;
            changes += move_scales(t, at, rest < t->scales->length ? rest : t->scales->length);
        }
        if (changes == 0) {
            break;
        }
    }
}

static void descend_rows(void *user, size_t task) {
    const DescentWork *t = user;
    const int64_t k = t->scales->k, end = cut_end(&t->cut, task);
    for (int64_t row = cut_first(&t->cut, task); row < end; row += STRIP) {
        float *r = t->rooms + task * t->room;
        const Strip strip = {t->descent,
                             t->scales,
                             row,
                             end - row < STRIP ? end - row : STRIP,
                             k,
                             t->q + row * k,
                             r,
                             r + STRIP * k,
                             r + 2 * STRIP * k};
        const float *w = t->descent->w + row * k;
        for (int64_t i = 0; i < strip.rows * k; i++) {
            strip.z[i] = strip.q[i] - w[i];
        }
        matrix_multiply(&(Product){.m = strip.rows,
                                   .n = k,
                                   .k = k,
                                   .a = strip.z,
                                   .lda = k,
                                   .b = t->descent->g,
                                   .ldb = k,
                                   .c = r,
                                   .ldc = k,
                                   .alpha = 1});
        descend(&strip);
    }
}

bool descent_run(const Descent *descent, Scales *scales, float *q, Arena *arena,
                 const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    DescentWork t = {.descent = descent,
                     .scales = scales,
                     .q = q,
                     .room = strip_floats(scales),
                     .cut = cut_rows(scales->rows, scales->k)};
    t.rooms = arena_many(arena, float, t.cut.tasks *t.room);
    const bool done = spread_run(spread, descend_rows, &t, t.cut.tasks);
    arena_reset(arena, mark);
    return done;
}
