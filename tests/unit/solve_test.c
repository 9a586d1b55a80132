/* solve: ranges become scales and zero points, of one value and of those that share; factors of
 * smooth and awq are those of the layers' weights and inputs, and go where the plan says; what has
 * no range, a stop and memory that runs out end it cleanly; threads change no bit. */
#include <math.h>
#include "runtime/base/alloc.h"
#include "runtime/calib/awq.h"
#include "runtime/calib/smooth.h"
#include "tests/unit/solve_world.h"

/* ---- ranges */

#define PRODUCT                                                                                    \
    "opset 21\ninput x float 4 64\noutput y float 4 64\nweight w float 64 64\n"                    \
    "MatMul x w -> y /l/MatMul\n"

static const float ramp[] = {-1, 0.25f, 3, 0.5f, 0, 2};

static void ranges_become_scales(void **state) {
    (void)state;
    static const struct {
        const char *format;
        float scale;
        int zero;
        float values[6];
    } rows[] = {
        {"int8", 3 / 127.0f, 0, {-1, 0.25f, 3, 0.5f, 0, 2}},
        {"uint8", 4 / 255.0f, 64, {-1, 0.25f, 3, 0.5f, 0, 2}},
        {"uint8", 3 / 255.0f, 0, {1, 0.25f, 3, 0.5f, 0, 2}},
        {"uint8", 3 / 255.0f, 255, {-1, -0.25f, -3, -0.5f, 0, -2}},
        {"fp8", 3 / 448.0f, 0, {-1, 0.25f, 3, 0.5f, 0, 2}},
        {"e5m2", 3 / 57344.0f, 0, {-1, 0.25f, -3, 0.5f, 0, 2}},
        {"int8", 1, 0, {0}}, /* a value that is always 0 has any scale */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe, DATA "on \"l\" { quantize(weight = int8, input = %s) }\n",
                 rows[i].format);
        Bench b = bench_open(PRODUCT, recipe);
        bench_ready(&b);
        bench_feed(&b, "x", rows[i].values, 6, 1);
        bench_solve(&b);
        const Fact *scale = bench_fact(&b, FACT_SCALE, 0), *zero = bench_fact(&b, FACT_ZERO, 0);
        assert_true(b.solve.scales[0] == rows[i].scale);
        assert_int_equal(b.solve.zeros[0], rows[i].zero);
        assert_int_equal(scale->size, 4);
        assert_memory_equal(scale->bytes, &rows[i].scale, 4);
        assert_int_equal(zero->size, 1);
        assert_int_equal(*(uint8_t *)zero->bytes, rows[i].zero);
        bench_close(&b);
    }
}

/* The scale of a float16 value is a float16; codes are made with what it decodes to. */
static void scales_are_rounded_first(void **state) {
    (void)state;
    Bench b = bench_open("opset 21\ninput x float16 4 64\noutput y float16 4 64\n"
                         "weight w float16 64 64\nMatMul x w -> y /l/MatMul\n",
                         DATA "on \"l\" { quantize(weight = int8, input = int8) }\n");
    bench_ready(&b);
    bench_feed(&b, "x", ramp, 6, 1);
    bench_solve(&b);
    const Fact *scale = bench_fact(&b, FACT_SCALE, 0);
    assert_int_equal(scale->size, 2);
    /* 3/127 = 2^-6 * 1.51181, of which float16 holds 1548/1024 */
    assert_true(b.solve.scales[0] == 0x1p-6f * 1548 / 1024);
    assert_int_equal(*(uint16_t *)scale->bytes, (15 - 6) << 10 | (1548 - 1024));
    bench_close(&b);
}

static void the_method_is_the_settings(void **state) {
    (void)state;
    float x[4000];
    for (int i = 0; i < 4000; i++) {
        x[i] = i == 17 ? 50.0f : (float)(i % 101) / 101.0f;
    }
    float amax[3];
    static const char *const methods[] = {"max", "percentile(99)", "percentile(90)"};
    for (int i = 0; i < 3; i++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe,
                 "data d = random(seed = 0)\ncalibrate(data = d, method = %s)\n"
                 "on \"l\" { quantize(weight = int8, input = int8) }\n",
                 methods[i]);
        Bench b = bench_open(PRODUCT, recipe);
        bench_ready(&b);
        bench_feed(&b, "x", x, 4000, 1);
        bench_solve(&b);
        amax[i] = b.solve.amax[0];
        bench_close(&b);
    }
    assert_true(amax[0] == 50.0f);
    assert_true(amax[1] > 0.95f && amax[1] < 1.05f); /* a bin is 0.024 wide */
    assert_true(amax[2] > 0.85f && amax[2] < 0.95f);
}

