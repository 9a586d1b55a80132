/* Where Q/DQ pairs go: what rules of a recipe ask for, what rules of placement add, leave out and
 * share. Models of a few nodes; what comes out is the plan. Numbers are checked end to end. */
#include "compiler/placement.h"
#include "tests/unit/world.h"

#define DATA "data c = random(seed = 0)\ncalibrate(data = c)\n"
#define INT8 "quantize(weight = int8 per channel, input = int8"

static World world_with(const char *model, const char *recipe) {
    World w = world_text(model);
    if (!world_bind(&w, str_format(w.s->arena, DATA "%s\n", recipe).data)) {
        fail_msg("%s\n%s", recipe, unit_diags(w.s));
    }
    return w;
}

/* The stream that serves input `slot` of the node that makes `output`; -1: it reads the value. */
static int stream_of(const World *w, const char *output, int slot) {
    const Node *node = graph_value(w->model->main, str_from(output))->producer;
    for (size_t i = 0; i < w->plan->streams.len; i++) {
        const PlanStream *stream = &w->plan->streams.at[i];
        for (size_t k = 0; k < stream->uses.len; k++) {
            if (stream->uses.at[k].node == node && stream->uses.at[k].slot == slot) {
                assert_ptr_equal(stream->value, node->inputs[slot]);
                return (int)i;
            }
        }
    }
    return -1;
}

static size_t live(const World *w) {
    size_t count = 0;
    for (size_t i = 0; i < w->plan->streams.len; i++) {
        count += w->plan->streams.at[i].uses.len > 0;
    }
    return count;
}

static size_t placed(const World *w, const char *rule) {
    size_t count = 0;
    for (size_t i = 0; i < w->plan->placed.len; i++) {
        count += strcmp(placement_rules[w->plan->placed.at[i].rule].name, rule) == 0;
    }
    return count;
}

static int scale_of(const World *w, int stream) {
    return w->plan->streams.at[stream].scale;
}

/* ---- batchnorm */

#define NORM "weight g float 16\nweight o float 16\nweight m float 16\nweight v float 16\n"
#define CONV16                                                                                     \
    "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 16 3 3\n"

static const PlanLayer *first_conv(const World *w) {
    return &w->plan->layers_planned.at[0];
}

