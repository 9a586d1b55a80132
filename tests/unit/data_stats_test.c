/* data_stats: ranges and means of every kind of element, in blocks. */
#include "runtime/calib/data_stats.h"
#include <math.h>
#include "runtime/calib/array_type.h"
#include "tests/unit/one_session.h"

static DataStats stats_of(int type, bool swapped, const void *data, int64_t count) {
    DataStats out;
    const DataArray a = {.type = type, .swapped = swapped, .count = count, .bytes = data};
    assert_true(data_stats(s, &a, &out));
    return out;
}

static void floats(void **state) {
    (void)state;
    float *values = calloc(10000, sizeof *values);
    for (int i = 0; i < 10000; i++) {
        values[i] = (float)(i - 5000);
    }
    values[17] = NAN;
    values[18] = INFINITY;
    DataStats st = stats_of(1, false, values, 10000);
    free(values);
    assert_true(!st.integers && st.min == -5000 && st.max == 4999);
    assert_true(st.values == 9998 && st.not_finite == 2);
    assert_true(fabs(st.mean - (-5000.0 + 4983 + 4982) / 9998) < 1e-9);
    const uint16_t half[] = {0x3c00, 0xbc00}; /* 1, -1 */
    st = stats_of(10, false, half, 2);
    assert_true(st.min == -1 && st.max == 1 && st.mean == 0);
    const uint8_t big[] = {0x40, 0, 0, 0, 0, 0, 0, 0};
    st = stats_of(11, true, big, 1);
    assert_true(st.min == 2 && st.mean == 2);
    st = stats_of(1, false, (float[]){NAN}, 1);
    assert_true(st.values == 0 && st.not_finite == 1);
}

static void integers(void **state) {
    (void)state;
    const int64_t wide[] = {INT64_MIN, 5, INT64_MAX};
    DataStats st = stats_of(7, false, wide, 3);
    assert_true(st.integers && st.least == INT64_MIN && st.most == INT64_MAX && st.values == 3);
    const uint64_t huge[] = {UINT64_MAX, UINT64_C(1) << 63, 7};
    st = stats_of(13, false, huge, 3);
    assert_true((uint64_t)st.most == UINT64_MAX && st.least == 7 && st.max == 0x1p64);
    assert_true(fabs(st.mean / 0x1p62 - 2) < 1e-9);
    const uint8_t bytes[] = {200, 0, 255};
    st = stats_of(2, false, bytes, 3);
    assert_true(st.least == 0 && st.most == 255 && st.max == 255);
    st = stats_of(3, false, bytes, 3);
    assert_true(st.least == -56 && st.most == 0);
    const uint8_t big[] = {1, 0};
    st = stats_of(5, true, big, 1);
    assert_true(st.most == 256);
    st = stats_of(9, false, NULL, 0);
    assert_true(st.values == 0 && st.mean == 0);
}

static void a_stop_is_obeyed(void **state) {
    (void)state;
    const int64_t count = 4096 * 300;
    uint8_t *zeros = calloc((size_t)count, 1);
    atomic_int stop = 2;
    s->stop = &stop;
    DataStats out;
    const DataArray a = {.type = 2, .count = count, .bytes = zeros};
    assert_false(data_stats(s, &a, &out));
    free(zeros);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(floats, setup, teardown),
        cmocka_unit_test_setup_teardown(integers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_is_obeyed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
