/* Rules on a model: who owns what, what each step comes to for each shape, what is refused and how,
 * sizes to the byte, expects with and without results. */
#include "tests/unit/world.h"

static const char mixed[] =
    "opset 21\ninput x float 8 64\ninput ids int64 8\ninput im float 1 3 9 9\noutput y float 8 40\n"
    "output e float 8 64\noutput c2 float 1 8 9 9\n"
    "weight wa float 64 64\nweight wb float16 64 96\nweight wc double 96 64\nweight wt float 40 "
    "64\n"
    "weight emb float 100 64\nweight k1 float 16 3 3 3\nweight k2 float 8 16 1 1\n"
    "MatMul x wa -> a /l.0/a/MatMul\nMatMul a wb -> b /l.0/b/MatMul\nMatMul b wc -> c "
    "/l.0/c/MatMul\n"
    "Relu c -> r /act/Relu\nGemm r wt -> y /head/Gemm transB=1\n"
    "Gather emb ids -> e /emb/Gather\nConv im k1 -> c1 /k1/Conv\nConv c1 k2 -> c2 /k2/Conv\n";

static int open_mixed(void **state) {
    World *w = malloc(sizeof *w);
    *w = world_text(mixed);
    *state = w;
    return 0;
}

static int close_mixed(void **state) {
    world_close(*state);
    free(*state);
    return 0;
}

static void accepted(World *w, const char *recipe) {
    if (!world_bind(w, recipe)) {
        fail_msg("%s\n%s", recipe, unit_diags(w->s));
    }
}

static void refused(World *w, const char *recipe, const char *code, const char *saying) {
    if (world_bind(w, recipe)) {
        fail_msg("accepted: %s", recipe);
    }
    world_diag(w, code);
    if (!strstr(unit_diags(w->s), saying)) {
        fail_msg("%s\ndoes not say \"%s\":\n%s", recipe, saying, unit_diags(w->s));
    }
}

static const PlanLayer *planned(const World *w, const char *path) {
    const Layer *layer = map_get(&w->layers->by_path, str_from(path));
    assert_non_null(layer);
    return plan_layer(w->plan, layer);
}

/* ---- owners */

static void test_phases_stack(void **state) {
    World *w = *state;
    accepted(w, "on linear { prune(2:4) }\non head { quantize(weight = int8) }\n");
    assert_int_equal(planned(w, "head")->prune, PRUNE_NM);
    assert_true(planned(w, "head")->quantized);
    assert_int_equal(planned(w, "head")->owner[0].rule_index, 0);
    assert_int_equal(planned(w, "head")->owner[1].rule_index, 1);
    assert_false(planned(w, "l.0.a")->quantized);
    assert_null(planned(w, "act"));
    assert_int_equal(w->plan->untouched, 2); /* the convolutions */
}

static void test_overlap(void **state) {
    World *w = *state;
    refused(w, "on linear { quantize(weight = int8) }\non \"l.0.*\" { quantize(weight = fp8) }\n",
            "E0401", "3 layers get two `encode` stacks");
    assert_non_null(strstr(unit_diags(w->s), "second rule: 3 layers, all of them taken above"));
    assert_non_null(strstr(unit_diags(w->s), "l.0.a, l.0.b, l.0.c"));
    assert_non_null(strstr(unit_diags(w->s), "override on \"l.0.*\" {"));
    assert_non_null(strstr(unit_diags(w->s), "on linear - \"l.0.*\" {"));
    refused(w, "on linear - head { quantize(weight = int8); }\non conv | \"l.0.a\" { skip }\n",
            "E0401", "1 layer is skipped by one rule and changed by another");
    assert_non_null(strstr(unit_diags(w->s), "on linear - (head | (conv | \"l.0.a\")) {"));
    refused(w,
            "on linear { prune(0.5); quantize(weight = int8) }\n"
            "on head { prune(0.2); quantize(weight = int8) }\n",
            "E0401", "1 layer gets two `edit` and two `encode` stacks");
    assert_int_equal(w->s->diags.errors, 1);
}

