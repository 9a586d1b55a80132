/* findings: what outlives the statistics. Histograms lose no value and mix no signs when they are
 * made small; ranges are those that the codes reach; words for the table. */
#include "compiler/findings.h"
#include "tests/unit/world.h"

static const char model[] = "input x float 4 64\noutput y float 4 32\n"
                            "weight w float 64 64\nweight v float 64 64\nweight h float 64 32\n"
                            "MatMul x w -> a /l.0/up/MatMul\nMatMul a v -> b /l.0/down/MatMul\n"
                            "MatMul b h -> y /head/MatMul\n";

static const char recipe[] =
    "data calib = random(seed = 0)\n"
    "calibrate(data = calib, method = percentile(p = 99.5))\n"
    "on \"**.up\" {\n"
    "  quantize(weight = int8 per channel, input = uint8, round = gptq)\n}\n"
    "on \"**.down\" {\n"
    "  smooth\n  quantize(weight = int8 per channel, input = int8)\n}\n"
    "on head {\n  quantize(weight = int8)\n}\n";

typedef struct Bench {
    World w;
    Solve solve;
    ObservationList seen;
} Bench;

/* A plan with one stream that has a histogram, one that a tie scales, and one layer without. */
static Bench bench(void) {
    Bench b = {.w = world_text(model)};
    if (!world_bind(&b.w, recipe)) {
        fail_msg("%s", unit_diags(b.w.s));
    }
    Session *s = b.w.s;
    b.seen = observations(b.w.plan, s->arena);
    static const StatsIdentity identity = {{0}, {0}, {0}};
    b.solve = (Solve){.s = s, .plan = b.w.plan, .stats = stats_open(s, &identity)};
    for (size_t i = 0; i < b.seen.len; i++) {
        stats_add(b.solve.stats, b.seen.at[i].name, b.seen.at[i].what);
    }
    const size_t streams = b.w.plan->streams.len, ties = b.w.plan->ties.len;
    assert_int_equal(streams, 2);
    assert_int_equal(ties, 1);
    b.solve.amax = arena_many(s->arena, float, streams);
    b.solve.scales = arena_many(s->arena, float, streams);
    b.solve.zeros = arena_many(s->arena, uint8_t, streams);
    b.solve.ties = arena_many(s->arena, SolvedTie, ties);
    b.solve.rounded = arena_many(s->arena, GptqReport, b.w.plan->layers_planned.len);
    b.solve.ties[0].s = arena_many(s->arena, float, 64);
    for (int i = 0; i < 64; i++) {
        b.solve.ties[0].s[i] = 4;
    }
    return b;
}

static Stat *stat_of(Bench *b, const char *name) {
    Stat *stat = stats_find(b->solve.stats, str_from(name));
    assert_non_null(stat);
    return stat;
}

/* Rows of 64: values of a ramp from -low to high, rare towards its ends. */
static void feed(Bench *b, const char *name, float low, float high) {
    float x[64 * 200];
    for (int i = 0; i < 64 * 200; i++) {
        const float t = (float)((i * 7919) % 12800) / 12800.0f;
        x[i] = t < 0.5f ? -low * (1 - 2 * t) * (1 - 2 * t) : high * (2 * t - 1) * (2 * t - 1);
    }
    const char *why = stat_add(stat_of(b, name), 1, x, (StatView){200, 64, 1}, NULL);
    assert_null(why);
}

static const Calibration calibration = {.engine = {"engine", 6}, .samples = 7};

