/* GPTQ on random layers: on the grid, better than nearest, the same bits with threads; degenerate
 * inputs; and, against plain text, the method itself. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/calib/gptq.h"

typedef struct Outcome {
    Scales scales;
    float *q;
    GptqReport report;
} Outcome;

static Outcome run(const RandomLayer *l, const Grid *g, const Gptq *options, const Spread *spread) {
    Outcome o = {.scales = scales_new(l->arena, g, l->rows, l->k),
                 .q = arena_many(l->arena, float, (size_t)(l->rows * l->k))};
    Gptq gptq = *options;
    gptq.grid = g;
    gptq.w = l->w;
    gptq.gram = l->gram;
    assert_true(grid_scales(g, l->w, &o.scales, l->arena, spread));
    assert_true(gptq_round(&gptq, &o.scales, o.q, &o.report, l->arena, spread));
    assert_on_grid(g, &o.scales, o.q);
    return o;
}

static double nearest_loss(const RandomLayer *l, const Grid *g) {
    Scales s = scales_new(l->arena, g, l->rows, l->k);
    float *q = arena_many(l->arena, float, (size_t)(l->rows * l->k));
    assert_true(grid_scales(g, l->w, &s, l->arena, NULL));
    grid_round_rows(g, &s, 0, l->rows, l->w, q);
    return plain_loss(l, q);
}

static void it_beats_nearest_on_every_grid(void **state) {
    (void)state;
    for (int i = 0; i < GRIDS; i++) {
        for (int way = 0; way < 4; way++) {
            RandomLayer l = random_layer(i % 2 ? 1 : 40, 90, 150, way == 1);
            const Grid g = grid_named(i, way % 2 ? METHOD_MSE : METHOD_MAX);
            Gptq options = {GPTQ_DEFAULTS};
            options.block = way == 2 ? 128 : 32;
            options.order = way < 2 ? GPTQ_STATIC : GPTQ_NATURAL;
            options.sweeps = way == 3 ? 0 : 4;
            const Outcome o = run(&l, &g, &options, NULL);
            const double before = nearest_loss(&l, &g), after = plain_loss(&l, o.q);
            assert_true(fabs(o.report.nearest - before) <= 1e-3 * before);
            assert_true(fabs(o.report.loss - after) <= 1e-3 * before);
            assert_true(after < 0.95 * before);
            assert_int_equal(o.report.dead, way == 1 ? 18 : 0);
            assert_false(o.report.plain);
            arena_close(l.arena);
        }
    }
}

static void threads_change_no_bit(void **state) {
    (void)state;
    RandomLayer l = random_layer(700, 130, 200, true);
    const Gptq options = {GPTQ_DEFAULTS};
    for (int i = 0; i < GRIDS; i++) {
        const Grid g = grid_named(i, METHOD_MAX);
        const Outcome one = run(&l, &g, &options, NULL);
        for (size_t n = 2; n < 6; n += 3) {
            const Spread threads = many_threads(n);
            const Outcome o = run(&l, &g, &options, &threads);
            assert_memory_equal(o.q, one.q, sizeof(float) * 700 * 130);
            assert_memory_equal(o.scales.codes, one.scales.codes, 4 * (size_t)o.scales.count);
        }
    }
    arena_close(l.arena);
}

/* The method by its definition: H^-1 by Gauss-Jordan, reduced as columns are done. */
static void plain_gptq(const RandomLayer *l, const Grid *g, const Scales *s, double damp,
                       float *q) {
    const int64_t k = l->k;
    double h[24 * 24], inverse[24 * 24] = {0}, mean = 0;
    for (int64_t j = 0; j < k; j++) {
        mean += l->gram[j * k + j] / (double)k;
    }
    for (int64_t i = 0; i < k * k; i++) {
        h[i] = l->gram[i] + (i % (k + 1) == 0 ? damp * mean : 0);
        inverse[i] = i % (k + 1) == 0;
    }
    for (int64_t p = 0; p < k; p++) {
        const double pivot = h[p * k + p];
        for (int64_t j = 0; j < k; j++) {
            h[p * k + j] /= pivot;
            inverse[p * k + j] /= pivot;
        }
        for (int64_t i = 0; i < k; i++) {
            const double f = h[i * k + p];
            for (int64_t j = 0; j < k && i != p; j++) {
                h[i * k + j] -= f * h[p * k + j];
                inverse[i * k + j] -= f * inverse[p * k + j];
            }
        }
    }
    double *w = arena_many(l->arena, double, (size_t)(l->rows * k));
    for (int64_t i = 0; i < l->rows * k; i++) {
        w[i] = l->w[i];
    }
    for (int64_t c = 0; c < k; c++) {
        for (int64_t row = 0; row < l->rows; row++) {
            const int64_t at = scale_index(s, row, c);
            const float v = grid_nearest(g, s->divisors[at], s->zeros[at], (float)w[row * k + c]);
            const double e = (w[row * k + c] - v) / inverse[c * k + c];
            q[row * k + c] = v;
            for (int64_t j = c; j < k; j++) {
                w[row * k + j] -= e * inverse[c * k + j];
            }
        }
        const double own = inverse[c * k + c];
        for (int64_t i = k - 1; i >= c; i--) { /* column c leaves H */
            const double f = inverse[i * k + c] / own;
            for (int64_t j = k - 1; j >= c && i > c; j--) {
                inverse[i * k + j] -= f * inverse[c * k + j];
            }
        }
    }
}

