/* placement_scale: values that are only moved or joined have one scale, however long the way; one
 * pair serves where nobody else reads what lies between. */
#include "compiler/placement.h"
#include "tests/unit/world.h"

#define DATA "data c = random(seed = 0)\ncalibrate(data = c)\n"
#define INT8 "quantize(weight = int8 per channel, input = int8"

/* Streams as "value:scale" or, of those another serves, "value:-", in the order of the plan. */
static void expect(const char *model, const char *recipe, size_t placed, const char *text) {
    World w = world_text(model);
    if (!world_bind(&w, str_format(w.s->arena, DATA "%s\n", recipe).data)) {
        fail_msg("%s\n%s", recipe, unit_diags(w.s));
    }
    Buf b = buf_on(w.s->arena);
    for (size_t i = 0; i < w.plan->streams.len; i++) {
        const PlanStream *stream = &w.plan->streams.at[i];
        buf_printf(&b, "%s%.*s:", i ? " " : "", STR_ARG(stream->value->name));
        if (stream->uses.len) {
            buf_printf(&b, "%d", stream->scale);
        } else {
            buf_char(&b, '-');
            assert_null(stream->element);
        }
    }
    assert_str(buf_view(&b), text);
    assert_int_equal(w.plan->placed.len, placed);
    world_close(&w);
}

#define HEAD                                                                                       \
    "opset 17\ninput x float 1 16 8 8\ninput z float 1 16 8 8\noutput y float 1 16 8 8\n"          \
    "output v float 1 16 8 8\nweight k float 16 16 1 1\nweight l float 16 16 1 1\n"                \
    "weight w float 16 32 1 1\nweight perm int64 4\n"

/* Each kind of move; the pair in front of it serves both convolutions. */
static void each_move_commutes(void **state) {
    (void)state;
    static const char *const moves[] = {"Identity x -> p",
                                        "Reshape x perm -> p",
                                        "Transpose x -> p perm=0,1,3,2",
                                        "Squeeze x -> p",
                                        "Slice x perm perm -> p",
                                        "Flatten x -> p",
                                        "Unsqueeze x perm -> p",
                                        "MaxPool x -> p kernel_shape=1,1",
                                        "Expand x perm -> p",
                                        "Tile x perm -> p",
                                        "DepthToSpace x -> p blocksize=1",
                                        "SpaceToDepth x -> p blocksize=1"};
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
        char model[800];
        snprintf(model, sizeof model,
                 HEAD "Conv x k -> y /a/Conv\n%s /m/Move\nConv p l -> v /b/Conv\n", moves[i]);
        expect(model, "on conv { " INT8 ") }", 1, "x:0 p:-");
    }
    /* what makes new values does not */
    static const char *const others[] = {"Relu x -> p", "AveragePool x -> p kernel_shape=1,1",
                                         "Transpose x -> p domain=dom"};
    for (size_t i = 0; i < 3; i++) {
        char model[800];
        snprintf(model, sizeof model,
                 HEAD "Conv x k -> y /a/Conv\n%s /m/Move\nConv p l -> v /b/Conv\n", others[i]);
        expect(model, "on conv { " INT8 ") }", 0, "x:0 p:1");
    }
}

static void along_a_chain(void **state) {
    (void)state;
    expect(HEAD
           "Conv x k -> y /a/Conv\nTranspose x -> p perm=0,1,3,2\nTranspose p -> q perm=0,1,3,2\n"
           "Identity q -> r\nConv r l -> v /b/Conv\n",
           "on conv { " INT8 ") }", 1, "x:0 r:-");
    /* in the middle somebody reads floats: two pairs, one scale */
    expect(HEAD
           "Conv x k -> y /a/Conv\nTranspose x -> p perm=0,1,3,2\nTranspose p -> q perm=0,1,3,2\n"
           "output u float 1 16 8 8\nTanh p -> u\nConv q l -> v /b/Conv\n",
           "on conv { " INT8 ") }", 1, "x:0 q:0");
    /* ... or the moved value leaves the model */
    expect(HEAD "Conv x k -> y /a/Conv\nTranspose x -> p perm=0,1,3,2\noutput p float 1 16 8 8\n"
                "Conv p l -> v /b/Conv\n",
           "on conv { " INT8 ") }", 1, "x:0 p:0");
    /* three in a row: the first serves all */
    expect(HEAD "weight m float 16 16 1 1\noutput o float 1 16 8 8\nConv x k -> y /a/Conv\n"
                "Transpose x -> p perm=0,1,3,2\nConv p l -> v /b/Conv\n"
                "Transpose p -> q perm=0,1,3,2\nConv q m -> o /c/Conv\n",
           "on conv { " INT8 ") }", 2, "x:0 p:0 q:-");
    expect(HEAD "Conv x k -> y /a/Conv\nTranspose x -> p perm=0,1,3,2\nConv p l -> v /b/Conv\n",
           "on conv { " INT8 ", place = exact) }", 0, "x:0 p:1");
    expect(HEAD "Conv x k -> y /a/Conv\nTranspose x -> p perm=0,1,3,2\nConv p l -> v /b/Conv\n",
           "on \"a\" { " INT8 ") }\non \"b\" { quantize(weight = int8, input = fp8) }", 0,
           "x:0 p:1");
}

