/* AdaRound on random layers: every weight at one of its two neighbours, better than nearest, the
 * same bits with threads, degenerate inputs. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/calib/adaround.h"
#include "runtime/calib/gram.h"

typedef struct Outcome {
    Scales scales;
    float *q;
    double losses[2];
} Outcome;

static Outcome run(const RandomLayer *l, const Grid *g, int steps, const uint8_t *zero,
                   const Spread *spread) {
    Outcome o = {.scales = scales_new(l->arena, g, l->rows, l->k),
                 .q = arena_many(l->arena, float, (size_t)(l->rows * l->k))};
    assert_true(grid_scales(g, l->w, &o.scales, l->arena, spread));
    const Adaround a = {.grid = g,
                        .scales = &o.scales,
                        .w = l->w,
                        .zero = zero,
                        .steps = steps,
                        .g = gram_narrow(l->arena, l->gram, l->k)};
    assert_true(adaround_round(&a, o.q, o.losses, l->arena, spread));
    assert_on_grid(g, &o.scales, o.q);
    return o;
}

static void it_beats_nearest_on_every_grid(void **state) {
    (void)state;
    for (int i = 0; i < GRIDS; i++) {
        RandomLayer l = random_layer(i % 2 ? 1 : 10, 60, 100, i % 3 == 0);
        const Grid g = grid_named(i, METHOD_MAX);
        const Outcome o = run(&l, &g, 300, NULL, NULL);
        const double after = plain_loss(&l, o.q);
        assert_true(fabs(o.losses[1] - after) <= 1e-3 * o.losses[0]);
        assert_true(after <= (g.format->integer && i != 7 ? 0.9 : 1.0001) * o.losses[0]);
        for (int64_t j = 0; j < l.rows * l.k; j++) {
            const int64_t at = scale_index(&o.scales, j / l.k, j % l.k);
            const float largest = 1.01f * o.scales.divisors[at] * g.format->max_abs / 2;
            assert_true(fabsf(o.q[j] - l.w[j]) <= largest);
        }
        arena_close(l.arena);
    }
}

static void threads_change_no_bit_and_zeros_stay(void **state) {
    (void)state;
    RandomLayer l = random_layer(400, 45, 90, true);
    uint8_t *zero = arena_alloc(l.arena, 400 * 45);
    for (int i = 0; i < 400 * 45; i++) {
        zero[i] = i % 4 == 1;
        l.w[i] = zero[i] ? 0 : l.w[i];
    }
    const Grid g = grid_named(1, METHOD_MSE);
    const Spread threads = many_threads(3);
    const Outcome one = run(&l, &g, 20, zero, NULL), many = run(&l, &g, 20, zero, &threads);
    assert_memory_equal(one.q, many.q, 400 * 45 * sizeof *one.q);
    for (int i = 0; i < 400 * 45; i++) {
        assert_true(!zero[i] || one.q[i] == 0);
    }
    arena_close(l.arena);
}

static void degenerate_inputs_round_to_nearest(void **state) {
    (void)state;
    RandomLayer l = random_layer(2, 20, 10, true);
    const Grid g = grid_named(1, METHOD_MAX);
    float nearest[40];
    memset(l.gram, 0, 400 * sizeof *l.gram);
    Outcome o = run(&l, &g, 20, NULL, NULL);
    grid_round_rows(&g, &o.scales, 0, 2, l.w, nearest);
    assert_memory_equal(o.q, nearest, sizeof nearest);
    l.gram[3] = NAN;
    o = run(&l, &g, 20, NULL, NULL);
    assert_memory_equal(o.q, nearest, sizeof nearest);
    memset(l.w, 0, 40 * sizeof *l.w);
    o = run(&l, &g, 20, NULL, NULL);
    for (int i = 0; i < 40; i++) {
        assert_true(o.q[i] == 0);
    }
    arena_close(l.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_beats_nearest_on_every_grid),
                                       cmocka_unit_test(threads_change_no_bit_and_zeros_stay),
                                       cmocka_unit_test(degenerate_inputs_round_to_nearest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
