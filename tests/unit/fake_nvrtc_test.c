/* The fake NVRTC: what it accepts and refuses, as the real one does. */
#include "tests/unit/fake_nvrtc.h"
#include "tests/fake/fake_cubin.h"

static const char text[] = "#define THREADS 32\n#include \"kernels/gpu/threads.h\"\n"
                           "K_KERNEL(nothing) {\n}\n";

static char *log_of(const Nvrtc *n, void *program) {
    size_t size = 0;
    assert_int_equal(n->log_size(program, &size), 0);
    char *log = malloc(size);
    assert_int_equal(n->log(program, log), 0);
    assert_int_equal(strlen(log) + 1, size);
    return log;
}

static void refuses(const Nvrtc *n, void *program, const char *option, int code, const char *said) {
    assert_int_equal(n->compile(program, 1, (const char *const[]){option}), code);
    char *log = log_of(n, program);
    assert_string_equal(log, said);
    free(log);
    size_t size = 1;
    assert_int_equal(n->cubin_size(program, &size), 0);
    assert_int_equal(size, 0);
}

static void versions(void **state) {
    (void)state;
    const Nvrtc n = nvrtc_load();
    int major, minor, count, list[32];
    assert_int_equal(n.version(&major, &minor), 0);
    assert_int_equal(major * 1000 + minor * 10, 13000);
    assert_int_equal(n.architecture_count(&count), 0);
    assert_int_equal(n.architectures(list), 0);
    assert_int_equal(list[0], 75);
    for (int i = 1; i < count; i++) {
        assert_true(list[i] > list[i - 1]);
    }
    setenv("FAKE_NVRTC_VERSION", "12.4", 1);
    assert_int_equal(n.version(&major, &minor), 0);
    assert_int_equal(major * 1000 + minor * 10, 12040);
    assert_int_equal(n.architectures(list), 0);
    assert_int_equal(list[0], 50);
    unsetenv("FAKE_NVRTC_VERSION");
    assert_string_equal(n.text(6), "NVRTC_ERROR_COMPILATION");
    assert_string_equal(n.text(99), "NVRTC_ERROR unknown");
}

static void a_cubin_holds_the_program(void **state) {
    (void)state;
    const Nvrtc n = nvrtc_load();
    void *program = nvrtc_program(&n, text);
    const char *const options[] = {"--fmad=false", "--gpu-architecture=sm_90a"};
    assert_int_equal(n.compile(program, 2, options), 0);
    size_t size = 0, ptx_size = 0;
    assert_int_equal(n.cubin_size(program, &size), 0);
    assert_int_equal(n.ptx_size(program, &ptx_size), 0);
    char *image = calloc(1, size + 1), *ptx = calloc(1, ptx_size), *log = log_of(&n, program);
    assert_int_equal(n.cubin(program, image), 0);
    assert_int_equal(n.ptx(program, ptx), 0);
    assert_string_equal(log, "");
    assert_non_null(strstr(ptx, ".target sm_90"));
    assert_non_null(strstr(image, "\n2 options\n--fmad=false\n"));
    FakeCubin cubin;
    assert_true(fake_cubin_read(image, &cubin));
    assert_int_equal(cubin.arch, 90);
    assert_true(cubin.specific);
    assert_string_equal(cubin.files.at[0].text, text);
    size_t header_size;
    char *header = text_file_read(MORC_SOURCE_DIR "/kernels/dialect.h", &header_size);
    const TextFile *kept = text_files_find(&cubin.files, "kernels/dialect.h", 17);
    assert_non_null(kept);
    assert_int_equal(kept->size, header_size);
    assert_string_equal(kept->text, header);
    image[3] = '!';
    FakeCubin none;
    assert_false(fake_cubin_read(image, &none));
    text_files_free(&cubin.files);
    free(header);
    free(log);
    free(ptx);
    free(image);
    assert_int_equal(n.destroy(&program), 0);
    assert_null(program);
}

