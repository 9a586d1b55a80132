/* solve_bias: int32 codes in units of input scale times weight scale, rounded to even and as far as
 * int32 goes; with a BatchNormalization taken in; float biases in the type of the weight. */
#include <math.h>
#include "tests/unit/solve_world.h"

enum { CHANNELS = 16 };

#define CONV                                                                                       \
    "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 16 1 1\n"        \
    "weight b float 16\n"
#define NORM                                                                                       \
    CONV "weight g float 16\nweight o float 16\nweight m float 16\nweight v float 16\n"            \
         "Conv x k b -> a /c/Conv\nBatchNormalization a g o m v -> y epsilon=0\n"

/* Row r of the weight has the largest magnitude 127 / 2^(r + 1): its scale is 2^-(r + 1). */
static void set_powers(Bench *b) {
    float *k = arena_many(b->w.s->arena, float, CHANNELS *CHANNELS);
    for (int i = 0; i < CHANNELS * CHANNELS; i++) {
        k[i] = i % CHANNELS ? 0.0f : 127.0f / (float)(2 << i / CHANNELS);
    }
    bench_set(b, "k", k);
}

/* The scale of the input is 1/4. */
static void run(Bench *b) {
    static const float x[] = {127.0f / 4, -1};
    bench_ready(b);
    bench_feed(b, "x", x, 2, 1);
    bench_solve(b);
    assert_true(b->solve.scales[0] == 0.25f);
}

static void codes_of_each_channel(void **state) {
    (void)state;
    Bench b = bench_open(CONV "Conv x k b -> y /c/Conv\n",
                         DATA "on conv { quantize(weight = int8 per channel, input = int8, bias = "
                              "int32) }\n");
    set_powers(&b);
    static float bias[CHANNELS];
    for (int i = 0; i < CHANNELS; i++) {
        bias[i] = (float)(i - 8) + 0.3f;
    }
    bias[0] = 2.5f / 8; /* halves go to the even one */
    bias[1] = 3.5f / 16;
    bias[2] = -2.5f / 32;
    bias[3] = 3e30f;
    bias[4] = -3e30f;
    bench_set(&b, "b", bias);
    run(&b);
    const Fact *codes = bench_fact(&b, FACT_BIAS_CODES, 0),
               *scales = bench_fact(&b, FACT_BIAS_SCALE, 0);
    assert_int_equal(codes->count, CHANNELS);
    assert_int_equal(scales->count, CHANNELS);
    const int32_t *q = codes->bytes;
    const float *s = scales->bytes;
    static const int32_t special[] = {2, 4, -2, INT32_MAX, INT32_MIN};
    for (int i = 0; i < CHANNELS; i++) {
        assert_true(s[i] == 0.25f / (float)(2 << i));
        assert_int_equal(q[i], i < 5 ? special[i] : (int32_t)lrint(bias[i] * 4.0 * (2 << i)));
    }
    bench_close(&b);
}

static void codes_of_the_tensor(void **state) {
    (void)state;
    Bench b = bench_open(CONV "Conv x k b -> y /c/Conv\n",
                         DATA "on conv { quantize(weight = int8, input = int8, bias = int32) }\n");
    set_powers(&b);
    float *bias = bench_set_random(&b, "b");
    run(&b);
    const Fact *scales = bench_fact(&b, FACT_BIAS_SCALE, 0);
    assert_int_equal(scales->count, 1);
    assert_true(*(float *)scales->bytes == 0.125f);
    const int32_t *q = bench_fact(&b, FACT_BIAS_CODES, 0)->bytes;
    for (int i = 0; i < CHANNELS; i++) {
        assert_int_equal(q[i], (int32_t)lrint(bias[i] * 8.0));
    }
    bench_close(&b);
}

/* (b - m) g / sqrt(v) + o, in codes of a weight that the gain is in, or in float. */
static void norms_are_taken_in(void **state) {
    (void)state;
    for (int coded = 0; coded < 2; coded++) {
        Bench b = bench_open(NORM, coded ? DATA "on conv { quantize(weight = int8 per channel, "
                                                "input = int8, bias = int32) }\n"
                                         : DATA "on conv { quantize(weight = int8 per channel, "
                                                "input = int8) }\n");
        assert_non_null(b.w.plan->layers_planned.at[0].norm);
        set_powers(&b);
        static float gain[CHANNELS], variance[CHANNELS];
        for (int i = 0; i < CHANNELS; i++) {
            gain[i] = i % 2 ? -2.0f : 4.0f;
            variance[i] = 4.0f;
        }
        bench_set(&b, "g", gain);
        bench_set(&b, "v", variance);
        const float *bias = bench_set_random(&b, "b"), *mean = bench_set_random(&b, "m"),
                    *offset = bench_set_random(&b, "o");
        run(&b);
        for (int i = 0; i < CHANNELS; i++) {
            const double factor = i % 2 ? -1.0 : 2.0;
            const double wanted = (bias[i] - mean[i]) * factor + offset[i];
            if (coded) { /* the weight's scale has the factor, too */
                const float *s = bench_fact(&b, FACT_BIAS_SCALE, 0)->bytes;
                const int32_t *q = bench_fact(&b, FACT_BIAS_CODES, 0)->bytes;
                assert_near(s[i], 0.25 * fabs(factor) / (2 << i), 1e-5);
                assert_true(fabs(q[i] * (double)s[i] - wanted) <= 0.501 * s[i] + 1e-5);
            } else {
                const float *made = bench_fact(&b, FACT_BIAS, 0)->bytes;
                assert_true(fabs(made[i] - wanted) < 1e-5);
            }
        }
        bench_close(&b);
    }
}

/* float16: rounded once, from double. */
static void float_biases_have_the_weights_type(void **state) {
    (void)state;
    Bench b = bench_open("opset 17\ninput x float16 1 16 8 8\noutput y float16 1 16 8 8\n"
                         "weight k float16 16 16 1 1\nweight g float16 16\nweight o float16 16\n"
                         "weight m float16 16\nweight v float16 16\n"
                         "Conv x k -> a /c/Conv\nBatchNormalization a g o m v -> y epsilon=0\n",
                         DATA "on conv { quantize(weight = int8 per channel, input = int8) }\n");
    static uint16_t one[CHANNELS], third[CHANNELS], four[CHANNELS];
    for (int i = 0; i < CHANNELS; i++) {
        one[i] = 0x3c00;
        third[i] = 0x3555; /* 0.333251953125 */
        four[i] = 0x4400;
    }
    bench_set(&b, "g", third);
    bench_set(&b, "o", one);
    bench_set(&b, "m", third);
    bench_set(&b, "v", four);
    run(&b);
    const Fact *fact = bench_fact(&b, FACT_BIAS, 0);
    assert_int_equal(fact->size, 2 * CHANNELS);
    for (int i = 0; i < CHANNELS; i++) { /* 1 - t t / 2 = 0.94447: 0.94434 is the nearest */
        assert_int_equal(((uint16_t *)fact->bytes)[i], 0x3b8e);
    }
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_of_each_channel),
        cmocka_unit_test(codes_of_the_tensor),
        cmocka_unit_test(norms_are_taken_in),
        cmocka_unit_test(float_biases_have_the_weights_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
