/* Where factors of a value can go, as text: the constants and their axes, the layer; or why not.
 * That models stay what they are is tested end to end (tests/e2e/cases_fold.py). */
#include "compiler/factor_path.h"
#include "tests/unit/world.h"

#define HEAD "opset 21\ninput x float 2 6 32\noutput y float 2 6 32\nweight w2 float 48 32\n"
#define TAIL "MatMul v w2 -> y /second/MatMul\n"

static const struct {
    const char *model, *expected;
    int64_t channels;
    int behind;
} rows[] = {
    /* linear layers */
    {HEAD "weight w float 32 48\nweight b float 48\nMatMul x w -> h /first/MatMul\n"
          "Add h b -> a\nRelu a -> v\n" TAIL,
     "first: w 1, b 0", 48, 0},
    {HEAD "weight w float 48 32\nweight b float 48\nGemm x w b -> h /first/Gemm transB=1\n"
          "Dropout h -> d\nCast d -> e to=16\nCast e -> v to=1\n" TAIL,
     "first: w 0, b 0", 48, 0},
    {HEAD "weight w float 32 48\nMatMul x w -> h /first/MatMul\nCast h -> v to=6\n" TAIL,
     "factors do not pass Cast", 48, 0},
    {HEAD "weight w float 32 48\nMatMul x w -> h /first/MatMul\nTanh h -> v\n" TAIL,
     "factors do not pass Tanh", 48, 0},
    {HEAD "weight w float 32 48\nMatMul x w -> h /first/MatMul\nRelu h -> v domain=dom\n" TAIL,
     "factors do not pass Relu", 48, 0},
    {HEAD "weight w float 32 48\noutput h float 2 6 48\nMatMul x w -> h /first/MatMul\n"
          "Relu h -> v\n" TAIL,
     "others read what MatMul makes", 48, 0},
    {HEAD "weight w float 32 48\noutput z float 2 6 48\nMatMul x w -> h /first/MatMul\n"
          "MatMul x w -> z /other/MatMul\nRelu h -> v\n" TAIL,
     "the weight of the MatMul before it is shared", 48, 0},
    {HEAD "weight w float 32 48\nweight b float 48\noutput z float 48\nRelu b -> z\n"
          "Gemm x w b -> v /first/Gemm\n" TAIL,
     "the bias of the Gemm before it is shared, or not one for each channel", 48, 0},
    {HEAD "weight w float 32 48\nweight b float 1\nGemm x w b -> v /first/Gemm\n" TAIL,
     "the bias of the Gemm before it is shared, or not one for each channel", 48, 0},
    {HEAD "weight w float 48 2\nMatMul w x -> v /first/MatMul\n" TAIL,
     "the channels of the MatMul before it lie otherwise", 48, 0},
    {HEAD "Relu x -> v\n" TAIL, "nothing in the graph computes it", 48, 0},
    /* norms */
    {HEAD "weight g float 48\nweight o float 48\nLayerNormalization x g o -> v\n" TAIL,
     "norm: g 0, o 0", 48, 0},
    {HEAD "weight g float 48\nLayerNormalization x g -> v axis=1\n" TAIL,
     "factors do not pass LayerNormalization", 48, 0},
    {HEAD "weight g float 1 48\nweight o float 48\nSqrt x -> n\nMul g n -> h\nAdd o h -> v\n" TAIL,
     "norm: g 1, o 0", 48, 0},
    /* two operands */
    {HEAD "weight wg float 32 48\nweight w float 32 48\nMatMul x wg -> g /gate/MatMul\n"
          "MatMul x w -> u /up/MatMul\nSigmoid g -> s\nMul g s -> a\nMul a u -> v\n" TAIL,
     "up: w 1", 48, 0},
    {HEAD "weight w float 32 48\nweight wd float 32 48\nMatMul x w -> h /first/MatMul\n"
          "MatMul x wd -> d /other/MatMul\nDiv h d -> v\n" TAIL,
     "first: w 1", 48, 0},
    {HEAD "weight w float 32 1\nweight wd float 32 48\nMatMul x w -> h /first/MatMul\n"
          "MatMul x wd -> d /other/MatMul\nSigmoid d -> s\nMul h s -> v\n" TAIL,
     "factors do not pass Sigmoid", 48, 0}, /* h is spread over the channels */
    {HEAD "weight w float 32 48\nMatMul x w -> h /first/MatMul\nAdd h x -> v\n" TAIL,
     "Add adds something else to it", 48, 0},
    /* convolutions: channels of axis 1 */
    {"opset 21\ninput x float 1 4 9 9\noutput y float 1 2 9 9\nweight w float 48 4 1 1\n"
     "weight b float 48\nweight w2 float 2 48 1 1\nConv x w b -> c /first/Conv\nRelu c -> r\n"
     "MaxPool r -> v kernel_shape=1,1\nConv v w2 -> y /second/Conv\n",
     "first: w 0, b 0", 48, 2},
    {"opset 21\ninput x float 1 4 9 9\noutput y float 1 2 9 9\nweight w float 48 4 1 1\n"
     "weight g float 48\nweight o float 48\nweight m float 48\nweight s float 48\n"
     "weight w2 float 2 48 1 1\nConv x w -> c /first/Conv\nBatchNormalization c g o m s -> n\n"
     "Relu n -> v\nConv v w2 -> y /second/Conv\n",
     "norm: g 0, o 0", 48, 2},
    {"opset 21\ninput x float 1 4 9\noutput y float 1 2 9\nweight w float 4 24 1\n"
     "weight w2 float 2 48 1\nConvTranspose x w -> v /first/ConvTranspose group=2\n"
     "Conv v w2 -> y /second/Conv\n",
     "the channels of the ConvTranspose before it lie otherwise", 48, 1},
    {"opset 21\ninput x float 1 4 9\noutput y float 1 2 9\nweight w float 4 48 1\n"
     "weight k float 48 1\nweight w2 float 2 48 1\nConvTranspose x w -> c /first/ConvTranspose\n"
     "Add c k -> v\nConv v w2 -> y /second/Conv\n",
     "first: w 1, k 0", 48, 1},
    /* an offset along the last dimension is none of the channels */
    {"opset 21\ninput x float 1 4 48\noutput y float 1 2 48\nweight w float 48 4 1\n"
     "weight k float 48\nweight w2 float 2 48 1\nConv x w -> c /first/Conv\n"
     "Add c k -> v\nConv v w2 -> y /second/Conv\n",
     "Add adds something else to it", 48, 1},
    /* the last dimension is whole on both sides; or nothing says so */
    {HEAD "weight w float 32 48\nMatMul x w -> h /first/MatMul\nShape x -> s\n"
          "Reshape h s -> v\n" TAIL,
     "first: w 1", 48, 0},
    {HEAD "weight w float 32 48\nMatMul x w -> h /first/MatMul\nShape x -> s\n"
          "Sqrt h -> q\nReshape q s -> v\n" TAIL,
     "no shapes prove that channels stay apart before Reshape", 48, 0},
};

