/* A folder, a model of two inputs and files for it: what the tests of data and of data_fit share.
 */
#ifndef TESTS_UNIT_DATA_WORLD_H
#define TESTS_UNIT_DATA_WORLD_H
#include "runtime/calib/data.h"
#include "tests/unit/arrays_build.h"
#include "tests/unit/faulty_sys.h"

static Session *s;
static char *dir;

static inline int setup(void **state) {
    (void)state;
    s = session_open(&sys_faulty);
    faulty_set(0, 0, false);
    dir = unit_directory();
    return 0;
}

static inline int teardown(void **state) {
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

static inline void fill(void) {
    for (int i = 0; i < 20; i++) {
        ids[i / 4][i % 4] = 100 + i;
    }
    for (int i = 0; i < 15; i++) {
        mask[i / 3][i % 3] = (float)i / 4;
    }
}

static inline void write_npz(const char *name, int flags) {
    ZipBuild z = zip_begin(s->arena, flags);
    fill();
    zip_add(&z, "ids.npy", npy_bytes(s->arena, "<i4", false, "(5, 4)", ids, sizeof ids));
    zip_add(&z, "mask.npy", npy_bytes(s->arena, "<f4", false, "(5, 3)", mask, sizeof mask));
    zip_add(&z, "labels.npy",
            npy_bytes(s->arena, "<i8", false, "(5,)", (int64_t[]){10, 11, 12, 13, 14}, 40));
    Str bytes = zip_end(&z), path = str_format(s->arena, "%s/%s", dir, name);
    unit_write(path.data, bytes.data, bytes.len);
}

static inline DataWish wish_for(const char *loader, const char *path) {
    return (DataWish){.loader = str_from(loader),
                      .path = str_from(path),
                      .base = str_from(dir),
                      .scratch = str_from(dir),
                      .name = STR("calib"),
                      .batch = 2};
}

static inline Dataset *must(const DataWish *w, const DataInput *inputs, size_t count) {
    Dataset *d = dataset_open(s, w, inputs, count);
    if (!d) {
        fail_msg("%s", unit_diags(s));
    }
    return d;
}

static inline void refused(const DataWish *w, const DataInput *inputs, size_t count,
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

/* one.npz with one member */
static inline void write_one(const char *name, const char *descr, const char *shape,
                             const void *data, size_t size) {
    ZipBuild z = zip_begin(s->arena, 0);
    zip_add(&z, name, npy_bytes(s->arena, descr, false, shape, data, size));
    Str bytes = zip_end(&z);
    unit_write(str_format(s->arena, "%s/one.npz", dir).data, bytes.data, bytes.len);
}

#endif
