/* cmd_data: `morc data describe` in which one system call, or one allocation, fails: at every
 * place. It says so and ends with the code that a file's or a machine's trouble has; nothing stays
 * open, allocated or lying about. What it says when all is well is in tests/golden/data. */
#include "compiler/morc.h"
#include <errno.h>
#include "runtime/base/alloc.h"
#include "tests/unit/arrays_build.h"
#include "tests/unit/faulty_sys.h"
#include "tests/unit/tiny_model.h"

static char *dir, model[4200], npz[4200], tensors[4200];

static int setup(void **state) {
    (void)state;
    static const float values[600] = {1, 2, 3};
    dir = unit_memory_directory();
    snprintf(model, sizeof model, "%s/m.onnx", dir);
    snprintf(npz, sizeof npz, "%s/a.npz", dir);
    snprintf(tensors, sizeof tensors, "%s/a.safetensors", dir);
    Arena *arena = arena_open();
    tiny_model_write(model, "opset 21\ninput x float 1 300\noutput y float 1 4\n"
                            "weight w float 300 4\nMatMul x w -> y /mul\n");
    ZipBuild z = zip_begin(arena, ZIP_DEFLATED);
    zip_add(&z, "x.npy", npy_bytes(arena, "<f4", false, "(2, 300)", values, sizeof values));
    zip_add(&z, "labels.npy", npy_bytes(arena, ">i2", false, "(2,)", values, 4));
    Str bytes = zip_end(&z);
    unit_write(npz, bytes.data, bytes.len);
    bytes = tensors_bytes(arena,
                          "{\"x\":{\"dtype\":\"F32\",\"shape\":[2,300],\"data_offsets\":[0,2400]}}",
                          values, sizeof values);
    unit_write(tensors, bytes.data, bytes.len);
    arena_close(arena);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unit_remove(dir);
    return 0;
}

static const char *scratch(const char *name) {
    return strcmp(name, "TMPDIR") == 0 ? dir : NULL;
}

static int describe(bool json, char **said) {
    char *argv[] = {"morc", "data", "describe", npz, tensors, model, "--json"};
    size_t size = 0;
    FILE *stream = open_memstream(said, &size);
    MorcEnv env = {.sys = &sys_faulty, .out = stream, .err = stream, .get = scratch};
    const int code = morc_main(json ? 7 : 6, argv, &env);
    fclose(stream);
    return code;
}

static void check(int code, const char *said, int64_t live, bool expect_good) {
    if ((code != 0 && code != 4 && code != 5) || (expect_good && code != 0)) {
        fail_msg("exit %d: %s", code, said);
    }
    assert_true(code == 0 || strstr(said, "error[E") || strstr(said, "\"code\":\"E"));
    assert_int_equal(faulty_open_files(), 0);
    assert_int_equal(alloc_live(), live);
}

static void each_call_may_fail(void **state) {
    (void)state;
    static const int errors[] = {EIO, EOPNOTSUPP, EINTR, ENOSPC};
    int bad = 0;
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        for (int n = 1, all_ran = 0; !all_ran; n++) {
            const int64_t live = alloc_live();
            char *said = NULL;
            faulty_set(n, errors[e], n % 2);
            const int code = describe(false, &said);
            all_ran = faulty_calls() < n;
            faulty_set(0, 0, false);
            check(code, said, live, all_ran);
            bad += code != 0;
            free(said);
        }
    }
    assert_true(bad > 20);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    for (int json = 0; json < 2; json++) {
        int runs = 0;
        for (int n = 1, all_ran = 0; !all_ran; n += n < 60 ? 1 : 3, runs++) {
            const int64_t live = alloc_live(), before = alloc_count();
            char *said = NULL;
            alloc_fail_at(n, n % 2);
            const int code = describe(json, &said);
            alloc_fail_at(0, false);
            all_ran = alloc_count() - before < n;
            check(code, said, live, all_ran);
            assert_true(all_ran || code == 4);
            free(said);
        }
        assert_true(runs > 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_fail),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
