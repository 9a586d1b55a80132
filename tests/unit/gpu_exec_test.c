/* A run on a GPU, all of it but the GPU: the fake driver runs the texts that the fake NVRTC was
 * given. Files must be those of the host, whatever fails, wherever it fails. */
#include "tests/unit/fakes.h"
#include "tests/unit/sample_kernels.h"
#include "runtime/exec/exec.h"

enum { JOBS = SAMPLE_KERNELS };

typedef struct World {
    Session *s;
    char *dir;
    Schedule schedule;
    void *sources[JOBS];
    uint8_t *expected;
} World;

/* Every sample kernel once, its outputs one behind the other in one file. */
static World world_open(int threads) {
    World w = {.s = session_open(&sys_real), .dir = unit_directory()};
    w.s->threads = threads;
    vec_push(w.s->arena, &w.schedule.files,
             (ScheduleFile){str_format(w.s->arena, "%s/out", w.dir), 0});
    for (int i = 0; i < JOBS; i++) {
        const Kernel k = sample_kernel(i, 96, 40);
        w.sources[i] = sample_weights(&k, (unsigned)i);
        vec_push(w.s->arena, &w.schedule.jobs,
                 (ScheduleJob){.kernel = k, .source = w.sources[i], .name = STR("w")});
        ScheduleFile *file = &w.schedule.files.at[0];
        void *outs[OUT_COUNT] = {0};
        const uint64_t begin = file->size;
        for (KernelOutput o = 0; o < OUT_COUNT; o++) {
            const uint64_t size = (uint64_t)kernel_output_size(&k, o);
            if (size > 0) {
                vec_push(w.s->arena, &w.schedule.segments,
                         (ScheduleSegment){.kind = SEGMENT_KERNEL, .offset = file->size,
                                           .size = size, .job = i, .out = o});
                file->size += size;
            }
        }
        w.expected = realloc(w.expected, file->size);
        uint64_t at = begin;
        for (KernelOutput o = 0; o < OUT_COUNT; o++) {
            outs[o] = w.expected + at;
            at += (uint64_t)kernel_output_size(&k, o);
        }
        kernel_reference(&k, w.sources[i], outs);
    }
    return w;
}

static void world_close(World *w) {
    for (int i = 0; i < JOBS; i++) {
        free(w->sources[i]);
    }
    free(w->expected);
    session_close(w->s);
    unit_remove(w->dir);
}

static Gpu *open_gpu(World *w, Str *why) {
    const GpuWish wish = {.ordinal = -1, .timed = true};
    return gpu_open(w->s, &wish, &w->schedule.jobs.at[0].kernel, sizeof(ScheduleJob),
                    w->schedule.jobs.len, why);
}

static void run_and_compare(World *w, Gpu *gpu, ExecTimes *times) {
    Output *files[1] = {NULL};
    assert_true(exec_run(w->s, &w->schedule, gpu, files, times));
    const uint64_t size = w->schedule.files.at[0].size;
    uint8_t *got = malloc(size);
    assert_int_equal(output_read(files[0], 0, got, size), 0);
    assert_memory_equal(got, w->expected, size);
    free(got);
    output_discard(files[0]);
    for (size_t i = 0; i < w->schedule.jobs.len; i++) {
        const ScheduleJob *job = &w->schedule.jobs.at[i];
        assert_int_equal(job->metrics.count, job->kernel.count);
    }
}

static void same_bytes_and_metrics(void **state) {
    (void)state;
    fake_cuda_load();
    fake_load("libnvrtc.so.13");
    World w = world_open(2);
    Str why = {0};
    ExecTimes times;
    KernelMetrics host[JOBS];
    run_and_compare(&w, NULL, &times);
    assert_int_equal(times.lanes, 0);
    for (int i = 0; i < JOBS; i++) {
        host[i] = w.schedule.jobs.at[i].metrics;
    }
    Gpu *gpu = open_gpu(&w, &why);
    assert_str(why, "");
    assert_non_null(gpu);
    assert_int_equal(gpu->arch, 90);
    run_and_compare(&w, gpu, &times);
    assert_int_equal(times.lanes, 2);
    assert_true(times.gpu.acts >= JOBS && times.gpu.kernel > 0);
    assert_int_equal(gpu_failure(gpu, w.s->arena).len, 0);
    for (int i = 0; i < JOBS; i++) {
        assert_memory_equal(&host[i], &w.schedule.jobs.at[i].metrics, sizeof host[i]);
    }
    gpu_close(w.s, gpu);
    world_close(&w);
}

/* An entry that gives back, or must be passed to give back. */
static bool gives_back(const char *entry) {
    return strstr(entry, "Free") || strstr(entry, "Destroy") || strstr(entry, "Unload") ||
           strstr(entry, "Release") || strstr(entry, "CtxSetCurrent");
}

/* By its code, "ENTRY:N:CODE": these are followed by nothing but the same. */
static bool gpu_is_lost(const char *failures) {
    static const int losses[] = {214, 700, 702, 716, 719};
    const int code = atoi(strchr(strchr(failures, ':') + 1, ':') + 1);
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        if (code == losses[i]) {
            return true;
        }
    }
    return false;
}

/* One whole life of a GPU under failures; what comes out is right whatever happens, and all that was
 * taken is given back, unless the GPU is gone or the failure is that it cannot be. */