static Str describe(World *w, int64_t channels, int behind) {
    FactorPath path;
    Buf b = buf_on(w->s->arena);
    const ValueInfo *value = graph_value(w->model->main, STR("v"));
    assert_non_null(value);
    if (!factor_path(w->layers, value, channels, behind, &path)) {
        return path.why;
    }
    buf_str(&b, path.layer ? path.layer->path : STR("norm"));
    for (size_t i = 0; i < path.constants.len; i++) {
        const FactorConstant *c = &path.constants.at[i];
        buf_printf(&b, "%s %.*s %d", i ? "," : ":", STR_ARG(c->value->name), c->axis);
    }
    return buf_view(&b);
}

static void where_factors_go(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        World w = world_text(rows[i].model);
        const Str got = describe(&w, rows[i].channels, rows[i].behind);
        if (!str_is(got, rows[i].expected)) {
            fail_msg("row %zu: \"%.*s\", not \"%s\"", i, STR_ARG(got), rows[i].expected);
        }
        world_close(&w);
    }
}

/* x [2, 6, 32], four heads of 12 in v, two or four in its projection; shapes as constants. */
static Str heads(const char *split, const char *perm, const char *values, int64_t shape[4]) {
    static char text[2000];
    snprintf(text, sizeof text,
             "opset 21\ninput x float 2 6 32\ninput p float 2 4 6 6\noutput y float 2 6 32\n"
             "weight w float 32 48\nweight w2 float 48 32\nweight split int64 4\n"
             "weight back int64 3\nMatMul x w -> h /first/MatMul\nReshape h split -> r\n"
             "Transpose r -> t perm=%s\n%sMatMul p %s -> m\nTranspose m -> n perm=%s\n"
             "Reshape n back -> v\nMatMul v w2 -> y /second/MatMul\n",
             split, values, *values ? "e" : "t", perm);
    World w = world_text(text);
    static const int64_t joined[] = {2, 6, 48};
    ((Tensor *)(uintptr_t)graph_value(w.model->main, STR("split"))->constant)->data =
        (const uint8_t *)shape;
    ((Tensor *)(uintptr_t)graph_value(w.model->main, STR("back"))->constant)->data =
        (const uint8_t *)joined;
    static char kept[200];
    const Str got = describe(&w, 48, 0);
    snprintf(kept, sizeof kept, "%.*s", STR_ARG(got));
    world_close(&w);
    return str_from(kept);
}

static void heads_stay_apart(void **state) {
    (void)state;
    int64_t four[] = {2, 6, 4, 12}, open[] = {0, -1, 4, 12}, two[] = {2, 6, 2, 24};
    assert_true(str_is(heads("0,2,1,3", "0,2,1,3", "", four), "first: w 1"));
    assert_true(str_is(heads("0,2,1,3", "0,2,1,3", "", open), "first: w 1"));
    /* heads and their channels in another order than those of the projection */
    assert_true(str_is(heads("0,2,1,3", "0,2,3,1", "", four),
                       "no shapes prove that channels stay apart before Reshape"));
    /* 2 heads of 24 meet 4 of 12: no such product, but shapes are all that is known */
    assert_true(str_is(heads("0,2,1,3", "0,2,1,3", "", two),
                       "no shapes prove that channels stay apart before Reshape"));
    assert_true(str_is(heads("0,2,1,3", "0,2,1,3", "Expand t split -> e\n", four),
                       "no shapes prove that channels stay apart before Reshape"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(where_factors_go),
                                       cmocka_unit_test(heads_stay_apart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
