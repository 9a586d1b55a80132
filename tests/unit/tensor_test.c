/* Tensors: every carrier gives the same bytes; every lie about sizes is refused. */
#include <math.h>
#include "onnx_build.h"

static Model *with(Str message) {
    return good(model_bytes(F(5, message)));
}

static const Tensor *only(Str message) {
    return with(message)->tensors.at[0];
}

static void lie(Str message, const char *part) {
    refused(model_bytes(F(5, message)), "E1002", part);
}

static Str dims(int64_t a, int64_t b) {
    return J(I(1, (uint64_t)a), I(1, (uint64_t)b));
}

static void assert_bytes(const Tensor *t, const void *expected, size_t size) {
    assert_int_equal(t->size, size);
    assert_memory_equal(tensor_bytes(S, t, S->arena), expected, size);
}

static Str varints(const int64_t *values, size_t count) {
    Buf b = buf_on(S->arena);
    for (size_t i = 0; i < count; i++) {
        wire_put_varint(&b, (uint64_t)values[i]);
    }
    return buf_view(&b);
}

static Str scattered(uint32_t field, const int64_t *values, size_t count) {
    Buf b = buf_on(S->arena);
    for (size_t i = 0; i < count; i++) {
        wire_put_int(&b, field, (uint64_t)values[i]);
    }
    return buf_view(&b);
}

static void raw_data(void **state) {
    (void)state;
    const float f[] = {1.5f, -0.0f, NAN, INFINITY};
    const Tensor *t = only(J(dims(2, 2), I(2, 1), T(8, "w"), F(9, raw(f, sizeof f))));
    assert_int_equal(t->carrier, CARRIER_RAW);
    assert_int_equal(t->count, 4);
    assert_int_equal(t->rank, 2);
    assert_bytes(t, f, sizeof f);
    assert_ptr_equal(t->input->data + t->input_offset, t->data);
    /* packed dims, and fields in another order */
    assert_bytes(only(J(F(9, raw(f, sizeof f)), T(8, "w"), I(2, 1), F(1, STR("\x02\x02")))), f,
                 sizeof f);
    /* rank 0 has one element; a dimension of 0 has none */
    assert_bytes(only(J(I(2, 1), T(8, "s"), F(9, raw(f, 4)))), f, 4);
    assert_int_equal(only(J(dims(0, 7), I(2, 1), T(8, "e")))->carrier, CARRIER_NONE);
    assert_int_equal(only(J(dims(0, 7), I(2, 1), T(8, "e"), F(9, STR(""))))->count, 0);
    /* a dimension of 0 makes any other harmless */
    assert_int_equal(only(J(dims(INT64_MAX, INT64_MAX), I(1, 0), I(2, 1), T(8, "e")))->count, 0);
}

static void typed_floats(void **state) {
    (void)state;
    const float f[] = {1.5f, -2, 3};
    const double d[] = {1e300, -2, 3};
    const Tensor *t = only(J(I(1, 3), I(2, 1), T(8, "w"), F(4, raw(f, sizeof f))));
    assert_int_equal(t->carrier, CARRIER_TYPED);
    assert_non_null(t->data); /* one packed run is plain bytes */
    assert_bytes(t, f, sizeof f);
    t = only(J(I(1, 3), I(2, 1), T(8, "w"), F(4, raw(f, 4)), F(4, raw(f + 1, 8))));
    assert_null(t->data);
    assert_bytes(t, f, sizeof f);
    const uint32_t one = 0x3fc00000u;
    const Str unpacked =
        J(STR("\x25"), raw(&one, 4), STR("\x25"), raw(f + 1, 4), F(4, raw(f + 2, 4)));
    assert_bytes(only(J(I(1, 3), I(2, 1), T(8, "w"), unpacked)), f, sizeof f);
    assert_bytes(only(J(I(1, 3), I(2, 11), T(8, "w"), F(10, raw(d, sizeof d)))), d, sizeof d);
    assert_bytes(only(J(I(1, 1), I(2, 14), T(8, "c"), F(4, raw(f, 8)))), f, 8);
    assert_bytes(only(J(I(1, 1), I(2, 15), T(8, "c"), F(10, raw(d, 16)))), d, 16);
}