static void it_is_the_method(void **state) {
    (void)state;
    RandomLayer l = random_layer(30, 24, 100, false);
    const Grid g = {format("int4"), GRANULE_BLOCK, 8, K_FLOAT, METHOD_MAX};
    const Gptq options = {.order = GPTQ_NATURAL, .damp = 0.01, .block = 7};
    const Outcome o = run(&l, &g, &options, NULL);
    float *q = arena_many(l.arena, float, 30 * 24), *plain = arena_many(l.arena, float, 30 * 24);
    plain_gptq(&l, &g, &o.scales, 0.01, q);
    grid_round_rows(&g, &o.scales, 0, 30, l.w, plain);
    int same = 0, moved = 0;
    for (int i = 0; i < 30 * 24; i++) {
        same += q[i] == o.q[i];
        moved += q[i] != plain[i];
    }
    assert_true(moved > 100);                /* it is not just rounding, ... */
    assert_true(same >= 30 * 24 * 95 / 100); /* ... and ties of floats and doubles are rare */
    arena_close(l.arena);
}

/* A late correction has the bits of as many early ones. */
static void blocks_change_nothing(void **state) {
    (void)state;
    RandomLayer l = random_layer(20, 70, 100, false);
    const Grid g = grid_named(1, METHOD_MAX);
    Gptq options = {GPTQ_DEFAULTS};
    options.block = 256;
    const Outcome whole = run(&l, &g, &options, NULL);
    options.block = 9;
    const Outcome parts = run(&l, &g, &options, NULL);
    assert_memory_equal(whole.q, parts.q, 20 * 70 * sizeof *whole.q);
    arena_close(l.arena);
}

static void pruned_weights_stay_zero(void **state) {
    (void)state;
    RandomLayer l = random_layer(20, 64, 100, false);
    uint8_t *zero = arena_alloc(l.arena, 20 * 64);
    for (int i = 0; i < 20 * 64; i++) {
        zero[i] = i % 4 < 2;
        l.w[i] = zero[i] ? 0 : l.w[i];
    }
    for (int i = 0; i < GRIDS; i++) {
        const Grid g = grid_named(i, METHOD_MAX);
        const Gptq options = {GPTQ_DEFAULTS, .zero = zero};
        const Outcome o = run(&l, &g, &options, NULL);
        for (int j = 0; j < 20 * 64; j++) {
            assert_true(!zero[j] || o.q[j] == 0);
        }
        assert_true(plain_loss(&l, o.q) < 0.95 * nearest_loss(&l, &g));
    }
    arena_close(l.arena);
}

