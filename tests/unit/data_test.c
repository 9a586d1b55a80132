/* data: arrays fitted to inputs, batches, order, conversion, identity; what does not fit, and calls
 * that fail. */
#include "runtime/calib/data.h"
#include <errno.h>
#include "runtime/calib/data_file.h"
#include "tests/unit/arrays_build.h"
#include "tests/unit/faulty_sys.h"

static Session *s;
static char *dir;

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_faulty);
    faulty_set(0, 0, false);
    dir = unit_directory();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    unit_remove(dir);
    return faulty_open_files() == 0 ? 0 : -1;
}

/* ---- a model of two inputs and a file for it */

static const int64_t ids_dims[] = {-1, -1}, mask_dims[] = {-1, 3};
static const Str ids_names[] = {{"batch", 5}, {"sequence", 8}},
                 mask_names[] = {{"batch", 5}, {"", 0}};
static const DataInput model[2] = {
    {.name = {"ids", 3}, .type = 7, .rank = 2, .dims = ids_dims, .dim_names = ids_names},
    {.name = {"mask", 4}, .type = 1, .rank = 2, .dims = mask_dims, .dim_names = mask_names},
};

static int32_t ids[5][4];
static float mask[5][3];

static void fill(void) {
    for (int i = 0; i < 20; i++) {
        ids[i / 4][i % 4] = 100 + i;
    }
    for (int i = 0; i < 15; i++) {
        mask[i / 3][i % 3] = (float)i / 4;
    }
}

static void write_npz(const char *name, int flags) {
    ZipBuild z = zip_begin(s->arena, flags);
    fill();
    zip_add(&z, "ids.npy", npy_bytes(s->arena, "<i4", false, "(5, 4)", ids, sizeof ids));
    zip_add(&z, "mask.npy", npy_bytes(s->arena, "<f4", false, "(5, 3)", mask, sizeof mask));
    zip_add(&z, "labels.npy",
            npy_bytes(s->arena, "<i8", false, "(5,)", (int64_t[]){10, 11, 12, 13, 14}, 40));
    Str bytes = zip_end(&z), path = str_format(s->arena, "%s/%s", dir, name);
    unit_write(path.data, bytes.data, bytes.len);
}

static DataWish wish_for(const char *loader, const char *path) {
    return (DataWish){.loader = str_from(loader),
                      .path = str_from(path),
                      .base = str_from(dir),
                      .scratch = str_from(dir),
                      .name = STR("calib"),
                      .batch = 2};
}

static Dataset *must(const DataWish *w, const DataInput *inputs, size_t count) {
    Dataset *d = dataset_open(s, w, inputs, count);
    if (!d) {
        fail_msg("%s", unit_diags(s));
    }
    return d;
}

static void refused(const DataWish *w, const DataInput *inputs, size_t count,
                    const char *const *parts) {
    assert_null(dataset_open(s, w, inputs, count));
    assert_int_equal(s->diags.errors, 1);
    const char *text = unit_diags(s);
    for (; *parts; parts++) {
        if (!strstr(text, *parts)) {
            fail_msg("expected \"%s\" in:\n%s", *parts, text);
        }
    }
    diags_clear(&s->diags);
}
#define REFUSED(w, inputs, count, ...)                                                             \
    refused((w), (inputs), (count), (const char *const[]){__VA_ARGS__, NULL})

/* ---- what fits */

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
    Str header = str_format(s->arena,
                            "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,2,700],"
                            "\"data_offsets\":[0,%zu]}}",
                            sizeof plain);
    Str bytes = tensors_bytes(s->arena, header.data, plain, sizeof plain);
    unit_write(str_format(s->arena, "%s/x.safetensors", dir).data, bytes.data, bytes.len);
    DataWish w = wish_for("safetensors", "x.safetensors");
    Dataset *d = must(&w, &x, 1);
    assert_true(dataset_hash(s, d, NULL, hash));
    assert_memory_equal(first, hash, 32);
    w.samples = 1;
    assert_true(dataset_hash(s, must(&w, &x, 1), NULL, hash));
    assert_memory_not_equal(first, hash, 32);
    w.samples = 0;
    w.shuffle = true;
    for (w.seed = 0; w.seed < 64; w.seed++) { /* an order that is another */
        assert_true(dataset_hash(s, must(&w, &x, 1), NULL, hash));
        if (memcmp(first, hash, 32) != 0) {
            return;
        }
    }
    fail_msg("no seed changes the order of two samples");
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

/* ---- random */

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

/* ---- what does not fit */

static void write_one(const char *name, const char *descr, const char *shape, const void *data,
                      size_t size) {
    ZipBuild z = zip_begin(s->arena, 0);
    zip_add(&z, name, npy_bytes(s->arena, descr, false, shape, data, size));
    Str bytes = zip_end(&z);
    unit_write(str_format(s->arena, "%s/one.npz", dir).data, bytes.data, bytes.len);
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
        cmocka_unit_test_setup_teardown(shapes_of_all_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(forms_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(the_identity_is_that_of_any_spread, setup, teardown),
        cmocka_unit_test_setup_teardown(random_data_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(misfits_are_told_together, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_do_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(each_call_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_seen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
