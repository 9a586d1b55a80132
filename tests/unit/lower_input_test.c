/* lower_input: what ties, streams and biases of a plan come to as groups of IR, as text; the facts
 * they name; the opset they need. */
#include "compiler/lower_input.h"
#include "compiler/ir_text.h"
#include "tests/unit/world.h"

#define DATA "data d = random(seed = 0)\ncalibrate(data = d)\n"

typedef struct Lowered {
    World w;
    Facts *facts;
    Ir *ir;
} Lowered;

static Str fresh(void *model, Str wanted) {
    return model_fresh_name(model, wanted);
}

static Lowered lowered(const char *model, const char *recipe) {
    Lowered l = {.w = world_text(model)};
    if (!world_bind(&l.w, recipe)) {
        fail_msg("%s\n%s", recipe, unit_diags(l.w.s));
    }
    l.facts = facts_make(l.w.s->arena);
    l.ir = ir_make(l.w.s->arena);
    l.ir->fresh = fresh;
    l.ir->model = l.w.model;
    l.ir->opset = l.w.model->opset;
    lower_inputs(l.w.plan, NULL, l.facts, l.ir);
    return l;
}

/* Groups as printed, but for the padding in front of types, and empty lines. */
static void expect(const char *model, const char *recipe, int64_t opset, const char *text) {
    Lowered l = lowered(model, recipe);
    Buf b = buf_on(l.w.s->arena), plain = buf_on(l.w.s->arena);
    ir_print(l.ir, &b);
    for (const char *p = strstr(b.data, "group"); *p; p++) {
        const bool padding = p[0] == ' ' && p[1] == ' ' && p[-1] != '\n';
        if (!padding && (p[0] != '\n' || p[-1] != '\n')) {
            buf_char(&plain, *p);
        }
    }
    assert_str(buf_view(&plain), text);
    assert_int_equal(l.ir->opset, opset);
    for (size_t i = 0; i < l.facts->all.len; i++) {
        const Fact *fact = &l.facts->all.at[i];
        const Str named = str_format(l.w.s->arena, "fact=\"%.*s\"", STR_ARG(fact->name));
        assert_non_null(strstr(plain.data, named.data)); /* and lower names no others: */
    }
    size_t known = 0;
    for (const char *p = plain.data; (p = strstr(p, " = known ")); p++) {
        known++;
    }
    assert_int_equal(known, l.facts->all.len);
    world_close(&l.w);
}

#define PAIR                                                                                       \
    "input x float 4 64\noutput y float 4 32\noutput z float 4 32\nweight w float 64 32\n"         \
    "weight v float 64 32\nMatMul x w -> y /a/MatMul\nMatMul x v -> z /b/MatMul\n"

/* One number each; ops stand in front of the first reader, all readers read them. */
#define QDQ(group, type, codes, before, uses)                                                      \
    "group \"" group "\"\n  %0 = value name=\"" group "\" graph=0\n"                               \
    "  %1 = known fact=\"" group "_scale\" : " type "[]\n"                                         \
    "  %2 = store %1 name=\"" group "_scale\" graph=0 : " type "[]\n"                              \
    "  %3 = known fact=\"" group "_zp\" : " codes "[]\n"                                           \
    "  %4 = store %3 name=\"" group "_zp\" graph=0 : " codes "[]\n"                                \
    "  %5 = node %0, %2, %4 op=QuantizeLinear name=\"" group "_q\" graph=0 before=" before "\n"    \
    "  %6 = node %5, %2, %4 op=DequantizeLinear name=\"" group "_dq\" graph=0 before=" before      \
    "\n" uses

static void pairs_of_quantize_and_dequantize(void **state) {
    (void)state;
    expect("opset 13\n" PAIR, DATA "on linear { quantize(weight = int8, input = int8) }\n", 13,
           QDQ("x", "f32", "int8", "0",
               "  use %6 graph=0 node=0 slot=0\n"
               "  use %6 graph=0 node=1 slot=0\n"));
    expect("opset 13\n" PAIR, DATA "on \"b\" { quantize(weight = int8, input = fp8) }\n", 19,
           QDQ("x", "f32", "e4m3", "1", "  use %6 graph=0 node=1 slot=0\n"));
    /* scales of half precision came with opset 19 */
    expect("opset 13\ninput x float16 4 64\noutput y float16 4 32\nweight w float16 64 32\n"
           "MatMul x w -> y /a/MatMul\n",
           DATA "on linear { quantize(weight = int8, input = int8, place = exact) }\n", 19,
           QDQ("x", "f16", "int8", "0", "  use %6 graph=0 node=0 slot=0\n"));
}

static void factors(void **state) {
    (void)state;
    expect("opset 21\n" PAIR,
           DATA "on linear { smooth(alpha = 0.5)\nquantize(weight = int8, input = int8) }\n", 21,
           "group \"x\"\n  %0 = value name=\"x\" graph=0\n"
           "  %1 = known fact=\"x_divide\" : f32[64]\n"
           "  %2 = store %1 name=\"x_divide\" graph=0 : f32[64]\n"
           "  %3 = node %0, %2 op=Mul name=\"x_scaled\" graph=0 before=0\n"
           "  %4 = known fact=\"x_scale\" : f32[]\n"
           "  %5 = store %4 name=\"x_scale\" graph=0 : f32[]\n"
           "  %6 = known fact=\"x_zp\" : int8[]\n"
           "  %7 = store %6 name=\"x_zp\" graph=0 : int8[]\n"
           "  %8 = node %3, %5, %7 op=QuantizeLinear name=\"x_q\" graph=0 before=0\n"
           "  %9 = node %8, %5, %7 op=DequantizeLinear name=\"x_dq\" graph=0 before=0\n"
           "  use %9 graph=0 node=0 slot=0\n  use %9 graph=0 node=1 slot=0\n");
    expect("opset 21\ninput h float 4 64\nweight g float 64\noutput y float 4 32\n"
           "weight w float 64 32\nLayerNormalization h g -> x\nMatMul x w -> y /a/MatMul\n",
           DATA "on linear { smooth(alpha = 0.5)\nquantize(weight = int8) }\n", 21,
           "group \"g\"\n  %0 = weight graph=0 uses=1 : f32[64]\n"
           "  %1 = known fact=\"g.absorbed\" : f32[64]\n  rewrite %1\n");
}

