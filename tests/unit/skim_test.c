/* onnx_skim: what no parser of ours may swallow, at the level of bytes. */
#include "onnx_build.h"
#include "runtime/base/limits.h"
#include "runtime/model/onnx_skim.h"

static Str tiny(void) {
    return model_bytes(J(N("Relu", "x", "y"), value(11, "x", 1), value(12, "y", 1)));
}

static void wire_level(void **state) {
    (void)state;
    refused(STR(""), "E1001", "empty");
    refused(J(tiny(), STR("\x0b")), "E1001", "groups");
    refused(J(tiny(), STR("\x0c")), "E1001", "groups");
    refused(J(tiny(), STR("\x0e")), "E1001", "wire type");
    refused(J(tiny(), STR("\x02\x01")), "E1001", "field number");
    refused(J(tiny(), STR("\x80\x80\x80\x80\x10\x01")), "E1001", "field number");
    refused(J(tiny(), STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")), "E1001", "64 bits");
    refused(J(tiny(), STR("\x08\x80")), "E1001", "cut off");
    refused(J(tiny(), STR("\x3a\x05\x01")), "E1001", "longer");
    refused(J(tiny(), STR("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), "E1001", "longer");
    refused(J(tiny(), STR("\x9d\x06\x01\x02")), "E1001", "longer"); /* unknown fixed32, cut */
    refused(J(tiny(), T(1, "ir as text")), "E1001", "wrong wire type");
    refused(J(tiny(), F(7, STR(""))), "E1001", "given twice"); /* two graphs */
    refused(J(I(1, 8), F(8, opset("", 17))), "E1009", "no graph");
    refused(STR("version https://git-lfs.github.com/spec/v1\n"), "E1001",
            "`version https://git-lfs....`");
}

/* Legal oddities: padded numbers, unknown fields of every wire type, both array encodings. */
static void odd_but_legal(void **state) {
    (void)state;
    const Str node = J(words(1, "x"), words(2, "y"), T(4, "Pad"),
                       F(5, J(T(1, "pads"), F(8, STR("\x01\x82\x00\x83\x80\x00")), I(8, 4))),
                       I(50, 7), STR("\x95\x03\x01\x02\x03\x04"), T(99, "later"));
    const Str bytes = J(STR("\x08\x88\x80\x80\x00"), F(8, opset("", 17)),
                        F(7, J(F(1, node), value(11, "x", 1), value(12, "y", 1))));
    Model *m = good(bytes);
    assert_int_equal(m->ir_version, 8);
    const Onnx__AttributeProto *a = node_attribute(m->main->nodes.at[0], "pads");
    assert_int_equal(a->n_ints, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(a->ints[i], i + 1);
    }
    const Layout l = lay_out(m);
    const Str same = assemble(&l, 0);
    assert_true(str_eq(same, bytes));
}

static void packed_arrays(void **state) {
    (void)state;
    const Str cut = F(5, J(T(1, "a"), F(8, STR("\x01\x80"))));
    refused(model_bytes(J(N("Pad", "", "y", cut))), "E1001", "cut off");
    const Str floats = F(5, J(T(1, "a"), F(7, STR("\x01\x02\x03"))));
    refused(model_bytes(J(N("Pad", "", "y", floats))), "E1001", "within a number");
}

static void names(void **state) {
    (void)state;
    Buf longest = buf_on(S->arena);
    buf_repeat(&longest, 'n', LIMIT_NAME_BYTES);
    good(model_bytes(J(F(1, J(F(2, buf_view(&longest)), T(4, "Constant"))))));
    buf_char(&longest, 'n');
    refused(model_bytes(J(F(1, J(F(2, buf_view(&longest)), T(4, "Constant"))))), "E1008", "longer");
    refused(model_bytes(J(F(1, J(F(2, STR("a\0b")), T(4, "Relu"))))), "E1001", "NUL");
    refused(model_bytes(J(F(1, J(F(2, STR("a\xff")), T(4, "Relu"))))), "E1001", "UTF-8");
    refused(model_bytes(F(1, T(2, "y"))), "E1001", "op_type");
    /* free text is never read as a name */
    const Str note = F(14, J(T(1, "key"), F(2, STR("\xff\0\x1b"))));
    good(J(tiny(), note, F(6, STR("\xff\xfe"))));
}

/* Sequences of sequences: so many messages within a TypeProto. */
static Str nested_types(int messages) {
    Str type = STR("");
    for (int i = 0; i < messages; i++) {
        type = (messages - i) % 2 ? F(4, type) : F(1, type); /* sequence_type, elem_type */
    }
    return type;
}

static void nesting(void **state) {
    (void)state;
    const int fit = LIMIT_MESSAGE_DEPTH - 4; /* model, graph, value info, outermost type */
    good(model_bytes(F(11, J(T(1, "x"), F(2, nested_types(fit))))));
    refused(model_bytes(F(11, J(T(1, "x"), F(2, nested_types(fit + 1))))), "E1008", "deep");
    refused(model_bytes(F(11, J(T(1, "x"), F(2, nested_types(4000))))), "E1008", "deep");
}

static uint64_t random_state = 12345;

static uint64_t roll(uint64_t below) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

static Str rich(void) {
    const Str body = J(N("Mul", "y w", "z"), value(12, "z", 1), F(5, tensor("w2", 3)));
    return J(
        I(1, 8), F(8, opset("", 17)), F(14, J(T(1, "k"), T(2, "v"))),
        F(7, J(N("MatMul", "x w", "y"), N("If", "c", "q", attribute_graph("then_branch", body)),
               node_(1, "Constant", "", "k", F(5, J(T(1, "value"), F(5, tensor("", 4)), I(20, 4)))),
               F(5, tensor("w", 5)), F(5, J(I(1, 2), I(2, 7), T(8, "i"), F(7, STR("\x01\x02")))),
               value(11, "x", 1), value(11, "c", 9), value(12, "q", 1), value(13, "y", 1))),
        F(25, J(T(1, "f"), T(10, "d"), T(4, "a"), T(5, "b"), node_(7, "Relu", "a", "b", STR("")))));
}

/* Either a model or exactly one error; an accepted model is laid out as the bytes it is, and opens
 * again after edits. */
static void mutants(void **state) {
    (void)state;
    enum { ROUNDS = 6000 };
    const Str seed = rich();
    good(seed);
    int accepted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        Session *outer = S;
        S = session_open(&sys_real);
        char *bytes = arena_alloc(S->arena, seed.len + 1);
        memcpy(bytes, seed.data, seed.len);
        for (uint64_t n = 1 + roll(3); n > 0; n--) {
            const size_t at = roll(seed.len);
            bytes[at] = (char)(roll(2) ? roll(256) : (uint64_t)(uint8_t)bytes[at] ^ 1u << roll(8));
        }
        const size_t size = roll(8) ? seed.len : roll(seed.len);
        const int fd = memfd_create("m", MFD_CLOEXEC);
        assert_int_equal(write(fd, bytes, size), size);
        Model *m = model_open(S, str_format(S->arena, "/proc/self/fd/%d", fd));
        assert_int_equal(S->diags.errors, m ? 0 : 1);
        if (m && !m->has_external) {
            accepted++;
            Layout l = lay_out(m);
            const Str same = assemble(&l, 0);
            assert_true(same.len == size && memcmp(same.data, bytes, size) == 0);
            edit_metadata(m, STR("mor"), STR("x"));
            for (size_t i = 0; i < m->main->initializers.len; i++) {
                edit_replace_payload(m->main->initializers.at[i], 0);
            }
            for (size_t i = 0; i < m->tensors.len; i++) {
                assert_non_null(m->tensors.at[i]->type == 8
                                    ? (const uint8_t *)""
                                    : tensor_bytes(S, m->tensors.at[i], S->arena));
            }
            l = lay_out(m);
            const Str edited = assemble(&l, 0);
            const int again = memfd_create("m", MFD_CLOEXEC);
            assert_int_equal(write(again, edited.data, edited.len), edited.len);
            Model *other = model_open(S, str_format(S->arena, "/proc/self/fd/%d", again));
            if (!other) {
                fail_msg("round %d: %s", round, unit_diags(S));
            }
            close(again);
        }
        session_close(S);
        close(fd);
        S = outer;
    }
    assert_true(accepted > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(wire_level), TEST(odd_but_legal), TEST(packed_arrays), TEST(names), TEST(nesting),
        TEST(mutants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