static void survive(World *w, const FakeCuda *cuda, const char *failures, bool *opened,
                    bool *failed) {
    Str why = {0};
    ExecTimes times;
    cuda->reset();
    cuda->failures(failures);
    Gpu *gpu = open_gpu(w, &why);
    *opened = gpu != NULL;
    assert_int_equal(why.len > 0, gpu == NULL);
    run_and_compare(w, gpu, &times);
    *failed = gpu && gpu_failure(gpu, w->s->arena).len > 0;
    gpu_close(w->s, gpu);
    const bool lost = gpu_is_lost(failures);
    if (!lost && !gives_back(failures)) {
        assert_int_equal(cuda->live(), 0);
    }
    cuda->failures("");
}

static const char *const entries[] = {
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxSetFlags_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxSetCurrent",
    "cuMemGetInfo_v2",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemsetD8Async",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuLaunchKernel",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventElapsedTime",
};
/* invalid value, out of memory, not initialized, no device, invalid device, invalid image, invalid
 * context, no binary, uncorrectable ECC, invalid PTX, not supported, illegal address, too many
 * resources, launch timeout, misaligned address, launch failed, not permitted, unknown */
static const int codes[] = {1,   2,   3,   100, 101, 200, 201, 209, 214,
                            218, 801, 700, 701, 702, 716, 719, 800, 999};

/* Kernels run thread by thread, which takes the sanitizers a minute for all codes: there every entry
 * meets a sixth of them, not the same for two entries in a row. */
#ifdef __OPTIMIZE__
enum { CODES_STEP = 1 };
#else
enum { CODES_STEP = 6 };
#endif

/* Every entry fails with every code, the first time it is called. */
static void every_entry_fails(void **state) {
    (void)state;
    const FakeCuda *cuda = fake_cuda_load();
    fake_load("libnvrtc.so.13");
    int opened = 0, failed = 0, runs = 0;
    for (size_t e = 0; e < sizeof entries / sizeof *entries; e++) {
        World w = world_open(2);
        for (size_t c = e % CODES_STEP; c < sizeof codes / sizeof *codes; c += CODES_STEP) {
            char failures[100];
            bool open, fail;
            snprintf(failures, sizeof failures, "%s:1:%d", entries[e], codes[c]);
            survive(&w, cuda, failures, &open, &fail);
            opened += open;
            failed += fail;
            runs++;
        }
        world_close(&w);
    }
    print_message("%d runs: %d opened, of which %d failed later\n", runs, opened, failed);
    assert_true(opened > runs / 4 && failed > opened / 4);
}

/* The calls of a run fail at every number, once and for good. */
static void every_call_fails(void **state) {
    (void)state;
    static const char *const busy[] = {"cuMemcpyHtoDAsync_v2", "cuLaunchKernel",
                                       "cuMemcpyDtoHAsync_v2", "cuEventSynchronize",
                                       "cuEventRecord", "cuMemAlloc_v2", "cuMemHostAlloc"};
    const FakeCuda *cuda = fake_cuda_load();
    fake_load("libnvrtc.so.13");
    int runs = 0;
    World w = world_open(2);
    for (size_t e = 0; e < sizeof busy / sizeof *busy; e++) {
        for (int n = 1; n <= 13; n += 3) {
            char failures[100];
            bool open, fail;
            snprintf(failures, sizeof failures, "%s:%d:%d%s", busy[e], n, n % 2 ? 2 : 719,
                     n % 3 ? ":forever" : "");
            survive(&w, cuda, failures, &open, &fail);
            assert_true(open);
            runs++;
        }
    }
    world_close(&w);
    print_message("%d runs\n", runs);
}

/* As many lanes as there is memory for, none of it lost; streams that work as late as they may. */
static void little_memory_and_late_streams(void **state) {
    (void)state;
    static const char *const memories[] = {"1000000", "40000000", "34000000", "1000000000"};
    fake_load("libnvrtc.so.13");
    int least = 9, most = -1;
    for (int i = 0; i < 4; i++) {
        setenv("FAKE_CUDA_MEMORY", memories[i], 1);
        setenv("FAKE_CUDA_DEFER", i % 2 ? "1" : "0", 1);
        setenv("FAKE_CUDA_SEED", i % 2 ? "77" : "0", 1);
        const FakeCuda *cuda = fake_cuda_load();
        World w = world_open(3);
        Str why = {0};
        ExecTimes times;
        Gpu *gpu = open_gpu(&w, &why);
        assert_non_null(gpu);
        run_and_compare(&w, gpu, &times);
        least = times.lanes < least ? times.lanes : least;
        most = times.lanes > most ? times.lanes : most;
        assert_int_equal(gpu_failure(gpu, w.s->arena).len, 0);
        gpu_close(w.s, gpu);
        assert_int_equal(cuda->live(), 0);
        world_close(&w);
    }
    unsetenv("FAKE_CUDA_MEMORY");
    unsetenv("FAKE_CUDA_DEFER");
    unsetenv("FAKE_CUDA_SEED");
    assert_int_equal(least, 0);
    assert_int_equal(most, 3);
}

/* Neither a capped amount of memory nor a kernel that no text exists for is an error. */
static void capped_memory(void **state) {
    (void)state;
    fake_cuda_load();
    fake_load("libnvrtc.so.13");
    World w = world_open(2);
    Str why = {0};
    ExecTimes times;
    Gpu *gpu = open_gpu(&w, &why);
    assert_non_null(gpu);
    w.s->memory = 3 << 20;
    run_and_compare(&w, gpu, &times);
    assert_true(times.memory <= w.s->memory);
    gpu_close(w.s, gpu);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_and_metrics),
        cmocka_unit_test(little_memory_and_late_streams),
        cmocka_unit_test(capped_memory),
        cmocka_unit_test(every_call_fails),
        cmocka_unit_test(every_entry_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