static void test_override(void **state) {
    World *w = *state;
    accepted(w, "on linear { prune(2:4); quantize(weight = int8) }\n"
                "override on head { quantize(weight = fp8) }\noverride on \"l.0.a\" { skip }\n");
    assert_str(str_from(planned(w, "head")->format.element->name), "e4m3");
    assert_int_equal(planned(w, "head")->prune, PRUNE_NM); /* phases it does not mention stay */
    assert_ptr_equal(planned(w, "head")->owner[1].overrode, w->plan->rules.at[0]);
    assert_true(planned(w, "l.0.a")->skip);
    assert_int_equal(planned(w, "l.0.a")->prune, PRUNE_NONE);
    assert_int_equal(planned(w, "l.0.a")->tensor, -1);
    refused(w, "on conv { quantize(weight = int8) }\noverride on head { skip }\n", "E0402",
            "no rule above owns its layer");
    refused(w, "override on head { skip }\non linear { quantize(weight = int8) }\n", "E0402",
            "put the `override` after that rule");
    assert_int_equal(w->s->diags.errors, 1);
    accepted(w, "on linear { quantize(weight = int8) }\noverride on linear[.k > 999]? { skip }\n");
}

/* ---- stages */

static void test_stages_compose(void **state) {
    World *w = *state;
    accepted(w, "stage a { on linear { prune(2:4) }\n override on head { prune(0.5) } }\n"
                "stage b { on linear - \"l.0.a\" { quantize(weight = int8)\n expect matches == 3\n"
                " expect .bits < 9 }\n on \"l.0.a\" { skip } }\n");
    const PlanLayer *head = planned(w, "head"), *a = planned(w, "l.0.a");
    assert_int_equal(head->prune, PRUNE_RATIO);
    assert_true(head->quantized);
    assert_int_equal(head->owner[0].stage, 0);
    assert_int_equal(head->owner[0].rule_index, 1);
    assert_ptr_equal(head->owner[0].overrode, w->plan->rules.at[0]);
    assert_int_equal(head->owner[1].stage, 1);
    assert_int_equal(head->owner[1].rule_index, 2);
    assert_str(plan_stage(w->plan, &head->owner[1]), "b");
    assert_int_equal(a->prune, PRUNE_NM); /* skipped by stage b only */
    assert_false(a->skip || a->quantized);
    assert_null(a->owner[1].rule);
    assert_int_equal(w->plan->tensors.len, 4);
    uint64_t size = w->plan->size;
    accepted(w, "on linear { prune(2:4) }\noverride on head { prune(0.5) }\n"
                "on linear - \"l.0.a\" { quantize(weight = int8) }\n");
    assert_int_equal(w->plan->size, size);
    assert_int_equal(plan_stage(w->plan, &planned(w, "head")->owner[1]).len, 0);
}

static void test_skip_in_stages(void **state) {
    World *w = *state;
    accepted(w,
             "stage a { on linear | \"act\" { skip } }\nstage empty {}\n"
             "stage b { on head { quantize(weight = int8) } }\nstage c { on linear { skip } }\n");
    assert_true(planned(w, "head")->quantized);
    assert_false(planned(w, "head")->skip);
    assert_null(planned(w, "head")->owner[0].rule);
    assert_int_equal(planned(w, "head")->owner[1].stage, 2);
    assert_true(planned(w, "l.0.b")->skip);
    assert_int_equal(planned(w, "l.0.b")->owner[1].stage, 0);
    assert_true(planned(w, "act")->skip);
    accepted(w, "stage a { on linear { quantize(weight = none) } }\n"
                "stage b { on linear { quantize(weight = int8) } }\n");
    assert_int_equal(planned(w, "head")->owner[1].stage, 1);
}

