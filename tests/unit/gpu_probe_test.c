/* gpu_probe: what a driver says, and every way in which one can be odd. The library is chosen in a
 * child of the test, before the probe makes its own. */
#include "runtime/device/gpu_probe.h"
#include "tests/unit/fakes.h"

typedef struct Case {
    const char *library; /* NULL: of the loader's path */
    const char *failures, *variable, *value;
    double seconds;
    atomic_int stop;
} Case;

/* Prints the probe to stderr, in short. */
static void print_probe(void *user) {
    Case *c = user;
    if (c->variable) {
        setenv(c->variable, c->value, 1);
    }
    if (c->failures) {
        setenv("FAKE_CUDA", c->failures, 1);
    }
    fake_load(c->library ? c->library : "libcuda.so.1");
    Session *s = session_open(&sys_real);
    s->stop = &c->stop;
    GpuProbe *p = arena_new(s->arena, GpuProbe);
    gpu_probe(s, c->seconds > 0 ? c->seconds : 10, p);
    fprintf(stderr, "%d %d [%s]", p->version, p->count, p->trouble);
    for (int i = 0; i < p->count; i++) {
        fprintf(stderr, " %s sm_%d %llu %llu [%s]", p->gpu[i].name, p->gpu[i].arch,
                (unsigned long long)p->gpu[i].total, (unsigned long long)p->gpu[i].unused,
                p->gpu[i].trouble);
    }
    if (waitpid(-1, NULL, WNOHANG) != -1) {
        fputs(" a child is left", stderr);
    }
    session_close(s);
}

static void gives(Case c, const char *expected) {
    char said[2000];
    assert_int_equal(unit_child(print_probe, &c, said, sizeof said), 0);
    assert_string_equal(said, expected);
}

static void a_gpu_is_described(void **state) {
    (void)state;
    gives((Case){0}, "13000 1 [] Fake GPU sm_90 1073741824 1073741824 []");
    gives((Case){.variable = "FAKE_CUDA_CAPABILITY", .value = "8.6"},
          "13000 1 [] Fake GPU sm_86 1073741824 1073741824 []");
}

static void no_gpu_has_a_reason(void **state) {
    (void)state;
    gives((Case){.variable = "FAKE_CUDA_DEVICES", .value = "0"},
          "13000 0 [the driver finds no GPU: no CUDA-capable device is detected "
          "(CUDA_ERROR_NO_DEVICE)]");
    gives((Case){.failures = "cuInit:1:803"},
          "13000 0 [the driver finds no GPU: driver and library versions do not fit "
          "(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)]");
    gives((Case){.variable = "FAKE_CUDA_VERSION", .value = "11040"},
          "11040 0 [the NVIDIA driver is for CUDA 11.4; morc needs one for CUDA 12.0 or later "
          "(version 525 or later)]");
    gives((Case){.failures = "cuDriverGetVersion:1:999"},
          "0 0 [the driver does not say its version: unknown error (CUDA_ERROR_UNKNOWN)]");
    gives((Case){.library = "old/libcuda.so.1", .variable = "FAKE_CUDA_VERSION", .value = "12000"},
          "0 0 [libcuda.so.1 has no cuDeviceGet]");
}

static void a_gpu_may_be_of_no_use(void **state) {
    (void)state;
    gives((Case){.failures = "cuDevicePrimaryCtxRetain:1:46"},
          "13000 1 [] Fake GPU sm_90 1073741824 0 [cannot be used: device busy or unavailable "
          "(CUDA_ERROR_DEVICE_UNAVAILABLE)]");
    gives((Case){.failures = "cuDeviceGetAttribute:2:4711"},
          "13000 1 [] Fake GPU sm_0 0 0 [does not say what it is: CUDA error 4711]");
}

static void odd_drivers_do_no_harm(void **state) {
    (void)state;
    gives((Case){.failures = "cuInit:1:crash"}, "13000 0 [the driver crashed (signal 11)]");
    gives((Case){.failures = "cuMemGetInfo_v2:1:crash"},
          "13000 0 [the driver crashed (signal 11)]");
    gives((Case){.failures = "cuInit:1:hang", .seconds = 0.2},
          "13000 0 [the driver does not answer within 0.2 s]");
    gives((Case){.failures = "cuDeviceGetName:1:spin", .seconds = 0.2},
          "13000 0 [the driver does not answer within 0.2 s]");
}

/* A driver that is loaded here already cannot be one that ends the process, so this one is loaded
 * by its path. */
static void a_driver_may_end_the_process(void **state) {
    (void)state;
    char self[4200], command[9000];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    snprintf(command, sizeof command,
             "LD_LIBRARY_PATH='" MORC_BINARY_DIR "/fake/odd' '%s' probe 2>&1", self);
    FILE *f = popen(command, "r");
    char said[1000] = "";
    assert_non_null(f);
    said[fread(said, 1, sizeof said - 1, f)] = 0;
    assert_int_equal(pclose(f), 0);
    assert_string_equal(said, "[the driver ended the process that asked it]");
}

static void a_stop_ends_the_wait(void **state) {
    (void)state;
    char said[2000];
    Case c = {.failures = "cuInit:1:hang", .seconds = 1000, .stop = SIGINT};
    assert_int_equal(unit_child(print_probe, &c, said, sizeof said), 0);
    assert_non_null(strstr(said, "[the driver does not answer"));
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "probe") == 0) {
        Session *s = session_open(&sys_real);
        GpuProbe *p = arena_new(s->arena, GpuProbe);
        gpu_probe(s, 10, p);
        printf("[%s]", p->trouble);
        session_close(s);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpu_is_described),           cmocka_unit_test(no_gpu_has_a_reason),
        cmocka_unit_test(a_gpu_may_be_of_no_use),       cmocka_unit_test(odd_drivers_do_no_harm),
        cmocka_unit_test(a_driver_may_end_the_process), cmocka_unit_test(a_stop_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
