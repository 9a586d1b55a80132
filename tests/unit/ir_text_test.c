/* ir, ir_text, verify: what is printed reads back the same; every rule of verify catches its case;
 * no text crashes the parser. */
#include "tests/unit/unit.h"
#include "compiler/ir_text.h"
#include "compiler/verify.h"

static const char example[] =
    "mor.ir 1\n"
    "opset 17 -> 21\n"
    "emit qdq weights=float microsoft\n"
    "\n"
    "group \"a \\\"b\\\" \\\\ \\x0a\\xc3\\xa9\"\n"
    "  %0 = weight graph=0 uses=1 offset=-3                            : f16[64, 3]\n"
    "  layer %0 path=\"x\" op=MatMul graph=0 node=7 slot=1 before=7\n"
    "  %1 = mask_ratio %0 fraction=0.1                                 : f16[64, 3]\n"
    "  %2 = scale %1 format=uint4 granule=block axis=0 block=48 tail=short method=mse type=f16 "
    ": f16[2, 3]\n"
    "  %3 = zero %1, %2 format=uint4                                   : uint4[2, 3]\n"
    "  %4 = encode %1, %2, %3 format=uint4                             : uint4[64, 3]\n"
    "  %5 = store %4 name=\"w_q\" graph=0                                : uint4[64, 3]\n"
    "  %6 = node _, %5 op=X domain=com.microsoft name=\"y\" graph=0 before=1 .axis=-1\n"
    "  %9, %8 = kernel %0 out=\"codes scales\" format=e4m3 granule=tensor scale=f32 "
    ": e4m3[64, 3], f32[]\n"
    "\n"
    "group \"empty\"\n"
    "\n"
    "note \"one\"\n"
    "note \"two\"\n";

static Ir *read_ir(Session *s, const char *text) {
    Ir *ir = NULL;
    Source *source = source_make(s->arena, STR("x.ir"), str_from(text), true);
    return ir_parse(s, source, &ir) ? ir : NULL;
}

static void text_survives_a_round_trip(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Ir *ir = read_ir(s, example);
    assert_non_null(ir);
    Buf out = buf_on(s->arena);
    ir_print(ir, &out);
    assert_str(buf_view(&out), example);
    assert_int_equal(ir->model_opset, 17);
    assert_true(ir->float_weights && ir->microsoft);
    assert_int_equal(ir->groups.at[0]->next_id, 10);
    assert_true(ir_float(ir->groups.at[0]->ops.at[2], "fraction", 0) == 0.1);
    session_close(s);
}

static void comments_blanks_and_line_ends_do_not_matter(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Ir *ir = read_ir(s, "# run: morc opt\r\n\n mor.ir 1 # one\r\nopset 1->2\nemit qdq\n"
                        "group \"w\"#g\n%0=weight graph=0 uses=1:f32[4]\n\n");
    assert_non_null(ir);
    Buf why = buf_on(s->arena);
    assert_true(verify(ir, true, &why));
    session_close(s);
}

/* Text after the header -> the first line of the diagnostic. */
static void malformed_text_is_refused_with_its_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "expected `mor.ir`"},
        {"mor.ir 2\n", "this morc reads version 1"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq fast\n", "unknown word after `emit`"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\n%0 = weight\n", "an op before the first group"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup w\n", "expected a quoted string"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\n", "string without an end"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"\\q\"\n", "unknown escape"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n%0 = wait\n", "the name of an op"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\ndrop %0\n", "not defined above"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n%0 = weight : f32[3, -1]\n", "impossible"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n%0 = weight : f32[4294967296, 4294967296]",
         "impossible"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n%0 = weight : f7[3]\n", "element type"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n%0 = weight a=1 a=2\n", "given twice"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n%0 = weight a=1e999\n", "not a number"},
        {"mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n%0 = weight\n%0 = weight\n", "twice"},
        {"mor.ir 1\nopset 99999999999999999999 -> 1\n", "expected an integer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Session *s = session_open(&sys_real);
        assert_null(read_ir(s, cases[i][0]));
        assert_int_equal(s->diags.errors, 1);
        if (!strstr(unit_diags(s), cases[i][1])) {
            fail_msg("case %zu: %s", i, unit_diags(s));
        }
        session_close(s);
    }
}