static void test_stages_refused(void **state) {
    World *w = *state;
    refused(w,
            "stage a { on linear { quantize(weight = int8) } }\n"
            "stage b { on head | conv { quantize(weight = int4) } }\n"
            "stage c { on head | conv { quantize(weight = fp8) } }\n",
            "E0405", "`quantize` needs float weights, but an earlier stage encodes 1 of these 3");
    assert_non_null(strstr(unit_diags(w->s), "on (head | conv) - linear {"));
    assert_non_null(strstr(unit_diags(w->s), "... and again by stage `c`"));
    assert_int_equal(w->s->diags.errors, 3); /* b: head; c: head of a, the convolutions of b */
    refused(w,
            "stage a { on head { quantize(weight = int8) } }\n"
            "stage b { on head { prune(0.5) } }\n",
            "E0405", "`prune` needs float weights, but an earlier stage encodes this layer");
    assert_non_null(strstr(unit_diags(w->s), "put the stage `b` above `a`"));
    refused(w, "stage a { on linear { prune(0.5) } }\nstage b { on linear { prune(2:4) } }\n",
            "E0001", "`prune` in two stages is not in this build");
    refused(w, "stage a { on linear { prune(0.5) } }\nstage b { override on head { skip } }\n",
            "E0402", "`override` is about the rules of its own stage");
    refused(w,
            "stage a { on linear { prune(0.5) } }\n"
            "stage b { on linear { quantize(weight = int8)\n expect matches == 5 } }\n",
            "E0901", "matches is 4, expected == 5");
}

static void test_no_weight(void **state) {
    World *w = *state;
    refused(w, "on Relu { quantize(weight = int8) }\n", "E0502", "`quantize` needs a weight");
    accepted(w, "on \"**\" - (conv | embedding) { quantize(weight = int8) }\n");
    assert_int_equal(w->plan->matched.at[0].count, 4);
    assert_int_equal(w->plan->passed_over.at[0], 1); /* the Relu */
    assert_null(planned(w, "act"));
    accepted(w, "on Relu { skip }\n");
    assert_true(planned(w, "act")->skip);
}

/* ---- formats */

static void expect_format(const World *w, const char *path, KernelGranule granule, int axis,
                          int64_t block, uint64_t stored) {
    const PlanLayer *p = planned(w, path);
    assert_true(p->quantized);
    assert_int_equal(p->format.granule, granule);
    assert_int_equal(p->format.axis, axis);
    assert_int_equal(p->format.block, block);
    assert_int_equal(p->stored, stored);
    assert_int_equal(w->plan->tensors.at[p->tensor].tensor == p->layer->weight, 1);
}

static void test_granules_and_sizes(void **state) {
    World *w = *state;
    accepted(w, "on linear | embedding | conv { quantize(weight = int8 per channel) }\n");
    expect_format(w, "l.0.a", GRANULE_CHANNEL, 1, 0, 64 * 64 + 64 * 4);
    expect_format(w, "l.0.b", GRANULE_CHANNEL, 1, 0, 64 * 96 + 96 * 2); /* float16 scales */
    expect_format(w, "l.0.c", GRANULE_CHANNEL, 1, 0, 96 * 64 + 64 * 4); /* float32 for double */
    expect_format(w, "head", GRANULE_CHANNEL, 0, 0, 40 * 64 + 40 * 4);
    expect_format(w, "emb", GRANULE_CHANNEL, 0, 0, 100 * 64 + 100 * 4);
    expect_format(w, "k1", GRANULE_CHANNEL, 0, 0, 16 * 27 + 16 * 4);
    accepted(w, "on linear { quantize(weight = uint4 per block(max = 128)) }\n");
    expect_format(w, "l.0.a", GRANULE_BLOCK, 0, 64, 2048 + 64 * 4 + 32);
    expect_format(w, "l.0.c", GRANULE_BLOCK, 0, 32, 3072 + 192 * 4 + 96);
    expect_format(w, "head", GRANULE_BLOCK, 1, 64, 1280 + 40 * 4 + 20);
    accepted(w, "on linear { quantize(weight = nvfp4) }\n");
    expect_format(w, "l.0.a", GRANULE_BLOCK, 0, 16, 2048 + 256 + 4);
    assert_true(planned(w, "l.0.a")->format.super);
    accepted(w, "on linear { quantize(weight = mxfp8) }\n");
    expect_format(w, "l.0.a", GRANULE_BLOCK, 0, 32, 4096 + 128);
    assert_str(str_from(planned(w, "l.0.a")->format.scale->name), "e8m0");
    accepted(w, "on linear { quantize(weight = int2, method = mse) }\n");
    expect_format(w, "l.0.a", GRANULE_TENSOR, 0, 0, 1024 + 4);
    assert_int_equal(planned(w, "l.0.a")->format.method, METHOD_MSE);
    accepted(w, "on head { quantize(weight = int4 per block(48, tail = short)) }\n");
    expect_format(w, "head", GRANULE_BLOCK, 1, 48, 1280 + 80 * 4);
    assert_true(w->plan->bits == 5.0);
    accepted(w, "on head { quantize(weight = none) }\n");
    assert_false(planned(w, "head")->quantized);
}

