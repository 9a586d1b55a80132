/* data: batches, order, conversion, identity, files that are refused, and calls that fail. What
 * fits and what does not: data_fit_test. */
#include <errno.h>
#include "runtime/calib/data_file.h"
#include "tests/unit/data_world.h"

static void batches_are_given(void **state) {
    (void)state;
    for (int flags = 0; flags < ZIP_ENCRYPTED; flags++) {
        write_npz("a.npz", flags);
        DataWish w = wish_for("npz", "a.npz");
        Dataset *d = must(&w, model, 2);
        assert_int_equal(dataset_samples(d), 5);
        assert_int_equal(dataset_batches(d), 3);
        for (int64_t b = 0; b < 3; b++) {
            DataTensor t[2], labels;
            const int n = b == 2 ? 1 : 2;
            assert_true(dataset_batch(s, d, b, t));
            assert_str(t[0].name, "ids");
            assert_true(t[0].type == 7 && t[0].rank == 2 && t[0].dims[0] == n && t[0].dims[1] == 4);
            assert_int_equal(t[0].size, n * 4 * 8);
            assert_int_equal((uintptr_t)t[0].data % 8, 0);
            for (int i = 0; i < n * 4; i++) {
                assert_int_equal(((const int64_t *)t[0].data)[i], 100 + b * 8 + i);
            }
            assert_true(t[1].type == 1 && t[1].dims[0] == n);
            assert_memory_equal(t[1].data, mask[b * 2], (size_t)n * 12);
            assert_true(dataset_labels(s, d, b, &labels));
            assert_int_equal(*(const int64_t *)labels.data, 10 + b * 2);
            assert_int_equal(labels.dims[0], n);
        }
        Buf notes = buf_on(s->arena);
        dataset_notes(d, &notes);
        assert_str(buf_view(&notes),
                   "`calib`: ids is int32 in the file and int64 in the model: converted exactly\n");
        assert_true(dataset_unchanged(s, d));
        dataset_close(s, d);
    }
}

static void samples_are_chosen_and_shuffled(void **state) {
    (void)state;
    write_npz("a.npz", 0);
    DataWish w = wish_for("npz", "a.npz");
    w.shuffle = true;
    w.samples = 4;
    w.seed = 7;
    Dataset *d = must(&w, model, 2);
    assert_int_equal(dataset_batches(d), 2);
    int seen = 0, in_order = 0;
    for (int64_t b = 0; b < 2; b++) {
        DataTensor t[2], labels;
        assert_true(dataset_batch(s, d, b, t) && dataset_labels(s, d, b, &labels));
        for (int i = 0; i < 2; i++) {
            const int64_t row = ((const int64_t *)t[0].data)[4 * i] - 100;
            assert_true(row % 4 == 0 && !(seen & 1 << row / 4));
            seen |= 1 << row / 4;
            in_order += row / 4 == 2 * b + i;
            assert_memory_equal((const float *)t[1].data + 3 * i, mask[row / 4], 12);
            assert_int_equal(((const int64_t *)labels.data)[i], 10 + row / 4);
        }
    }
    assert_true(in_order < 4);
}

/* the last tenth and the others: every sample is in one of them, in the order of the whole */
static void a_tenth_is_held_out(void **state) {
    (void)state;
    int64_t x[23];
    for (int i = 0; i < 23; i++) {
        x[i] = i;
    }
    const Str bytes = npy_bytes(s->arena, "<i8", false, "(23,)", x, sizeof x);
    unit_write(str_format(s->arena, "%s/x.npy", dir).data, bytes.data, bytes.len);
    const int64_t any[] = {-1}, seven[] = {7};
    for (int mode = 0; mode < 4; mode++) { /* 1: shuffled, 2: the model takes 7 samples, 3: one */
        const DataInput in = {
            .name = STR("x"), .type = 7, .rank = 1, .dims = mode == 2 ? seven : any};
        DataWish w = wish_for("npy", "x.npy");
        w.batch = mode == 2 ? 7 : 4;
        w.samples = mode == 2 ? 21 : 0;
        w.shuffle = mode == 1;
        int64_t order[23];
        Dataset *all = must(&w, &in, 1), *part[2];
        const int64_t n = dataset_samples(all), held = mode == 2 ? 7 : 2;
        DataTensor t;
        for (int64_t b = 0; b < dataset_batches(all); b++) {
            assert_true(dataset_batch(s, all, b, &t));
            memcpy(order + b * w.batch, t.data, t.size);
        }
        int64_t at = 0;
        uint8_t hash[2][32];
        for (int p = 0; p < 2; p++) {
            w.part = p ? DATA_TENTH : DATA_BUT_TENTH;
            part[p] = must(&w, &in, 1);
            assert_int_equal(dataset_samples(part[p]), p ? held : n - held);
            for (int64_t b = 0; b < dataset_batches(part[p]); b++) {
                assert_true(dataset_batch(s, part[p], b, &t));
                assert_memory_equal(t.data, order + at, t.size);
                at += t.dims[0];
            }
            assert_true(dataset_hash(s, part[p], NULL, hash[p]));
        }
        assert_int_equal(at, n);
        assert_memory_not_equal(hash[0], hash[1], 32);
        w.samples = 1;
        if (mode == 3) {
            REFUSED(&w, &in, 1, "E0702]: `calib` cannot be split", "it has 1");
        }
    }
    const DataInput noise = {.name = STR("x"), .type = 1, .rank = 1, .dims = any};
    DataWish w = {.loader = STR("random"), .samples = 20, .batch = 2, .part = DATA_TENTH};
    Dataset *d = must(&w, &noise, 1);
    DataTensor held, same;
    assert_true(dataset_batches(d) == 1 && dataset_batch(s, d, 0, &held));
    w.part = DATA_ALL;
    assert_true(dataset_batch(s, must(&w, &noise, 1), 9, &same) && same.size == held.size);
    assert_memory_equal(held.data, same.data, same.size);
}

