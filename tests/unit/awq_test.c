/* AWQ's search: gains where channels differ, never loses, takes siblings together, and gives usable
 * scales for degenerate inputs. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/calib/awq.h"

static AwqReport search(const RandomLayer *l, const ScaledWeight *siblings, size_t count, float *s,
                        const Spread *spread) {
    const Awq awq = {.weights = siblings,
                     .count = count,
                     .k = l->k,
                     .gram = l->gram,
                     .mean = l->mean,
                     .steps = 20};
    AwqReport report;
    assert_true(awq_search(&awq, s, &report, l->arena, spread));
    for (int64_t j = 0; j < l->k; j++) {
        assert_true(s[j] >= CHANNEL_SCALE_LEAST && s[j] <= CHANNEL_SCALE_MOST);
    }
    assert_true(report.loss <= report.before && report.ratio >= 0 && report.ratio <= 1);
    return report;
}

static double loss_of(const RandomLayer *l, const Grid *g, const float *w, const float *s) {
    RandomLayer one = *l;
    one.w = (float *)(uintptr_t)w;
    float *q = arena_many(l->arena, float, (size_t)(l->rows * l->k));
    Scales scales = scales_new(l->arena, g, l->rows, l->k);
    channel_scale_weight(w, l->rows, l->k, s, q);
    assert_true(grid_scales(g, q, &scales, l->arena, NULL));
    grid_round_rows(g, &scales, 0, l->rows, q, q);
    for (int64_t i = 0; i < l->rows * l->k; i++) {
        q[i] /= s[i % l->k];
    }
    return plain_loss(&one, q);
}

static void large_channels_are_scaled_up(void **state) {
    (void)state;
    const Spread threads = many_threads(4);
    for (int i = 0; i < GRIDS; i++) {
        RandomLayer l = random_layer(150, 96, 120, false);
        const Grid g = grid_named(i, METHOD_MAX);
        const ScaledWeight one = {&g, l.w, l.rows};
        float s[96], again[96], ones[96];
        const AwqReport report = search(&l, &one, 1, s, NULL);
        search(&l, &one, 1, again, &threads);
        assert_memory_equal(s, again, sizeof s);
        for (int j = 0; j < 96; j++) {
            ones[j] = 1;
        }
        const double before = loss_of(&l, &g, l.w, ones), after = loss_of(&l, &g, l.w, s);
        assert_true(fabs(report.before - before) < 1e-3 * before);
        assert_true(fabs(report.loss - after) < 1e-3 * before);
        if (g.format->integer &&
            g.granule == GRANULE_BLOCK) { /* one channel of seven is 16 times as large */
            assert_true(report.ratio > 0 && after < 0.9 * before && s[3] > 1.3f * s[0]);
        }
        arena_close(l.arena);
    }
}

static void siblings_share_the_best_of_their_sum(void **state) {
    (void)state;
    RandomLayer l = random_layer(24, 64, 100, false);
    float *other = arena_many(l.arena, float, 24 * 64), s[64], trial[64];
    for (int i = 0; i < 24 * 64; i++) {
        other[i] = random_bell() * (i % 7 == 3 ? 0.01f : 4.0f);
    }
    const Grid g = grid_named(1, METHOD_MAX), h = grid_named(0, METHOD_MAX);
    const ScaledWeight both[] = {{&g, l.w, 24}, {&h, other, 24}};
    const AwqReport sum = search(&l, both, 2, s, NULL);
    const double own = loss_of(&l, &g, l.w, s) + loss_of(&l, &h, other, s);
    assert_true(fabs(sum.loss - own) < 1e-3 * own);
    for (int i = 0; i < 2; i++) {
        search(&l, &both[i], 1, trial, NULL);
        const double with = loss_of(&l, &g, l.w, trial) + loss_of(&l, &h, other, trial);
        assert_true(own <= with * (1 + 1e-4));
    }
    arena_close(l.arena);
}

static void degenerate_inputs_scale_by_one(void **state) {
    (void)state;
    RandomLayer l = random_layer(1, 20, 10, true);
    const Grid g = grid_named(1, METHOD_MSE);
    const ScaledWeight one = {&g, l.w, 1};
    float s[20];
    search(&l, &one, 1, s, NULL);
    assert_true(s[1] == 1 && s[6] == 1); /* always 0 */
    memset(l.w, 0, 20 * sizeof *l.w);
    const AwqReport nothing = search(&l, &one, 1, s, NULL);
    assert_true(nothing.ratio == 0 && nothing.loss == 0);
    memset(l.mean, 0, 20 * sizeof *l.mean);
    memset(l.gram, 0, 400 * sizeof *l.gram);
    search(&l, &one, 1, s, NULL);
    for (int j = 0; j < 20; j++) {
        assert_true(s[j] == 1);
    }
    arena_close(l.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(large_channels_are_scaled_up),
                                       cmocka_unit_test(siblings_share_the_best_of_their_sum),
                                       cmocka_unit_test(degenerate_inputs_scale_by_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