static void test_shapes_refused(void **state) {
    World *w = *state;
    refused(w, "on linear { quantize(weight = int4 per block(64)) }\n", "E0501",
            "block 64 does not divide the input width of 1 layer");
    assert_non_null(strstr(unit_diags(w->s), "l.0.c   k = 96 = 1 x 64 + 32"));
    assert_non_null(strstr(unit_diags(w->s), "override on linear[.k % 64 != 0] { skip }"));
    refused(w, "on linear | conv { quantize(weight = nvfp4) }\n", "E0501", "of 1 layer");
    assert_non_null(strstr(unit_diags(w->s), "k1   input channels per group = 3"));
    refused(w, "on conv { quantize(weight = int8 per block(max = 64)) }\n", "E0501",
            "no block of 16 to 64 divides the number of input channels");
    refused(w, "on conv { prune(2:4) }\n", "E0505", "2:4 does not divide");
    accepted(w, "on \"k2\" { prune(2:4) }\n");
    refused(w, "on linear { quantize(weight = int4 per block(64)) }\non conv { prune(2:4) }\n",
            "E0505", "k1");
    assert_int_equal(w->s->diags.errors, 2); /* all of one moment together */
}

static void test_encoded_weights(void **state) {
    (void)state;
    World w = world_text("input x float 8 64\noutput y float 8 8\n"
                         "weight b uint8 64 1 32\nweight s float 64 1\nweight f float 64 8\n"
                         "MatMulNBits x b s -> a /a domain=com.microsoft K=64 N=64 bits=4 "
                         "block_size=64\n"
                         "MatMul a f -> y /b\n");
    refused(&w, "on linear {\n  prune(2:4) }\n", "E0405",
            "`prune` needs float weights, but 1 of these 2 layers is already packed");
    assert_non_null(strstr(unit_diags(w.s), "a is `MatMulNBits` (4 bits, block 64) in m.onnx"));
    accepted(&w, "on linear { prune(2:4) }\noverride on \"a\" { skip }\n");
    world_close(&w);
}

/* ---- shared weights */

static const char tied[] = "input ids int64 4\noutput y float 4 32\noutput z float 4 32\n"
                           "weight emb float 32 64\nweight w float 64 64\n"
                           "Gather emb ids -> e /emb/Gather\nMatMul e w -> h /l/MatMul\n"
                           "Transpose emb -> t /head/Transpose perm=1,0\n"
                           "MatMul h t -> y /head/MatMul\nMatMul e t2 -> z /other/MatMul\n"
                           "weight t2 float 64 32\n";