/* The same in a .safetensors file; fewer samples and another order are other data. */
static void safetensors_too(const DataInput *x, const float *plain, size_t size,
                            const uint8_t first[32]) {
    uint8_t hash[32];
    Str header = str_format(s->arena,
                            "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,2,700],"
                            "\"data_offsets\":[0,%zu]}}",
                            size);
    Str bytes = tensors_bytes(s->arena, header.data, plain, size);
    unit_write(str_format(s->arena, "%s/x.safetensors", dir).data, bytes.data, bytes.len);
    DataWish w = wish_for("safetensors", "x.safetensors");
    Dataset *d = must(&w, x, 1);
    assert_true(dataset_hash(s, d, NULL, hash));
    assert_memory_equal(first, hash, 32);
    w.samples = 1;
    assert_true(dataset_hash(s, must(&w, x, 1), NULL, hash));
    assert_memory_not_equal(first, hash, 32);
    w.samples = 0;
    w.shuffle = true;
    for (w.seed = 0; w.seed < 64; w.seed++) { /* an order that is another */
        assert_true(dataset_hash(s, must(&w, x, 1), NULL, hash));
        if (memcmp(first, hash, 32) != 0) {
            return;
        }
    }
    fail_msg("no seed changes the order of two samples");
}

/* the same values in every form give the same batches and the same identity */
static void forms_do_not_matter(void **state) {
    (void)state;
    const int64_t dims[] = {-1, 2, -1};
    const DataInput x = {.name = STR("x"), .type = 1, .rank = 3, .dims = dims};
    float plain[2 * 2 * 700];
    double wide[2 * 2 * 700];
    float fortran[2 * 2 * 700];
    uint32_t swapped[2 * 2 * 700];
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            for (int k = 0; k < 700; k++) {
                const float v = (float)(i * 1400 + j * 700 + k) / 8;
                plain[(i * 2 + j) * 700 + k] = v;
                wide[(i * 2 + j) * 700 + k] = v;
                fortran[i + 2 * (j + 2 * k)] = v;
            }
        }
    }
    for (int i = 0; i < 2800; i++) {
        uint32_t bits;
        memcpy(&bits, &fortran[i], 4);
        swapped[i] = __builtin_bswap32(bits);
    }
    const struct {
        const char *descr;
        bool fortran;
        const void *data;
        size_t size;
    } forms[] = {
        {"<f4", false, plain, sizeof plain},
        {"<f8", false, wide, sizeof wide},
        {"<f4", true, fortran, sizeof fortran},
        {">f4", true, swapped, sizeof swapped},
    };
    uint8_t first[32], hash[32];
    for (size_t f = 0; f < 4; f++) {
        Str bytes = npy_bytes(s->arena, forms[f].descr, forms[f].fortran, "(2, 2, 700)",
                              forms[f].data, forms[f].size);
        unit_write(str_format(s->arena, "%s/x.npy", dir).data, bytes.data, bytes.len);
        DataWish w = wish_for("npy", "x.npy");
        Dataset *d = must(&w, &x, 1);
        DataTensor t;
        assert_true(dataset_batch(s, d, 0, &t));
        assert_int_equal(t.size, sizeof plain);
        assert_memory_equal(t.data, plain, sizeof plain);
        assert_true(dataset_hash(s, d, NULL, f ? hash : first));
        assert_true(f == 0 || memcmp(first, hash, 32) == 0);
        dataset_close(s, d);
    }
    safetensors_too(&x, plain, sizeof plain, first);
}

static bool backwards(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    ++*(int *)spread->owner;
    for (size_t i = count; i-- > 0;) {
        task(user, i);
    }
    return *(int *)spread->owner > 1; /* the first time it says that something was left out */
}

