/* receipt: what is written, of a plan without data and with it; what is read back, also from
 * receipts that others have written. */
#include "compiler/receipt.h"
#include "tests/unit/world.h"

static const char model[] =
    "opset 21\ninput x float 4 64\noutput y float 4 32\nweight w float 64 32\n"
    "MatMul x w -> y /l/MatMul\n";

#define DATA "data d = random(seed = 0)\ncalibrate(data = d)\n"

static World bound(const char *recipe) {
    World w = world_text(model);
    if (!world_bind(&w, recipe)) {
        fail_msg("%s", unit_diags(w.s));
    }
    return w;
}

static void has(const Buf *text, const char *part) {
    if (!strstr(text->data, part)) {
        fail_msg("no %s in:\n%s", part, text->data);
    }
}

static void what_is_written(void **state) {
    (void)state;
    World w =
        bound("param n: int = 32\non linear { prune(2:4)\nquantize(weight = int4 per block(n)) "
              "}\n");
    Buf b = buf_on(w.s->arena);
    receipt_json(w.plan, NULL, &b);
    has(&b, "{\"morc\": \"" MORC_VERSION "\",\n \"recipe\": \"sha256:");
    has(&b, ",\n \"params\": {\"n\": \"32\"},\n \"emit\": \"qdq\",\n \"layers\": [\n  {\"path\": "
            "\"l\", "
            "\"prune\": \"2:4\", \"weight\": \"int4 per block(32)\", \"axis\": 0, \"method\": "
            "\"max\"}]}\n");
    assert_null(strstr(b.data, "engine"));
    assert_null(strstr(b.data, "samples"));
    world_close(&w);
    w = bound(DATA "on linear { smooth\nquantize(weight = int8, input = int8, round = gptq) }\n");
    uint8_t hash[32];
    for (int i = 0; i < 32; i++) {
        hash[i] = (uint8_t)(i * 9);
    }
    b = buf_on(w.s->arena);
    receipt_json(w.plan, &(ReceiptData){hash, 16, STR("an \"engine\" 1.2")}, &b);
    has(&b,
        "\"data\": \"sha256:0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17\",\n"
        " \"samples\": 16,\n \"engine\": \"an \\\"engine\\\" 1.2\",\n");
    has(&b, "\"round\": \"gptq\", \"input\": \"int8, smooth\"}");
    world_close(&w);
}

static ReceiptSummary summary(World *w, const char *text) {
    ReceiptSummary r;
    Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT,
                                 *entries[] = {&entry};
    Onnx__ModelProto proto = *w->model->proto;
    entry.key = "mor.receipt";
    entry.value = (char *)(uintptr_t)text;
    proto.n_metadata_props = 1;
    proto.metadata_props = entries;
    Model copy = *w->model;
    copy.proto = &proto;
    assert_true(receipt_read(w->s->arena, &copy, &r));
    Buf b = buf_on(w->s->arena);
    receipt_print(&copy, &b);
    assert_true(b.len > 0 && b.data[b.len - 1] == '\n');
    for (size_t i = 0; i + 1 < b.len; i++) {
        assert_true((unsigned char)b.data[i] >= ' ');
    }
    return r;
}

static void what_is_read(void **state) {
    (void)state;
    World w = bound(DATA "on linear { quantize(weight = int8, input = int8) }\n");
    ReceiptSummary r;
    Buf b = buf_on(w.s->arena);
    assert_false(receipt_read(w.s->arena, w.model, &r));
    receipt_print(w.model, &b);
    assert_int_equal(b.len, 0);
    static const uint8_t hash[32];
    receipt_json(w.plan, &(ReceiptData){hash, 16, STR("engine 1.2")}, &b);
    r = summary(&w, b.data);
    assert_true(r.readable);
    assert_str(r.morc, MORC_VERSION);
    assert_true(str_starts(r.data, STR("sha256:00000000")));
    assert_int_equal(r.samples, 16);
    assert_str(r.engine, "engine 1.2");
    b.len = 0;
    receipt_json(w.plan, NULL, &b);
    r = summary(&w, b.data);
    assert_true(r.readable && r.data.len == 0 && r.samples == -1 && r.engine.len == 0);
    world_close(&w);
}

static void what_others_wrote(void **state) {
    (void)state;
    World w = bound("on linear { quantize(weight = int8) }\n");
    static const char *const unreadable[] = {"",        "{", "[1]", "7", "null", "{\"morc\": }",
                                             "\xff\xfe"};
    for (size_t i = 0; i < sizeof unreadable / sizeof *unreadable; i++) {
        assert_false(summary(&w, unreadable[i]).readable);
    }
    static const char *const odd[] = {"-7", "1e300", "\"3\"", "[]", "null", "{}"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const Str text =
            str_format(w.s->arena, "{\"morc\": 1, \"data\": \"x\", \"samples\": %s}", odd[i]);
        const ReceiptSummary r = summary(&w, text.data);
        assert_true(r.readable && r.morc.len == 0 && r.samples == -1);
    }
    const ReceiptSummary r =
        summary(&w, "{\"morc\": \"\\u001b[31m\\n\", \"data\": \"d\", \"engine\": "
                    "\"\\u0007\"}");
    assert_str(r.morc, "\\x1b[31m\\x0a");
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written),
        cmocka_unit_test(what_is_read),
        cmocka_unit_test(what_others_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
