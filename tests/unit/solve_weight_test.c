/* solve_weight: a layer's weight as rows of its outputs, after the steps before it; codes that are
 * read back as a reader of the file does it; losses are those of the outputs; what was pruned stays
 * 0; groups of a convolution meet their own inputs. */
#include <math.h>
#include "compiler/solve_weight.h"
#include "tests/unit/solve_world.h"

enum { K = 32, N = 24, TOKENS = 48 };

#define PRODUCT                                                                                    \
    "opset 21\ninput x float 4 32\noutput y float 4 24\nweight w float 32 24\n"                    \
    "MatMul x w -> y /l/MatMul\n"
#define GEMM                                                                                       \
    "opset 21\ninput x float 4 32\noutput y float 4 24\nweight w float 24 32\n"                    \
    "Gemm x w -> y /l/Gemm transB=1\n"

/* w [K][N] or, when it lies by rows of outputs, [N][K] -> [N][K] */
static float *rows_of(Arena *arena, const float *w, bool lies_so) {
    float *rows = arena_many(arena, float, (size_t)N *K);
    for (int n = 0; n < N; n++) {
        for (int k = 0; k < K; k++) {
            rows[n * K + k] = lies_so ? w[n * K + k] : w[k * N + n];
        }
    }
    return rows;
}

/* Codes of int8 or of int4, two in a byte. */
static int code_at(const Solved *one, int64_t i) {
    const uint8_t *codes = one->outs[OUT_CODES];
    if (one->kernel.format->bits == 8) {
        return (int8_t)codes[i];
    }
    const int nibble = codes[i / 2] >> 4 * (i % 2) & 15;
    return one->kernel.format->asymmetric ? nibble : nibble - (nibble & 8) * 2;
}

/* What DequantizeLinear gives of a matrix, with blocks of `block` (0: per channel) along the k
 * axis, turned into rows. */
static float *read_back(Arena *arena, const Solved *one, bool lies_so, int block) {
    const float *scales = one->outs[OUT_SCALES];
    float *rows = arena_many(arena, float, (size_t)N *K);
    for (int n = 0; n < N; n++) {
        for (int k = 0; k < K; k++) {
            const int at = lies_so ? n * K + k : k * N + n;
            const int b = block ? k / block : 0;
            const int scale = !block ? n : lies_so ? n * (K / block) + b : b * N + n;
            rows[n * K + k] = (float)code_at(one, at) * scales[scale];
        }
    }
    return rows;
}

/* ---- rows */

static void rows_are_of_outputs(void **state) {
    (void)state;
    static const char *const models[] = {PRODUCT, GEMM};
    for (int i = 0; i < 2; i++) {
        Bench b = bench_open(models[i], DATA "on linear { prune(2:4)\nsmooth(alpha = 0.5)\n"
                                             "quantize(weight = int8) }\n");
        float *w = bench_set_random(&b, "w");
        bench_ready(&b);
        const PlanLayer *planned = &b.w.plan->layers_planned.at[0];
        float s[K];
        for (int k = 0; k < K; k++) {
            s[k] = k % 2 ? 2.0f : 0.5f;
        }
        b.solve.ties = &(SolvedTie){.s = s};
        const float *rows = rows_of(b.w.s->arena, w, i == 1);
        Rows before, after;
        assert_true(solve_rows(&b.solve, planned, planned->prune_step, b.w.s->arena, &before));
        assert_int_equal(before.rows, N);
        assert_int_equal(before.k, K);
        assert_memory_equal(before.w, rows, N * K * sizeof *rows);
        assert_true(solve_rows(&b.solve, planned, planned->smooth_step, b.w.s->arena, &before));
        assert_true(solve_rows(&b.solve, planned, NULL, b.w.s->arena, &after));
        for (int n = 0; n < N; n++) {
            for (int k = 0; k < K; k++) {
                const float *four = before.w + n * K + k / 4 * 4;
                const float kept = before.w[n * K + k];
                int zeros = 0, larger = 0;
                for (int j = 0; j < 4; j++) {
                    zeros += four[j] == 0.0f;
                    larger += fabsf(rows[n * K + k / 4 * 4 + j]) > fabsf(rows[n * K + k]);
                }
                assert_true(zeros >= 2);
                assert_true(kept == 0.0f || kept == rows[n * K + k]);
                assert_true(kept != 0.0f || rows[n * K + k] == 0.0f || larger > 0 || zeros > 1);
                assert_true(after.w[n * K + k] == kept * s[k]);
            }
        }
        bench_close(&b);
    }
}

