/* data_fit: arrays and inputs of all shapes, random data, and everything that does not fit. */
#include "tests/unit/data_world.h"

static void shapes_of_all_kinds(void **state) {
    (void)state;
    const int64_t state_dims[] = {2, -1, 2};
    const Str state_names[] = {{"", 0}, {"batch", 5}, {"", 0}};
    const DataInput inputs[] = {
        {.name = STR("state"), .type = 1, .rank = 3, .dims = state_dims, .dim_names = state_names},
        {.name = STR("rate"), .type = 7, .rank = 0},
        {.name = STR("step"), .type = 11, .rank = 0},
        {.name = STR("extra"), .type = 1, .rank = -1, .optional = true},
    };
    float values[12];
    for (int i = 0; i < 12; i++) {
        values[i] = (float)i;
    }
    ZipBuild z = zip_begin(s->arena, 0);
    zip_add(&z, "state.npy", npy_bytes(s->arena, "<f4", false, "(3, 2, 1, 2)", values, 48));
    zip_add(&z, "rate.npy", npy_bytes(s->arena, "<i8", false, "()", (int64_t[]){16000}, 8));
    zip_add(&z, "step.npy", npy_bytes(s->arena, "<f4", false, "(3,)", values, 12));
    Str bytes = zip_end(&z);
    unit_write(str_format(s->arena, "%s/w.npz", dir).data, bytes.data, bytes.len);
    DataWish w = wish_for("npz", "w.npz");
    w.batch = 0;
    Dataset *d = must(&w, inputs, 4);
    assert_int_equal(dataset_batches(d), 3);
    DataTensor t[4];
    assert_true(dataset_batch(s, d, 2, t));
    assert_true(t[0].rank == 3 && t[0].dims[0] == 2 && t[0].dims[1] == 1 && t[0].size == 16);
    assert_true(((const float *)t[0].data)[0] == 8);
    assert_true(t[1].rank == 0 && *(const int64_t *)t[1].data == 16000);
    assert_true(t[2].rank == 0 && *(const double *)t[2].data == 2.0);
    assert_true(t[3].data == NULL && t[3].size == 0);
    w.batch = 2;
    REFUSED(&w, inputs, 4, "E0702]: `calib` does not fit",
            "state takes 1 sample at a time; batch is 2");
}

static void random_data_is_made(void **state) {
    (void)state;
    const int64_t shape[] = {6};
    const int64_t past_dims[] = {2, -1, -1};
    const Str past_names[] = {{"", 0}, {"batch", 5}, {"sequence", 8}};
    const DataInput inputs[] = {
        {.name = STR("ids"),
         .type = 7,
         .rank = 2,
         .dims = ids_dims,
         .dim_names = ids_names,
         .limit = 50},
        {.name = STR("mask"), .type = 10, .rank = 2, .dims = mask_dims, .dim_names = mask_names},
        {.name = STR("past"), .type = 9, .rank = 3, .dims = past_dims, .dim_names = past_names},
    };
    DataWish w = {
        .loader = STR("random"), .samples = 4, .batch = 2, .shape = shape, .shape_count = 1};
    Dataset *d = must(&w, inputs, 3), *again = must(&w, inputs, 3);
    DataTensor a[3], b[3];
    int64_t largest = 0;
    for (int64_t i = 0; i < 2; i++) {
        assert_true(dataset_batch(s, d, i, a) && dataset_batch(s, again, i, b));
        assert_true(a[0].dims[0] == 2 && a[0].dims[1] == 6 && a[1].dims[1] == 3);
        assert_true(a[2].dims[0] == 2 && a[2].dims[1] == 2 && a[2].dims[2] == 6);
        for (int k = 0; k < 3; k++) {
            assert_memory_equal(a[k].data, b[k].data, a[k].size);
        }
        for (size_t k = 0; k < 12; k++) {
            const int64_t id = ((const int64_t *)a[0].data)[k];
            assert_in_range(id, 0, 49);
            largest = id > largest ? id : largest;
        }
        assert_true(*(const uint8_t *)a[2].data <= 1);
    }
    assert_true(largest > 20);
    uint8_t hash[32], other[32];
    assert_true(dataset_hash(s, d, NULL, hash));
    w.seed = 1;
    assert_true(dataset_hash(s, must(&w, inputs, 3), NULL, other));
    assert_memory_not_equal(hash, other, 32);
    w.shape_count = 0;
    REFUSED(&w, inputs, 3, "E0702]: random data does not fit", "the model leaves open: sequence",
            "gives 0 of 1 sizes");
    w.shape_count = 1;
    w.samples = 5;
    REFUSED(&w, inputs, 3, "5 samples are no whole batches of 2");
    const int64_t huge[] = {-1, INT64_MAX / 4, 16};
    const DataInput large = {.name = STR("x"), .type = 1, .rank = 3, .dims = huge};
    w.shape_count = 0;
    w.samples = 2;
    REFUSED(&w, &large, 1, "a batch of x is too large");
    const DataInput text = {.name = STR("x"), .type = 8, .rank = 2, .dims = mask_dims};
    REFUSED(&w, &text, 1, "no random values for x");
    const int64_t image[] = {2, 3};
    const DataInput fixed = {.name = STR("x"), .type = 1, .rank = 2, .dims = image};
    w.batch = 0;
    assert_int_equal(dataset_batches(must(&w, &fixed, 1)), 1);
    w.batch = 1;
    REFUSED(&w, &fixed, 1, "x takes 2 samples at a time; batch is 1");
}

