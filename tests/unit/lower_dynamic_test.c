/* lower_dynamic: what the graph gets for scales that are found at run time. Where the scale goes,
 * what the constants hold, which opset; no rule of placement that needs data acts. Numbers are
 * checked end to end, by ONNX Runtime. */
#include "compiler/facts.h"
#include "compiler/lower.h"
#include "tests/unit/world.h"

#define MODEL                                                                                      \
    "opset 13\ninput x float 4 32\noutput y float 4 16\noutput z float 4 16\n"                     \
    "weight w float 32 16\nweight v float 32 16\nweight b float 16\n"                              \
    "MatMul x w -> y /y/MatMul\nGemm x v b -> z /z/Gemm\n"

typedef struct Lowered {
    World w;
    Ir *ir;
    Facts *facts;
    const IrGroup *group; /* of x */
} Lowered;

static Lowered lowered(const char *model, const char *recipe) {
    Lowered l = {.w = world_text(model)};
    if (!world_bind(&l.w, recipe)) {
        fail_msg("%s", unit_diags(l.w.s));
    }
    assert_null(l.w.plan->data);
    l.facts = facts_make(l.w.s->arena);
    assert_true(lower(l.w.s, l.w.plan, l.facts, &l.ir));
    for (size_t i = 0; i < l.ir->groups.len; i++) {
        if (str_is(l.ir->groups.at[i]->name, "x")) {
            l.group = l.ir->groups.at[i];
        }
    }
    assert_non_null(l.group);
    return l;
}

/* The node op that makes what is called `name`; NULL: there is none. */
static const IrOp *made(const Lowered *l, const char *name) {
    for (size_t i = 0; i < l->group->ops.len; i++) {
        const IrOp *op = l->group->ops.at[i];
        if (op->info == IR_OP(node) && str_is(ir_text(op, "name"), name)) {
            return op;
        }
    }
    return NULL;
}

/* What input `slot` of node `number` reads. */
static Str read_by(const Lowered *l, int number, int slot) {
    for (size_t i = 0; i < l->group->ops.len; i++) {
        const IrOp *op = l->group->ops.at[i];
        if (op->info == IR_OP(use) && ir_int(op, "node", -1) == number &&
            ir_int(op, "slot", -1) == slot) {
            return ir_text(op->args.at[0]->op, "name");
        }
    }
    return (Str){0};
}

static const Fact *fact(const Lowered *l, const char *name) {
    const int number = facts_find(l->facts, str_from(name));
    assert_true(number >= 0);
    const Fact *found = &l->facts->all.at[number];
    assert_int_equal(found->kind, FACT_FIXED);
    return found;
}

static float float_of(const Lowered *l, const char *name) {
    assert_int_equal(fact(l, name)->size, sizeof(float));
    float x;
    memcpy(&x, fact(l, name)->bytes, sizeof x);
    return x;
}