static void test_shared_weights(void **state) {
    (void)state;
    World w = world_text(tied);
    accepted(&w, "on embedding | head { quantize(weight = int8 per channel) }\n");
    assert_int_equal(w.plan->tensors.len, 2); /* emb, and the other head's own */
    const PlanTensor *shared = &w.plan->tensors.at[planned(&w, "emb")->tensor];
    assert_int_equal(shared->layers.len, 2);
    assert_false(shared->kept_float);
    assert_int_equal(w.plan->size_before, 2 * 32 * 64 * 4);
    accepted(&w, "on head { quantize(weight = int8 per channel) }\n");
    assert_true(w.plan->tensors.at[planned(&w, "head")->tensor].kept_float);
    assert_int_equal(w.plan->size_after, (32 * 64 + 32 * 4) + (32 * 64 + 32 * 4) + 32 * 64 * 4);
    refused(&w, "on embedding { quantize(weight = int8) }\non head { quantize(weight = int4) }\n",
            "E0408", "two layers share the weight emb, and two rules own it");
    assert_non_null(strstr(unit_diags(w.s), "on embedding | head {"));
    refused(&w, "on head { prune(0.5) }\n", "E0408",
            "pruning head would also change a node that shares its weight");
    accepted(&w, "on head | embedding { prune(0.5) }\n");
    world_close(&w);
}

static void test_siblings(void **state) {
    (void)state;
    World w = world_text("input x float 1 64\noutput y float 1 64\nweight a float 64 64\n"
                         "weight b float 64 64\nweight c float 64 64\nMatMul x a -> q /q/MatMul\n"
                         "MatMul x b -> k /k/MatMul\nAdd q k -> s /s/Add\n"
                         "MatMul s c -> y /o/MatMul\n");
    accepted(&w, "on \"{q,o}\" { quantize(weight = int8) }\non \"k\" { quantize(weight = fp8) }\n");
    assert_int_equal(w.s->diags.warnings, 1);
    world_diag(&w, "W0409");
    assert_non_null(strstr(unit_diags(w.s), "2 layers that read the same inputs"));
    accepted(&w, "on \"{q,k}\" { quantize(weight = int8) }\non \"o\" { quantize(weight = fp8) }\n");
    assert_int_equal(w.s->diags.warnings, 0);
    accepted(&w, "on \"q\" { quantize(weight = int8) }\non \"k\" { quantize(weight = int8) }\n");
    assert_int_equal(w.s->diags.warnings, 0); /* two rules, one format */
    world_close(&w);
}

/* ---- targets and opsets */

static void test_targets(void **state) {
    World *w = *state;
    refused(w, "target sm_75\non linear { prune(2:4) }\n", "E0503",
            "sm_75 has no 2:4 sparse tensor cores");
    refused(w, "target sm_90\non linear { prune(4:8) }\n", "E0503", "no GPU skips these zeros");
    accepted(w, "target sm_90\non linear { prune(2:4); quantize(weight = nvfp4) }\n");
    accepted(w, "target sm_75\non linear { prune(0.5); quantize(weight = fp8) }\n");
    accepted(w, "on linear { prune(4:8) }\n"); /* nobody said where it will run */
}

static void test_opsets(void **state) {
    World *w = *state;
    accepted(w, "on linear { quantize(weight = nvfp4) }\n");
    assert_int_equal(w->plan->opset, 23);
    accepted(w, "on linear { quantize(weight = mxfp4) }\n");
    assert_int_equal(w->plan->opset, 24);
    accepted(w, "emit qdq(opset = 25)\non linear { quantize(weight = int8) }\n");
    assert_int_equal(w->plan->opset, 25);
    refused(w, "emit qdq(opset = 22)\non linear { quantize(weight = nvfp4) }\n", "E0504",
            "needs opset 23 or later");
    refused(w, "emit qdq(opset = 20)\non linear { quantize(weight = int8) }\n", "E0504",
            "this model is at opset 21 already");
    World old = world_text("opset 11\ninput x float 1 3 8 8\noutput y float 1 8 8 8\n"
                           "weight w float 8 3 1 1\nweight h float16 8 3 1 1\n"
                           "Conv x w -> y /k\nConv x h -> z /h\n");
    static const struct {
        const char *format;
        int64_t opset;
    } rows[] = {{"int8", 11}, {"int8 per channel", 13}, {"fp8", 19}, {"int4", 21}, {"int2", 25}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Str recipe =
            str_format(old.s->arena, "on \"k\" { quantize(weight = %s) }\n", rows[i].format);
        accepted(&old, str_c(old.s->arena, recipe));
        assert_int_equal(old.plan->opset, rows[i].opset);
    }
    accepted(&old, "on \"h\" { quantize(weight = int8) }\n");
    assert_int_equal(old.plan->opset, 19); /* float16 scales */
    world_close(&old);
}