static void who_shares_takes_the_widest(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        static const float small[] = {0.5f, -1}, large[] = {2, 1};
        Bench b = bench_open(
            "opset 17\ninput a float 1 16 8 8\ninput b float 1 16 8 8\noutput y float 1 16 8 8\n"
            "output z float 1 16 8 8\nweight k float 16 32 1 1\nweight l float 16 16 1 1\n"
            "Relu a -> r\nConcat r b -> c axis=1\nConv c k -> y /y/Conv\nConv r l -> z /z/Conv\n",
            DATA "on conv { quantize(weight = int8 per channel, input = int8) }\n");
        bench_ready(&b);
        assert_int_equal(b.w.plan->streams.len, 2);
        bench_feed(&b, "c", wide ? small : large, 2, 1);
        bench_feed(&b, "r", wide ? large : small, 2, 1);
        bench_solve(&b);
        assert_true(b.solve.scales[0] == 2 / 127.0f && b.solve.scales[1] == 2 / 127.0f);
        assert_true(b.solve.amax[0] == 2 && b.solve.amax[1] == 2);
        bench_close(&b);
    }
}

static void what_has_no_range_is_reported(void **state) {
    (void)state;
    Bench b = bench_open(PRODUCT, DATA "on \"l\" { quantize(weight = int8, input = int8) }\n");
    bench_ready(&b);
    assert_false(solve(&b.solve));
    world_diag(&b.w, "E0706");
    assert_int_equal(b.w.s->diags.errors, 1);
    assert_non_null(strstr(unit_diags(b.w.s), "the input of l has no range"));
    assert_non_null(strstr(unit_diags(b.w.s), "tensor \"x\" has not been seen in any batch"));
    bench_close(&b);
    b = bench_open(PRODUCT "Relu y -> r\noutput r float 4 64\n",
                   DATA "on \"l\" { quantize(weight = int8, output = int8) }\n");
    bench_ready(&b);
    assert_false(solve(&b.solve));
    assert_non_null(strstr(unit_diags(b.w.s), "a value around l has no range"));
    bench_close(&b);
}

/* ... by the step that needs it, not by a crash. */
static void what_is_never_read_is_reported(void **state) {
    (void)state;
    static const char *const steps[] = {
        "smooth(alpha = 0.5)\nquantize(weight = int8)",
        "smooth\nquantize(weight = int8, input = int8)", "awq\nquantize(weight = int8)",
        "quantize(weight = int8, round = gptq)", "quantize(weight = int8, round = adaround)"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe, DATA "on \"l\" { %s }\n", steps[i]);
        Bench b = bench_open(PRODUCT, recipe);
        bench_ready(&b);
        assert_false(solve(&b.solve));
        world_diag(&b.w, "E0706");
        assert_int_equal(b.w.s->diags.errors, 1);
        assert_non_null(strstr(unit_diags(b.w.s), "the input of l has not been seen"));
        bench_close(&b);
    }
}

/* ---- factors */

#define PAIR                                                                                       \
    "opset 21\ninput x float 4 32\noutput y float 4 16\noutput z float 4 24\n"                     \
    "weight w float 32 16\nweight v float 24 32\n"                                                 \
    "MatMul x w -> y /a/MatMul\nGemm x v -> z /b/Gemm transB=1\n"
enum { K = 32, TOKENS = 40 };

/* Inputs whose channels differ in size, by powers of two. */
static float *uneven(Bench *b) {
    float *x = bench_values(b, TOKENS * K);
    for (int i = 0; i < TOKENS * K; i++) {
        x[i] *= (float)(1 << i % K % 5);
    }
    return x;
}

