/* A random layer for tests of runtime/calib: weights, and the Gram matrix of correlated inputs
 * whose channels differ in size, some of them always 0. Included after cmocka.h. */
#ifndef TESTS_UNIT_RANDOM_LAYER_H
#define TESTS_UNIT_RANDOM_LAYER_H
#include "law_runs.h"
#include "runtime/base/arena.h"
#include "runtime/calib/grid.h"

typedef struct RandomLayer {
    Arena *arena;
    int64_t rows, k, tokens;
    float *w, *x; /* [rows][k], [tokens][k] */
    double *gram; /* [k][k] */
    float *amax, *mean;
} RandomLayer;

static inline float random_bell(void) {
    float sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += (float)below(1 << 20) / (1 << 20);
    }
    return sum;
}

static inline RandomLayer random_layer(int64_t rows, int64_t k, int64_t tokens, bool dead) {
    RandomLayer l = {arena_open(), rows, k, tokens, NULL, NULL, NULL, NULL, NULL};
    l.w = arena_many(l.arena, float, (size_t)(rows * k));
    l.x = arena_many(l.arena, float, (size_t)(tokens * k));
    l.gram = arena_many(l.arena, double, (size_t)(k * k));
    l.amax = arena_many(l.arena, float, (size_t)k);
    l.mean = arena_many(l.arena, float, (size_t)k);
    for (int64_t i = 0; i < rows * k; i++) {
        l.w[i] = random_bell() / 16;
    }
    for (int64_t t = 0; t < tokens; t++) {
        const float common = random_bell();
        for (int64_t j = 0; j < k; j++) {
            const float size = j % 7 == 3 ? 8.0f : 0.5f;
            const float x = dead && j % 5 == 1 ? 0 : size * (random_bell() + common);
            l.x[t * k + j] = x;
            l.amax[j] = fabsf(x) > l.amax[j] ? fabsf(x) : l.amax[j];
            l.mean[j] += fabsf(x) / (float)tokens;
        }
        for (int64_t i = 0; i < k; i++) {
            for (int64_t j = 0; j < k; j++) {
                l.gram[i * k + j] += (double)l.x[t * k + i] * l.x[t * k + j];
            }
        }
    }
    return l;
}

/* tr(D G D^T), D = q - w, in plain double loops */
static inline double plain_loss(const RandomLayer *l, const float *q) {
    double loss = 0;
    for (int64_t row = 0; row < l->rows; row++) {
        for (int64_t i = 0; i < l->k; i++) {
            double r = 0;
            for (int64_t j = 0; j < l->k; j++) {
                r += l->gram[i * l->k + j] * ((double)q[row * l->k + j] - l->w[row * l->k + j]);
            }
            loss += r * ((double)q[row * l->k + i] - l->w[row * l->k + i]);
        }
    }
    return loss;
}

/* Every value is finite and on the grid: it comes back from its code. */
static inline void assert_on_grid(const Grid *g, const Scales *s, const float *q) {
    for (int64_t i = 0; i < s->rows * s->k; i++) {
        const int64_t at = scale_index(s, i / s->k, i % s->k);
        assert_true(isfinite(q[i]));
        assert_true(grid_nearest(g, s->divisors[at], s->zeros[at], q[i]) == q[i]);
    }
}

/* Grids of every kind, for loops over them. */
typedef struct GridName {
    const char *format;
    KernelGranule granule;
    int64_t block;
    int scale_type;
} GridName;
static const GridName grid_names[] = {
    {"int8", GRANULE_CHANNEL, 0, K_FLOAT}, {"int4", GRANULE_BLOCK, 16, K_FLOAT16},
    {"uint4", GRANULE_BLOCK, 32, K_FLOAT}, {"e4m3", GRANULE_CHANNEL, 0, K_FLOAT},
    {"e2m1", GRANULE_BLOCK, 16, K_E4M3},   {"e2m1", GRANULE_BLOCK, 32, K_E8M0},
    {"int4", GRANULE_TENSOR, 0, K_FLOAT},  {"uint2", GRANULE_CHANNEL, 0, K_BFLOAT16}};
enum { GRIDS = sizeof grid_names / sizeof *grid_names };
static inline Grid grid_named(int i, KernelMethod method) {
    const GridName *n = &grid_names[i];
    return (Grid){format(n->format), n->granule, n->block, n->scale_type, method};
}

#endif
