/* observations: one for each value, whatever asks; who asks for what; the first reader; and the
 * instrumented model, which has an Observe op in front of it and is otherwise the same. */
#include "compiler/instrument.h"
#include "compiler/observations.h"
#include "tests/unit/world.h"

static const char model[] =
    "opset 21\ninput x float 4 32\noutput y float 4 32\noutput z float 4 32\n"
    "weight wq float 32 32\nweight wk float 32 32\nweight wo float 32 32\nweight w2 float 32 32\n"
    "Relu x -> r /act/Relu\nMatMul r wq -> q /q/MatMul\nMatMul r wk -> k /k/MatMul\n"
    "Add q k -> s /sum/Add\nMatMul s wo -> y /o/MatMul\nMatMul s w2 -> z /p/MatMul\n";

#define DATA "data d = random(samples = 2)\ncalibrate(data = d, method = mse)\n"

static ObservationList observed(World *w, const char *recipe) {
    if (!world_bind(w, recipe)) {
        fail_msg("%s", unit_diags(w->s));
    }
    return observations(w->plan, w->s->arena);
}

static void expect_text(const ObservationList *all, Arena *arena, const char *expected) {
    Buf b = buf_on(arena);
    observations_print(all, 0, &b);
    assert_string_equal(b.len ? b.data : "", expected);
}

static void what_steps_need(void **state) {
    (void)state;
    static const struct {
        const char *recipe, *expected;
    } rows[] = {
        {"on linear { quantize(weight = int8) }", ""},
        {DATA "on linear { quantize(weight = int8, input = int8) }",
         "r: range histogram, of all values\ns: range histogram, of all values\n"},
        {DATA "on \"q\" { calibrate(data = d); quantize(weight = int8, input = int8) }",
         "r: range, of all values\n"},
        {DATA "on \"q\" | \"k\" { smooth(alpha = 0.5); quantize(weight = int8, input = int8) }",
         "r: range channels magnitudes\n"},
        {DATA "on \"q\" { smooth; quantize(weight = int8) }", "r: channels gram\n"},
        {DATA "on linear { quantize(weight = int8, input = int8 per token dynamic) }", ""},
        {DATA "on \"q\" { smooth(alpha = 0.5); quantize(weight = int8, input = int8 dynamic) }",
         "r: channels\n"},
        {"data d = random(samples = 2)\ncalibrate(data = d)\n"
         "on \"q\" { smooth; quantize(weight = int8, input = int8) }",
         "r: range channels gram\n"},
        {DATA "on \"q\" { awq; quantize(weight = int8) }\n"
              "on \"k\" { quantize(weight = int8, input = fp8) }\n"
              "on \"o\" { quantize(weight = int8, round = gptq) }",
         "r: range histogram channels gram\ns: gram\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        World w = world_text(model);
        const ObservationList all = observed(&w, rows[i].recipe);
        expect_text(&all, w.s->arena, rows[i].expected);
        world_close(&w);
    }
}

/* Layers before a value, and the bytes of its Gram matrices. */
static void levels_and_sizes(void **state) {
    (void)state;
    World w = world_text(model);
    const ObservationList all = observed(
        &w, DATA "on linear { quantize(weight = int8 per channel, input = int8, round = gptq) }");
    assert_int_equal(all.len, 2);
    assert_true(str_is(all.at[0].name, "r") && all.at[0].level == 0);
    assert_true(str_is(all.at[1].name, "s") && all.at[1].level == 1);
    assert_int_equal(all.at[0].bytes, 32 * 32 * sizeof(double)); /* q and k share it */
    assert_int_equal(observation_level(w.layers, graph_value(w.model->main, STR("x"))), 0);
    assert_int_equal(observation_level(w.layers, graph_value(w.model->main, STR("y"))), 2);
    Buf b = buf_on(w.s->arena);
    all.at[1].pass = 1;
    observations_print(&all, 1, &b);
    assert_string_equal(b.data, "s: range histogram gram\n");
    world_close(&w);
}

/* Channels of a convolution's input lie along axis 1, those of a product's along the last. */
static void what_convolutions_need(void **state) {
    (void)state;
    static const char both[] =
        "opset 21\ninput x float 1 8 8\noutput y float 1 4 8\noutput z float 1 8 16\n"
        "weight c float 4 8 3\nweight w float 8 16\nRelu x -> r /act/Relu\n"
        "Conv r c -> y /conv/Conv pads=1,1\nMatMul r w -> z /q/MatMul\n";
    static const struct {
        const char *recipe, *expected;
    } rows[] = {
        {DATA "on conv { smooth(alpha = 0.5); quantize(weight = int8, input = int8) }",
         "r: range channels magnitudes, channels along axis 1\n"},
        {DATA "on conv { smooth; quantize(weight = int8, round = gptq) }",
         "r@conv 3/1/1/1/1 group 1: gram\nr: channels, channels along axis 1\n"},
        {DATA "on all & (conv | linear) { smooth(alpha = 0.5); quantize(weight = int8) }",
         "r: channels, channels along axis 1\nr@last axis: channels\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        World w = world_text(both);
        const ObservationList all = observed(&w, rows[i].recipe);
        expect_text(&all, w.s->arena, rows[i].expected);
        const Observation *conv = observation_input(&all, &w.layers->all.at[1]);
        assert_true(conv->channels && conv->behind == 1);
        if (i == 2) { /* two statistics of one value, under two names */
            const Observation *product = observation_input(&all, &w.layers->all.at[2]);
            assert_true(product->channels && product->behind == 0);
            assert_false(str_eq(product->name, conv->name));
        }
        world_close(&w);
    }
}

static void the_instrumented_model(void **state) {
    (void)state;
    World w = world_text(model);
    const ObservationList all =
        observed(&w, DATA "on linear { smooth; quantize(weight = int8, input = int8) }");
    assert_int_equal(all.len, 2);
    const char *path = str_format(w.s->arena, "%s/m.onnx", w.directory).data;
    Arena *arena = arena_open();
    Instrumented made;
    assert_true(instrument(w.s, arena, str_from(path), &all, ALL_LEVELS, NULL, &made));
    const char *copy = str_format(w.s->arena, "%s/i.onnx", w.directory).data;
    unit_write(copy, made.bytes, made.size);
    Model *m = model_open(w.s, str_from(copy));
    assert_non_null(m);
    assert_int_equal(m->main->nodes.len, w.model->main->nodes.len + 2);
    int64_t slot = 0;
    for (size_t i = 0; i < m->main->nodes.len; i++) {
        const Node *node = m->main->nodes.at[i];
        if (!str_is(node->op, "Observe")) {
            continue;
        }
        assert_true(str_is(node->domain, "mor"));
        assert_int_equal(node_int(node, "slot", -1), slot);
        assert_true(str_eq(node->inputs[0]->name, all.at[slot].value->name));
        const Node *next = m->main->nodes.at[i + 1]; /* right in front of the first reader */
        assert_int_equal(next->index, all.at[slot].node + slot + 1);
        assert_ptr_equal(next->inputs[all.at[slot].slot], node->outputs[0]);
        slot++;
    }
    assert_int_equal(slot, 2);
    model_close(m);
    model_close(made.model);
    arena_close(arena);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_steps_need),
        cmocka_unit_test(levels_and_sizes),
        cmocka_unit_test(what_convolutions_need),
        cmocka_unit_test(the_instrumented_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
