/* SmoothQuant: the formula and its guards; and the search, whose estimate is compared with the
 * error of really rounding inputs and weights. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/base/session.h"
#include "runtime/calib/smooth.h"
#include "runtime/calib/stat_magnitudes.h"

static void the_formula_and_its_guards(void **state) {
    (void)state;
    const float a[6] = {16, 0.25f, 0, 1e-30f, 4, INFINITY}, w[6] = {4, 0.25f, 1, 1, 0, 1};
    float s[6];
    smooth_scale(a, w, 6, 0.5, s);
    assert_true(s[0] == 2 && s[1] == 1 && s[2] == 1 && s[3] == 1 && s[5] == 1);
    assert_true(fabsf(s[4] - 632.4555f) < 1e-3f); /* a weight of 0 counts as 1e-5 */
    smooth_scale(a, w, 6, 1, s);
    assert_true(s[0] == 16 && s[1] == 0.25f);
    smooth_scale(a, w, 6, 0, s);
    assert_true(s[0] == 0.25f && s[1] == 4 && s[4] == CHANNEL_SCALE_MOST);
}

/* The squared error of all outputs, with inputs and weights really rounded; rows: each input row
 * has its own scale; end: of the input's range, 0 for its maximum. */
static double true_error(const RandomLayer *l, const Grid *g, const Format *act, const float *s,
                         bool rows, float end) {
    const int64_t k = l->k;
    float *q = arena_many(l->arena, float, (size_t)(l->rows * k)), amax = 0;
    float *x = arena_many(l->arena, float, (size_t)(l->tokens * k));
    Scales scales = scales_new(l->arena, g, l->rows, k);
    channel_scale_weight(l->w, l->rows, k, s, q);
    assert_true(grid_scales(g, q, &scales, l->arena, NULL));
    grid_round_rows(g, &scales, 0, l->rows, q, q);
    for (int64_t i = 0; i < l->tokens * k; i++) {
        x[i] = l->x[i] / s[i % k];
        amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
    }
    const Grid input = {act, GRANULE_TENSOR, 0, K_FLOAT, METHOD_MAX};
    for (int64_t t = 0; rows && t < l->tokens; t++) {
        float own = 0;
        for (int64_t j = 0; j < k; j++) {
            own = fmaxf(own, fabsf(x[t * k + j]));
        }
        grid_round_run(&input, own / act->scale_max, 0, k, &x[t * k], &x[t * k]);
    }
    amax = end > 0 ? end : amax;
    if (!rows) {
        grid_round_run(&input, amax / act->scale_max, 0, l->tokens * k, x, x);
    }
    double error = 0;
    for (int64_t t = 0; t < l->tokens; t++) {
        for (int64_t row = 0; row < l->rows; row++) {
            double e = 0;
            for (int64_t j = 0; j < k; j++) {
                e += (double)x[t * k + j] * q[row * k + j] -
                     (double)l->x[t * k + j] * l->w[row * k + j];
            }
            error += e * e;
        }
    }
    return error;
}

static SmoothReport search(const RandomLayer *l, const Grid *g, const Format *act, float *s,
                           bool rows, const Spread *spread) {
    const ScaledWeight one = {g, l->w, l->rows};
    const Smooth smooth = {.weights = &one,
                           .count = 1,
                           .k = l->k,
                           .gram = l->gram,
                           .tokens = l->tokens,
                           .amax = l->amax,
                           .activation = act,
                           .rows = rows,
                           .steps = 20};
    SmoothReport report;
    assert_true(smooth_search(&smooth, s, &report, l->arena, spread));
    assert_true(report.weight + report.activation <= report.before);
    for (int64_t j = 0; j < l->k; j++) {
        assert_true(s[j] >= CHANNEL_SCALE_LEAST && s[j] <= CHANNEL_SCALE_MOST);
    }
    return report;
}

static void the_search_finds_what_is_good(void **state) {
    (void)state;
    static const char *const acts[] = {"int8", "e4m3", "int4"};
    const Spread threads = many_threads(3);
    for (int n = 0; n < 6; n++) {
        const int i = n % 3;
        const bool rows = n >= 3; /* each has its own scale; how large is only guessed */
        RandomLayer l = random_layer(48, 64, 400, true);
        const Grid g = {format(i == 1 ? "e4m3" : "int8"), GRANULE_CHANNEL, 0, K_FLOAT, METHOD_MAX};
        float s[64], again[64], trial[64], w[64] = {0};
        const SmoothReport report = search(&l, &g, format(acts[i]), s, rows, NULL);
        search(&l, &g, format(acts[i]), again, rows, &threads);
        assert_memory_equal(s, again, sizeof s);
        const double estimate = report.weight + report.activation;
        const double own = true_error(&l, &g, format(acts[i]), s, rows, 0);
        assert_true(estimate > 0.5 * own && estimate < (rows ? 3 : 2) * own);
        channel_widen(l.w, l.rows, l.k, w);
        double least = INFINITY;
        for (int alpha = 0; alpha <= 19; alpha++) {
            smooth_scale(l.amax, w, l.k, alpha / 20.0, trial);
            least = fmin(least, true_error(&l, &g, format(acts[i]), trial, rows, 0));
        }
        assert_true(own < (rows ? 1.6 : 1.25) * least);
        arena_close(l.arena);
    }
}

/* One value in a thousand is far out: the search knows what clipping it costs, and what it saves.
 */
