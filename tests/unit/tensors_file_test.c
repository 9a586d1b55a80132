/* tensors_file: the format's own rules, each broken once. */
#include "runtime/calib/tensors_file.h"
#include "runtime/base/limits.h"
#include "tests/unit/arrays_build.h"
#include "tests/unit/one_session.h"

static bool read_bytes(Str bytes, TensorsHeader *out, Str *why) {
    return tensors_header(s->arena, (const uint8_t *)bytes.data, bytes.len, out, why);
}

static void wrong(const char *header, size_t payload, const char *part) {
    TensorsHeader out;
    Str why = {0};
    char *zeros = arena_alloc(s->arena, payload + 1);
    assert_false(read_bytes(tensors_bytes(s->arena, header, zeros, payload), &out, &why));
    if (!strstr(str_c(s->arena, why), part)) {
        fail_msg("%s: \"%.*s\" does not say \"%s\"", header, STR_ARG(why), part);
    }
}

static void tensors_are_found(void **state) {
    (void)state;
    const char *header =
        "{\"__metadata__\":{\"a\":\"b\"},"
        "\"x\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
        "\"\\u00fc/\\\"y\":{\"data_offsets\":[0,8],\"shape\":[],\"dtype\":\"I64\"},"
        "\"none\":{\"dtype\":\"BF16\",\"shape\":[0,9],\"data_offsets\":[8,8]}}  ";
    TensorsHeader out;
    Str why = {0};
    Str bytes = tensors_bytes(s->arena, header, (char[32]){0}, 32);
    if (!read_bytes(bytes, &out, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    assert_int_equal(out.count, 3);
    assert_str(out.items[0].name, "x");
    assert_true(out.items[0].type == 1 && out.items[0].rank == 2 && out.items[0].dims[1] == 3);
    assert_int_equal(out.items[0].begin + out.items[0].bytes, bytes.len);
    assert_str(out.items[1].name, "\xc3\xbc/\"y");
    assert_true(out.items[1].rank == 0 && out.items[1].count == 1);
    assert_int_equal(out.items[2].count, 0);
}

#define ITEM(dtype, shape, offsets)                                                                \
    "{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void lies_are_refused(void **state) {
    (void)state;
    wrong(ITEM("\"F32\"", "[2]", "[0,8]"), 9, "behind the last");
    wrong(ITEM("\"F32\"", "[2]", "[0,8]"), 7, "not within");
    wrong(ITEM("\"F32\"", "[2]", "[1,9]"), 9, "hole");
    wrong(ITEM("\"F32\"", "[3]", "[0,8]"), 8, "not those of its shape");
    wrong(ITEM("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "not those of its shape");
    wrong(ITEM("\"F32\"", "[4294967297,1073741824]", "[0,4]"), 4, "not those of its shape");
    wrong(ITEM("\"F32\"", "[-1]", "[0,8]"), 8, "is not one");
    wrong(ITEM("\"F32\"", "[1.5]", "[0,8]"), 8, "is not one");
    wrong(ITEM("\"F32\"", "[1e300]", "[0,8]"), 8, "is not one");
    wrong(ITEM("\"F32\"", "2", "[0,8]"), 8, "no list");
    wrong(ITEM("\"F32\"", "[2]", "[8,0]"), 8, "not within");
    wrong(ITEM("\"F32\"", "[2]", "[0]"), 8, "not within");
    wrong(ITEM("\"F32\"", "[2]", "[0,4,8]"), 8, "not within");
    wrong(ITEM("\"F32\"", "[2]", "7"), 8, "not within");
    wrong(ITEM("\"F7\"", "[2]", "[0,8]"), 8, "F7");
    wrong(ITEM("5", "[2]", "[0,8]"), 8, "needs dtype");
    wrong("{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "needs dtype");
    wrong("{\"x\":[1]}", 8, "needs dtype");
    wrong("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
          "needs dtype");
    wrong("{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
          8, "twice");
    wrong("{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"y\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
          6, "overlap");
}

static void broken_headers_are_refused(void **state) {
    (void)state;
    wrong("", 0, "begin with");
    wrong(" {}", 0, "begin with");
    wrong("{", 0, "not JSON");
    wrong("{}x", 0, "not JSON");
    wrong("{\"a\":\"\xff\"}", 0, "UTF-8");
    wrong("{\"a\\u0000b\":1}", 0, "NUL");
    wrong("{\"a\":[[[1]]]}", 0, "too deeply");
    TensorsHeader out;
    Str why = {0};
    assert_false(read_bytes((Str){"\1\2", 2}, &out, &why));
    assert_false(read_bytes((Str){"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10}, &out, &why));
    Buf b = buf_on(s->arena);
    put_number(&b, LIMIT_TENSORS_HEADER + 1, 8);
    buf_repeat(&b, ' ', LIMIT_TENSORS_HEADER + 1);
    assert_false(read_bytes(buf_view(&b), &out, &why));
    assert_non_null(strstr(str_c(s->arena, why), "longer than"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tensors_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(lies_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_headers_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
