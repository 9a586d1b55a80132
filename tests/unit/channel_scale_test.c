/* Scaling channels changes nothing but rounding: outputs, Gram matrices and losses agree with plain
 * sums. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/calib/channel_scale.h"
#include "runtime/calib/gram.h"

enum { ROWS = 30, K = 40, TOKENS = 60 };

static void random_scale(float *s) {
    for (int j = 0; j < K; j++) {
        s[j] = 0.1f + (float)below(1000) / 100;
    }
}

static void outputs_stay(void **state) {
    (void)state;
    RandomLayer l = random_layer(ROWS, K, TOKENS, true);
    float s[K], *w = arena_many(l.arena, float, ROWS *K);
    double *gram = arena_many(l.arena, double, K *K);
    random_scale(s);
    channel_scale_weight(l.w, ROWS, K, s, w);
    channel_scale_gram(l.gram, K, s, gram);
    for (int t = 0; t < TOKENS; t++) {
        for (int row = 0; row < ROWS; row++) {
            double plain = 0, scaled = 0, size = 0;
            for (int j = 0; j < K; j++) {
                const float x = l.x[t * K + j], part = x / s[j];
                plain += (double)x * l.w[row * K + j];
                scaled += (double)part * w[row * K + j];
                size += fabs((double)x * l.w[row * K + j]);
            }
            assert_true(fabs(plain - scaled) <= 1e-6 * size);
        }
    }
    for (int i = 0; i < K * K; i++) {
        const double back = gram[i] * s[i / K] * s[i % K];
        assert_true(fabs(back - l.gram[i]) <= 1e-12 * fabs(l.gram[i]));
    }
    arena_close(l.arena);
}

static void losses_are_those_of_the_rounded_weight(void **state) {
    (void)state;
    const Spread threads = many_threads(3);
    for (int i = 0; i < GRIDS; i++) {
        RandomLayer l = random_layer(ROWS, K, TOKENS, false);
        const Grid g = grid_named(i, METHOD_MAX);
        float s[K], *w = arena_many(l.arena, float, ROWS *K);
        random_scale(s);
        channel_scale_weight(l.w, ROWS, K, s, w);
        Scales scales = scales_new(l.arena, &g, ROWS, K);
        assert_true(grid_scales(&g, w, &scales, l.arena, NULL));
        grid_round_rows(&g, &scales, 0, ROWS, w, w);
        for (int j = 0; j < ROWS * K; j++) {
            w[j] /= s[j % K];
        }
        const double one = plain_loss(&l, w);
        const ScaledWeight siblings[] = {{&g, l.w, ROWS}, {&g, l.w, ROWS}};
        const float *narrow = gram_narrow(l.arena, l.gram, K);
        double loss, again;
        assert_true(channel_scale_loss(siblings, 2, K, narrow, s, &loss, l.arena, NULL));
        assert_true(channel_scale_loss(siblings, 2, K, narrow, s, &again, l.arena, &threads));
        assert_true(fabs(loss - 2 * one) <= 1e-4 * loss && loss == again);
        arena_close(l.arena);
    }
}

static void maxima_widen(void **state) {
    (void)state;
    const float w[6] = {1, -5, 0, -2, 3, 0};
    float amax[3] = {0, 7, 0};
    channel_widen(w, 2, 3, amax);
    assert_true(amax[0] == 2 && amax[1] == 7 && amax[2] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(outputs_stay),
                                       cmocka_unit_test(losses_are_those_of_the_rounded_weight),
                                       cmocka_unit_test(maxima_widen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