static void rows_of_convolutions(void **state) {
    (void)state;
    Bench b = bench_open(
        "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 16 3 3\n"
        "weight g float 16\nweight o float 16\nweight m float 16\nweight v float 16\n"
        "Conv x k -> a /c/Conv\nBatchNormalization a g o m v -> y\n",
        DATA "on conv { quantize(weight = int8 per channel, input = int8) }\n");
    const float *k = bench_set_random(&b, "k");
    static float gain[16], zeros[16], variance[16];
    for (int i = 0; i < 16; i++) {
        gain[i] = (float)(i - 5);
        variance[i] = 1.0f;
    }
    bench_set(&b, "g", gain);
    bench_set(&b, "o", zeros);
    bench_set(&b, "m", zeros);
    bench_set(&b, "v", variance);
    bench_ready(&b);
    const PlanLayer *planned = &b.w.plan->layers_planned.at[0];
    assert_non_null(planned->norm);
    Rows rows;
    assert_true(solve_rows(&b.solve, planned, NULL, b.w.s->arena, &rows));
    assert_int_equal(rows.rows, 16);
    assert_int_equal(rows.k, 144);
    for (int i = 0; i < 16 * 144; i++) { /* epsilon is 1e-5 */
        assert_near(rows.w[i], k[i] * (float)(i / 144 - 5), 1e-5);
    }
    bench_close(&b);
}

static void grids_are_the_formats(void **state) {
    (void)state;
    static const struct {
        const char *type, *format;
        int scale_type, granule, block;
    } cases[] = {{"float", "int8 per channel", 1, GRANULE_CHANNEL, 0},
                 {"float16", "int4 per block(16)", 10, GRANULE_BLOCK, 16},
                 {"double", "int8", 1, GRANULE_TENSOR, 0},
                 {"float", "nvfp4", 17, GRANULE_BLOCK, 16},
                 {"float16", "mxfp4", 24, GRANULE_BLOCK, 32}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char model[300], recipe[200];
        snprintf(model, sizeof model,
                 "opset 25\ninput x %s 4 32\noutput y %s 4 24\nweight w %s 32 24\n"
                 "MatMul x w -> y /l/MatMul\n",
                 cases[i].type, cases[i].type, cases[i].type);
        snprintf(recipe, sizeof recipe, "on linear { quantize(weight = %s, method = mse) }\n",
                 cases[i].format);
        Bench b = bench_open(model, recipe);
        const Grid grid = solve_grid(&b.w.plan->layers_planned.at[0]);
        assert_int_equal(grid.scale_type, cases[i].scale_type);
        assert_int_equal(grid.granule, cases[i].granule);
        assert_int_equal(grid.block, cases[i].block);
        assert_int_equal(grid.method, METHOD_MSE);
        world_close(&b.w);
    }
}

/* ---- codes */

/* Factors and nothing else: the nearest codes of W s. */
static void scaled_weights_are_rounded(void **state) {
    (void)state;
    static const char *const models[] = {PRODUCT, GEMM};
    for (int i = 0; i < 2; i++) {
        Bench b = bench_open(models[i], DATA "on linear { smooth(alpha = 0.5)\n"
                                             "quantize(weight = int8 per channel) }\n");
        const float *rows = rows_of(b.w.s->arena, bench_set_random(&b, "w"), i == 1);
        float *x = bench_values(&b, TOKENS * K);
        bench_ready(&b);
        for (int t = 0; t < TOKENS * K; t++) {
            x[t] *= (float)(1 << t % K % 4);
        }
        bench_feed(&b, "x", x, TOKENS, K);
        bench_solve(&b);
        const Solved *one = bench_solved(&b, "w");
        const float *q = read_back(b.w.s->arena, one, i == 1, 0), *s = b.solve.ties[0].s;
        const float *scales = one->outs[OUT_SCALES];
        for (int n = 0; n < N; n++) {
            float amax = 0;
            for (int k = 0; k < K; k++) {
                amax = fmaxf(amax, fabsf(rows[n * K + k] * s[k]));
            }
            assert_near(scales[n], amax / 127, 1e-6);
            for (int k = 0; k < K; k++) {
                assert_true(fabsf(q[n * K + k] - rows[n * K + k] * s[k]) <= 0.50001f * scales[n]);
            }
        }
        bench_close(&b);
    }
}