static void histograms_lose_nothing(void **state) {
    (void)state;
    static const float sides[][2] = {{1, 3}, {5, 0.001f}, {0, 2}, {2, 0}, {0, 0}, {1e-30f, 1e30f}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        Bench b = bench();
        b.solve.seen = &b.seen;
        feed(&b, "x", sides[i][0] / 7, sides[i][1] / 7); /* the histogram has to grow */
        feed(&b, "x", sides[i][0], sides[i][1]);
        feed(&b, "a", 1, 1);
        const Stat *stat = stat_of(&b, "x");
        const Findings *found = findings_take(&b.solve, &calibration);
        const FoundBars *bars = &found->inputs[0].bars;
        uint64_t above = 0, below = 0, all = 0;
        for (int k = 0; k < bars->count; k++) {
            *(bars->first + k < 0 ? &below : &above) += bars->counts[k];
        }
        for (int64_t k = 0; k < stat->bins; k++) {
            assert_true(stat->above[k] == 0 || bars->count > 0);
            all += stat->above[k] + stat->below[k];
        }
        assert_int_equal(above + below, all);
        assert_int_equal(below > 0, sides[i][0] > 0);
        assert_true(bars->count <= FOUND_BARS && bars->first <= 0);
        if (bars->count > 0) {
            assert_true(bars->count > FOUND_BARS / 2 - 2);
            assert_true((bars->first + bars->count) * bars->width >= (double)stat->max * 0.9999);
            assert_true(bars->first * bars->width <= (double)stat->min * 0.9999);
        }
        /* nothing of it lies in the statistics */
        const uint64_t first = bars->count ? bars->counts[0] : 0;
        stats_close(b.solve.stats);
        assert_int_equal(bars->count ? bars->counts[0] : 0, first);
        world_close(&b.w);
    }
}

static void ranges_and_words(void **state) {
    (void)state;
    Bench b = bench();
    b.solve.seen = &b.seen;
    feed(&b, "x", 1, 3);
    feed(&b, "a", 4, 2);
    b.solve.amax[0] = 3;
    b.solve.scales[0] = 4.0f / 256;
    b.solve.zeros[0] = 64;
    b.solve.amax[1] = 2;
    b.solve.scales[1] = 2.0f / 127;
    b.solve.ties[0] = (SolvedTie){b.solve.ties[0].s, 0.55, 4, 3, NULL};
    b.solve.rounded[0] = (GptqReport){.nearest = 10, .loss = 6};
    const Findings *found = findings_take(&b.solve, &calibration);
    assert_str(found->engine, "engine");
    assert_str(found->data, "calib");
    assert_int_equal(found->samples, 7);
    const PlanLayer *up = &b.w.plan->layers_planned.at[0], *down = up + 1, *head = up + 2;
    const FoundInput *x = found_input(found, up), *a = found_input(found, down);
    assert_str(x->tensor, "x");
    assert_str(x->method, "percentile(p = 99.5)");
    assert_true(x->lo == -1 && x->hi == 191.0f / 64);
    assert_true(x->min == -1 && x->max > 2.9f);
    assert_true(x->bars.count > 0);
    assert_str(a->method, "percentile(p = 99.5)");
    assert_true(a->lo == -a->hi && a->hi == b.solve.scales[1] * 127);
    uint64_t counted =
        0; /* of x / s: 200 rows of 64, to 4 / 4 on one side and 2 / 4 on the other */
    for (int i = 0; i < a->bars.count; i++) {
        counted += a->bars.counts[i];
    }
    assert_int_equal(counted, 200 * 64);
    const int last = a->bars.first + a->bars.count;
    assert_true(a->bars.first * a->bars.width <= -0.99 && a->bars.first * a->bars.width >= -1.02);
    assert_true(last * a->bars.width >= 0.49 && last * a->bars.width <= 0.55);
    assert_null(found_input(found, head));
    assert_ptr_equal(found_tie(found, down), &b.solve.ties[0]);
    assert_null(found_tie(found, up));
    assert_true(found_rounding(found, up)->loss == 6);
    assert_null(found_rounding(found, down));
    assert_null(found_rounding(NULL, up));

    Buf words = buf_on(b.w.s->arena);
    found_input_print(found, b.w.plan, up, &words);
    assert_str(buf_view(&words), "uint8 to 2.984");
    words.len = 0;
    found_input_print(found, b.w.plan, down, &words);
    assert_str(buf_view(&words), "int8 to 2, smooth 0.55");
    words.len = 0;
    found_input_print(NULL, b.w.plan, down, &words);
    assert_str(buf_view(&words), "int8, smooth");
    words.len = 0;
    found_input_print(found, b.w.plan, head, &words);
    assert_int_equal(words.len, 0);
    b.solve.ties[0].choice = -1;
    found_input_print(found, b.w.plan, down, &words);
    assert_str(buf_view(&words), "int8 to 2, smooth none");
    world_close(&b.w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histograms_lose_nothing),
        cmocka_unit_test(ranges_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
