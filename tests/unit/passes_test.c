/* passes, infer, emit and every pass on one IR text; golden/pass has a pair for each pass alone. */
#include "tests/unit/unit.h"
#include "compiler/ir_text.h"
#include "compiler/passes.h"
#include "compiler/verify.h"

static Source *text_of(Session *s, const char *text) {
    return source_make(s->arena, STR("x.ir"), str_from(text), true);
}

static const Pass *pass_named(const char *name) {
    const Pass *pass = passes;
    while (strcmp(pass->name, name) != 0) {
        pass++;
    }
    return pass;
}

#define LAYER "layer %0 path=\"a.b\" op=MatMul graph=0 node=7 slot=1 before=5 plan=3 " \
              "plain=yes activation=\"x\"\n"

/* Runs all passes on a group of one f32[64, 6] weight with these lines; the printed result. */
static const char *run(Session *s, const char *emit, const char *lines) {
    Str text = str_format(s->arena,
                          "mor.ir 1\nopset 17 -> 17\nemit %s\ngroup \"w\"\n"
                          "%%0 = weight graph=0 uses=1 : f32[64, 6]\n%s%s",
                          emit, LAYER, lines);
    Ir *ir;
    Buf out = buf_on(s->arena);
    if (!ir_parse(s, text_of(s, text.data), &ir) || !passes_run(s, ir, STR("order"), &out)) {
        return unit_diags(s);
    }
    return out.data;
}

static void check(const char *emit, const char *lines, const char *const expected[]) {
    Session *s = session_open(&sys_real);
    const char *out = run(s, emit, lines);
    for (int i = 0; expected[i]; i++) {
        if (!strstr(out, expected[i])) {
            fail_msg("no `%s` in:\n%s", expected[i], out);
        }
    }
    session_close(s);
}
#define CHECK(emit, lines, ...) check(emit, lines, (const char *const[]){__VA_ARGS__, NULL})

#define ENCODED(format, granule, type)                                                             \
    "%1 = scale %0 format=" format " granule=" granule " method=max type=" type "\n"               \
    "%2 = encode %0, %1 format=" format "\n"

/* The least opset for each kind of node: DequantizeLinear's history. */
static void opset_rises_only_as_far_as_the_format_needs(void **state) {
    (void)state;
    CHECK("qdq", ENCODED("int8", "tensor", "f32"), "opset 17 -> 17\n", "op=DequantizeLinear");
    CHECK("qdq", ENCODED("int8", "channel axis=1", "f32"), "opset 17 -> 17\n", ".axis=1 :");
    CHECK("qdq", ENCODED("int8", "block axis=0 block=32", "f32"), "opset 17 -> 21\n",
          ".axis=0 .block_size=32");
    CHECK("qdq", ENCODED("e4m3", "tensor", "f32"), "opset 17 -> 19\n");
    CHECK("qdq", ENCODED("int4", "tensor", "f32"), "opset 17 -> 21\n");
    CHECK("qdq", ENCODED("e2m1", "tensor", "f32"), "opset 17 -> 23\n");
    CHECK("qdq", ENCODED("e4m3", "block axis=0 block=32", "e8m0"), "opset 17 -> 24\n",
          ".output_dtype=1");
    CHECK("qdq", ENCODED("int2", "tensor", "f32"), "opset 17 -> 25\n");
    CHECK("qdq weights=float", ENCODED("int8", "tensor", "f32"), "opset 17 -> 21\n",
          "op=QuantizeLinear", ".output_dtype=3", "out=\"scales\"");
}

static void matmulnbits_takes_what_it_can_hold(void **state) {
    (void)state;
    CHECK("ort", ENCODED("int4", "block axis=0 block=32", "f32"), "opset 17 -> 17\n",
          "emit ort microsoft", "uint8[6, 2, 16], f32[6, 2]", ".K=64 .N=6 .bits=4 .block_size=32");
    CHECK("ort", ENCODED("int4", "block axis=0 block=48 tail=short", "f32"),
          "power of two", "op=DequantizeLinear");
    CHECK("ort", ENCODED("int4", "channel axis=1", "f32"),
          "note \"emit ort: 1 layer written as qdq",
          "first a.b: MatMulNBits needs `per block(N)`");
    CHECK("ort", ENCODED("e4m3", "block axis=0 block=32", "f32"), "integers of 2, 4 or 8 bits");
    CHECK("ort", ENCODED("int4", "block axis=0 block=32", "f16"), "in the type of the weight");
}