/* ---- expects */

static void test_static_expects(void **state) {
    World *w = *state;
    accepted(w,
             "on linear { quantize(weight = int8)\n expect matches == 4\n expect .bits <= 8.1 }\n"
             "expect count(linear) == 4 and bits <= 8.1\nexpect bits(all) < 20\n"
             "expect size < 1 MiB\n");
    refused(w, "on linear { quantize(weight = int8)\n expect matches == 5 }\n", "E0901",
            "matches is 4, expected == 5");
    refused(w, "on linear { quantize(weight = int8)\n expect .bits <= 8.004 }\n", "E0901",
            "not met by 3 of 4 layers");
    refused(w, "on linear { quantize(weight = int8) }\nexpect size < 1 KiB, \"must fit\"\n",
            "E0901", "expected < 1.0 KiB");
    assert_non_null(strstr(unit_diags(w->s), "must fit"));
    refused(w, "on linear { quantize(weight = int8) }\nexpect count(\"nobody\") == 0\n", "E0301",
            "\"nobody\"");
    accepted(w, "on linear { quantize(weight = int8)\n expect .cosine > 2 }\n"); /* after the run */
}

static void test_measured_expects(void **state) {
    World *w = *state;
    accepted(w, "on linear { prune(2:4); quantize(weight = int8)\n expect .cosine >= 0.99 }\n"
                "expect sparsity(linear) >= 0.5\n");
    LayerResult results[4];
    memset(results, 0, sizeof results);
    for (int i = 0; i < 4; i++) {
        int64_t count = w->plan->layers_planned.at[i].layer->params;
        results[i].metrics = (KernelMetrics){.ww = 4,
                                             .wq = i == 2 ? 3 : 3.999,
                                             .qq = 4,
                                             .ee = i == 2 ? 1 : 0.01,
                                             .max_error = 0.5,
                                             .zeros = count / 2,
                                             .count = count};
        layer_result_finish(&results[i]);
    }
    assert_true(results[0].cosine > 0.9997 && results[0].cosine < 0.9998);
    assert_true(results[2].sqnr > 6.0 && results[2].sqnr < 6.1);
    assert_true(results[1].sparsity > 0.499);
    assert_false(plan_check_results(w->s, w->plan, results, NULL));
    const char *said = unit_diags(w->s);
    assert_non_null(strstr(said, "expectation failed: .cosine is 0.75, expected >= 0.99"));
    assert_non_null(strstr(said, "not met by 1 of 4 layers"));
    assert_non_null(strstr(said, "l.0.c         0.7500   6.0 dB   0.50      97%"));
    assert_int_equal(w->s->diags.errors, 1); /* the sparsity holds */
    results[2] = (LayerResult){.metrics = {.ww = 4, .wq = 4, .qq = 4, .count = 10, .zeros = 0}};
    layer_result_finish(&results[2]);
    assert_true(results[2].cosine == 1.0 && results[2].sqnr > 1e300);
    diags_clear(&w->s->diags);
    assert_false(plan_check_results(w->s, w->plan, results, NULL)); /* now the sparsity does not */
    assert_non_null(strstr(unit_diags(w->s), "sparsity(linear)"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases_stack),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_override),
        cmocka_unit_test(test_stages_compose),
        cmocka_unit_test(test_skip_in_stages),
        cmocka_unit_test(test_stages_refused),
        cmocka_unit_test(test_no_weight),
        cmocka_unit_test(test_granules_and_sizes),
        cmocka_unit_test(test_shapes_refused),
        cmocka_unit_test(test_encoded_weights),
        cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_siblings),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_opsets),
        cmocka_unit_test(test_static_expects),
        cmocka_unit_test(test_measured_expects),
    };
    return cmocka_run_group_tests(tests, open_mixed, close_mixed);
}