static void test_batchnorm(void **state) {
    (void)state;
    static const struct {
        const char *model, *recipe;
        bool folded;
    } cases[] = {
        {CONV16 NORM "Conv x k -> a\nBatchNormalization a g o m v -> y\n", INT8 ")", true},
        {CONV16 NORM "weight b float 16\nConv x k b -> a\nBatchNormalization a g o m v -> y\n",
         INT8 ")", true},
        {CONV16 NORM "Conv x k -> a\nBatchNormalization a g o m v -> y\n", INT8 ", place = exact)",
         false},
        /* weights alone: the rest of the graph stays */
        {CONV16 NORM "Conv x k -> a\nBatchNormalization a g o m v -> y\n",
         "quantize(weight = int8 per channel)", false},
        /* somebody else reads what the convolution writes, or its weight */
        {CONV16 NORM "output z float 1 16 8 8\nConv x k -> a\nBatchNormalization a g o m v -> y\n"
                     "Relu a -> z\n",
         INT8 ")", false},
        {CONV16 NORM "output a float 1 16 8 8\nConv x k -> a\nBatchNormalization a g o m v -> y\n",
         INT8 ")", false},
        {CONV16 NORM "output z float 1 16 8 8\nConv x k -> a\nBatchNormalization a g o m v -> y\n"
                     "Conv x k -> z\n",
         INT8 ")", false},
        /* not the norm of inference with constants, one for each channel */
        {CONV16 NORM "Conv x k -> a\nBatchNormalization a g o m v -> y training_mode=1\n", INT8 ")",
         false},
        {CONV16 NORM "input n float 16\nConv x k -> a\nBatchNormalization a g o n v -> y\n",
         INT8 ")", false},
        {CONV16 NORM "input n float 16\nConv x k n -> a\nBatchNormalization a g o m v -> y\n",
         INT8 ")", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char recipe[200];
        snprintf(recipe, sizeof recipe, "on first(conv) { %s }", cases[i].recipe);
        World w = world_with(cases[i].model, recipe);
        if ((first_conv(&w)->norm != NULL) != cases[i].folded) {
            fail_msg("case %zu", i);
        }
        assert_int_equal(placed(&w, "batchnorm"), cases[i].folded);
        world_close(&w);
    }
}

/* ---- residual */

#define BLOCK                                                                                      \
    CONV16 "weight k2 float 16 16 3 3\nConv x k -> a /a/Conv\nRelu a -> r\n"                       \
           "Conv r k2 -> b /b/Conv\n"

static void test_residual(void **state) {
    (void)state;
    World w = world_with(BLOCK "Add b x -> y\n", "on conv { " INT8 ") }");
    assert_int_equal(placed(&w, "residual"), 1);
    assert_int_equal(stream_of(&w, "y", 0), -1); /* runs with the convolution */
    assert_true(stream_of(&w, "y", 1) >= 0);
    assert_int_equal(stream_of(&w, "y", 1), stream_of(&w, "a", 0)); /* one pair for x */
    world_close(&w);
    w = world_with(BLOCK "Add x b -> y\n", "on conv { " INT8 ", place = exact) }");
    assert_int_equal(placed(&w, "residual"), 0);
    assert_int_equal(stream_of(&w, "y", 0), -1);
    world_close(&w);
}

/* Both operands are convolutions: the earlier one is stored, the later one runs with the sum. */
static void test_residual_of_two(void **state) {
    (void)state;
    static const char model[] =
        BLOCK "weight s float 16 16 1 1\nConv x s -> c /c/Conv\nAdd b c -> y\n";
    World w = world_with(model, "on conv { " INT8 ") }");
    assert_true(stream_of(&w, "y", 0) >= 0);
    assert_int_equal(stream_of(&w, "y", 1), -1);
    world_close(&w);
}

/* Products: only where the recipe says so, and then on the same side. */
static void test_residual_of_products(void **state) {
    (void)state;
    static const char model[] =
        "opset 17\ninput x float 4 64\noutput y float 4 64\nweight w float 64 64\nweight b float "
        "64\nMatMul x w -> a /l/MatMul\nAdd a b -> ab\nAdd x ab -> y /sum/Add\n";
    World w = world_with(model, "on linear { " INT8 ") }");
    assert_int_equal(live(&w), 1);
    world_close(&w);
    w = world_with(model, "on linear { " INT8 ") }\non residual { quantize(input = int8) }");
    assert_int_equal(stream_of(&w, "y", 0), stream_of(&w, "a", 0));
    assert_int_equal(stream_of(&w, "y", 1), -1);
    world_close(&w);
    w = world_with(model, "on residual { quantize(input = int8) }");
    assert_true(stream_of(&w, "y", 0) >= 0);
    assert_true(stream_of(&w, "y", 1) >= 0);
    world_close(&w);
}

/* ---- attention */

#define ATTENTION                                                                                  \
    "opset 17\ninput q float 2 4 16\ninput k float 2 16 4\ninput v float 2 4 16\n"                 \
    "input mask float 4 4\noutput y float 2 4 16\nweight c float 1\n"                              \
    "MatMul q k -> s /qk/MatMul\nDiv s c -> d\nAdd d mask -> e\nSoftmax e -> p axis=2\n"           \
    "MatMul p v -> y /pv/MatMul\n"

static void test_attention(void **state) {
    (void)state;
    World w = world_with(ATTENTION, "on attention { quantize(input = fp8) }");
    assert_true(stream_of(&w, "s", 0) >= 0 && stream_of(&w, "s", 1) >= 0);
    assert_true(stream_of(&w, "y", 0) >= 0 && stream_of(&w, "y", 1) >= 0);
    assert_int_equal(live(&w), 4);
    world_close(&w);
    w = world_with(ATTENTION, "on attention { quantize(kv = fp8) }");
    assert_true(stream_of(&w, "s", 1) >= 0 && stream_of(&w, "y", 1) >= 0);
    assert_int_equal(live(&w), 2);
    world_close(&w);
    w = world_with(ATTENTION, "on attention { quantize(kv = fp8, input = int8) }");
    assert_string_equal(w.plan->streams.at[stream_of(&w, "s", 1)].element->name, "e4m3");
    assert_string_equal(w.plan->streams.at[stream_of(&w, "s", 0)].element->name, "int8");
    world_close(&w);
}

static void test_fused_attention(void **state) {
    (void)state;
    World w = world_with("opset 23\ninput q float 1 2 4 16\ninput k float 1 2 4 16\n"
                         "input v float 1 2 4 16\noutput y float 1 2 4 16\nAttention q k v -> y\n",
                         "on attention { quantize(input = fp8) }");
    assert_int_equal(live(&w), 3);
    world_close(&w);
}

/* ---- output */

static void test_output(void **state) {
    (void)state;
    static const char model[] =
        "opset 17\ninput x float 4 64\noutput y float 4 64\noutput z float 4 32\nweight w float 64 "
        "64\nweight u float 64 32\nMatMul x w -> a /a/MatMul\nRelu a -> y\nMatMul a u -> z "
        "/z/MatMul\n";
    World w = world_with(model, "on \"a\" { quantize(output = int8) }");
    assert_int_equal(live(&w), 1);
    assert_true(stream_of(&w, "y", 0) >= 0);
    assert_int_equal(stream_of(&w, "y", 0), stream_of(&w, "z", 0));
    world_close(&w);
    /* what a reader says of its input goes first */
    w = world_with(model,
                   "on \"a\" { quantize(output = int8) }\non \"z\" { quantize(input = fp8) }");
    assert_string_equal(w.plan->streams.at[stream_of(&w, "z", 0)].element->name, "e4m3");
    assert_string_equal(w.plan->streams.at[stream_of(&w, "y", 0)].element->name, "int8");
    world_close(&w);
}

/* ---- shared scales */

static void test_concat(void **state) {
    (void)state;
    static const char model[] =
        "opset 17\ninput a float 1 16 8 8\ninput b float 1 16 8 8\noutput y float 1 16 8 8\n"
        "output z float 1 16 8 8\nweight k float 16 32 1 1\nweight l float 16 16 1 1\n"
        "Relu a -> r\nMaxPool r -> p kernel_shape=1,1\nConcat p b -> c axis=1\nConv c k -> y "
        "/y/Conv\n"
        "Conv r l -> z /z/Conv\n";
    World w = world_with(model, "on conv { " INT8 ") }");
    assert_int_equal(placed(&w, "concat"), 1);
    assert_int_not_equal(stream_of(&w, "y", 0), stream_of(&w, "z", 0));
    assert_int_equal(scale_of(&w, stream_of(&w, "y", 0)), scale_of(&w, stream_of(&w, "z", 0)));
    world_close(&w);
    w = world_with(model,
                   "on \"y\" { " INT8 ") }\non \"z\" { quantize(weight = int8, input = fp8) }");
    assert_int_equal(placed(&w, "concat"), 0); /* other codes */
    world_close(&w);
}

#define MOVED                                                                                      \
    "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\noutput z float 1 16 4 4\n"         \
    "weight k float 16 16 1 1\nweight l float 16 16 1 1\nConv x k -> y /y/Conv\n"                  \
    "MaxPool x -> p kernel_shape=2,2 strides=2,2\nConv p l -> z /z/Conv\n"

static void test_commute(void **state) {
    (void)state;
    World w = world_with(MOVED, "on conv { " INT8 ") }");
    assert_int_equal(placed(&w, "commute"), 1);
    assert_int_equal(live(&w), 1); /* in front of the pool, which hands codes on */
    assert_int_equal(stream_of(&w, "p", 0), stream_of(&w, "y", 0));
    assert_int_equal(stream_of(&w, "z", 0), -1);
    const PlanLayer *z = plan_layer(w.plan, map_get(&w.layers->by_path, STR("z")));
    assert_int_equal(z->stream, stream_of(&w, "y", 0));
    world_close(&w);
    /* somebody reads the pool's result as float: two pairs of one scale */
    w = world_with(MOVED "output f float 1 16 4 4\nRelu p -> f\n", "on conv { " INT8 ") }");
    assert_int_equal(live(&w), 2);
    assert_int_equal(scale_of(&w, stream_of(&w, "z", 0)), scale_of(&w, stream_of(&w, "y", 0)));
    world_close(&w);
    w = world_with(MOVED, "on conv { " INT8 ", place = exact) }");
    assert_int_equal(live(&w), 2);
    assert_int_not_equal(scale_of(&w, stream_of(&w, "z", 0)), scale_of(&w, stream_of(&w, "y", 0)));
    world_close(&w);
}

/* ---- narrow */

static void test_narrow(void **state) {
    (void)state;
    static const struct {
        const char *model, *recipe;
        size_t streams;
    } cases[] = {
        {"opset 17\ninput x float 1 64\noutput y float 1 64\nweight w float 64 64\n"
         "MatMul x w -> y /l/MatMul\n",
         "on linear { " INT8 ") }", 0},
        {"opset 17\ninput x float 1 64\noutput y float 1 64\nweight w float 64 64\n"
         "MatMul x w -> y /l/MatMul\n",
         "on \"l\" { " INT8 ") }", 1}, /* by its name */
        {"opset 17\ninput x float 1 64\noutput y float 1 64\nweight w float 64 64\n"
         "MatMul x w -> y /l/MatMul\n",
         "on linear { " INT8 ", place = exact) }", 1},
        {"opset 17\ninput x float 2 64\noutput y float 2 64\nweight w float 64 64\n"
         "MatMul x w -> y /l/MatMul\n",
         "on linear { " INT8 ") }", 1},
        {"opset 17\ninput x float 2 8\noutput y float 2 64\nweight w float 8 64\n"
         "MatMul x w -> y /l/MatMul\n",
         "on linear { " INT8 ") }", 0},
        {"opset 17\ninput x float 2 64\noutput y float 2 1\nweight w float 64 1\n"
         "MatMul x w -> y /l/MatMul\n",
         "on linear { " INT8 ") }", 0},
        /* int8: 16 and more or a multiple of 8, and the first layer's 3; fp8: 16 and more, no
           groups */
        {"opset 17\ninput x float 1 16 8 8\noutput y float 1 60 8 8\nweight k float 60 16 1 1\n"
         "Conv x k -> y\n",
         "on conv { " INT8 ") }", 1},
        {"opset 17\ninput x float 1 16 8 8\noutput y float 1 12 8 8\nweight k float 12 16 1 1\n"
         "Conv x k -> y\n",
         "on conv { " INT8 ") }", 0},
        {"opset 17\ninput x float 1 3 8 8\noutput y float 1 8 8 8\nweight k float 8 3 1 1\n"
         "Conv x k -> y\n",
         "on conv { " INT8 ") }", 1},
        {"opset 17\ninput x float 1 3 8 8\noutput y float 1 8 8 8\nweight k float 8 3 1 1\n"
         "Conv x k -> y\n",
         "on conv { quantize(weight = fp8, input = fp8) }", 0},
        {"opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 1 1 1\n"
         "Conv x k -> y group=16\n",
         "on conv { quantize(weight = fp8, input = fp8) }", 0},
        {"opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 1 1 1\n"
         "Conv x k -> y group=16\n",
         "on conv { " INT8 ") }", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        World w = world_with(cases[i].model, cases[i].recipe);
        if (live(&w) != cases[i].streams || first_conv(&w)->quantized != (cases[i].streams == 1)) {
            fail_msg("case %zu: %zu streams", i, live(&w));
        }
        assert_int_equal(placed(&w, "narrow"), 1 - cases[i].streams);
        world_close(&w);
    }
}

/* ---- bias */

static void test_bias(void **state) {
    (void)state;
    static const char model[] = CONV16 NORM
        "weight b float 16\nConv x k b -> a /c/Conv\nBatchNormalization a g o m v -> y\n";
    World w = world_with(model, "on conv { " INT8 ", bias = int32) }");
    assert_true(first_conv(&w)->bias && first_conv(&w)->norm);
    world_close(&w);
    w = world_with(model, "on conv { " INT8 ", bias = int32, place = exact) }");
    assert_true(first_conv(&w)->bias && !first_conv(&w)->norm);
    world_close(&w);
}

static void test_odd_attention(void **state) {
    (void)state;
    static const struct {
        const char *shape, *format;
        size_t streams;
    } cases[] = {
        {"4 8", "fp8", 0},  {"4 16", "fp8", 4},    {"4 256", "fp8", 4},  {"4 300", "fp8", 0},
        {"4 8", "int8", 4}, {"600 16", "int8", 0}, {"600 16", "fp8", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rows, head;
        char model[600], recipe[100];
        assert_int_equal(sscanf(cases[i].shape, "%d %d", &rows, &head), 2);
        snprintf(model, sizeof model,
                 "opset 17\ninput q float %d %d\ninput k float %d %d\ninput v float %d 16\n"
                 "output y float %d 16\nMatMul q k -> s\nSoftmax s -> p axis=1\nMatMul p v -> y\n"
                 "output p float %d %d\n",
                 rows, head, head, rows, rows, rows, rows, rows);
        snprintf(recipe, sizeof recipe, "on attention { quantize(input = %s) }", cases[i].format);
        World w = world_with(model, recipe);
        if (live(&w) != cases[i].streams) {
            fail_msg("case %zu: %zu streams", i, live(&w));
        }
        world_close(&w);
    }
}

/* ---- refusals, texts */

static void refused(const char *model, const char *recipe, const char *saying) {
    World w = world_text(model);
    assert_false(world_bind(&w, str_format(w.s->arena, DATA "%s\n", recipe).data));
    world_diag(&w, "E0507");
    if (!strstr(unit_diags(w.s), saying)) {
        fail_msg("%s\n%s", recipe, unit_diags(w.s));
    }
    world_close(&w);
}

static void test_refused(void **state) {
    (void)state;
    static const char model[] =
        "opset 17\ninput x float 4 64\ninput i int64 4\noutput y float 4 64\nweight w float 64 64\n"
        "MatMul x w -> a /a/MatMul\nRelu a -> y /r/Relu\nSoftmax a -> s /s/Softmax\n";
    refused(model, "on \"a\" { quantize(kv = fp8) }", "and this is none");
    refused(model, "on \"s\" { quantize(input = fp8) }", "only products, sums");
    refused(model, "on \"r\" { quantize(output = fp8) }", "nothing in the model reads");
    refused(model, "on \"a\" { quantize(output = int8 per channel) }", "one scale and 8 bits");
    refused(model, "on \"a\" { quantize(output = int4) }", "one scale and 8 bits");
    refused("opset 17\ninput x double 4 64\noutput y double 4 64\nweight w double 64 64\n"
            "MatMul x w -> y /a/MatMul\n",
            "on linear { " INT8 ") }", "no float of 16 or 32 bits");
    refused(model, "on \"a\" { " INT8 ", bias = int32) }", "it has no bias of its own");
    refused(model, "on \"a\" { quantize(weight = fp8, input = fp8, bias = int32) }", "is for int8");
    refused(model, "on \"a\" { quantize(weight = int8, bias = int32) }", "is for int8");
}

static void test_texts(void **state) {
    (void)state;
    World w = world_with(MOVED, "on conv { " INT8 ") }");
    Buf people = buf_on(w.s->arena), dump = buf_on(w.s->arena), json = buf_on(w.s->arena);
    plan_print(w.plan, &people);
    plan_dump(w.plan, &dump);
    plan_json(w.plan, &json);
    assert_non_null(strstr(people.data, "commute "));
    assert_non_null(strstr(people.data, "one pair of Q and DQ serves"));
    assert_non_null(strstr(dump.data, "placed commute p\n"));
    assert_non_null(
        strstr(json.data, "{\"type\":\"placement\",\"rule\":\"commute\",\"path\":\"p\""));
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batchnorm),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_residual_of_two),
        cmocka_unit_test(test_residual_of_products),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_fused_attention),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_commute),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_odd_attention),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