/* The loss that is reported is the one of what was written, and below that of the nearest codes. */
static void losses_are_of_the_outputs(void **state) {
    (void)state;
    static const char *const models[] = {PRODUCT, GEMM};
    static const char *const formats[] = {"int4 per block(16)", "int8 per channel"};
    static const char *const rounds[] = {"gptq", "gptq(order = natural, damp = 0.01, block = 16)",
                                         "adaround(steps = 100)"};
    for (int i = 0; i < 12; i++) {
        const char *format = formats[i / 2 % 2], *round = rounds[i / 4];
        char recipe[300];
        snprintf(recipe, sizeof recipe, DATA "on linear { quantize(weight = %s, round = %s) }\n",
                 format, round);
        Bench b = bench_open(models[i % 2], recipe);
        const float *rows = rows_of(b.w.s->arena, bench_set_random(&b, "w"), i % 2 == 1);
        float *x = bench_values(&b, TOKENS * K);
        for (int t = 1; t < TOKENS * K; t++) {
            x[t] += t % K ? x[t - 1] : 0.0f; /* channels go together */
        }
        bench_ready(&b);
        bench_feed(&b, "x", x, TOKENS, K);
        bench_solve(&b);
        const GptqReport *report = &b.solve.rounded[0];
        const float *q =
            read_back(b.w.s->arena, bench_solved(&b, "w"), i % 2 == 1, i / 2 % 2 ? 0 : 16);
        assert_near(report->loss, bench_loss(rows, q, N, K, x, TOKENS), 1e-4);
        assert_true(report->loss < 0.9 * report->nearest && !report->plain);
        bench_close(&b);
    }
}

/* With factors the loss is that of x / s and W s. */
static void rounding_meets_the_scaled_input(void **state) {
    (void)state;
    Bench b = bench_open(PRODUCT, DATA "on linear { smooth(alpha = 0.5)\n"
                                       "quantize(weight = int8 per channel, round = gptq) }\n");
    float *rows = rows_of(b.w.s->arena, bench_set_random(&b, "w"), false);
    float *x = bench_values(&b, TOKENS * K);
    bench_ready(&b);
    for (int t = 0; t < TOKENS * K; t++) {
        x[t] *= (float)(1 << t % K % 4);
    }
    bench_feed(&b, "x", x, TOKENS, K);
    bench_solve(&b);
    for (int i = 0; i < N * K; i++) {
        rows[i] *= b.solve.ties[0].s[i % K];
    }
    for (int i = 0; i < TOKENS * K; i++) {
        x[i] /= b.solve.ties[0].s[i % K];
    }
    const float *q = read_back(b.w.s->arena, bench_solved(&b, "w"), false, 0);
    assert_near(b.solve.rounded[0].loss, bench_loss(rows, q, N, K, x, TOKENS), 1e-3);
    bench_close(&b);
}

static void pruned_weights_stay_0(void **state) {
    (void)state;
    static const char *const steps[] = {
        "prune(2:4)\nquantize(weight = int4 per block(16), round = gptq)",
        "prune(0.5)\nquantize(weight = int4 per block(16), round = adaround(steps = 50))",
        "prune(2:4)\nawq\nquantize(weight = int4 per block(16))"};
    for (int i = 0; i < 3; i++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe, DATA "on linear { %s }\n", steps[i]);
        Bench b = bench_open(PRODUCT, recipe);
        bench_set_random(&b, "w");
        float *x = bench_values(&b, TOKENS * K);
        for (int t = 1; t < TOKENS * K; t++) {
            x[t] += t % K ? x[t - 1] : 0.0f; /* or nothing would move a weight that is 0 */
        }
        bench_ready(&b);
        bench_feed(&b, "x", x, TOKENS, K);
        bench_solve(&b);
        const PlanLayer *planned = &b.w.plan->layers_planned.at[0];
        Rows rows;
        assert_true(solve_rows(&b.solve, planned, NULL, b.w.s->arena, &rows));
        const float *q = read_back(b.w.s->arena, bench_solved(&b, "w"), false, 16);
        int zeros = 0;
        for (int n = 0; n < N * K; n++) {
            zeros += rows.w[n] == 0.0f;
            assert_true(rows.w[n] != 0.0f || q[n] == 0.0f);
        }
        assert_true(zeros >= N * K / 2);
        bench_close(&b);
    }
}

