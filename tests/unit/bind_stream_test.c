/* bind_stream: which readers share a stream and which do not; whose wish counts; what can be stored
 * in eight bits at all. Rules of placement are off (place = exact): placement_test has them. */
#include "compiler/bind_parts.h"
#include "tests/unit/world.h"

#define DATA "data c = random(seed = 0)\ncalibrate(data = c)\n"
#define INT8 "quantize(weight = int8, input = int8, place = exact)"
#define FP8 "quantize(weight = int8, input = fp8, place = exact)"

static World world_with(const char *model, const char *recipe) {
    World w = world_text(model);
    if (!world_bind(&w, str_format(w.s->arena, DATA "%s\n", recipe).data)) {
        fail_msg("%s\n%s", recipe, unit_diags(w.s));
    }
    return w;
}

/* "x int8 (a b) <- a.0 b.0; ..." in the order of the plan: value, format, layers, readers by what
 * they make and the slot. */
static void expect(const char *model, const char *recipe, const char *text) {
    World w = world_with(model, recipe);
    Buf b = buf_on(w.s->arena);
    for (size_t i = 0; i < w.plan->streams.len; i++) {
        const PlanStream *stream = &w.plan->streams.at[i];
        assert_int_equal(stream->scale, i);
        buf_printf(&b, "%s%.*s %s (", i ? "; " : "", STR_ARG(stream->value->name),
                   stream->element ? stream->element->name : "float");
        for (size_t k = 0; k < stream->layers.len; k++) {
            const Str path = w.plan->layers_planned.at[stream->layers.at[k]].layer->path;
            buf_printf(&b, "%s%.*s", k ? " " : "", STR_ARG(path));
        }
        buf_printf(&b, ") <-");
        for (size_t k = 0; k < stream->uses.len; k++) {
            const PlanUse *use = &stream->uses.at[k];
            assert_ptr_equal(use->node->graph, stream->graph);
            assert_ptr_equal(use->node->inputs[use->slot], stream->value);
            buf_printf(&b, " %.*s.%d", STR_ARG(use->node->outputs[0]->name), use->slot);
        }
    }
    assert_str(buf_view(&b), text);
    world_close(&w);
}

#define THREE                                                                                      \
    "opset 21\ninput x float 4 64\noutput p float 4 64\noutput q float 4 64\n"                     \
    "output r float 4 64\nweight a float 64 64\nweight b float 64 64\nweight c float 64 64\n"      \
    "MatMul x a -> p /a/MatMul\nMatMul x b -> q /b/MatMul\nMatMul x c -> r /c/MatMul\n"

static void who_shares_a_stream(void **state) {
    (void)state;
    expect(THREE, "on linear { " INT8 " }", "x int8 (a b c) <- p.0 q.0 r.0");
    expect(THREE, "on \"a\" { " INT8 " }\non \"b\" { " FP8 " }\non \"c\" { " INT8 " }",
           "x int8 (a c) <- p.0 r.0; x e4m3 (b) <- q.0");
    /* the same format, but another way to its range */
    expect(THREE,
           "on \"{a,b}\" { " INT8 " }\n"
           "on \"c\" { calibrate(data = c, method = mse); " INT8 " }",
           "x int8 (a b) <- p.0 q.0; x int8 (c) <- r.0");
    /* layers of one rule of factors share them, and with them the stream */
    expect(THREE, "on \"{a,b}\" { smooth\n" INT8 " }\non \"c\" { " INT8 " }",
           "x int8 (a b) <- p.0 q.0; x int8 (c) <- r.0");
    expect(THREE, "on \"{a,b}\" { smooth\nquantize(weight = int8) }\non \"c\" { " INT8 " }",
           "x float (a b) <- p.0 q.0; x int8 (c) <- r.0");
    expect(THREE, "on \"a\" { smooth\n" INT8 " }\non \"b\" { awq\n" INT8 " }",
           "x int8 (a) <- p.0; x int8 (b) <- q.0");
}

static void a_product_of_one_value(void **state) {
    (void)state;
    expect("opset 21\ninput x float 8 8\noutput y float 8 8\nMatMul x x -> y /m/MatMul\n",
           "on \"m\" { quantize(input = int8, place = exact) }", "x int8 (m) <- y.0 y.1");
}