static void a_range_that_clips(void **state) {
    (void)state;
    static const char *const methods[] = {"mse", "percentile", "entropy"};
    RandomLayer l = random_layer(48, 64, 400, true);
    const Grid g = {format("int8"), GRANULE_CHANNEL, 0, K_FLOAT, METHOD_MAX};
    memset(l.gram, 0, 64 * 64 * sizeof *l.gram);
    for (int64_t i = 0; i < 400 * 64; i++) {
        l.x[i] *= i % 997 == 0 ? 12.0f : 1.0f;
        l.amax[i % 64] = fmaxf(l.amax[i % 64], fabsf(l.x[i]));
    }
    for (int64_t i = 0; i < 400 * 64 * 64; i++) {
        const float *row = l.x + i / 4096 * 64;
        l.gram[i % 4096] += (double)row[i % 4096 / 64] * (double)row[i % 64];
    }
    Session *session = session_open(&sys_real);
    const StatsIdentity identity = {{0}, {0}, {0}};
    Stats *set = stats_open(session, &identity);
    Stat *stat = stats_add(set, STR("x"), STAT_CHANNELS | STAT_MAGNITUDES);
    assert_null(stat_add(stat, 1, l.x, (StatView){400, 64, 1}, NULL));
    for (int i = 0; i < 3; i++) {
        const ScaledWeight one = {&g, l.w, l.rows};
        float s[64];
        double squares[64] = {0};
        const Smooth smooth = {.weights = &one,
                               .count = 1,
                               .k = l.k,
                               .gram = l.gram,
                               .tokens = l.tokens,
                               .amax = l.amax,
                               .activation = format("int8"),
                               .magnitudes = stat,
                               .calibrator = calibrator_find(str_from(methods[i])),
                               .args = CALIB_ARGS_DEFAULT,
                               .steps = 20};
        SmoothReport report;
        assert_true(smooth_search(&smooth, s, &report, l.arena, NULL));
        channel_squares(l.w, l.rows, l.k, squares);
        const Stat *scaled = magnitudes_scaled(l.arena, stat, s, i == 0 ? squares : NULL);
        const CalibTarget target = {smooth.activation};
        CalibRange range;
        assert_null(calibrator_range(smooth.calibrator, scaled, &target, &smooth.args, &range));
        const double estimate = report.weight + report.activation;
        const double own = true_error(&l, &g, smooth.activation, s, false, range.amax);
        assert_true(estimate > 0.5 * own && estimate < 2 * own);
        if (i == 0) { /* no worse than what max finds for itself */
            const SmoothReport wide = search(&l, &g, smooth.activation, s, false, NULL);
            assert_true(wide.alpha >= 0 &&
                        own < 1.02 * true_error(&l, &g, smooth.activation, s, false, 0));
        }
    }
    session_close(session);
    arena_close(l.arena);
}

static void degenerate_inputs_stay_as_they_are(void **state) {
    (void)state;
    RandomLayer l = random_layer(1, 9, 3, true);
    const Grid g = grid_named(0, METHOD_MAX);
    float s[9];
    memset(l.w, 0, 9 * sizeof *l.w);
    SmoothReport report = search(&l, &g, format("int8"), s, false, NULL);
    assert_true(report.alpha == -1 && report.weight == 0 && report.activation == 0);
    arena_close(l.arena);
    l = random_layer(2, 9, 3, false);
    memset(l.gram, 0, 81 * sizeof *l.gram);
    memset(l.amax, 0, 9 * sizeof *l.amax);
    report = search(&l, &g, format("int8"), s, false, NULL);
    for (int j = 0; j < 9; j++) {
        assert_true(report.alpha == -1 && s[j] == 1);
    }
    report = search(&l, &g, NULL, s, false, NULL); /* weights alone */
    assert_true(report.activation == 0);
    arena_close(l.arena);
}

/* Columns of one channel have one s: that of the largest weight of them all. */
static void taps_share_their_factor(void **state) {
    (void)state;
    RandomLayer l = random_layer(16, 24, 200, true);
    const Grid g = {format("int8"), GRANULE_CHANNEL, 0, K_FLOAT, METHOD_MAX};
    const ScaledWeight one = {&g, l.w, l.rows};
    for (int64_t j = 0; j < l.k; j++) { /* of one channel: one maximum */
        float most = 0;
        for (int64_t i = j / 4 * 4; i < j / 4 * 4 + 4; i++) {
            most = fmaxf(most, l.amax[i]);
        }
        l.amax[j] = most;
    }
    Smooth smooth = {.weights = &one,
                     .count = 1,
                     .k = l.k,
                     .taps = 4,
                     .gram = l.gram,
                     .tokens = l.tokens,
                     .amax = l.amax,
                     .activation = format("int8"),
                     .steps = 20};
    float s[24], wanted[24], w[24] = {0};
    SmoothReport report;
    assert_true(smooth_search(&smooth, s, &report, l.arena, NULL));
    assert_true(report.alpha >= 0);
    channel_widen(l.w, l.rows, l.k, w);
    for (int64_t j = 0; j < l.k; j++) {
        const float *of = w + j / 4 * 4;
        const float a = of[0] > of[1] ? of[0] : of[1], b = of[2] > of[3] ? of[2] : of[3];
        wanted[j] = a > b ? a : b;
    }
    memcpy(w, wanted, sizeof w);
    smooth_scale(l.amax, w, l.k, report.alpha, wanted);
    assert_memory_equal(s, wanted, sizeof s);
    arena_close(l.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_formula_and_its_guards),
                                       cmocka_unit_test(the_search_finds_what_is_good),
                                       cmocka_unit_test(a_range_that_clips),
                                       cmocka_unit_test(degenerate_inputs_stay_as_they_are),
                                       cmocka_unit_test(taps_share_their_factor)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
