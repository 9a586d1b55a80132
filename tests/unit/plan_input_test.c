/* plan_input: what layers read, for people and as stable text. */
#include "tests/unit/world.h"

#define DATA "data calib = random(seed = 0)\ncalibrate(data = calib, method = percentile(99.9))\n"

/* Two norms (one of which somebody else reads, too), siblings behind the first, a head. */
static const char model[] =
    "opset 21\ninput x float 4 64\noutput y float 4 32\noutput o float 4 64\n"
    "weight g float 64\nweight g2 float 64\nweight q float 64 64\nweight k float 64 64\n"
    "weight u float 64 64\nweight h float 64 32\n"
    "LayerNormalization x g -> n /n1/LN\nMatMul n q -> a /q/MatMul\nMatMul n k -> b /k/MatMul\n"
    "Add a b -> s\nLayerNormalization s g2 -> m /n2/LN\nRelu m -> o\n"
    "MatMul m u -> t /up/MatMul\nMatMul t h -> y /head/MatMul\n";

static const char stack[] =
    DATA "on \"{q,k,up}\" {\n  smooth\n  quantize(weight = int8 per channel, input = int8)\n}\n"
         "on head {\n  quantize(weight = int4 per block(32), input = fp8, round = gptq)\n}\n";

static World bound(const char *recipe) {
    World w = world_text(model);
    if (!world_bind(&w, recipe)) {
        fail_msg("%s", unit_diags(w.s));
    }
    return w;
}

static void expect(void (*print)(const Plan *, Buf *), const char *recipe, const char *text) {
    World w = bound(recipe);
    Buf b = buf_on(w.s->arena);
    print(w.plan, &b);
    assert_str(buf_view(&b), text);
    world_close(&w);
}

static void for_people(void **state) {
    (void)state;
    expect(plan_inputs_print, "on linear { quantize(weight = int8) }\n", "");
    expect(plan_inputs_print, stack,
           "  inputs     2 values of 3 layers in int8, range by max of each channel\n"
           "  inputs     1 value of 1 layer in fp8, range by percentile(p = 99.9)\n"
           "  smooth     2 inputs scaled: 1 by the norm before, 1 by a Mul\n"
           "             a Mul: others read the value, too\n"
           "  gptq       1 weight rounded by it\n"
           "  calibrate  calib: one pass over the data\n");
    expect(
        plan_inputs_print,
        "data d = random(seed = 0)\ncalibrate(data = d)\non linear { awq\nquantize(weight = int4 "
        "per block(32), round = adaround) }\nexpect cosine > 0.9\n",
        "  awq        3 inputs scaled: 1 by the norm before, 1 by the layer before, 1 "
        "by a Mul\n"
        "             a Mul: others read the value, too\n"
        "  adaround   4 weights rounded by it\n"
        "  calibrate  d: one pass over the data\n"
        "  evaluate   the last tenth of d: the float model and the new one\n");
    expect(plan_inputs_print,
           "data e = random(seed = 1)\nevaluate(data = e)\non linear { quantize(weight = int8) }\n",
           "  evaluate   e: the float model and the new one\n");
}

static void as_stable_text(void **state) {
    (void)state;
    expect(plan_inputs_dump, "on linear { quantize(weight = int8) }\n", "");
    expect(plan_inputs_dump, stack,
           "tie 0 smooth of n k 64\n  into g\n  layers q k\n"
           "tie 1 smooth of m k 64\n  by a Mul: others read the value, too\n  layers up\n"
           "stream 0 of n tie 0 int8 range percentile(p = 99.9) type float32\n  layers q k\n"
           "stream 1 of m tie 1 int8 range percentile(p = 99.9) type float32\n  layers up\n"
           "stream 2 of t e4m3 range percentile(p = 99.9) type float32\n  layers head\n");
}

static void of_one_layer(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"q", "int8, smooth"}, {"up", "int8, smooth"}, {"head", "fp8"}};
    World w = bound(stack);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Buf b = buf_on(w.s->arena);
        const Layer *layer = map_get(&w.layers->by_path, str_from(rows[i][0]));
        plan_input_print(w.plan, plan_layer(w.plan, layer), &b);
        assert_str(buf_view(&b), rows[i][1]);
    }
    world_close(&w);
    w = bound(DATA "on linear { awq\nquantize(weight = int8) }\n");
    Buf b = buf_on(w.s->arena);
    plan_input_print(w.plan, &w.plan->layers_planned.at[0], &b);
    assert_str(buf_view(&b), "awq");
    world_close(&w);
    for (PlanRound round = ROUND_NEAREST; round <= ROUND_ADAROUND; round++) {
        static const char *const names[] = {"nearest", "gptq", "adaround"};
        assert_string_equal(plan_round_name(round), names[round]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_people),
        cmocka_unit_test(as_stable_text),
        cmocka_unit_test(of_one_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