static void what_is_joined(void **state) {
    (void)state;
    /* both parts are read as codes, too; one of them behind a move */
    expect(HEAD "output o float 1 16 8 8\nTanh x -> a\nTanh z -> b\nConv a k -> y /a/Conv\n"
                "Transpose b -> t perm=0,1,3,2\nConv b l -> v /b/Conv\nConcat a t -> j axis=1\n"
                "Conv j w -> o /j/Conv\n",
           "on conv { " INT8 ") }", 1, "a:0 b:0 j:0");
    /* two joins with a part in common are one scale: a - c, b - c, all */
    expect("opset 17\ninput x float 1 16 8 8\ninput y float 1 16 8 8\ninput z float 1 16 8 8\n"
           "output o float 1 16 8 8\noutput p float 1 16 8 8\noutput q float 1 16 8 8\n"
           "weight w float 16 32 1 1\nweight u float 16 32 1 1\nweight k float 16 16 1 1\n"
           "Tanh x -> a\nTanh y -> b\nTanh z -> c\nConcat a c -> i axis=1\n"
           "Concat b c -> j axis=1\nConv i w -> o /i/Conv\nConv j u -> p /j/Conv\n"
           "Conv c k -> q /c/Conv\n",
           "on conv { " INT8 ") }", 2, "i:0 j:0 c:0");
    /* parts that nobody reads as codes have no stream to share with */
    expect(HEAD "Tanh x -> a\nTanh z -> b\nConcat a b -> j axis=1\nConv j w -> y /j/Conv\n"
                "Tanh y -> v\n",
           "on conv { " INT8 ") }", 0, "j:0");
    /* factors make them other values */
    expect("opset 17\ninput x float 4 64\ninput z float 4 64\noutput y float 8 32\noutput v float "
           "4 32\n"
           "weight k float 64 32\nweight l float 64 32\nTanh x -> a\nConcat a z -> j axis=0\n"
           "MatMul j k -> y /j/MatMul\nMatMul a l -> v /a/MatMul\n",
           "on \"j\" { smooth\n" INT8 ") }\non \"a\" { " INT8 ") }", 0, "j:0 a:1");
}

/* Each join brings one more part into the scale of those before it. */
static void joins_of_joins(void **state) {
    (void)state;
    Buf b = buf_on(arena_open());
    buf_printf(&b, "opset 17\ninput z float 1 16 8 8\n");
    for (int i = 0; i < 4; i++) {
        buf_printf(
            &b,
            "input x%d float 1 16 8 8\noutput y%d float 1 16 8 8\nweight k%d float 16 16 1 1\n"
            "Tanh x%d -> p%d\nConv p%d k%d -> y%d\n",
            i, i, i, i, i, i, i, i);
    }
    for (int i = 0; i < 4; i++) {
        buf_printf(&b,
                   "output v%d float 1 16 8 8\nweight w%d float 16 %d 1 1\nConcat %s%d p%d -> j%d "
                   "axis=1\nConv j%d w%d -> v%d\n",
                   i, i, 16 * (i + 2), i ? "j" : "x", i ? i - 1 : 0, 3 - i, i, i, i, i);
    }
    expect(b.data, "on conv { " INT8 ") }", 4, "p0:0 p1:0 p2:0 p3:0 j0:0 j1:0 j2:0 j3:0");
    arena_close(b.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_move_commutes),
        cmocka_unit_test(along_a_chain),
        cmocka_unit_test(what_is_joined),
        cmocka_unit_test(joins_of_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