static void clipping_is_for_the_outputs(void **state) {
    (void)state;
    double loss[2];
    for (int clip = 0; clip < 2; clip++) {
        Bench b = bench_open(PRODUCT, clip ? DATA "on linear { awq(clip = true)\nquantize(weight "
                                                  "= int4 per block(16)) }\n"
                                           : DATA "on linear { awq(clip = false)\nquantize(weight "
                                                  "= int4 per block(16)) }\n");
        float *rows = rows_of(b.w.s->arena, bench_set_random(&b, "w"), false);
        float *x = bench_values(&b, TOKENS * K);
        bench_ready(&b);
        bench_feed(&b, "x", x, TOKENS, K);
        bench_solve(&b);
        const float *s = b.solve.ties[0].s;
        for (int i = 0; i < N * K; i++) {
            rows[i] *= s[i % K];
        }
        for (int i = 0; i < TOKENS * K; i++) {
            x[i] /= s[i % K];
        }
        const float *q = read_back(b.w.s->arena, bench_solved(&b, "w"), false, 16);
        loss[clip] = bench_loss(rows, q, N, K, x, TOKENS);
        bench_close(&b);
    }
    assert_true(loss[1] < 0.98 * loss[0]);
}

/* ---- convolutions */

/* Of one place each; two groups, which read half of the channels each. */
static void groups_meet_their_own_inputs(void **state) {
    (void)state;
    enum { CHANNELS = 32, HALF = 16, OUT = 12, PLACES = 40 };
    Bench b = bench_open("opset 17\ninput x float 1 32 40\noutput y float 1 12 40\n"
                         "weight k float 12 16 1\nConv x k -> y /c/Conv group=2\n",
                         DATA "on conv { quantize(weight = int8 per channel, round = gptq) }\n");
    const float *w = bench_set_random(&b, "k");
    float *x = bench_values(&b, CHANNELS * PLACES); /* [channel][place] */
    for (int i = PLACES; i < CHANNELS * PLACES; i++) {
        x[i] += x[i - PLACES];
    }
    bench_ready(&b);
    assert_int_equal(b.seen->len, 1);
    const StatConv conv = {.rank = 1,
                           .batch = 1,
                           .channels = CHANNELS,
                           .groups = 2,
                           .size = {PLACES},
                           .kernel = {1},
                           .stride = {1},
                           .dilation = {1}};
    assert_null(stat_add_conv(stats_at(b.solve.stats, 0), 1, x, &conv, NULL));
    bench_solve(&b);
    const Solved *one = bench_solved(&b, "k");
    const float *scales = one->outs[OUT_SCALES];
    float q[OUT * HALF], inputs[2][PLACES * HALF];
    for (int i = 0; i < OUT * HALF; i++) {
        q[i] = (float)code_at(one, i) * scales[i / HALF];
    }
    double loss = 0;
    for (int g = 0; g < 2; g++) {
        for (int i = 0; i < PLACES * HALF; i++) {
            inputs[g][i] = x[(g * HALF + i % HALF) * PLACES + i / HALF];
        }
        const int at = g * OUT / 2 * HALF;
        loss += bench_loss(w + at, q + at, OUT / 2, HALF, inputs[g], PLACES);
    }
    assert_near(b.solve.rounded[0].loss, loss, 1e-4);
    assert_true(b.solve.rounded[0].loss < 0.9 * b.solve.rounded[0].nearest);
    bench_close(&b);
}

/* ---- what stays float */

static void float_weights_are_edited(void **state) {
    (void)state;
    Bench b = bench_open("opset 21\ninput x float16 4 32\noutput y float16 4 24\n"
                         "weight w float16 32 24\nMatMul x w -> y /l/MatMul\n",
                         DATA "on linear { smooth(alpha = 0.5) }\n");
    static uint16_t ones[K * N];
    for (int i = 0; i < K * N; i++) {
        ones[i] = 0x3c00;
    }
    bench_set(&b, "w", ones);
    bench_ready(&b);
    static float x[TOKENS * K];
    for (int i = 0; i < TOKENS * K; i++) {
        x[i] = i % K % 2 ? 16.0f : 0.25f; /* s = sqrt(16), sqrt(1/4) */
    }
    bench_feed(&b, "x", x, TOKENS, K);
    bench_solve(&b);
    const Solved *one = bench_solved(&b, "w");
    assert_null(one->kernel.format);
    const uint16_t *out = one->outs[OUT_CODES];
    for (int i = 0; i < K * N; i++) {
        assert_int_equal(out[i], i / N % 2 ? 0x4400 : 0x3800);
    }
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_of_outputs),
        cmocka_unit_test(rows_of_convolutions),
        cmocka_unit_test(grids_are_the_formats),
        cmocka_unit_test(scaled_weights_are_rounded),
        cmocka_unit_test(losses_are_of_the_outputs),
        cmocka_unit_test(rounding_meets_the_scaled_input),
        cmocka_unit_test(pruned_weights_stay_0),
        cmocka_unit_test(clipping_is_for_the_outputs),
        cmocka_unit_test(groups_meet_their_own_inputs),
        cmocka_unit_test(float_weights_are_edited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