static void misfits_are_told_together(void **state) {
    (void)state;
    static const uint8_t zeros[4096];
    const DataWish w = wish_for("npz", "one.npz");
    write_one("idz.npy", "<i4", "(5, 4)", zeros, 80);
    REFUSED(&w, model, 1,
            "the model wants ids int64 [batch, sequence]; the file has idz int32 [5, 4]",
            "did you mean `ids`?");
    REFUSED(
        &w, model, 2, "the model wants ids int64 [batch, sequence]; the file has none",
        "the model wants mask float32 [batch, 3]; the file has none",
        "the file has idz int32 [5, 4]; no input of the model is called so; did you mean `ids`?");
    write_one("ids.npy", "<f4", "(5, 4)", zeros, 80);
    REFUSED(&w, model, 1, "wants ids int64 [batch, sequence]; the file has float32 [5, 4]");
    write_one("ids.npy", "<i8", "(5,)", zeros, 40);
    REFUSED(&w, model, 1, "wants ids int64 [batch, sequence]; the file has int64 [5]");
    write_one("mask.npy", "<f4", "(5, 4)", zeros, 80);
    REFUSED(&w, model + 1, 1, "wants mask float32 [batch, 3]; the file has float32 [5, 4]");
    write_one("ids.npy", "<i8", "(0, 4)", zeros, 0);
    REFUSED(&w, model, 1, "there are no samples");
    write_one("ids.npy", "<i8", "(5, 4)", zeros, 160);
    DataWish many = w;
    many.samples = 6;
    REFUSED(&many, model, 1, "6 samples are asked for; the file has 5");
    const int64_t fixed_dims[] = {4, -1};
    const DataInput fixed = {.name = STR("ids"), .type = 7, .rank = 2, .dims = fixed_dims};
    REFUSED(&w, &fixed, 1, "ids takes 4 samples at a time; batch is 2", "5 leave a rest");
    many.samples = 4;
    many.batch = 0;
    assert_int_equal(dataset_batches(must(&many, &fixed, 1)), 1);
}

static void sizes_agree(void **state) {
    (void)state;
    static const uint8_t zeros[4096];
    const DataInput same[] = {
        {.name = STR("a"), .type = 7, .rank = 2, .dims = ids_dims, .dim_names = ids_names},
        {.name = STR("b"), .type = 7, .rank = 2, .dims = ids_dims, .dim_names = ids_names},
    };
    ZipBuild z = zip_begin(s->arena, 0);
    zip_add(&z, "a.npy", npy_bytes(s->arena, "<i8", false, "(4, 8)", zeros, 256));
    zip_add(&z, "b.npy", npy_bytes(s->arena, "<i8", false, "(3, 8)", zeros, 192));
    Str bytes = zip_end(&z);
    unit_write(str_format(s->arena, "%s/two.npz", dir).data, bytes.data, bytes.len);
    const DataWish w = wish_for("npz", "two.npz");
    REFUSED(&w, same, 2, "a has 4 samples, b has 3");
    z = zip_begin(s->arena, 0);
    zip_add(&z, "a.npy", npy_bytes(s->arena, "<i8", false, "(4, 8)", zeros, 256));
    zip_add(&z, "b.npy", npy_bytes(s->arena, "<i8", false, "(4, 7)", zeros, 224));
    bytes = zip_end(&z);
    unit_write(str_format(s->arena, "%s/two.npz", dir).data, bytes.data, bytes.len);
    REFUSED(&w, same, 2, "sequence is 8 in a, 7 in b");
}

static void values_that_do_not_fit(void **state) {
    (void)state;
    const DataInput narrow = {.name = STR("ids"), .type = 6, .rank = 2, .dims = ids_dims};
    const int64_t values[] = {1, 2, 3, INT64_C(5000000000)};
    write_one("ids.npy", "<i8", "(2, 2)", values, 32);
    const DataWish w = wish_for("npz", "one.npz");
    Dataset *d = must(&w, &narrow, 1);
    DataTensor t;
    assert_false(dataset_batch(s, d, 0, &t));
    assert_non_null(strstr(unit_diags(s), "5000000000 is no int32"));
    assert_non_null(strstr(unit_diags(s), "element 1 of sample 1"));
    diags_clear(&s->diags);
    uint8_t hash[32];
    assert_false(dataset_hash(s, d, NULL, hash));
    assert_int_equal(s->diags.errors, 1);
    diags_clear(&s->diags);
    const DataInput half = {.name = STR("ids"), .type = 10, .rank = 2, .dims = ids_dims};
    write_one("ids.npy", "<f4", "(1, 2)", (float[]){1, 1e6f}, 8);
    assert_false(dataset_batch(s, must(&w, &half, 1), 0, &t));
    assert_non_null(strstr(unit_diags(s), "1e+06 is no float16"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shapes_of_all_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(random_data_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(misfits_are_told_together, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_do_not_fit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
