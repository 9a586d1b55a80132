/* What the recipe does to the layers on the way decides whether factors go it: ties of plans, as
 * text. The way itself is tested in factor_path_test. */
#include "tests/unit/world.h"

#define DATA "data d = random(samples = 2)\ncalibrate(data = d)\n"
#define SMOOTH "on \"second\" { smooth(alpha = 0.5); quantize(weight = int8 per channel) }\n"
#define FIRST(steps) DATA SMOOTH "on \"first\" { " steps " }\n"

static const char linear[] =
    "opset 21\ninput x float 2 6 32\noutput y float 2 6 32\nweight w float 32 48\n"
    "weight b float 48\nweight w2 float 48 32\nMatMul x w -> h /first/MatMul\nAdd h b -> a\n"
    "Relu a -> v /act/Relu\nMatMul v w2 -> y /second/MatMul\n";

static const char conv[] =
    "opset 21\ninput x float 1 64 9 9\noutput y float 1 32 9 9\nweight w float 64 64 1 1\n"
    "weight b float 64\nweight g float 64\nweight o float 64\nweight m float 64\n"
    "weight s float 64\nweight w2 float 32 64 1 1\nConv x w b -> c /first/Conv\n"
    "BatchNormalization c g o m s -> n /norm/BatchNormalization\nRelu n -> v /act/Relu\n"
    "Conv v w2 -> y /second/Conv\n";

static const char *ties_of(World *w, const char *recipe) {
    if (!world_bind(w, recipe)) {
        fail_msg("%s", unit_diags(w->s));
    }
    Buf b = buf_on(w->s->arena);
    plan_inputs_dump(w->plan, &b);
    return b.data;
}

static void who_takes_factors_in(void **state) {
    (void)state;
    static const struct {
        const char *model, *recipe, *expected;
    } rows[] = {
        {linear, DATA SMOOTH, "tie 0 smooth of v k 48\n  into w\n  into b\n  layers second\n"},
        {linear, FIRST("quantize(weight = int8 per channel)"),
         "  into w with its layer\n  into b\n  layers second\n"},
        {linear, FIRST("prune(2:4)"), "  into w with its layer\n  into b\n"},
        {linear, FIRST("quantize(weight = int8 per channel, input = int8)"),
         "  into w with its layer\n  into b\n"},
        {linear, FIRST("quantize(weight = int8 per tensor)"),
         "  by a Mul: the layer before has one scale for all channels\n"},
        {linear, FIRST("quantize(weight = nvfp4)"),
         "  by a Mul: the layer before has one scale for all channels\n"},
        {linear, FIRST("skip"), "  by a Mul: the layer before is left as it is\n"},
        {linear, FIRST("quantize(weight = int8 per channel, output = int8)"),
         "  by a Mul: something before it is stored in a format\n"},
        {linear, DATA SMOOTH "on \"act\" { quantize(output = int8) }\n",
         "  by a Mul: something before it is stored in a format\n"},
        {linear,
         DATA "on \"second\" { smooth(alpha = 0.5, fold = never); quantize(weight = int8) }\n",
         "  by a Mul: `fold = never`\n"},
        /* a BatchNormalization takes factors in, unless a convolution takes it in */
        {conv, DATA SMOOTH, "tie 0 smooth of v k 64\n  into g\n  into o\n  layers second\n"},
        {conv, FIRST("quantize(weight = int8 per channel)"), "  into g\n  into o\n"},
        {conv, FIRST("quantize(weight = int8 per channel, input = int8)"),
         "tie 0 smooth of v k 64\n  into w with its layer\n  layers second\n"},
        {conv, FIRST("quantize(weight = int8 per channel, input = int8, output = int8)"),
         "  by a Mul: what the layer before writes is stored in a format\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        World w = world_text(rows[i].model);
        const char *got = ties_of(&w, rows[i].recipe);
        if (!strstr(got, rows[i].expected)) {
            fail_msg("row %zu: no \"%s\" in:\n%s", i, rows[i].expected, got);
        }
        world_close(&w);
    }
}

static void a_reader_more(void **state) {
    (void)state;
    static const char shared[] =
        "opset 21\ninput x float 2 6 32\noutput y float 2 6 32\noutput z float 2 6 32\n"
        "weight w float 32 48\nweight w2 float 48 32\nweight w3 float 48 32\n"
        "MatMul x w -> v /first/MatMul\nMatMul v w2 -> y /second/MatMul\n"
        "MatMul v w3 -> z /third/MatMul\n";
    World w = world_text(shared);
    const char *got = ties_of(&w, DATA SMOOTH);
    assert_non_null(strstr(got, "  by a Mul: others read the value, too\n"));
    got = ties_of(&w, DATA "on \"second\" | \"third\" { smooth; quantize(weight = int8) }\n");
    assert_non_null(strstr(got, "  into w\n  layers second third\n"));
    const PlanTie *tie = &w.plan->ties.at[0];
    assert_true(tie->previous && str_is(tie->previous->path, "first"));
    Buf b = buf_on(w.s->arena);
    plan_tie_print(tie, &b);
    assert_string_equal(b.data, "in first");
    world_close(&w);
    w = world_text("opset 21\ninput x float 6 32\noutput y float 6 32\nweight w float 32 32\n"
                   "weight w2 float 32 32\nMatMul x w -> v /first/MatMul\n"
                   "Gemm v w2 v -> y /second/Gemm\n");
    got = ties_of(&w, DATA SMOOTH); /* what it adds is not scaled */
    assert_non_null(strstr(got, "  by a Mul: others read the value, too\n"));
    world_close(&w);
}

/* Convolutions that walk over a value in different ways have factors of their own. */
static void ties_of_convolutions(void **state) {
    (void)state;
    static const char branches[] =
        "opset 21\ninput x float 1 64 9 9\noutput y float 1 32 9 9\noutput z float 1 32 9 9\n"
        "output u float 1 32 9 9\nweight w float 32 64 1 1\nweight w2 float 32 64 1 1\n"
        "weight w3 float 32 64 3 3\nConv x w -> y /a/Conv\nConv x w2 -> z /b/Conv\n"
        "Conv x w3 -> u /c/Conv pads=1,1,1,1\n";
    World w = world_text(branches);
    const char *got = ties_of(&w, DATA "on conv { smooth; quantize(weight = int8) }\n");
    assert_non_null(strstr(got, "tie 0 smooth of x k 64\n"));
    assert_non_null(strstr(got, "  layers a b\ntie 1 smooth of x k 64\n"));
    assert_int_equal(w.plan->ties.at[1].behind, 2);
    world_close(&w);
}

static void too_wide_a_search(void **state) {
    (void)state;
    World w = world_text("opset 21\ninput x float 1 2048 3 3\noutput y float 1 1 1 1\n"
                         "weight w float 1 2048 3 3\nConv x w -> y /first/Conv\n");
    assert_false(world_bind(&w, DATA "on conv { smooth; quantize(weight = int8) }\n"));
    world_diag(&w, "E0507");
    assert_non_null(strstr(unit_diags(w.s), "too wide to search alpha"));
    assert_true(world_bind(&w, DATA "on conv { smooth(alpha = 1); quantize(weight = int8) }\n"));
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_takes_factors_in),
        cmocka_unit_test(a_reader_more),
        cmocka_unit_test(ties_of_convolutions),
        cmocka_unit_test(too_wide_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