static void outputs_are_what_is_left(void **state) {
    (void)state;
    static const char model[] =
        "opset 21\ninput x float 4 64\noutput y float 4 64\noutput z float 4 64\n"
        "output t float 4 64\nweight a float 64 64\nweight b float 64 64\n"
        "MatMul x a -> m /a/MatMul\nRelu m -> y\nMatMul m b -> z /b/MatMul\nTanh m -> t\n";
    expect(model, "on \"a\" { quantize(weight = int8, output = int8) }",
           "m int8 (a) <- y.0 z.0 t.0");
    /* b says something of its input itself, wherever its rule stands */
    expect(model, "on \"a\" { quantize(weight = int8, output = int8) }\non \"b\" { " FP8 " }",
           "m e4m3 (b) <- z.0; m int8 (a) <- y.0 t.0");
    expect(model,
           "on \"b\" { " INT8
           " }\non \"a\" { quantize(weight = int8, output = int8, place = exact) }",
           "m int8 (b a) <- z.0 y.0 t.0");
    /* a value that only leaves the model has no reader */
    World w = world_text(model);
    assert_false(world_bind(&w, DATA "on \"b\" { quantize(weight = int8, output = int8) }\n"));
    world_diag(&w, "E0507");
    world_close(&w);
}

static void layers_without_weights(void **state) {
    (void)state;
    expect("opset 21\ninput x float 4 64\ninput n int64 4\noutput y float 4 128\n"
           "weight c float 4 64\nRelu x -> r\nConcat r c -> y /cat/Concat axis=1\n",
           "on \"cat\" { quantize(input = int8, place = exact) }", "r int8 (cat) <- y.0");
    expect("opset 21\ninput x float 4 64\ninput z float 4 64\noutput y float 4 64\n"
           "Relu x -> a\nRelu z -> b\nMul a b -> y /m/Mul\n",
           "on \"m\" { quantize(input = fp8) }", "a e4m3 (m) <- y.0; b e4m3 (m) <- y.1");
}

/* Nodes of a branch read through a pair of their own graph. */
static void graphs_are_apart(void **state) {
    (void)state;
    expect("opset 21\ninput x float 4 64\ninput c bool\noutput y float 4 64\noutput z float 4 64\n"
           "weight a float 64 64\nweight b float 64 64\nMatMul x a -> z /a/MatMul\n"
           "If c -> y\nbody then_branch\nMatMul x b -> u /b/MatMul\noutput u float 4 64\nend\n"
           "body else_branch\nRelu x -> v\noutput v float 4 64\nend\n",
           "on linear { " INT8 " }", "x int8 (a) <- z.0; x int8 (y.b) <- u.0");
}

static void types_of_scales(void **state) {
    (void)state;
    static const struct {
        const char *weight;
        bool known;
        int type;
    } rows[] = {{"float", true, 1},
                {"float16", true, 10},
                {"bfloat16", true, 16},
                {"float16", false, 10},
                {"float", false, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char model[300];
        snprintf(model, sizeof model,
                 "opset 21\ninput x %s 4 64\noutput y %s 4 64\nweight a %s 64 64\n"
                 "%s x -> t\nMatMul t a -> y /a/MatMul\n",
                 rows[i].weight, rows[i].weight, rows[i].weight,
                 rows[i].known ? "Relu" : "Unknown");
        World w = world_with(model, "on linear { " INT8 " }");
        assert_int_equal(w.plan->streams.at[0].type, rows[i].type);
        world_close(&w);
    }
}

/* x / s of doubles is a product of doubles. */
static void factors_of_doubles(void **state) {
    (void)state;
    World w = world_with("opset 21\ninput x double 4 64\noutput y double 4 64\n"
                         "weight a double 64 64\nMatMul x a -> y /a/MatMul\n",
                         "on linear { smooth(alpha = 0.5); quantize(weight = int8) }");
    assert_int_equal(w.plan->streams.at[0].type, 11);
    assert_null(w.plan->streams.at[0].element);
    world_close(&w);
}

static void what_can_be_stored(void **state) {
    (void)state;
    World w = world_text("opset 21\ninput f float 4\ninput h float16 4\ninput d double 4\n"
                         "input i int64 4\nweight c float 4\noutput u float 4\n"
                         "Add f c -> u\nUnknown h d i -> v\noutput v float 4\nUnknown u -> t\n"
                         "Relu t -> r\noutput r float 4\n");
    static const char *const names[] = {"f", "h", "d", "i", "c", "u", "t"};
    static const bool can[] = {true, true, false, false, false, true, true};
    for (int k = 0; k < 7; k++) {
        const ValueInfo *value = graph_value(w.model->main, str_from(names[k]));
        if (can_stream(value) != can[k]) {
            fail_msg("%s", names[k]);
        }
    }
    assert_false(can_stream(NULL));
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_shares_a_stream),      cmocka_unit_test(a_product_of_one_value),
        cmocka_unit_test(outputs_are_what_is_left), cmocka_unit_test(layers_without_weights),
        cmocka_unit_test(graphs_are_apart),         cmocka_unit_test(types_of_scales),
        cmocka_unit_test(factors_of_doubles),
        cmocka_unit_test(what_can_be_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
