/* array_type: the table, and conversions that are exact, rounded or refused. */
#include "tests/unit/unit.h"
#include "runtime/calib/array_type.h"
#include <math.h>

static void the_table_knows_its_names(void **state) {
    (void)state;
    assert_int_equal(array_type_of_npy(STR("f4"))->onnx, TYPE_FLOAT32);
    assert_int_equal(array_type_of_npy(STR("b1"))->bytes, 1);
    assert_null(array_type_of_npy(STR("c8")));
    assert_int_equal(array_type_of_safetensors(STR("BF16"))->onnx, 16);
    assert_null(array_type_of_safetensors(STR("F8_E4M3")));
    assert_null(array_type(8));
    assert_string_equal(array_type_name(7), "int64");
    assert_true(array_convertible(6, 7) && array_convertible(7, 6) && array_convertible(1, 10));
    assert_false(array_convertible(6, 1) || array_convertible(2, 6) || array_convertible(8, 8));
}

/* every float16 and bfloat16 returns from double, and NaN stays NaN */
static void small_floats_are_kept(void **state) {
    (void)state;
    for (int type = 10; type <= 16; type += 6) {
        const unsigned infinity = type == 10 ? 0x7c00 : 0x7f80;
        for (unsigned code = 0; code < 0x10000; code++) {
            uint16_t in = (uint16_t)code, out = 0;
            double value = array_value(type, &in);
            array_put_float(type, value, &out);
            if ((code & 0x7fff) > infinity) {
                assert_true(isnan(value) && (out & 0x7fff) > infinity);
            } else {
                assert_int_equal(in, out);
            }
        }
    }
}

/* the midpoint of neighbours goes to the even code, what lies beside it to the nearer one */
static void rounding_is_to_even(void **state) {
    (void)state;
    for (int type = 10; type <= 16; type += 6) {
        const unsigned largest = type == 10 ? 0x7bff : 0x7f7f;
        for (unsigned code = 0; code < largest; code++) {
            uint16_t a = (uint16_t)code, b = (uint16_t)(code + 1), out = 0;
            double middle = (array_value(type, &a) + array_value(type, &b)) / 2;
            array_put_float(type, middle, &out);
            assert_int_equal(out, code & 1 ? b : a);
            array_put_float(type, nextafter(middle, INFINITY), &out);
            assert_int_equal(out, b);
            array_put_float(type, -nextafter(middle, 0), &out);
            assert_int_equal(out, a | 0x8000);
        }
    }
    uint16_t half;
    array_put_float(10, 65519.999, &half);
    assert_int_equal(half, 0x7bff);
    array_put_float(10, 65520, &half);
    assert_int_equal(half, 0x7c00);
    array_put_float(10, 1e-300, &half);
    assert_int_equal(half, 0);
}

static void integers_fit_or_stop(void **state) {
    (void)state;
    const int64_t in[] = {1, -5, INT32_MAX, INT32_MIN, (int64_t)INT32_MAX + 1, 7};
    int32_t out[6] = {0};
    assert_int_equal(array_convert(7, false, in, 6, out, 6), 4);
    assert_int_equal(out[3], INT32_MIN);
    int64_t wide[3] = {0};
    const int32_t narrow[] = {-1, 0, INT32_MIN};
    assert_int_equal(array_convert(6, false, narrow, 7, wide, 3), 3);
    assert_true(wide[0] == -1 && wide[2] == INT32_MIN);
    const uint8_t big[] = {0xff, 0xff, 0xff, 0xfe, 0, 0, 1, 0};
    assert_int_equal(array_convert(6, true, big, 7, wide, 2), 2);
    assert_true(wide[0] == -2 && wide[1] == 256);
    int32_t same[2];
    assert_int_equal(array_convert(6, true, big, 6, same, 2), 2);
    assert_true(same[0] == -2 && same[1] == 256);
}

static void floats_round_or_stop(void **state) {
    (void)state;
    const double in[] = {0.1, -INFINITY, NAN, 1e300, 2};
    float out[5] = {0};
    assert_int_equal(array_convert(11, false, in, 1, out, 5), 3);
    assert_true(out[0] == 0.1f && out[1] == -INFINITY && isnan(out[2]));
    const float single[] = {65504, 65520};
    uint16_t half[2];
    assert_int_equal(array_convert(1, false, single, 10, half, 2), 1);
    double wide[1];
    const uint8_t swapped[] = {0x3f, 0x80, 0, 0};
    assert_int_equal(array_convert(1, true, swapped, 11, wide, 1), 1);
    assert_true(wide[0] == 1.0);
}

static void integers_are_read(void **state) {
    (void)state;
    const int8_t minus = -3;
    const uint64_t huge = UINT64_MAX;
    assert_true(array_integer(3, &minus) == -3 && array_value(3, &minus) == -3.0);
    assert_true(array_integer(2, &minus) == 253);
    assert_true(array_integer(13, &huge) == INT64_MAX && array_value(13, &huge) == 0x1p64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_knows_its_names), cmocka_unit_test(small_floats_are_kept),
        cmocka_unit_test(rounding_is_to_even),       cmocka_unit_test(integers_fit_or_stop),
        cmocka_unit_test(floats_round_or_stop),      cmocka_unit_test(integers_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
