/* Plans as text and the tables of inspect and explain; the table of targets against the document.
 */
#include "tests/unit/world.h"
#include "compiler/targets.h"

static const char model[] = "input x float 1 64\noutput y float 1 32\n"
                            "weight w float 64 64\nweight h float 64 32\n"
                            "MatMul x w -> a /l.0/up/MatMul\nMatMul a w -> b /l.1/up/MatMul\n"
                            "MatMul b w -> c /l.2/\"up/MatMul\nMatMul c h -> y /head/MatMul\n";

static const char recipe[] = "on linear - head {\n  prune(2:4)\n"
                             "  quantize(weight = int4 per block(max = 128))\n}\n"
                             "override on \"l.1.up\" | \"l.0.up\" | \"l.2.*\" {\n"
                             "  quantize(weight = int8 per channel, method = mse)\n}\n";

static World bound(void) {
    World w = world_text(model);
    if (!world_bind(&w, recipe)) {
        fail_msg("%s", unit_diags(w.s));
    }
    return w;
}

static void has(const Buf *text, const char *part) {
    if (!strstr(text->data, part)) {
        fail_msg("no \"%s\" in:\n%s", part, text->data);
    }
}

static void test_dump(void **state) {
    (void)state;
    World w = bound();
    Buf b = buf_on(w.s->arena);
    plan_dump(w.plan, &b);
    has(&b, "rule 1 on linear - head\n  matches 3 passed over 0\n");
    has(&b,
        "layer l.0.up\n  op MatMul k 64 n 64\n  edit by rule 1\n  encode by rule 2 over rule 1\n"
        "  prune 2:4 axis 0\n  quantize int8 per channel axis 1 method mse\n"
        "  tensor 0 bits 8.5000 stored 4352\n");
    has(&b, "tensor 0 w float32 64x64\n");
    has(&b, "total bits 8.5000 before 16384 after 4352 untouched 1 opset 21\n");
    world_close(&w);
}

static void test_print(void **state) {
    (void)state;
    World w = bound();
    Buf b = buf_on(w.s->arena);
    plan_print(w.plan, &b);
    has(&b, "m.onnx: 4 nodes, opset 21\n");
    has(&b, "linear - head");
    has(&b, "overrides line 1");
    has(&b, "l.{0,1}.up, l.2.\"up");
    has(&b, "2:4 int8 per channel, mse");
    has(&b, "untouched  head");
    has(&b, "8.50 bits over 1 weight tensor · 16.0 KiB -> 4.2 KiB · opset 21\n");
    diags_clear(&w.s->diags);
    assert_true(world_bind(&w, "on (\"nobody\")? { skip }\n"));
    b.len = 0;
    plan_print(w.plan, &b);
    has(&b, "matches nothing in this model");
    world_close(&w);
}

static void test_json(void **state) {
    (void)state;
    World w = bound();
    Buf b = buf_on(w.s->arena);
    plan_json(w.plan, &b);
    has(&b, "{\"type\":\"plan\",\"path\":\"l.0.up\",\"op\":\"MatMul\",\"k\":64,\"n\":64,"
            "\"weights\":4096,\"edit\":\"r.mor:1\",\"encode\":\"r.mor:5\","
            "\"weight\":\"2:4 int8 per channel, mse\",\"input\":\"none\",\"bits\":8.5,\"stored\":4352}\n");
    has(&b, "\"path\":\"l.2.\\\"up\"");
    world_close(&w);
}

static void test_explain(void **state) {
    (void)state;
    World w = bound();
    Buf b = buf_on(w.s->arena);
    assert_true(plan_explain(w.s, w.plan, STR("l.1.up"), &b));
    has(&b, "edit     prune(2:4)\n         r.mor:1  on linear - head\n");
    has(&b, "instead of r.mor:1  on linear - head");
    has(&b, "int8, one scale for each output channel, scales float32, found by mse");
    b.len = 0;
    assert_true(plan_explain(w.s, w.plan, STR("head"), &b));
    has(&b, "left as it is: no rule selects it");
    assert_false(plan_explain(w.s, w.plan, STR("l.1.upp"), &b));
    assert_non_null(strstr(unit_diags(w.s), "did you mean `l.1.up`?"));
    diags_clear(&w.s->diags);
    assert_false(plan_explain(w.s, w.plan, STR("/head/MatMul"), &b));
    assert_non_null(strstr(unit_diags(w.s), "the node of that name is the layer `head`"));
    world_close(&w);
}

static void test_inspect(void **state) {
    (void)state;
    World w = world_file(MORC_SOURCE_DIR "/tests/models/pylm-1m/model.onnx");
    Buf b = buf_on(w.s->arena);
    layers_print(w.layers, NULL, &b);
    has(&b, "model.model.embed_tokens");
    has(&b, "name_scopes");
    has(&b, "node_linear_28");
    has(&b, "4 blocks (model.model.layers.N)");
    b.len = 0;
    LayerSet none = set_none(w.s, w.layers);
    layers_print(w.layers, &none, &b);
    assert_string_equal(b.data, "0 layers, 0 weights; 4 blocks (model.model.layers.N)\n");
    world_close(&w);
}

/* docs/formats.md holds the table as targets.list has it. */
static void test_targets_are_documented(void **state) {
    (void)state;
    Arena *arena = arena_open();
    Buf table = buf_on(arena);
    targets_print(&table);
    char *document = unit_read(MORC_SOURCE_DIR "/docs/formats.md", NULL);
    assert_non_null(document);
    if (!strstr(document, table.data)) {
        fail_msg("docs/formats.md does not hold this table:\n%s", table.data);
    }
    free(document);
    assert_string_equal(target_info(90)->generation, "Hopper");
    assert_null(target_info(91));
    assert_int_equal(target_first_for_input(STR("e2m1")), 100);
    assert_int_equal(target_first_for_input(STR("int4")), 0);
    assert_int_equal(target_first_for_pattern(2, 4), 80);
    assert_int_equal(target_first_for_pattern(4, 8), 0);
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump),    cmocka_unit_test(test_print),
        cmocka_unit_test(test_json),    cmocka_unit_test(test_explain),
        cmocka_unit_test(test_inspect), cmocka_unit_test(test_targets_are_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