static void pruned_weights_stay_in_place_or_are_stored_anew(void **state) {
    (void)state;
    CHECK("qdq", "%1 = mask_nm %0 keep=2 group=4 axis=0\n", "kernel %0 out=\"codes\" prune=nm",
          "rewrite %1");
    Session *s = session_open(&sys_real);
    Ir *ir;
    assert_true(ir_parse(s, text_of(s, "mor.ir 1\nopset 9 -> 9\nemit qdq\ngroup \"w\"\n"
                                       "%0 = weight graph=0 uses=2 : f32[64, 6]\n" LAYER
                                       "%1 = mask_ratio %0 fraction=0.5\n"), &ir));
    Buf out = buf_on(s->arena);
    assert_true(passes_run(s, ir, STR("order"), &out));
    assert_non_null(strstr(out.data, "store %1 name=\"w_pruned\""));
    assert_non_null(strstr(out.data, "use %2 graph=0 node=7 slot=1"));
    assert_null(strstr(out.data, "drop"));
    session_close(s);
}

static void nothing_to_do_leaves_no_group(void **state) {
    (void)state;
    CHECK("qdq", "%1 = mask_nm %0 keep=4 group=4 axis=0\n", "emit qdq\n");
    Session *s = session_open(&sys_real);
    assert_null(strstr(run(s, "qdq", "%1 = mask_ratio %0 fraction=0.0\n"), "group"));
    session_close(s);
}

static void illegal_steps_are_errors(void **state) {
    (void)state;
    CHECK("qdq", ENCODED("int8", "block axis=0 block=48", "f32"), "E0501");
    CHECK("qdq", "%1 = mask_nm %0 keep=2 group=5 axis=0\n", "E0505");
    CHECK("qdq", "%1 = mask_nm %0 keep=2 group=4 axis=2\n", "E0505");
    CHECK("qdq", "%1 = mask_ratio %0 fraction=1.5\n", "E0505");
    CHECK("qdq", "%1 = encode %0, %1 format=int8\n", "E0010");
}

/* Two weights in one file and one in another; a name that is taken. */
static void order_follows_the_files_and_names_are_fresh(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Ir *ir;
    assert_true(ir_parse(s, text_of(s, "mor.ir 1\nopset 21 -> 21\nemit qdq\n"
        "group \"c\"\n%0 = weight graph=0 uses=1 file=1 offset=0 : f32[4]\n" LAYER
        "%1 = mask_ratio %0 fraction=0.5\n"
        "group \"b\"\n%0 = weight graph=0 uses=1 offset=9 : f32[4]\n" LAYER
        ENCODED("int8", "tensor", "f32")
        "group \"a\"\n%0 = weight graph=0 uses=1 offset=8 : f32[4]\n" LAYER
        "%1 = mask_ratio %0 fraction=0.5\n"
        "group \"b\"\n%0 = weight graph=1 uses=1 offset=10 : f32[4]\n" LAYER
        ENCODED("int8", "tensor", "f32")), &ir));
    assert_true(passes_run(s, ir, STR(""), NULL));
    static const char *const names[] = {"a", "b", "b", "c"};
    for (size_t i = 0; i < 4; i++) {
        assert_str(ir->groups.at[i]->name, names[i]);
        assert_int_equal(ir_int(ir_find(ir->groups.at[i], IR_OP(kernel)), "job", -1), i);
    }
    assert_str(ir_text(ir_find(ir->groups.at[2], IR_OP(store)), "name"), "b_scale_2");
    session_close(s);
}