static const char head[] = "mor.ir 1\nopset 21 -> 21\nemit qdq\ngroup \"w\"\n";
static const char weight[] = "%0 = weight graph=0 uses=1 : f32[64, 3]\n";

static void verify_catches_what_does_not_hold(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"%0 = super %0 format=e2m1\n", NULL}, /* not even parsed */
        {"", "begins with its one weight"},
        {"W%1 = weight graph=0 uses=1 : f32[1]\n", "begins with its one weight"},
        {"W%1 = super format=e2m1\n", "too few operands"},
        {"W%1 = super %0, %0 format=e2m1\n", "too many operands"},
        {"W%1 = mask_nm _ keep=2 group=4 axis=0\n", "an operand is absent"},
        {"Wuse %0 graph=0 node=0 slot=0\n", "is data, not a value of the graph"},
        {"W%1 = value name=\"x\" graph=0\n%2 = store %1 name=\"y\" graph=0\n", "not data"},
        {"W%1 = mask_nm %0 keep=2 group=4 axis=0 far=1\n", "unknown attribute `far`"},
        {"W%1 = mask_nm %0 keep=2 group=4 axis=0 .far=1\n", "no ONNX attributes here: `.far`"},
        {"W%1 = mask_nm %0 keep=two group=4 axis=0\n", "wrong type of attribute `keep`"},
        {"W%1 = mask_nm %0 keep=2 group=4\n", "missing attribute `axis`"},
        {"Wmask_nm %0 keep=2 group=4 axis=0\n", "wrong number of results"},
        {"W%1 = mask_nm %0 keep=2 group=4 axis=0 : f32[3, 64]\n", "should be `f32[64, 3]`"},
        {"W%1 = mask_nm %0 keep=2 group=4 axis=0\n", "a type is missing"},
        {"W%1 = scale %0 format=int5 granule=tensor method=max type=f32\n", "unknown format"},
        {"W%1 = scale %0 format=int4 granule=rows method=max type=f32\n", "granule is"},
        {"W%1 = scale %0 format=int4 granule=block axis=2 block=2 method=max type=f32\n",
         "axis is"},
        {"W%1 = scale %0 format=int4 granule=block axis=0 method=max type=f32\n", "block is below"},
        {"W%1 = scale %0 format=int4 granule=tensor method=max type=f99\n", "type of scales"},
        {"W%1 = pack %0 layout=nbits\n", "have another layout"},
        {"W%1 = kernel %0 out=\"rows\"\n", "only `codes`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Session *s = session_open(&sys_real);
        bool with_weight = cases[i][0][0] == 'W';
        Str text = str_format(s->arena, "%s%s%s", head, with_weight ? weight : "",
                              cases[i][0] + with_weight);
        Ir *ir = read_ir(s, text.data);
        Buf why = buf_on(s->arena);
        if (cases[i][1] == NULL) {
            assert_null(ir);
        } else if (!ir || verify(ir, true, &why) || !strstr(why.data, cases[i][1])) {
            fail_msg("case %zu: %s%s", i, ir ? why.data : "", unit_diags(s));
        }
        session_close(s);
    }
}

static void no_text_crashes_the_parser(void **state) {
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 3000; round++) {
        Session *s = session_open(&sys_real);
        char text[sizeof example];
        memcpy(text, example, sizeof example);
        for (int i = 0; i < 3; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[(seed >> 33) % (sizeof text - 1)] = (char)(seed >> 56);
        }
        Ir *ir = NULL;
        Source *source = source_make(s->arena, STR("x.ir"), (Str){text, sizeof text - 1}, true);
        Buf why = buf_on(s->arena);
        if (ir_parse(s, source, &ir)) {
            verify(ir, false, &why);
            Buf out = buf_on(s->arena), again = buf_on(s->arena);
            ir_print(ir, &out);
            Ir *same = read_ir(s, out.data);
            assert_non_null(same);
            ir_print(same, &again);
            assert_string_equal(again.data, out.data);
        } else {
            assert_int_equal(s->diags.errors, 1);
        }
        session_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_survives_a_round_trip),
        cmocka_unit_test(comments_blanks_and_line_ends_do_not_matter),
        cmocka_unit_test(malformed_text_is_refused_with_its_place),
        cmocka_unit_test(verify_catches_what_does_not_hold),
        cmocka_unit_test(no_text_crashes_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
