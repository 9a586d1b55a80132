/* Descent never raises a loss, ends where no code gains, keeps zeros, and moves scales that are
 * off. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/calib/descent.h"
#include "runtime/calib/gram.h"

typedef struct Started {
    Grid grid;
    Scales scales;
    float *q;
    Descent descent;
} Started;

static Started start(const RandomLayer *l, int grid, int sweeps, bool scales) {
    Started s = {.grid = grid_named(grid, METHOD_MAX)};
    s.scales = scales_new(l->arena, &s.grid, l->rows, l->k);
    s.q = arena_many(l->arena, float, (size_t)(l->rows * l->k));
    assert_true(grid_scales(&s.grid, l->w, &s.scales, l->arena, NULL));
    grid_round_rows(&s.grid, &s.scales, 0, l->rows, l->w, s.q);
    s.descent = (Descent){
        .w = l->w, .g = gram_narrow(l->arena, l->gram, l->k), .sweeps = sweeps, .scales = scales};
    return s;
}

static void every_sweep_lowers_the_loss(void **state) {
    (void)state;
    for (int i = 0; i < GRIDS; i++) {
        RandomLayer l = random_layer(40, 75, 120, i % 2 == 0);
        double last = INFINITY;
        for (int sweeps = 0; sweeps < 4; sweeps++) {
            Started s = start(&l, i, sweeps, i % 3 > 0);
            s.descent.grid = &s.grid;
            assert_true(descent_run(&s.descent, &s.scales, s.q, l.arena, NULL));
            assert_on_grid(&s.grid, &s.scales, s.q);
            const double loss = plain_loss(&l, s.q);
            assert_true(sweeps == 1 ? loss < 0.95 * last : loss <= last * (1 + 1e-5));
            last = loss;
        }
        arena_close(l.arena);
    }
}

static void no_single_code_is_better_at_the_end(void **state) {
    (void)state;
    RandomLayer l = random_layer(3, 40, 90, false);
    Started s = start(&l, 0, 1000, false);
    s.descent.grid = &s.grid;
    assert_true(descent_run(&s.descent, &s.scales, s.q, l.arena, NULL));
    const double least = plain_loss(&l, s.q);
    for (int i = 0; i < 3 * 40; i++) {
        const float own = s.q[i], step = s.scales.divisors[i / 40];
        for (int side = -1; side <= 1; side += 2) {
            s.q[i] = grid_nearest(&s.grid, step, 0, own + (float)side * step);
            assert_true(plain_loss(&l, s.q) >= least * (1 - 1e-4));
        }
        s.q[i] = own;
    }
    arena_close(l.arena);
}

static void a_scale_that_is_off_comes_back(void **state) {
    (void)state;
    RandomLayer l = random_layer(8, 32, 90, false);
    Started s = start(&l, 1, 30, true);
    s.descent.grid = &s.grid;
    memcpy(l.w, s.q, 8 * 32 * sizeof *l.w); /* exact under the scales there are */
    for (int64_t i = 0; i < s.scales.count; i++) {
        grid_set_divisor(&s.grid, &s.scales, i, s.scales.divisors[i] * 1.05f);
    }
    grid_round_rows(&s.grid, &s.scales, 0, 8, l.w, s.q);
    const double before = plain_loss(&l, s.q);
    assert_true(descent_run(&s.descent, &s.scales, s.q, l.arena, NULL));
    assert_true(plain_loss(&l, s.q) < 0.05 * before);
    arena_close(l.arena);
}

static void zeros_stay_and_threads_change_nothing(void **state) {
    (void)state;
    RandomLayer l = random_layer(600, 50, 90, false);
    uint8_t *zero = arena_alloc(l.arena, 600 * 50);
    float *first = NULL;
    for (int i = 0; i < 600 * 50; i++) {
        zero[i] = i % 3 == 0;
        l.w[i] = zero[i] ? 0 : l.w[i];
    }
    for (size_t n = 1; n < 6; n += 2) {
        const Spread threads = many_threads(n);
        Started s = start(&l, 4, 3, true);
        s.descent.grid = &s.grid;
        s.descent.zero = zero;
        assert_true(descent_run(&s.descent, &s.scales, s.q, l.arena, &threads));
        for (int i = 0; i < 600 * 50; i++) {
            assert_true(!zero[i] || s.q[i] == 0);
        }
        first = first ? first : s.q;
        assert_memory_equal(s.q, first, 600 * 50 * sizeof *first);
    }
    arena_close(l.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_sweep_lowers_the_loss),
                                       cmocka_unit_test(no_single_code_is_better_at_the_end),
                                       cmocka_unit_test(a_scale_that_is_off_comes_back),
                                       cmocka_unit_test(zeros_stay_and_threads_change_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