static void constants(void **state) {
    (void)state;
    static const struct {
        const char *emit, *element;
        float top;
        int type;
        uint8_t zero;
    } rows[] = {
        {"", "int8", 127.0f, 3, 0},
        {"emit ort\n", "int8", 127.0f, 2, 128},
        {"", "fp8", 448.0f, 17, 0},
        {"emit ort\n", "fp8", 448.0f, 17, 0},
        {"", "e5m2", 57344.0f, 19, 0},
        {"", "uint8", 255.0f, 2, 0},
        {"emit ort\n", "uint8", 255.0f, 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char recipe[256];
        snprintf(recipe, sizeof recipe,
                 "%son linear { quantize(weight = int8, input = %s per token dynamic) }",
                 rows[i].emit, rows[i].element);
        Lowered l = lowered(MODEL, recipe);
        assert_true(float_of(&l, "x_top") == rows[i].top);
        assert_true(float_of(&l, "x_least") == 0x1p-126f);
        assert_true(float_of(&l, "x_one") == 1.0f);
        assert_int_equal(fact(&l, "x_zp")->type, rows[i].type);
        assert_int_equal(fact(&l, "x_zp")->size, 1);
        assert_int_equal(*(const uint8_t *)fact(&l, "x_zp")->bytes, rows[i].zero);
        int64_t axis;
        assert_int_equal(fact(&l, "x_axis")->size, sizeof axis);
        memcpy(&axis, fact(&l, "x_axis")->bytes, sizeof axis);
        assert_int_equal(axis, -1);
        world_close(&l.w);
    }
}

/* Behind the product, in front of the layer with a bias of its own. */
static void where_the_scale_goes(void **state) {
    (void)state;
    static const char *const forms[] = {"int8 per token dynamic", "int8 dynamic", "fp8 dynamic"};
    for (int i = 0; i < 3; i++) {
        char recipe[256];
        snprintf(recipe, sizeof recipe, "on linear { quantize(weight = int8, input = %s) }",
                 forms[i]);
        Lowered l = lowered(MODEL, recipe);
        assert_true(str_is(read_by(&l, 0, 0), "x_dq") && str_is(read_by(&l, 1, 0), "x_back"));
        const IrOp *behind = made(&l, "y_scaled");
        assert_non_null(behind);
        assert_null(made(&l, "z_scaled"));
        assert_int_equal(ir_int(behind, "behind", -1), 0);
        assert_true(ir_is(behind, "op", "Mul") && str_is(ir_text(behind, "output"), "y"));
        assert_ptr_equal(behind->args.at[0]->op->info, IR_OP(rename));
        assert_true(str_is(ir_text(behind->args.at[1]->op, "name"), "x_scale"));
        assert_int_equal(ir_int(made(&l, "x_amax"), ".keepdims", -1), i == 0);
        assert_int_equal(made(&l, "x_amax")->args.len, i == 0 ? 2 : 1);
        world_close(&l.w);
    }
}

static void zero_points(void **state) {
    (void)state;
    Lowered l = lowered(MODEL, "on linear { quantize(weight = int8, input = uint8 dynamic) }");
    assert_true(str_is(read_by(&l, 0, 0), "x_dq") && str_is(read_by(&l, 1, 0), "x_dq"));
    assert_true(str_is(ir_text(made(&l, "x_q")->args.at[2]->op, "op"), "Cast"));
    assert_int_equal(ir_int(made(&l, "x_zp"), ".to", -1), 2);
    assert_null(made(&l, "y_scaled"));
    world_close(&l.w);
    l = lowered(MODEL, "on linear { quantize(weight = int8, input = uint8 per token dynamic) }");
    assert_true(str_is(read_by(&l, 0, 0), "x_back") && str_is(read_by(&l, 1, 0), "x_back"));
    world_close(&l.w);
}

static void opsets(void **state) {
    (void)state;
    static const struct {
        const char *form;
        int64_t opset;
    } rows[] = {{"int8 dynamic", 13},
                {"int8 per token dynamic", 18},
                {"fp8 dynamic", 19},
                {"uint8 per token dynamic", 18}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char recipe[256];
        snprintf(recipe, sizeof recipe, "on linear { quantize(weight = int8, input = %s) }",
                 rows[i].form);
        Lowered l = lowered(MODEL, recipe);
        assert_int_equal(l.ir->opset, rows[i].opset);
        assert_int_equal(l.w.plan->opset, rows[i].opset);
        world_close(&l.w);
    }
}

/* They would leave a bias, or a scale, for data to decide. */
static void no_rule_of_placement_acts(void **state) {
    (void)state;
    static const char *const models[] = {
        "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 16 3 3\n"
        "weight g float 16\nweight o float 16\nweight m float 16\nweight v float 16\n"
        "Conv x k -> a pads=1,1,1,1\nBatchNormalization a g o m v -> y\n",
        "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 16 3 3\n"
        "Conv x k -> a pads=1,1,1,1\nAdd x a -> y\n",
        "opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\nweight k float 16 16 1 1\n"
        "weight l float 16 16 1 1\nMaxPool x -> p kernel_shape=1,1\nConv x k -> a\nConv p l -> c\n"
        "Add a c -> y\n",
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        Lowered l = lowered(models[i], "on conv { quantize(weight = int8, input = int8 dynamic) }");
        assert_int_equal(l.w.plan->placed.len, 0);
        for (size_t k = 0; k < l.facts->all.len; k++) {
            assert_int_equal(l.facts->all.at[k].kind, FACT_FIXED);
        }
        world_close(&l.w);
    }
}

static void refused(void **state) {
    (void)state;
    static const struct {
        const char *recipe, *why;
    } rows[] = {
        {"on conv { quantize(weight = int8, input = int8 per token dynamic) }", "a token is a row"},
        {"on conv { quantize(weight = int8, input = int8 per channel dynamic) }",
         "found at run time are `per tensor dynamic`"},
        {"on conv { quantize(weight = int8, input = int4 dynamic) }", "8 bits"},
        {"on conv { quantize(weight = int8, input = int8 dynamic, bias = int32) }",
         "found at run time"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        World w = world_text("opset 17\ninput x float 1 16 8 8\noutput y float 1 16 8 8\n"
                             "weight k float 16 16 3 3\nweight b float 16\n"
                             "Conv x k b -> y pads=1,1,1,1\n");
        assert_false(world_bind(&w, rows[i].recipe));
        world_diag(&w, "E0507");
        assert_non_null(strstr(unit_diags(w.s), rows[i].why));
        world_close(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants),
        cmocka_unit_test(where_the_scale_goes),
        cmocka_unit_test(zero_points),
        cmocka_unit_test(opsets),
        cmocka_unit_test(no_rule_of_placement_acts),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
