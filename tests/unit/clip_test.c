/* Clipped scales: no block's own loss grows, threads change nothing, and with inputs that do not
 * correlate the loss of the layer falls. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/calib/clip.h"
#include "runtime/calib/gram.h"

/* d G_bb d of one block, in plain loops */
static double block_loss(const RandomLayer *l, const float *q, int64_t row, int64_t first,
                         int64_t n) {
    double loss = 0;
    for (int64_t i = first; i < first + n; i++) {
        for (int64_t j = first; j < first + n; j++) {
            const int64_t a = row * l->k + i, b = row * l->k + j;
            loss += l->gram[i * l->k + j] * ((double)q[a] - l->w[a]) * ((double)q[b] - l->w[b]);
        }
    }
    return loss;
}

static void no_block_gets_worse(void **state) {
    (void)state;
    const Spread threads = many_threads(4);
    for (int grid = 0; grid < GRIDS; grid++) {
        RandomLayer l = random_layer(150, 110, 100, true);
        l.w[0] = l.w[3 * 110] = 3; /* outliers that are better clipped or not */
        memset(l.w + 5 * 110, 0, 110 * sizeof *l.w);
        const Grid g = grid_named(grid, METHOD_MAX);
        const float *narrow = gram_narrow(l.arena, l.gram, l.k);
        Scales first = scales_new(l.arena, &g, l.rows, l.k), s = first, t = first;
        float *before = arena_many(l.arena, float, 150 * 110),
              *q = arena_many(l.arena, float, 150 * 110);
        s = scales_new(l.arena, &g, l.rows, l.k);
        t = scales_new(l.arena, &g, l.rows, l.k);
        assert_true(grid_scales(&g, l.w, &first, l.arena, NULL));
        scales_copy(&s, &first);
        scales_copy(&t, &first);
        assert_true(clip_scales(&g, l.w, narrow, &s, l.arena, NULL));
        assert_true(clip_scales(&g, l.w, narrow, &t, l.arena, &threads));
        assert_memory_equal(s.divisors, t.divisors, (size_t)s.count * sizeof(float));
        grid_round_rows(&g, &first, 0, l.rows, l.w, before);
        grid_round_rows(&g, &s, 0, l.rows, l.w, q);
        assert_on_grid(&g, &s, q);
        int better = 0;
        for (int64_t row = 0; row < l.rows; row++) {
            for (int64_t at = 0; at < l.k; at += s.length) {
                const int64_t n = l.k - at < s.length ? l.k - at : s.length;
                const double old = block_loss(&l, before, row, at, n);
                const double new = block_loss(&l, q, row, at, n);
                assert_true(new <= old *(1 + 1e-4) + 1e-9);
                better += new < 0.9 * old;
            }
        }
        assert_true(g.granule == GRANULE_TENSOR ? better == 0 : better > 50);
        arena_close(l.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_block_gets_worse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
