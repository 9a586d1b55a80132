/* data_file: kinds are told apart, arrays described, members unpacked when they are asked for. */
#include "runtime/calib/data_file.h"
#include "runtime/calib/data_fit.h"
#include "tests/unit/arrays_build.h"

static Session *s;
static char *dir;
static const float values[6] = {0, 1, 2, 3, 4, 5};

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_real);
    dir = unit_directory();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    unit_remove(dir);
    return 0;
}

static Str put(const char *name, Str bytes) {
    Str path = str_format(s->arena, "%s/%s", dir, name);
    unit_write(path.data, bytes.data, bytes.len);
    return path;
}

static int kind_of(const char *name, Str bytes) {
    Input *in = input_open(s, put(name, bytes));
    DataFormat format;
    const int kind = data_format_guess(in, &format) ? (int)format : -1;
    input_close(s, in);
    return kind;
}

static void kinds_are_told_apart(void **state) {
    (void)state;
    ZipBuild z = zip_begin(s->arena, 0);
    assert_int_equal(kind_of("a", npy_bytes(s->arena, "<f4", false, "(6,)", values, 24)), DATA_NPY);
    assert_int_equal(kind_of("b", zip_end(&z)), DATA_NPZ);
    assert_int_equal(kind_of("c", tensors_bytes(s->arena, "{}", "", 0)), DATA_SAFETENSORS);
    assert_int_equal(kind_of("d.npz", STR("hello")),
                     DATA_NPZ); /* to be told what is wrong with it */
    assert_int_equal(kind_of("e.npy", STR("")), DATA_NPY);
    assert_int_equal(kind_of("f.safetensors", STR("")), DATA_SAFETENSORS);
    assert_int_equal(kind_of("npy", STR("hello")), -1);
    DataFormat format;
    assert_true(data_format_named(STR("npz"), &format) && format == DATA_NPZ);
    assert_false(data_format_named(STR("images"), &format));
}

static void members_are_unpacked_when_asked_for(void **state) {
    (void)state;
    ZipBuild z = zip_begin(s->arena, ZIP_DEFLATED);
    zip_add(&z, "x.npy", npy_bytes(s->arena, "<f4", true, "(2, 3)", values, 24));
    zip_add(&z, "\xc3\xa4.npy", npy_bytes(s->arena, "<f4", false, "(0, 3)", values, 0));
    Str bytes = zip_end(&z);
    DataFile *f = data_file_open(s, DATA_NPZ, put("a.npz", bytes), str_from(dir), NO_SPAN);
    assert_non_null(f);
    assert_int_equal(f->count, 2);
    DataArray *x = &f->arrays[0];
    assert_true(x->fortran && x->rank == 2 && x->size == 24 && !x->bytes);
    assert_str(data_array_shape(s->arena, x->type, x->rank, x->dims), "float32 [2, 3]");
    assert_true(data_file_load(s, f, x) && data_file_load(s, f, x));
    assert_memory_equal(x->bytes, values, 24);
    assert_str(f->arrays[1].name, "\xc3\xa4");
    assert_true(data_file_load(s, f, &f->arrays[1]));
    data_file_close(s, f);
    data_file_close(s, NULL);
    char *hurt = (char *)(uintptr_t)bytes.data; /* the last byte of the first member's deflate */
    NpzDirectory d;
    Str why;
    assert_true(npz_directory(s->arena, (const uint8_t *)hurt, bytes.len, &d, &why));
    hurt[d.members[0].begin + d.members[0].packed - 4] ^= 1;
    f = data_file_open(s, DATA_NPZ, put("b.npz", bytes), str_from(dir), NO_SPAN);
    assert_true(f == NULL || !data_file_load(s, f, &f->arrays[0]));
    assert_non_null(strstr(unit_diags(s), "E0704]: cannot use the array `x`"));
}

static void arrays_are_compared_with_inputs(void **state) {
    (void)state;
    const int64_t dims[] = {-1, 3}, shape[] = {4, 3}, other[] = {4, 5}, whole[] = {9, 4, 3};
    const Str names[] = {STR("batch"), {"", 0}};
    const DataInput in = {.name = STR("x"), .type = 1, .rank = 2, .dims = dims, .dim_names = names};
    DataArray a = {.name = STR("x"), .type = 10, .rank = 2, .dims = shape};
    int64_t at;
    assert_str(data_fit_words(s, &a, &in, 1, &at), "fits x");
    assert_int_equal(at, 0);
    a.dims = other;
    assert_str(data_fit_words(s, &a, &in, 1, &at), "does not fit x: float32 [batch, 3]");
    assert_int_equal(at, -1);
    a.dims = whole;
    a.rank = 3;
    assert_str(data_fit_words(s, &a, &in, 1, &at), "fits x");
    a.type = 7;
    assert_str(data_fit_words(s, &a, &in, 1, &at), "does not fit x: float32 [batch, 3]");
    a.name = STR("y");
    assert_str(data_fit_words(s, &a, &in, 1, &at), "no input is called so");
    a.name = STR("labels");
    assert_str(data_fit_words(s, &a, &in, 1, &at), "labels, kept for accuracy");
    a = (DataArray){.type = 1, .rank = 2, .dims = shape};
    assert_str(data_fit_words(s, &a, &in, 1, &at), "fits x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kinds_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(members_are_unpacked_when_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(arrays_are_compared_with_inputs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