static bool break_it(Session *s, Ir *ir) {
    (void)s;
    ir_op(ir, ir->groups.at[0], IR_OP(drop));
    return true;
}

static void a_pass_that_breaks_the_ir_is_a_bug(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Ir *ir;
    assert_true(ir_parse(s, text_of(s, "mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n"
                                       "%0 = weight graph=0 uses=1 : f32[4]\n"), &ir));
    assert_false(passes_run_one(s, ir, &(Pass){"broken", false, break_it, ""}));
    assert_non_null(strstr(unit_diags(s), "E0002"));
    assert_non_null(strstr(unit_diags(s), "too few operands"));
    session_close(s);
}

/* opt on one pass gives what the pipeline gives after it. */
static void opt_runs_one_pass_on_text(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    const char *text = "mor.ir 1\nopset 17 -> 17\nemit qdq\ngroup \"w\"\n"
                       "%0 = weight graph=0 uses=1 : f32[64, 6]\n" LAYER
                       ENCODED("int4", "channel axis=1", "f32");
    Str step = str_from(text);
    for (const Pass *pass = passes; pass->name; pass++) {
        Buf out = buf_on(s->arena);
        assert_true(passes_opt(s, source_make(s->arena, STR("x.ir"), step, true),
                               str_from(pass->name), &out));
        step = str_copy(s->arena, buf_view(&out));
    }
    Ir *ir;
    Buf whole = buf_on(s->arena), out = buf_on(s->arena);
    assert_true(ir_parse(s, text_of(s, text), &ir) && passes_run(s, ir, STR("order"), &whole));
    assert_str(buf_view(&whole), step.data);
    assert_false(passes_opt(s, text_of(s, text), STR("fusee"), &out));
    assert_non_null(strstr(unit_diags(s), "did you mean `fuse`?"));
    diags_clear(&s->diags);
    assert_false(passes_opt(s, text_of(s, text), STR("fuse"), &out));
    assert_non_null(strstr(unit_diags(s), "run pass `shape`"));
    assert_ptr_equal(pass_named("fuse")->run, pass_fuse);
    session_close(s);
}

/* Whatever text verifies, no pass crashes on it. */
static void no_text_crashes_a_pass(void **state) {
    (void)state;
    static const char base[] =
        "mor.ir 1\nopset 17 -> 17\nemit ort\ngroup \"w\"\n"
        "%0 = weight graph=0 uses=1 : f32[64, 6]\n" LAYER "%3 = mask_nm %0 keep=2 group=4 axis=0\n"
        "%1 = scale %3, _ format=uint4 granule=block axis=0 block=32 method=max type=f32\n"
        "%5 = zero %3, %1 format=uint4\n%2 = encode %3, %1, %5 format=uint4\n";
    uint64_t seed = 7;
    int ran = 0;
    for (int round = 0; round < 4000; round++) {
        Session *s = session_open(&sys_real);
        char text[sizeof base];
        memcpy(text, base, sizeof base);
        for (int i = 0; i < 2; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t to = 30 + (seed >> 33) % (sizeof text - 31);
            text[to] = base[30 + (seed >> 12) % (sizeof base - 31)];
        }
        Ir *ir;
        Buf why = buf_on(s->arena);
        if (ir_parse(s, text_of(s, text), &ir) && verify(ir, false, &why)) {
            ran += passes_run(s, ir, STR(""), NULL);
        }
        session_close(s);
    }
    assert_in_range(ran, 1, 4000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opset_rises_only_as_far_as_the_format_needs),
        cmocka_unit_test(matmulnbits_takes_what_it_can_hold),
        cmocka_unit_test(pruned_weights_stay_in_place_or_are_stored_anew),
        cmocka_unit_test(nothing_to_do_leaves_no_group),
        cmocka_unit_test(illegal_steps_are_errors),
        cmocka_unit_test(order_follows_the_files_and_names_are_fresh),
        cmocka_unit_test(a_pass_that_breaks_the_ir_is_a_bug),
        cmocka_unit_test(opt_runs_one_pass_on_text),
        cmocka_unit_test(no_text_crashes_a_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