#define CONV                                                                                       \
    "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 16 3 3\n"        \
    "weight b float 16\n"
#define NORM "weight g float 16\nweight o float 16\nweight m float 16\nweight v float 16\n"
#define OWN_INPUT QDQ("x", "f32", "int8", "0", "  use %6 graph=0 node=0 slot=0\n")

static void biases(void **state) {
    (void)state;
    expect(CONV "Conv x k b -> y /c/Conv\n",
           DATA "on conv { quantize(weight = int8 per channel, input = int8, bias = int32) }\n", 17,
           "group \"b\"\n  %0 = weight graph=0 uses=1 : f32[16]\n"
           "  %1 = known fact=\"b_q\" : int32[16]\n"
           "  %2 = store %1 name=\"b_q\" graph=0 : int32[16]\n"
           "  %3 = known fact=\"b_scale\" : f32[16]\n"
           "  %4 = store %3 name=\"b_scale\" graph=0 : f32[16]\n"
           "  %5 = node %2, %4 op=DequantizeLinear name=\"b_dq\" graph=0 before=0 .axis=0\n"
           "  use %5 graph=0 node=0 slot=2\n  drop %0\n" OWN_INPUT);
    /* a bias that somebody else reads stays */
    expect(CONV "output u float 16\nRelu b -> u\nConv x k b -> y /c/Conv\n",
           DATA "on conv { quantize(weight = int8, input = int8, bias = int32) }\n", 17,
           "group \"b\"\n  %0 = weight graph=0 uses=2 : f32[16]\n"
           "  %1 = known fact=\"b_q\" : int32[16]\n"
           "  %2 = store %1 name=\"b_q\" graph=0 : int32[16]\n"
           "  %3 = known fact=\"b_scale\" : f32[]\n"
           "  %4 = store %3 name=\"b_scale\" graph=0 : f32[]\n"
           "  %5 = node %2, %4 op=DequantizeLinear name=\"b_dq\" graph=0 before=1\n"
           "  use %5 graph=0 node=1 slot=2\n" QDQ("x", "f32", "int8", "1",
                                                  "  use %6 graph=0 node=1 slot=0\n"));
    expect(CONV NORM "Conv x k b -> a /c/Conv\nBatchNormalization a g o m v -> y\n",
           DATA "on conv { quantize(weight = int8, input = int8, bias = int32) }\n", 17,
           "group \"y\"\n  %0 = value graph=0 name=\"y\"\n"
           "  %1 = known fact=\"y_q\" : int32[16]\n"
           "  %2 = store %1 name=\"y_q\" graph=0 : int32[16]\n"
           "  %3 = known fact=\"y_scale\" : f32[]\n"
           "  %4 = store %3 name=\"y_scale\" graph=0 : f32[]\n"
           "  %5 = node %2, %4 op=DequantizeLinear name=\"y_dq\" graph=0 before=0\n"
           "  use %5 graph=0 node=0 slot=2\n  absorb graph=0 node=0 next=1\n" OWN_INPUT);
    expect(CONV NORM "Conv x k -> a /c/Conv\nBatchNormalization a g o m v -> y\n",
           DATA "on conv { quantize(weight = int8, input = int8) }\n", 17,
           "group \"y\"\n  %0 = value graph=0 name=\"y\"\n"
           "  %1 = known fact=\"y_bias\" : f32[16]\n"
           "  %2 = store %1 name=\"y_bias\" graph=0 : f32[16]\n"
           "  use %2 graph=0 node=0 slot=2\n  absorb graph=0 node=0 next=1\n" OWN_INPUT);
}

/* A stream that another serves is lowered once; names that the model has are not taken again. */
static void what_is_served_and_named(void **state) {
    (void)state;
    Lowered l =
        lowered("opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\n"
                "output z float 1 16 4 4\nweight k float 16 16 1 1\n"
                "weight x_scale float 16 16 1 1\nConv x k -> y /y/Conv\n"
                "MaxPool x -> p kernel_shape=2,2 strides=2,2\nConv p x_scale -> z /z/Conv\n",
                DATA "on conv { quantize(weight = int8 per channel, input = int8) }\n");
    assert_int_equal(l.w.plan->streams.len, 2);
    assert_int_equal(l.ir->groups.len, 1);
    assert_int_equal(l.facts->all.len, 2);
    assert_false(str_is(l.facts->all.at[0].name, "x_scale"));
    assert_true(str_starts(l.facts->all.at[0].name, STR("x_scale")));
    world_close(&l.w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_quantize_and_dequantize),
        cmocka_unit_test(factors),
        cmocka_unit_test(biases),
        cmocka_unit_test(what_is_served_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