static void typed_integers(void **state) {
    (void)state;
    static const struct {
        int type;
        uint32_t field;
        int bytes;
    } rows[] = {{2, 5, 1},  {3, 5, 1},  {4, 5, 2},   {5, 5, 2},  {6, 5, 4},
                {7, 7, 8},  {9, 5, 1},  {10, 5, 2},  {16, 5, 2}, {17, 5, 1},
                {19, 5, 1}, {24, 5, 1}, {12, 11, 4}, {13, 11, 8}};
    const int64_t values[] = {1, 0, -1, 100};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t expected[32];
        for (int k = 0; k < 4; k++) {
            memcpy(expected + k * rows[i].bytes, &values[k], (size_t)rows[i].bytes);
        }
        const Str head = J(I(1, 4), I(2, (uint64_t)rows[i].type), T(8, "w"));
        const size_t size = 4 * (size_t)rows[i].bytes;
        assert_bytes(only(J(head, F(rows[i].field, varints(values, 4)))), expected, size);
        assert_bytes(only(J(head, scattered(rows[i].field, values, 4))), expected, size);
    }
}

/* Elements 1..5: 4-bit two and 2-bit four a byte, LSB first; 6-bit one an entry, dense in bytes. */
static void sub_byte(void **state) {
    (void)state;
    const int64_t nibbles[] = {0x21, 0x43, 0x05};
    assert_bytes(only(J(I(1, 5), I(2, 22), T(8, "w"), F(5, varints(nibbles, 3)))), "\x21\x43\x05",
                 3);
    assert_bytes(only(J(I(1, 5), I(2, 23), T(8, "w"), F(9, STR("\x21\x43\x05")))), "\x21\x43\x05",
                 3);
    const int64_t pairs[] = {0x39, 0x01};
    assert_bytes(only(J(I(1, 5), I(2, 25), T(8, "w"), F(5, varints(pairs, 2)))), "\x39\x01", 2);
    const int64_t six[] = {1, 2, 3, 4, 63};
    /* 1 | 2<<6 | 3<<12 | 4<<18 | 63<<24 = 0x3f103081 */
    assert_bytes(only(J(I(1, 5), I(2, 27), T(8, "w"), F(5, varints(six, 5)))), "\x81\x30\x10\x3f",
                 4);
    lie(J(I(1, 5), I(2, 22), T(8, "w"), F(9, STR("12"))), "3 bytes, the file has 2");
    lie(J(I(1, 5), I(2, 22), T(8, "w"), F(9, STR("1234"))), "3 bytes, the file has 4");
    lie(J(I(1, 5), I(2, 26), T(8, "w"), F(9, STR("1"))), "2 bytes, the file has 1");
    lie(J(I(1, 5), I(2, 28), T(8, "w"), F(9, STR("12345"))), "4 bytes, the file has 5");
    lie(J(I(1, 5), I(2, 22), T(8, "w"), F(5, varints(nibbles, 2))), "3 entries, the file has 2");
}