/* Of each channel: the largest magnitude of the input, and of both weights. */
static void channel_maxima(const float *x, const float *w, const float *v, float *a, float *c) {
    memset(a, 0, K * sizeof *a);
    memset(c, 0, K * sizeof *c);
    for (int i = 0; i < TOKENS * K; i++) {
        a[i % K] = fmaxf(a[i % K], fabsf(x[i]));
    }
    for (int k = 0; k < K; k++) {
        for (int n = 0; n < 16; n++) {
            c[k] = fmaxf(c[k], fabsf(w[k * 16 + n]));
        }
        for (int n = 0; n < 24; n++) {
            c[k] = fmaxf(c[k], fabsf(v[n * K + k]));
        }
    }
}

static void smooth_of_a_given_alpha(void **state) {
    (void)state;
    Bench b = bench_open(PAIR, DATA "on linear { smooth(alpha = 0.75)\n"
                                    "quantize(weight = int8 per channel, input = int8) }\n");
    const float *w = bench_set_random(&b, "w"), *v = bench_set_random(&b, "v");
    const float *x = uneven(&b);
    bench_ready(&b);
    assert_int_equal(b.w.plan->ties.len, 1);
    bench_feed(&b, "x", x, TOKENS, K);
    bench_solve(&b);
    float a[K], c[K], amax = 0;
    channel_maxima(x, w, v, a, c);
    const float *s = b.solve.ties[0].s;
    const float *divide = bench_fact(&b, FACT_DIVIDE, 0)->bytes;
    for (int k = 0; k < K; k++) {
        assert_near(s[k], pow((double)a[k], 0.75) / pow((double)c[k], 0.25), 1e-5);
        assert_true(divide[k] == 1.0f / s[k]);
        amax = fmaxf(amax, a[k] / s[k]);
    }
    assert_true(b.solve.ties[0].choice == 0.75);
    assert_near(b.solve.scales[0], amax / 127, 1e-6);
    bench_close(&b);
}

/* The Gram matrix of the inputs and the mean magnitude of each channel. */
static void channel_sums(const float *x, double *gram, float *mean) {
    for (int k = 0; k < K; k++) {
        double sum = 0;
        for (int l = 0; l < K; l++) {
            gram[k * K + l] = 0;
            for (int t = 0; t < TOKENS; t++) {
                gram[k * K + l] += (double)x[t * K + k] * (double)x[t * K + l];
            }
        }
        for (int t = 0; t < TOKENS; t++) {
            sum += fabs((double)x[t * K + k]);
        }
        mean[k] = (float)(sum / TOKENS);
    }
}

/* What the search is given is rows of weights, sums over the data, the layers' own grids. */
static void searches_see_both_layers(void **state) {
    (void)state;
    static const Format *format;
    format = format_find("int4", 4);
    for (int awq = 0; awq < 2; awq++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe,
                 DATA "on linear { %s\nquantize(weight = int4 per block(16)%s) }\n",
                 awq ? "awq(grid = 10)" : "smooth", awq ? "" : ", input = int8");
        Bench b = bench_open(PAIR, recipe);
        const float *w = bench_set_random(&b, "w"), *v = bench_set_random(&b, "v");
        const float *x = uneven(&b);
        bench_ready(&b);
        bench_feed(&b, "x", x, TOKENS, K);
        bench_solve(&b);
        Arena *arena = b.w.s->arena;
        float turned[16 * K], a[K], c[K], mean[K], expected[K];
        double gram[K * K];
        for (int i = 0; i < 16 * K; i++) {
            turned[i] = w[i % K * 16 + i / K];
        }
        channel_sums(x, gram, mean);
        channel_maxima(x, w, v, a, c);
        const Grid grid = {format, GRANULE_BLOCK, 16, 1, METHOD_MAX};
        const ScaledWeight weights[] = {{&grid, turned, 16}, {&grid, v, 24}};
        double choice;
        if (awq) {
            AwqReport report;
            assert_true(
                awq_search(&(Awq){weights, 2, K, gram, mean, 10}, expected, &report, arena, NULL));
            choice = report.ratio;
        } else {
            SmoothReport report;
            const Smooth wish = {.weights = weights,
                                 .count = 2,
                                 .k = K,
                                 .gram = gram,
                                 .tokens = TOKENS,
                                 .amax = a,
                                 .activation = format_find("int8", 4),
                                 .steps = 20};
            assert_true(smooth_search(&wish, expected, &report, arena, NULL));
            choice = report.alpha;
        }
        assert_true(choice > 0); /* the inputs are uneven enough */
        assert_true(b.solve.ties[0].choice == choice);
        assert_memory_equal(b.solve.ties[0].s, expected, sizeof expected);
        assert_true(b.solve.ties[0].after < b.solve.ties[0].before);
        bench_close(&b);
    }
}

