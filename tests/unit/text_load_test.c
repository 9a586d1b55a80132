/* text_load: kernel text becomes code that simt runs; what is wrong with it is said or traps. */
#include "tests/unit/unit.h"
#include <sys/wait.h>
#include "kernels/gpu/args.h"
#include "tests/fake/text_load.h"

#define HEAD                                                                                       \
    "#define THREADS 64\n#define RESIDENT 1\n#include \"kernels/gpu/threads.h\"\n"                 \
    "K_SHARED(uint32_t, shared_words, THREADS);\n"

static TextLibrary *load(const char *text) {
    char why[2000] = "";
    TextLibrary *library = text_load_tree(text, why, sizeof why);
    if (!library) {
        fail_msg("%s", why);
    }
    return library;
}

static const char *why_not(const char *text) {
    static char why[2000];
    assert_null(text_load_tree(text, why, sizeof why));
    return why;
}

static void run(TextLibrary *library, const char *name, unsigned grid, GpuArgs *a, uint64_t seed) {
    unsigned threads = 0;
    void *parameters[] = {a};
    SimtKernel *kernel = text_kernel(library, name, &threads);
    assert_non_null(kernel);
    assert_int_equal(threads, 64);
    text_run(library, kernel, grid, threads, parameters, seed);
}

/* codes[i] = source[63 - i] of each block, through shared memory */
static const char reverse[] =
    HEAD "K_KERNEL(reverse) {\n"
         "    shared_words[k_thread()] = a.source[k_block() * THREADS + k_thread()];\n"
         "    k_sync();\n"
         "    a.codes[k_block() * THREADS + k_thread()] =\n"
         "        (uint8_t)shared_words[THREADS - 1u - k_thread()];\n"
         "}\n";

static void text_runs(void **state) {
    (void)state;
    TextLibrary *library = load(reverse);
    for (uint64_t seed = 0; seed < 5; seed++) {
        uint8_t source[128], codes[128] = {0};
        for (int i = 0; i < 128; i++) {
            source[i] = (uint8_t)(i * 3);
        }
        GpuArgs a = {.source = source, .codes = codes};
        run(library, "reverse", 2, &a, seed);
        for (int i = 0; i < 128; i++) {
            assert_int_equal(codes[i], source[i / 64 * 64 + 63 - i % 64]);
        }
    }
    assert_null(text_kernel(library, "forward", NULL));
    text_unload(library);
}

static void shared_memory_is_rubbish(void **state) {
    (void)state;
    TextLibrary *library =
        load(HEAD "K_KERNEL(peek) {\n"
                  "    a.codes[k_thread()] = (uint8_t)shared_words[k_thread()];\n"
                  "}\n");
    uint8_t codes[64] = {0};
    GpuArgs a = {.codes = codes};
    run(library, "peek", 1, &a, 0);
    assert_int_equal(codes[0], SIMT_RUBBISH);
    assert_int_equal(codes[63], SIMT_RUBBISH);
    text_unload(library);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    assert_non_null(strstr(why_not("#define THREADS 32\n#include \"kernels/gpu/threads.h\"\n"
                                   "K_KERNEL(bad) { nonsense }\n"),
                           "text.c:3"));
    assert_string_equal(why_not("#include \"kernels/gpu/no_such.h\"\n"),
                        "no file kernels/gpu/no_such.h");
}

static void run_signal(const char *text, int expected) {
    TextLibrary *library = load(text);
    uint8_t codes[64] __attribute__((aligned(16))) = {0};
    GpuArgs a = {.codes = codes, .rows = 64};
    const pid_t child = fork();
    if (child == 0) {
        signal(expected, SIG_DFL); /* a sanitizer would print a report */
        run(library, "wrong", 1, &a, 0);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), expected);
    text_unload(library);
}

static void undefined_text_traps(void **state) {
    (void)state;
    run_signal(HEAD "K_KERNEL(wrong) { shared_words[k_thread() + (uint32_t)a.rows] = 1u; }\n",
               SIGILL);
    run_signal(HEAD "K_KERNEL(wrong) { a.codes[0] = (uint8_t)(1u << a.rows); }\n", SIGILL);
    run_signal(HEAD "K_KERNEL(wrong) { uint32_t w[4] = {0}; k_store16(a.codes + 1, w); }\n",
               SIGILL);
}

/* All compile, or find another's object: each must load a whole one. */
static void processes_share_a_folder(void **state) {
    (void)state;
    char *folder = unit_directory();
    setenv("FAKE_TEXTS", folder, 1);
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char why[2000];
            TextLibrary *library = text_load_tree(reverse, why, sizeof why);
            _exit(library && text_kernel(library, "reverse", NULL) ? 0 : 1);
        }
    }
    for (int i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    unsetenv("FAKE_TEXTS");
    unit_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_runs),
        cmocka_unit_test(shared_memory_is_rubbish),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(undefined_text_traps),
        cmocka_unit_test(processes_share_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