static void lies(void **state) {
    (void)state;
    const float f[8] = {0};
    const Str w = T(8, "w");
    lie(J(dims(2, 2), I(2, 1), w, F(9, raw(f, 15))), "16 bytes, the file has 15");
    lie(J(dims(2, 2), I(2, 1), w, F(9, raw(f, 17))), "float32[2,2]");
    lie(J(dims(2, 2), I(2, 1), w), "no elements");
    lie(J(dims(-2, -2), I(2, 1), w, F(9, raw(f, 16))), "negative");
    lie(J(dims(1LL << 32, 1LL << 32), I(2, 1), w, F(9, raw(f, 16))), "overflows");
    lie(J(dims(1LL << 31, 1LL << 31), I(2, 15), w, F(9, raw(f, 16))), "overflows");
    lie(J(I(1, 1ull << 55), I(2, 1), w, F(9, raw(f, 16))), "the file has 16");
    lie(J(I(1, 2), I(2, 1), w, F(9, raw(f, 8)), F(4, raw(f, 8))), "two fields");
    lie(J(I(1, 2), I(2, 1), w, F(4, raw(f, 8)), I(5, 1)), "two fields");
    lie(J(I(1, 2), I(2, 1), w, I(7, 1), I(7, 2)), "another type");
    lie(J(I(1, 2), I(2, 7), w, F(4, raw(f, 8))), "another type");
    lie(J(I(1, 3), I(2, 1), w, F(4, raw(f, 8))), "3 entries, the file has 2");
    lie(J(I(1, 2), I(2, 8), w, F(9, raw(f, 8))), "strings");
    lie(J(I(1, 2), I(2, 99), w, I(5, 1), I(5, 1)), "unknown type");
    refused(model_bytes(F(5, J(I(1, 2), I(2, 1), w, F(9, raw(f, 8)), F(9, raw(f, 8))))), "E1001",
            "twice");
    Buf many = buf_on(S->arena);
    for (int i = 0; i < 33; i++) {
        wire_put_int(&many, 1, 1);
    }
    refused(model_bytes(F(5, J(buf_view(&many), I(2, 1), w, F(9, raw(f, 4))))), "E1008", "32");
}

/* The same check meets every carrier of tensors. */
static void carriers(void **state) {
    (void)state;
    const Str bad = J(I(1, 2), I(2, 1), F(9, STR("short")));
    const Str sparse = F(1, bad);
    refused(model_bytes(F(1, J(T(4, "Constant"), T(2, "k"), F(5, J(T(1, "value"), F(5, bad)))))),
            "E1002", "8 bytes");
    refused(model_bytes(F(1, J(T(4, "A"), F(5, J(T(1, "list"), F(10, bad)))))), "E1002", "8 bytes");
    refused(model_bytes(F(1, J(T(4, "A"), F(5, J(T(1, "s"), F(22, sparse)))))), "E1002", "8 bytes");
    refused(model_bytes(F(15, sparse)), "E1002", "8 bytes");
    refused(model_bytes(N("If", "", "q", attribute_graph("then_branch", F(5, bad)))), "E1002",
            "8 bytes");
    refused(J(model_bytes(STR("")), F(20, F(2, F(5, bad)))), "E1002", "8 bytes");
    refused(J(model_bytes(STR("")), F(25, F(11, J(T(1, "d"), F(5, bad))))), "E1002", "8 bytes");
    refused(J(model_bytes(STR("")), F(25, F(7, J(T(4, "A"), F(5, J(T(1, "d"), F(5, bad))))))),
            "E1002", "8 bytes");
}

static void unknown_and_text(void **state) {
    (void)state;
    const Tensor *t = only(J(I(1, 3), I(2, 99), T(8, "w"), F(9, STR("whatever"))));
    assert_int_equal(t->size, 8);
    assert_int_equal(type_bits(99), 0);
    assert_string_equal(type_name(99), "unknown type");
    t = only(J(I(1, 2), I(2, 8), T(8, "w"), F(6, STR("a")), F(6, STR("bc"))));
    assert_int_equal(t->carrier, CARRIER_TYPED);
    assert_null(tensor_bytes(S, t, S->arena));
    assert_int_equal(S->diags.errors, 1);
}

static void sizes(void **state) {
    (void)state;
    uint64_t bytes = 0;
    assert_true(type_size(21, 7, &bytes));
    assert_int_equal(bytes, 4);
    assert_true(type_size(27, 5, &bytes));
    assert_int_equal(bytes, 4);
    assert_false(type_size(8, 1, &bytes));
    assert_false(type_size(1, -1, &bytes));
    assert_false(type_size(15, INT64_MAX, &bytes));
    assert_string_equal(type_name(10), "float16");
    assert_int_equal(type_bits(10), 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(raw_data), TEST(typed_floats), TEST(typed_integers), TEST(sub_byte), TEST(lies),
        TEST(carriers), TEST(unknown_and_text), TEST(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
