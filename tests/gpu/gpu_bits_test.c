/* Bit for bit: the GPU of this machine against the host. Every element format over all 2^32 floats,
 * alone and packed; the reciprocal over all floats it is used for; the quotient over as many pairs
 * of significands as GPU_NUMERATORS says times all 2^23 divisors (8388608: every pair there is, in
 * about a minute); and random kernels, GPU_KERNELS of them (500), through the lanes that runs use.
 * Needs a GPU, its driver and NVRTC: `ctest -L gpu`. */
#include "tests/unit/unit.h"
#include "tests/unit/random_kernels.h"
#include "kernels/compare.h"
#include "kernels/state.h"
#include "runtime/device/gpu_lane.h"
#include "runtime/device/gpu_probe.h"
#include <pthread.h>
#include <sys/wait.h>

static Session *s;
static int setup(void **state) {
    (void)state;
    s = session_open(&sys_real);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    session_close(s);
    return 0;
}
static int asked(const char *variable, int usual) {
    const char *text = getenv(variable);
    return text ? atoi(text) : usual;
}

/* ---- programs that are no Kernel's */

typedef struct Bench {
    CudaApi api;
    CudaContext context;
    CudaDevice device;
    int arch;
    CudaAddress report, sums;
} Bench;

#define MUST(call)                                                                                 \
    do {                                                                                           \
        const CudaStatus status_ = (call);                                                         \
        if (status_ != 0) {                                                                        \
            fail_msg("%s: %s", #call, cuda_status_text(&b->api, status_, s->arena));               \
        }                                                                                          \
    } while (0)

enum { SLICE = 1 << 20, SLICES = 1 << 12 };

static void bench_open(Bench *b) {
    Str why = {0};
    int major = 0, minor = 0;
    if (!cuda_api_open(&b->api, s->arena, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    MUST(b->api.init(0));
    MUST(b->api.device_get(&b->device, 0));
    MUST(b->api.device_attribute(&major, CUDA_DEVICE_MAJOR, b->device));
    MUST(b->api.device_attribute(&minor, CUDA_DEVICE_MINOR, b->device));
    b->arch = 10 * major + minor;
    MUST(b->api.context_retain(&b->context, b->device));
    MUST(b->api.context_use(b->context));
    MUST(b->api.memory_alloc(&b->report, sizeof(GpuReport)));
    MUST(b->api.memory_alloc(&b->sums, SLICES * sizeof(uint64_t)));
}

static void bench_close(Bench *b) {
    MUST(b->api.memory_free(b->report));
    MUST(b->api.memory_free(b->sums));
    MUST(b->api.context_release(b->device));
    cuda_api_close(&b->api);
}

/* Compiled in a child that is forked before there is a context. */
static void build(JitProgram *programs, size_t count, int arch) {
    Str why = {0};
    const JitOptions options = {.threads = s->threads};
    Jit *jit = jit_open(s, &options, &why);
    if (!jit || !jit_build(s, jit, arch, programs, count, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    jit_close(s, jit);
}

static CudaModule load(Bench *b, const JitProgram *program) {
    CudaModule module;
    MUST(b->api.module_load(&module, program->cubin.data));
    return module;
}

/* Launches an entry and returns what it counted as wrong. */
static uint64_t run(Bench *b, CudaModule module, const char *entry, GpuArgs args, unsigned blocks) {
    CudaFunction function;
    GpuReport report = {0};
    args.report = (GpuReport *)(uintptr_t)b->report;
    args.errors = (uint64_t *)(uintptr_t)b->sums;
    void *parameters[] = {&args};
    MUST(b->api.module_function(&function, module, entry));
    MUST(b->api.fill(b->report, 0, sizeof report, NULL));
    MUST(b->api.fill(b->sums, 0, SLICES * sizeof(uint64_t), NULL));
    MUST(b->api.launch(function, blocks, 1, 1, 256, 1, 1, 0, NULL, parameters, NULL));
    MUST(b->api.copy_out(&report, b->report, sizeof report, NULL));
    MUST(b->api.stream_wait(NULL));
    return report.nonfinite;
}

static Str proof_text(const Format *f) {
    return str_format(s->arena,
                      "#include \"kernels/format/%s.h\"\n#define SOURCE K_FLOAT\n"
                      "#define THREADS 256\n#define RESIDENT 4\n#define ELEMENT %s\n"
                      "#define SCALE K_FLOAT\n#include \"kernels/gpu/proof.h\"\n",
                      f->name, f->name);
}

/* ---- the host's side */

typedef struct Sums {
    const Format *format;
    atomic_int next;
    uint64_t at[SLICES];
} Sums;

static void *sum_slices(void *argument) {
    Sums *sums = argument;
    for (int slice; (slice = atomic_fetch_add(&sums->next, 1)) < SLICES;) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < SLICE; i++) { /* as proof_mix in kernels/gpu/proof.h */
            const uint32_t bits = (uint32_t)slice * SLICE + i;
            const uint32_t code = sums->format->encode(k_float(bits));
            const uint64_t z = ((uint64_t)bits << 8 | code) * 0x9e3779b97f4a7c15u;
            sum += (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
        }
        sums->at[slice] = sum;
    }
    return NULL;
}

static void sum_on_host(const Format *f, Sums *sums) {
    pthread_t threads[256];
    *sums = (Sums){.format = f};
    for (int i = 0; i < s->threads; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sum_slices, sums), 0);
    }
    for (int i = 0; i < s->threads; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* Asked in a child: this process compiles before it wakes the driver. */
static int device_arch(void) {
    GpuProbe *probe = arena_new(s->arena, GpuProbe);
    gpu_probe(s, 60, probe);
    if (probe->count == 0 || probe->gpu[0].trouble[0]) {
        fail_msg("no GPU: %s %s", probe->trouble, probe->gpu[0].trouble);
    }
    return probe->gpu[0].arch;
}

static void formats_over_all_floats(void **state) {
    (void)state;
    JitProgram *programs = arena_many(s->arena, JitProgram, (size_t)format_count);
    for (int i = 0; i < format_count; i++) {
        programs[i].text = proof_text(&formats[i]);
    }
    build(programs, (size_t)format_count, device_arch());
    Bench bench, *b = &bench;
    bench_open(b);
    static Sums host;
    static uint64_t gpu[SLICES];
    for (int i = 0; i < format_count; i++) {
        CudaModule module = load(b, &programs[i]);
        const GpuArgs args = {.units = 1ll << 32, .rows = SLICE};
        assert_int_equal(run(b, module, "codes", args, 1u << 20), 0);
        MUST(b->api.copy_out(gpu, b->sums, sizeof gpu, NULL));
        MUST(b->api.stream_wait(NULL));
        sum_on_host(&formats[i], &host);
        assert_memory_equal(gpu, host.at, sizeof gpu);
        print_message("%s: 2^32 floats equal\n", formats[i].name);
        MUST(b->api.module_unload(module));
    }
    bench_close(b);
}

static void division(void **state) {
    (void)state;
    JitProgram program = {.text = proof_text(format("int8"))};
    build(&program, 1, device_arch());
    Bench bench, *b = &bench;
    bench_open(b);
    CudaModule module = load(b, &program);
    const uint32_t first = k_bits(0x1p-80f), last = k_bits(0x1p80f);
    const GpuArgs args = {.first = first, .units = (int64_t)last - first + 1};
    assert_int_equal(run(b, module, "reciprocals", args, (last - first) / 256 + 1), 0);
    print_message("%u reciprocals equal\n", last - first + 1);
    const int numerators = asked("GPU_NUMERATORS", 4096), step = (1 << 23) / numerators;
    for (int i = 0; i < numerators; i += 2048) { /* a launch of so many takes milliseconds */
        const int blocks = numerators - i < 2048 ? numerators - i : 2048;
        const GpuArgs some = {.first = (int64_t)i * step, .run = step};
        assert_int_equal(run(b, module, "quotients", some, (unsigned)blocks), 0);
    }
    print_message("%d x 2^23 quotients equal\n", numerators);
    MUST(b->api.module_unload(module));
    bench_close(b);
}

/* ---- kernels */

static size_t on_gpu, on_host; /* acts */

static void survey(GpuLane *lane, size_t index, const Kernel *k, const void *src, void *state,
                   void *partial, void *scratch) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    kernel_state_init(k, state);
    for (int pass = 0; pass < kernel_surveys(k); pass++) {
        for (int64_t c = 0; c < kernel_chunks(k); c++) {
            if (lane && gpu_lane_begin(lane, 0, index, k, pass, c, src, state)) {
                assert_true(gpu_lane_finish_survey(lane, 0, state, &lock, partial));
                on_gpu++;
            } else {
                kernel_state_fork(k, partial, state);
                kernel_survey(k, pass, c, src, partial, scratch);
                kernel_state_merge(k, pass, state, partial);
                on_host += lane != NULL; /* without one it is the reference */
            }
        }
        kernel_state_close(k, pass, state);
    }
}

static void compare_chunk(const Kernel *k, int64_t chunk, const DeviceResult *got, const void *src,
                          const void *state, void *scratch, bool broken) {
    void *outs[OUT_COUNT];
    KernelMetrics want;
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        outs[o] = malloc((size_t)got->out[o].size + 1);
    }
    kernel_encode(k, chunk, src, state, outs, &want, scratch);
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        if (!broken && memcmp(outs[o], got->out[o].data ? got->out[o].data : (uint8_t *)"",
                              (size_t)got->out[o].size) != 0) {
            fail_msg("chunk %lld output %d differs; %s", (long long)chunk, o, describe(k));
        }
        free(outs[o]);
    }
    if (broken ? want.nonfinite != got->metrics.nonfinite ||
                     want.first_nonfinite != got->metrics.first_nonfinite
               : memcmp(&want, &got->metrics, sizeof want) != 0) {
        fail_msg("chunk %lld: metrics differ; %s", (long long)chunk, describe(k));
    }
}

static void check_kernel(GpuLane *lane, size_t index, const Kernel *k) {
    bool broken;
    void *src = random_weights(k, &broken), *scratch = malloc(kernel_scratch_size(k));
    void *state = malloc(kernel_state_size(k) + 1), *host = malloc(kernel_state_size(k) + 1);
    void *partial = malloc(kernel_state_size(k) + 1);
    survey(lane, index, k, src, state, partial, scratch);
    survey(NULL, index, k, src, host, partial, scratch);
    for (int64_t c = 0; c < kernel_chunks(k); c++) {
        DeviceResult got;
        if (gpu_lane_begin(lane, 1, index, k, GPU_ENCODE, c, src, state)) {
            assert_true(gpu_lane_finish(lane, 1, &got));
            compare_chunk(k, c, &got, src, host, scratch, broken);
            on_gpu++;
        } else {
            on_host++;
        }
    }
    free(src);
    free(scratch);
    free(state);
    free(host);
    free(partial);
}

static void random_kernels(void **state) {
    (void)state;
    const size_t many = (size_t)asked("GPU_KERNELS", 500);
    Kernel *kernels = arena_many(s->arena, Kernel, many);
    for (size_t i = 0; i < many; i++) {
        kernels[i] = random_kernel();
    }
    Str why = {0};
    const GpuWish wish = {.ordinal = -1};
    Gpu *gpu = gpu_open(s, &wish, kernels, sizeof *kernels, many, &why);
    if (!gpu) {
        fail_msg("%.*s", STR_ARG(why));
    }
    GpuSizes sizes = {0};
    for (size_t i = 0; i < many; i++) {
        gpu_lane_sizes(gpu, i, &kernels[i], &sizes);
    }
    GpuLane *lane = gpu_lane_open(s, gpu, &sizes, 0);
    assert_non_null(lane);
    gpu_lane_enter(lane);
    for (size_t i = 0; i < many; i++) {
        check_kernel(lane, i, &kernels[i]);
    }
    assert_int_equal(gpu_failure(gpu, s->arena).len, 0);
    print_message("%zu kernels, %zu programs: %zu acts on the GPU equal, %zu the host's\n", many,
                  gpu->programs.all.len, on_gpu, on_host);
    gpu_lane_close(s, lane);
    gpu_close(s, gpu);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(formats_over_all_floats, setup, teardown),
    cmocka_unit_test_setup_teardown(division, setup, teardown),
    cmocka_unit_test_setup_teardown(random_kernels, setup, teardown),
};

/* A process compiles before it has a GPU, so each test has one of its own. */
int main(int argc, char **argv) {
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
    }
    int failed = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        const pid_t child = fork();
        int status = 1;
        if (child == 0) {
            execl("/proc/self/exe", argv[0], tests[i].name, NULL);
            _exit(127);
        }
        failed += child < 0 || waitpid(child, &status, 0) != child || status != 0;
    }
    return failed;
}
