/* jit_cache: a program comes back with its figures, for its own key only, and the key holds the
 * headers that the text includes; the note on NVRTC holds while its file and the loader's path are
 * the same, and no longer. */
#include "tests/unit/unit.h"
#include "runtime/device/jit_cache.h"
#include "runtime/device/cubin_entry.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static char *dir, library[4300];
static Session *s;
static CubinCache *cache;

static int setup(void **state) {
    (void)state;
    dir = unit_memory_directory();
    snprintf(library, sizeof library, "%s/libnvrtc.so.13", dir);
    unit_write(library, "not really", 10);
    s = session_open(&sys_real);
    Str why = {0};
    cache = cubin_cache_open(s, str_from(dir), &why);
    assert_non_null(cache);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    unit_remove(dir);
    return 0;
}

static const JitProgram sample = {.text = {"#include \"kernels/compare.h\"\nx", 30},
                                  .cubin = {"\x7f" "ELF and so on", 14},
                                  .registers = 28, .stack = 16, .shared = 128, .spills = 24};

static bool loads(int arch, int nvrtc, JitProgram *p) {
    Arena *scratch = arena_open();
    const bool loaded = jit_cache_load(s, cache, arch, nvrtc, p, scratch);
    arena_close(scratch);
    return loaded;
}

static void a_program_comes_back(void **state) {
    (void)state;
    Arena *scratch = arena_open();
    jit_cache_store(s, cache, 90, 13000, &sample, scratch);
    arena_close(scratch);
    JitProgram p = {.text = sample.text, .seconds = 3};
    assert_true(loads(90, 13000, &p));
    assert_true(str_eq(p.cubin, sample.cubin));
    assert_int_equal((uintptr_t)p.cubin.data % 16, 0);
    assert_int_equal(p.registers, 28);
    assert_int_equal(p.stack, 16);
    assert_int_equal(p.shared, 128);
    assert_int_equal(p.spills, 24);
    assert_true(p.cached && p.seconds == 0);
    JitProgram other = {.text = sample.text};
    assert_false(loads(91, 13000, &other));
    assert_false(loads(90, 13010, &other));
    other.specific = true;
    assert_false(loads(90, 13000, &other));
    other = (JitProgram){.text = STR("#include \"kernels/compare.h\"\ny")};
    assert_false(loads(90, 13000, &other));
    assert_int_equal(other.cubin.len, 0);
    assert_false(other.cached);
}

/* The only file of the folder, as text. */
static char *only_entry(size_t *size) {
    char path[4700];
    char *text = NULL;
    snprintf(path, sizeof path, "%s/kernels", dir);
    DIR *d = opendir(path);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            assert_null(text);
            snprintf(path, sizeof path, "%s/kernels/%s", dir, e->d_name);
            text = unit_read(path, size);
        }
    }
    closedir(d);
    assert_non_null(text);
    return text;
}

static void the_key_holds_what_is_included(void **state) {
    (void)state;
    Arena *scratch = arena_open();
    jit_cache_store(s, cache, 90, 13000, &sample, scratch);
    arena_close(scratch);
    size_t size = 0;
    char *text = only_entry(&size);
    static const char *const inside[] = {
        "#include \"kernels/compare.h\"\nx", "K_FN void k_limb_parts(", /* compare.h */
        "K_FN float k_quotient(",                                        /* dialect.h, by it */
        "--fmad=false", "sm_90\nnvrtc 13000\n"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        if (!memmem(text, size, inside[i], strlen(inside[i]))) {
            fail_msg("the key lacks '%s'", inside[i]);
        }
    }
    assert_null(memmem(text, size, "k_scale_encode", 14)); /* scale.h is not included */
    free(text);
}

static WireFile identity(const char *path) {
    struct stat is;
    assert_int_equal(stat(path, &is), 0);
    return (WireFile){is.st_size, is.st_mtim.tv_sec, is.st_mtim.tv_nsec, (uint64_t)is.st_dev,
                      (uint64_t)is.st_ino};
}

static void the_note_holds_while_nothing_changes(void **state) {
    (void)state;
    const WireFile file = identity(library);
    assert_int_equal(jit_cache_recall(s, cache), 0);
    jit_cache_remember(s, cache, 13000, &file, STR(""));
    assert_int_equal(jit_cache_recall(s, cache), 0); /* of a file without a name: no note */
    jit_cache_remember(s, cache, 13000, &file, str_from(library));
    assert_int_equal(jit_cache_recall(s, cache), 13000);
    jit_cache_remember(s, cache, 12090, &file, str_from(library));
    assert_int_equal(jit_cache_recall(s, cache), 12090); /* the newest counts */

    const char *before = getenv("LD_LIBRARY_PATH");
    char *kept = before ? strdup(before) : NULL;
    setenv("LD_LIBRARY_PATH", "/elsewhere", 1);
    assert_int_equal(jit_cache_recall(s, cache), 0);
    if (kept) {
        setenv("LD_LIBRARY_PATH", kept, 1);
    } else {
        unsetenv("LD_LIBRARY_PATH");
    }
    free(kept);
    assert_int_equal(jit_cache_recall(s, cache), 12090);

    const struct timespec later[2] = {{file.seconds, file.nanoseconds + 1},
                                      {file.seconds, file.nanoseconds + 1}};
    assert_int_equal(utimensat(AT_FDCWD, library, later, 0), 0);
    assert_int_equal(jit_cache_recall(s, cache), 0);
    const struct timespec again[2] = {{file.seconds, file.nanoseconds},
                                      {file.seconds, file.nanoseconds}};
    assert_int_equal(utimensat(AT_FDCWD, library, again, 0), 0);
    assert_int_equal(jit_cache_recall(s, cache), 12090);
    assert_int_equal(unlink(library), 0);
    assert_int_equal(jit_cache_recall(s, cache), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_program_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(the_key_holds_what_is_included, setup, teardown),
        cmocka_unit_test_setup_teardown(the_note_holds_while_nothing_changes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