static void a_virtual_architecture_gives_ptx_alone(void **state) {
    (void)state;
    const Nvrtc n = nvrtc_load();
    void *program = nvrtc_program(&n, text);
    size_t size = 1, ptx_size = 0;
    assert_int_equal(n.compile(program, 1, (const char *const[]){"--gpu-architecture=compute_90a"}),
                     0);
    assert_int_equal(n.cubin_size(program, &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(n.ptx_size(program, &ptx_size), 0);
    assert_true(ptx_size > 10);
    assert_int_equal(n.destroy(&program), 0);
}

static void what_is_wrong_is_refused(void **state) {
    (void)state;
    const Nvrtc n = nvrtc_load();
    void *program = nvrtc_program(&n, text), *alone = NULL;
    refuses(&n, program, "--gpu-architecture=sm_42", 5,
            "nvrtc: error: invalid value for --gpu-architecture (-arch)\n");
    refuses(&n, program, "--gpu-architecture=sm_80a", 5,
            "nvrtc: error: invalid value for --gpu-architecture (-arch)\n");
    refuses(&n, program, "--gpu-architecture=compute_80a", 5,
            "nvrtc: error: invalid value for --gpu-architecture (-arch)\n");
    refuses(&n, program, "--gpu-architecture=sm_90ab", 5,
            "nvrtc: error: invalid value for --gpu-architecture (-arch)\n");
    refuses(&n, program, "--fmad=false", 5,
            "nvrtc: error: invalid value for --gpu-architecture (-arch)\n");
    refuses(&n, program, "nonsense", 5, "nvrtc: error: unrecognized option nonsense found\n");
    assert_int_equal(n.create(&alone, text, "alone.cu", 0, NULL, NULL), 0);
    refuses(&n, alone, "-arch=sm_90", 6,
            "alone.cu(2): catastrophic error: cannot open source file "
            "\"kernels/gpu/threads.h\"\n\n"
            "1 catastrophic error detected in the compilation of \"alone.cu\".\n"
            "Compilation terminated.\n");
    assert_int_equal(n.compile(program, 1, (const char *const[]){"-arch=sm_90"}), 0);
    assert_int_equal(n.destroy(&program), 0);
    assert_int_equal(n.destroy(&alone), 0);
    assert_int_equal(n.destroy(&alone), 4);
    assert_int_equal(n.compile(NULL, 0, NULL), 4);
    assert_int_equal(n.create(&alone, NULL, "x", 0, NULL, NULL), 3);
}

/* In a child, as the list is read once. */
static void with_failures(void *user) {
    (void)user;
    const Nvrtc n = nvrtc_load();
    void *program = nvrtc_program(&n, text);
    assert_int_equal(n.compile(program, 1, (const char *const[]){"-arch=sm_90"}), 0);
    refuses(&n, program, "-arch=sm_90", 6, "text.cu(1): error: asked for by FAKE_NVRTC\n");
    assert_int_equal(n.compile(program, 1, (const char *const[]){"-arch=sm_90"}), 0);
    size_t size;
    assert_int_equal(n.log_size(program, &size), 11);
    assert_int_equal(n.log_size(program, &size), 11);
    fputs("as asked\n", stderr);
    _exit(7);
}

static void calls_fail_as_asked(void **state) {
    (void)state;
    char said[1000];
    setenv("FAKE_NVRTC", "nvrtcCompileProgram:2:6,nvrtcGetProgramLogSize:2:11:forever", 1);
    const int status = unit_child(with_failures, NULL, said, sizeof said);
    unsetenv("FAKE_NVRTC");
    assert_string_equal(said, "as asked\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_fail_as_asked), /* before the library is loaded here */
        cmocka_unit_test(versions),
        cmocka_unit_test(a_cubin_holds_the_program),
        cmocka_unit_test(a_virtual_architecture_gives_ptx_alone),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