/* 1 / s goes into the gain and offset of the norm; a float16 gain is rounded once. */
static void norms_take_factors_in(void **state) {
    (void)state;
    Bench b = bench_open("opset 21\ninput h float 4 32\noutput y float 4 16\nweight g float 32\n"
                         "weight o float 32\nweight w float 32 16\n"
                         "LayerNormalization h g o -> x\nMatMul x w -> y /a/MatMul\n",
                         DATA "on linear { smooth(alpha = 0.5)\nquantize(weight = int8) }\n");
    const float *g = bench_set_random(&b, "g"), *o = bench_set_random(&b, "o");
    bench_set_random(&b, "w");
    bench_ready(&b);
    assert_int_equal(b.w.plan->ties.at[0].folds.len, 2);
    bench_feed(&b, "x", uneven(&b), TOKENS, K);
    bench_solve(&b);
    int absorbed = 0;
    for (size_t i = 0; i < b.solve.facts->all.len; i++) {
        const Fact *fact = &b.solve.facts->all.at[i];
        const float *now = fact->bytes;
        assert_int_not_equal(fact->kind, FACT_DIVIDE);
        for (int k = 0; k < K && fact->kind == FACT_ABSORBED; k++) {
            assert_true(now[k] == (fact->fold ? o : g)[k] / b.solve.ties[0].s[k]);
        }
        absorbed += fact->kind == FACT_ABSORBED;
    }
    assert_int_equal(absorbed, 2);
    bench_close(&b);
}

/* Weights that stay float have no error of their own: alpha is for the input, or for others. */
static void float_weights_take_part(void **state) {
    (void)state;
    Bench b = bench_open(PAIR, DATA "on linear { smooth\nquantize(input = int8) }\n");
    bench_set_random(&b, "w");
    bench_set_random(&b, "v");
    bench_ready(&b);
    bench_feed(&b, "x", uneven(&b), TOKENS, K);
    bench_solve(&b);
    assert_true(b.solve.ties[0].choice >= 0 && b.solve.ties[0].after < b.solve.ties[0].before);
    bench_close(&b);
    static const char *const steps[] = {"awq", "smooth"};
    for (int i = 0; i < 2; i++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe,
                 DATA "on linear { %s }\non \"a\" { quantize(weight = int4 per block(16)) }\n",
                 steps[i]);
        b = bench_open(PAIR, recipe);
        bench_set_random(&b, "w");
        bench_set_random(&b, "v");
        bench_ready(&b);
        bench_feed(&b, "x", uneven(&b), TOKENS, K);
        bench_solve(&b);
        assert_int_equal(b.w.plan->ties.at[0].layers.len, 2);
        assert_true(b.solve.ties[0].after <= b.solve.ties[0].before && b.solve.ties[0].before > 0);
        bench_close(&b);
    }
}

/* A layer without outputs, next to one with some and alone. */
static void weights_of_nothing(void **state) {
    (void)state;
    static const char *const steps[] = {"smooth(alpha = 0.5)", "smooth", "awq"};
    for (int i = 0; i < 6; i++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe, DATA "on \"%s\" { %s\nquantize(weight = int8) }\n",
                 i < 3 ? "a" : "{a,b}", steps[i % 3]);
        Bench b = bench_open("opset 21\ninput x float 4 32\noutput y float 4 0\n"
                             "output z float 4 24\nweight w float 32 0\nweight v float 32 24\n"
                             "MatMul x w -> y /a/MatMul\nMatMul x v -> z /b/MatMul\n",
                             recipe);
        bench_set_random(&b, "v");
        bench_ready(&b);
        bench_feed(&b, "x", uneven(&b), TOKENS, K);
        bench_solve(&b);
        if (i < 3) {
            assert_true(b.solve.ties[0].choice == -1);
            assert_true(b.solve.ties[0].s[0] == 1 && b.solve.ties[0].s[K - 1] == 1);
        } else {
            assert_true(b.solve.ties[0].choice >= 0);
        }
        bench_close(&b);
    }
}

