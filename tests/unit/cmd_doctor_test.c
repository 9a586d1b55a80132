/* `morc doctor` in this process, with the fake driver and engine: what it says, and that it says
 * something when memory and system calls fail. What it prints in full:
 * tests/golden/command/doctor_*. */
#include <errno.h>
#include "compiler/morc.h"
#include "runtime/base/alloc.h"
#include "tests/unit/fakes.h"
#include "tests/unit/faulty_sys.h"

/* The engine for tests, and no other variable. */
static const char *variable(const char *name) {
    return strcmp(name, "MORC_ORT") == 0 ? MORC_BINARY_DIR "/fake/ort" : NULL;
}

static char *cache; /* a folder of this test */

/* Both streams in one; free it. */
static char *doctor(const Sys *sys, const char *device, int *code) {
    char *text = NULL;
    size_t size;
    MorcEnv env = {.sys = sys, .get = variable};
    env.out = env.err = open_memstream(&text, &size);
    const char *const words[] = {"morc", "doctor", "--device", device, "--cache-dir", cache};
    enum { WORDS = sizeof words / sizeof words[0] };
    char *argv[WORDS + 1] = {NULL};
    for (int i = 0; i < WORDS; i++) {
        argv[i] = (char *)(uintptr_t)words[i];
    }
    *code = morc_main(WORDS, argv, &env);
    fclose(env.out);
    return text;
}

static void assert_has(const char *text, const char *part, bool has) {
    if ((strstr(text, part) != NULL) != has) {
        fail_msg("`%s` is %sin:\n%s", part, has ? "not " : "", text);
    }
}

static void a_gpu_is_shown_unless_the_host_is_asked_for(void **state) {
    (void)state;
    int code;
    char *text = doctor(&sys_real, "auto", &code);
    assert_int_equal(code, 0);
    assert_has(text, "\nGPU 0         Fake GPU, sm_90, 1.0 GiB, 1.0 GiB free\n", true);
    assert_has(text, " threads, ", true);
    assert_has(text, "\nNVRTC         13.0 (", true);
    assert_has(text, "/fake/libnvrtc.so.13), sm_75 to sm_121\n", true);
    assert_has(text, "/kernels, 2 kernels, 5 B\n", true);
    free(text);
    text = doctor(&sys_real, "host", &code);
    assert_int_equal(code, 0);
    assert_has(text, "GPU", false);
    assert_has(text, "processor ", true);
    assert_has(text, "\nengine        ONNX Runtime 1.21.0 (", true);
    assert_has(text, "/fake/ort/libonnxruntime.so), CUDA, CPU\n", true);
    free(text);
    free(doctor(&sys_real, "cuda", &code));
    assert_int_equal(code, 0);
    text = doctor(&sys_real, "cuda:1", &code);
    assert_int_equal(code, 4);
    assert_has(text, "[E1106]: no GPU can be used: there is no GPU 1\n", true);
    free(text);
}

static void system_calls_may_fail(void **state) {
    (void)state;
    int code;
    faulty_set(0, 0, false);
    free(doctor(&sys_faulty, "auto", &code));
    const int64_t calls = faulty_calls();
    assert_true(calls >= 10); /* /proc/cpuinfo, the cache's folders, its two files */
    for (int64_t n = 1; n <= calls; n++) {
        faulty_set(n, EIO, true);
        char *text = doctor(&sys_faulty, "auto", &code);
        assert_int_equal(code, 0);
        assert_has(text, "\nprocessor     ", true);
        assert_int_equal(faulty_open_files(), 0);
        free(text);
    }
    faulty_set(0, 0, false);
}

static void memory_may_run_out(void **state) {
    (void)state;
    const int64_t live = alloc_live();
    int code = 4;
    int64_t n = 0;
    while (code == 4) {
        n++;
        alloc_fail_at(n, true);
        char *text = doctor(&sys_real, "auto", &code);
        alloc_fail_at(0, false);
        assert_has(text, "error[E1105]: out of memory", code == 4);
        assert_int_equal(alloc_live(), live);
        free(text);
    }
    assert_int_equal(code, 0);
    assert_true(n > 3); /* a release build takes memory in large pieces */
}

static int set_up(void **state) {
    (void)state;
    fake_load("libcuda.so.1");
    fake_load("libnvrtc.so.13");
    cache = unit_directory();
    char path[4200];
    snprintf(path, sizeof path, "%s/kernels", cache);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/kernels/a.cubin", cache);
    unit_write(path, "abc", 3);
    snprintf(path, sizeof path, "%s/kernels/b.cubin", cache);
    unit_write(path, "de", 2);
    snprintf(path, sizeof path, "%s/kernels/c.other", cache);
    unit_write(path, "fgh", 3);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unit_remove(cache);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpu_is_shown_unless_the_host_is_asked_for),
        cmocka_unit_test(system_calls_may_fail),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