static void degenerate_inputs_give_usable_weights(void **state) {
    (void)state;
    const Grid g = grid_named(1, METHOD_MSE);
    const Gptq options = {GPTQ_DEFAULTS};
    RandomLayer l = random_layer(3, 33, 4, true); /* fewer tokens than channels */
    run(&l, &g, &options, NULL);
    memset(l.w, 0, 3 * 33 * sizeof *l.w);
    Outcome o = run(&l, &g, &options, NULL);
    assert_true(o.report.loss == 0 && plain_loss(&l, o.q) == 0);
    for (int i = 0; i < 3 * 33; i++) {
        l.w[i] = random_bell();
    }
    for (int i = 0; i < 33 * 33; i++) {
        l.gram[i] = i % 34 == 0 ? 1 : 5; /* not positive definite, nor with 0.05, 0.5, ... added */
    }
    o = run(&l, &g, &options, NULL);
    assert_true(o.report.raises > 0 && !o.report.plain);
    memset(l.gram, 0, 33 * 33 * sizeof *l.gram);
    o = run(&l, &g, &options, NULL);
    assert_true(o.report.plain && o.report.dead == 33);
    l.gram[0] = NAN;
    o = run(&l, &g, &options, NULL);
    l.gram[0] = INFINITY;
    assert_true(run(&l, &g, &options, NULL).report.plain);
    arena_close(l.arena);
}

static void a_nan_spoils_its_row_only(void **state) {
    (void)state;
    RandomLayer l = random_layer(4, 40, 90, false);
    const Grid g = grid_named(1, METHOD_MAX);
    const Gptq options = {GPTQ_DEFAULTS};
    const Outcome clean = run(&l, &g, &options, NULL);
    l.w[1 * 40 + 7] = NAN;
    Scales s = scales_new(l.arena, &g, 4, 40);
    float *q = arena_many(l.arena, float, 4 * 40);
    GptqReport report;
    const Gptq gptq = {GPTQ_DEFAULTS, .grid = &g, .w = l.w, .gram = l.gram};
    assert_true(grid_scales(&g, l.w, &s, l.arena, NULL));
    assert_true(gptq_round(&gptq, &s, q, &report, l.arena, NULL));
    assert_memory_equal(q, clean.q, 40 * sizeof *q);
    assert_memory_equal(q + 80, clean.q + 80, 80 * sizeof *q);
    for (int i = 0; i < 40; i++) {
        const int64_t at = scale_index(&s, 1, i);
        const float w = l.w[40 + i], v = grid_nearest(&g, s.divisors[at], s.zeros[at], w);
        assert_true(k_bits(q[40 + i]) == k_bits(v));
    }
    arena_close(l.arena);
}

/* Every call of a Spread may fail; none of the results is used then. */
typedef struct Failing {
    int calls, fails_at;
} Failing;
static bool fail_at(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    Failing *f = spread->owner;
    for (size_t i = 0; i < count; i++) {
        task(user, i);
    }
    return ++f->calls != f->fails_at;
}
static void a_failed_spread_is_passed_on(void **state) {
    (void)state;
    RandomLayer l = random_layer(4, 40, 90, false);
    const Grid g = grid_named(1, METHOD_MAX);
    const Gptq gptq = {GPTQ_DEFAULTS, .grid = &g, .w = l.w, .gram = l.gram};
    Scales s = scales_new(l.arena, &g, 4, 40);
    float *q = arena_many(l.arena, float, 4 * 40);
    GptqReport report;
    int failed = 0;
    for (int at = 1; at < 10; at++) {
        Failing failing = {0, at};
        const Spread spread = {fail_at, &failing};
        const bool done = gptq_round(&gptq, &s, q, &report, l.arena, &spread);
        assert_true(done == (failing.calls < at));
        failed += !done;
    }
    assert_int_equal(failed, 5); /* inverse, columns, losses, descent, losses */
    arena_close(l.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_beats_nearest_on_every_grid),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(it_is_the_method),
        cmocka_unit_test(blocks_change_nothing),
                                       cmocka_unit_test(pruned_weights_stay_zero),
        cmocka_unit_test(degenerate_inputs_give_usable_weights),
        cmocka_unit_test(a_nan_spoils_its_row_only),
        cmocka_unit_test(a_failed_spread_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