static void the_identity_is_that_of_any_spread(void **state) {
    (void)state;
    const int64_t dims[] = {-1, 1 << 20};
    const DataInput x = {.name = STR("x"), .type = 1, .rank = 2, .dims = dims};
    const size_t size = (size_t)7 << 20;
    float *values = calloc(size, 4);
    for (size_t i = 0; i < size; i++) {
        values[i] = (float)(i % 1000);
    }
    Str bytes = npy_bytes(s->arena, "<f4", false, "(7, 1048576)", values, size * 4);
    unit_write(str_format(s->arena, "%s/x.npy", dir).data, bytes.data, bytes.len);
    free(values);
    DataWish w = wish_for("npy", "x.npy");
    uint8_t alone[32], spread[32];
    assert_true(dataset_hash(s, must(&w, &x, 1), NULL, alone));
    int calls = 0;
    const Spread threads = {.run = backwards, .owner = &calls};
    for (int i = 0; i < 2; i++) {
        assert_true(dataset_hash(s, must(&w, &x, 1), &threads, spread));
        assert_memory_equal(alone, spread, 32);
    }
    assert_int_equal(calls, 2);
    atomic_int stop = 2;
    Dataset *d = must(&w, &x, 1);
    s->stop = &stop;
    assert_false(dataset_hash(s, d, NULL, spread));
    s->stop = NULL;
    assert_true(dataset_hash(s, d, NULL, spread));
    assert_memory_equal(alone, spread, 32);
}

/* ---- files */

static void files_are_refused(void **state) {
    (void)state;
    DataWish w = wish_for("npz", "absent.npz");
    REFUSED(&w, model, 2, "E1101]", "absent.npz");
    static const uint8_t zeros[4096];
    Str path = str_format(s->arena, "%s/one.npz", dir);
    Str npy = npy_bytes(s->arena, "<i8", false, "(5, 4)", zeros, 160);
    w = wish_for("npz", "one.npz");
    unit_write(path.data, npy.data, npy.len);
    REFUSED(&w, model, 1, "E0704]: cannot use", "does not end as a zip", "for npy(...)");
    w.loader = STR("npy");
    unit_write(path.data, npy.data, npy.len - 1);
    REFUSED(&w, model, 1, "needs 160 B, and there are 159 B");
    REFUSED(&w, model, 0, "needs 160 B");
    unit_write(path.data, npy.data, npy.len);
    REFUSED(&w, model, 2, "an .npy file is one array without a name");
    unit_write(path.data, "", 0);
    REFUSED(&w, model, 1, "E0704]");
    w.loader = STR("safetensors");
    REFUSED(&w, model, 1, "E0704]", "too short");
    w.loader = STR("npz");
    REFUSED(&w, model, 1, "E0704]");
    w.loader = STR("tokens");
    REFUSED(&w, model, 1, "no loader `tokens`");
    w.loader = STR("npz");
    write_one("ids.npy", "|O", "(5, 4)", zeros, 160);
    REFUSED(&w, model, 1, "E0705]", "holds a pickle", "`ids`");
    write_one("archive/data.pkl", "<i8", "(5, 4)", zeros, 160);
    REFUSED(&w, model, 1, "E0705]", "data.pkl");
    write_one("readme", "<i8", "(5, 4)", zeros, 160);
    REFUSED(&w, model, 1, "E0704]", "no .npy member");
    write_one("ids.npy", "<c8", "(5, 4)", zeros, 160);
    REFUSED(&w, model, 1, "E0704]: cannot use the array `ids`", "complex");
    write_one("ids.npy", "<i8", "(5, 40)", zeros, 160);
    REFUSED(&w, model, 1, "E0704]", "needs 1.6 KiB, and there are 160 B");
}

/* Every system call of opening and reading fails once: reported, or survived with right bytes. */
static void each_call_may_fail(void **state) {
    (void)state;
    write_npz("a.npz", ZIP_DEFLATED);
    const DataWish w = wish_for("npz", "a.npz");
    faulty_set(0, 0, false);
    dataset_close(s, must(&w, model, 2));
    const int64_t calls = faulty_calls();
    assert_true(calls > 10);
    int failed = 0;
    for (int64_t n = 1; n <= calls; n++) {
        faulty_set(n, EIO, false);
        Dataset *d = dataset_open(s, &w, model, 2);
        DataTensor t[2];
        failed += !d;
        assert_int_equal(s->diags.errors, d ? 0 : 1);
        if (d) {
            assert_true(dataset_batch(s, d, 0, t));
            assert_memory_equal(t[1].data, mask, 24);
        }
        faulty_set(0, 0, false);
        dataset_close(s, d);
        diags_clear(&s->diags);
    }
    assert_true(failed > 10);
}

static void a_change_is_seen(void **state) {
    (void)state;
    write_npz("a.npz", 0);
    const DataWish w = wish_for("npz", "a.npz");
    Dataset *d = must(&w, model, 2);
    Str path = str_format(s->arena, "%s/a.npz", dir);
    assert_int_equal(truncate(path.data, 10), 0);
    DataTensor t[2];
    dataset_batch(s, d, 0, t); /* zeros; nobody crashes */
    assert_false(dataset_unchanged(s, d));
    assert_non_null(strstr(unit_diags(s), "E1104]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_are_given, setup, teardown),
        cmocka_unit_test_setup_teardown(samples_are_chosen_and_shuffled, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tenth_is_held_out, setup, teardown),
        cmocka_unit_test_setup_teardown(forms_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(the_identity_is_that_of_any_spread, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(each_call_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_seen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