/* ---- ends */

static Bench whole_bench(int threads) {
    Bench b = bench_open(PAIR, "data d = random(seed = 0)\ncalibrate(data = d, method = mse)\n"
                               "on \"a\" { smooth\nquantize(weight = int8, input = int8) }\n"
                               "on \"b\" { quantize(weight = int4 per block(16), input = uint8, "
                               "round = gptq) }\n");
    bench_set_random(&b, "w");
    bench_set_random(&b, "v");
    b.w.s->threads = threads;
    bench_ready(&b);
    bench_feed(&b, "x", uneven(&b), TOKENS, K);
    return b;
}

static void a_stop_is_no_error(void **state) {
    (void)state;
    Bench b = whole_bench(1);
    static atomic_int stop = 1;
    b.w.s->stop = &stop;
    assert_false(solve(&b.solve));
    assert_int_equal(b.w.s->diags.errors, 0);
    bench_close(&b);
}

static void threads_change_no_bit(void **state) {
    (void)state;
    Bench one = whole_bench(1), four = whole_bench(4);
    bench_solve(&one);
    bench_solve(&four);
    assert_true(one.solve.facts->all.len >= 3);
    for (size_t i = 0; i < one.solve.facts->all.len; i++) {
        const Fact *a = &one.solve.facts->all.at[i], *z = &four.solve.facts->all.at[i];
        assert_int_equal(a->size, z->size);
        assert_memory_equal(a->bytes, z->bytes, a->size);
    }
    assert_int_equal(one.solve.solved->len, 2);
    for (size_t i = 0; i < 2; i++) {
        const Solved *a = &one.solve.solved->at[i], *z = &four.solve.solved->at[i];
        for (KernelOutput out = 0; out < OUT_COUNT; out++) {
            const int64_t size = a->outs[out] ? kernel_output_size(&a->kernel, out) : 0;
            assert_int_equal(a->outs[out] != NULL, z->outs[out] != NULL);
            if (size > 0) {
                assert_memory_equal(a->outs[out], z->outs[out], (size_t)size);
            }
        }
    }
    bench_close(&one);
    bench_close(&four);
}

static void memory_that_runs_out_leaves_nothing(void **state) {
    (void)state;
    volatile int failed = 0;
    for (volatile int n = 1;; n++) {
        const int64_t live = alloc_live();
        Bench *volatile b = malloc(sizeof *b);
        *b = whole_bench(2);
        AllocGuard guard;
        volatile bool out = true;
        alloc_guard_push(&guard);
        if (setjmp(guard.jump) == 0) {
            alloc_fail_at(n, false);
            out = !solve(&b->solve);
            assert_int_equal(b->w.s->diags.errors, out); /* a search that had no room says so */
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&guard);
        bench_close(b);
        free(b);
        assert_int_equal(alloc_live(), live);
        if (!out) {
            break;
        }
        failed++;
    }
    print_message("%d solves out of memory\n", failed);
    assert_true(failed >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_become_scales),
        cmocka_unit_test(scales_are_rounded_first),
        cmocka_unit_test(the_method_is_the_settings),
        cmocka_unit_test(who_shares_takes_the_widest),
        cmocka_unit_test(what_has_no_range_is_reported),
        cmocka_unit_test(what_is_never_read_is_reported),
        cmocka_unit_test(smooth_of_a_given_alpha),
        cmocka_unit_test(searches_see_both_layers),
        cmocka_unit_test(norms_take_factors_in),
        cmocka_unit_test(float_weights_take_part),
        cmocka_unit_test(weights_of_nothing),
        cmocka_unit_test(a_stop_is_no_error),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(memory_that_runs_out_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
