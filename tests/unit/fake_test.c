/* The fake driver: right where a driver is, strict where only a bug could be the reason. */
#include <pthread.h>
#include "runtime/device/cuda_api.h"
#include "kernels/gpu/args.h"
#include "tests/unit/fake_nvrtc.h"

/* A driver with a context that is current, and what most cases need. */
typedef struct World {
    const FakeCuda *fake;
    Arena *arena;
    CudaApi cuda;
    CudaContext context;
    CudaStream stream;
} World;

static void open_api(World *w) {
    Str why = {0};
    *w = (World){.fake = fake_cuda_load(), .arena = arena_open()};
    assert_true(cuda_api_open(&w->cuda, w->arena, &why));
}

/* list, defer: of FAKE_CUDA and FAKE_CUDA_DEFER */
static World world(const char *list, bool defer) {
    World w;
    setenv("FAKE_CUDA_DEFER", defer ? "1" : "0", 1);
    open_api(&w);
    unsetenv("FAKE_CUDA_DEFER");
    assert_int_equal(w.cuda.init(0), 0);
    assert_int_equal(w.cuda.context_retain(&w.context, 0), 0);
    assert_int_equal(w.cuda.context_use(w.context), 0);
    assert_int_equal(w.cuda.stream_create(&w.stream, CUDA_STREAM_APART), 0);
    w.fake->failures(list);
    return w;
}

/* live: what the test should have given back, and did not */
static void close_world(World *w, unsigned live) {
    assert_int_equal(w->fake->live(), live + 2); /* the context and the stream */
    assert_int_equal(w->cuda.context_release(0), 0);
    assert_int_equal(w->fake->live(), 0);
    cuda_api_close(&w->cuda);
    arena_close(w->arena);
}

static CudaAddress alloc(World *w, size_t size) {
    CudaAddress a = 0;
    assert_int_equal(w->cuda.memory_alloc(&a, size), 0);
    return a;
}

static unsigned char *pinned(World *w, size_t size) {
    void *p = NULL;
    assert_int_equal(w->cuda.host_alloc(&p, size, CUDA_HOST_PORTABLE), 0);
    memset(p, 0, size);
    return p;
}

/* ---- order of calls, threads, processes */

static void *use_without_context(void *user) {
    World *w = user;
    CudaAddress a;
    assert_int_equal(w->cuda.memory_alloc(&a, 16), 201);
    assert_int_equal(w->cuda.context_use(w->context), 0);
    assert_int_equal(w->cuda.memory_alloc(&a, 16), 0);
    assert_int_equal(w->cuda.memory_free(a), 0);
    return NULL;
}

static void use_after_fork(void *user) {
    int count;
    fprintf(stderr, "%d", ((World *)user)->cuda.device_count(&count));
}

static void a_context_belongs_to_a_thread(void **state) {
    (void)state;
    World w;
    int count = -1;
    char said[100];
    CudaAddress a;
    open_api(&w);
    assert_int_equal(w.cuda.device_count(&count), 3);
    assert_int_equal(w.cuda.init(0), 0);
    assert_int_equal(w.cuda.device_count(&count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(w.cuda.device_get(&(CudaDevice){0}, 1), 101);
    assert_int_equal(w.cuda.memory_alloc(&a, 16), 201);
    assert_int_equal(w.cuda.context_release(0), 201);
    assert_int_equal(w.cuda.context_flags(0, CUDA_CONTEXT_SLEEPS), 0);
    assert_int_equal(w.cuda.context_retain(&w.context, 0), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, use_without_context, &w), 0);
    pthread_join(thread, NULL);
    assert_int_equal(w.cuda.memory_alloc(&a, 16), 201);
    assert_int_equal(unit_child(use_after_fork, &w, said, sizeof said), 0);
    assert_string_equal(said, "3");
    assert_int_equal(w.cuda.context_release(0), 0);
    cuda_api_close(&w.cuda);
    arena_close(w.arena);
}

static void the_environment_describes_the_gpu(void **state) {
    (void)state;
    World w;
    int value = 0;
    setenv("FAKE_CUDA_DEVICES", "0", 1);
    open_api(&w);
    assert_int_equal(w.cuda.init(0), CUDA_NO_DEVICE);
    setenv("FAKE_CUDA_DEVICES", "1", 1);
    setenv("FAKE_CUDA_CAPABILITY", "8.6", 1);
    setenv("FAKE_CUDA_VERSION", "12040", 1);
    setenv("FAKE_CUDA_MEMORY", "65536", 1);
    w.fake->reset();
    unsetenv("FAKE_CUDA_DEVICES");
    unsetenv("FAKE_CUDA_CAPABILITY");
    unsetenv("FAKE_CUDA_VERSION");
    assert_int_equal(w.cuda.driver_version(&value), 0);
    assert_int_equal(value, 12040);
    assert_int_equal(w.cuda.init(0), 0);
    assert_int_equal(w.cuda.device_attribute(&value, CUDA_DEVICE_MAJOR, 0), 0);
    assert_int_equal(value, 8);
    assert_int_equal(w.cuda.device_attribute(&value, CUDA_DEVICE_MINOR, 0), 0);
    assert_int_equal(value, 6);
    assert_int_equal(w.cuda.device_attribute(&value, 4711, 0), 1);
    assert_int_equal(w.cuda.context_retain(&w.context, 0), 0);
    assert_int_equal(w.cuda.context_use(w.context), 0);
    CudaAddress a = alloc(&w, 65000), b;
    assert_int_equal(w.cuda.memory_alloc(&b, 1000), CUDA_OUT_OF_MEMORY);
    assert_int_equal(w.cuda.memory_free(a), 0);
    assert_int_equal(w.cuda.memory_alloc(&b, 1000), 0);
    assert_int_equal(w.cuda.context_release(0), 0);
    unsetenv("FAKE_CUDA_MEMORY"); /* read again when the context is gone */
    cuda_api_close(&w.cuda);
    arena_close(w.arena);
}

/* ---- memory */

static void memory_is_rubbish_and_apart(void **state) {
    (void)state;
    World w = world(NULL, false);
    const CudaAddress a = alloc(&w, 1000), b = alloc(&w, 1);
    unsigned char out[1000] = {0};
    assert_int_equal(a % 256, 0);
    assert_int_equal(b % 256, 0);
    assert_int_equal(w.cuda.copy_out(out, a, 1000, w.stream), 0);
    assert_int_equal(out[0], 0xd5);
    assert_int_equal(out[999], 0xd5);
    assert_int_equal(w.cuda.memory_free(a), 0);
    assert_true(alloc(&w, 1000) != a); /* an address is used once */
    assert_int_equal(w.cuda.memory_alloc(&(CudaAddress){0}, 0), 1);
    close_world(&w, 2);
}

/* What only a bug can do; in a child, where a driver has to be opened anew. */
static void bug(void *user) {
    World w = world(NULL, false);
    const CudaApi *cuda = &w.cuda;
    const CudaAddress a = alloc(&w, 100);
    unsigned char host[200] = {0}, *memory = pinned(&w, 50);
    switch (*(const int *)user) {
    case 0:
        cuda->copy_out(host, a + 60, 41, w.stream);
        break;
    case 1:
        cuda->copy_in((CudaAddress)(uintptr_t)host, host, 8, w.stream);
        break;
    case 2:
        cuda->memory_free(a + 1);
        break;
    case 3:
        cuda->memory_free(a);
        cuda->memory_free(a);
        break;
    case 4:
        cuda->memory_free(a);
        cuda->fill(a, 0, 1, w.stream);
        break;
    case 5:
        cuda->copy_in(a, memory + 40, 20, w.stream);
        break;
    case 6:
        cuda->host_free(memory);
        cuda->host_free(memory);
        break;
    case 7:
        cuda->stream_wait((CudaStream)(void *)host);
        break;
    }
}

static void bugs_abort(void **state) {
    (void)state;
    static const char *const lines[] = {
        "fake GPU: cuMemcpyDtoHAsync_v2: bytes 60 to 101 of a block of 100\n",
        "is no address of the GPU\n",
        "which is not the start of a block\n",
        "which is free already\n",
        "is in a block that was freed\n",
        "fake GPU: cuMemcpyHtoDAsync_v2: bytes 40 to 60 of 50 pinned bytes\n",
        "which is no pinned memory\n",
        "fake GPU: work for a stream that does not exist\n",
    };
    for (int i = 0; i < (int)(sizeof lines / sizeof lines[0]); i++) {
        char said[1000];
        const int status = unit_child(bug, &i, said, sizeof said);
        if (!strstr(said, lines[i]) || !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
            fail_msg("bug %d: %s", i, said);
        }
    }
}

/* ---- streams and events */

static void deferred_work_is_late(void **state) {
    (void)state;
    World w = world(NULL, true);
    const CudaAddress a = alloc(&w, 16), b = alloc(&w, 16);
    unsigned char *in = pinned(&w, 16), *out = pinned(&w, 16), plain[16] = "pageable memory";
    memcpy(in, "pinned in memory", 16);
    assert_int_equal(w.cuda.copy_in(a, in, 16, w.stream), 0);
    assert_int_equal(w.cuda.copy_in(b, plain, 16, w.stream), 0);
    in[0] = 'P';    /* too early: the GPU has not read it */
    plain[0] = 'P'; /* no harm: the driver copied it */
    assert_int_equal(w.cuda.copy_out(out, a, 16, w.stream), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(w.cuda.stream_wait(w.stream), 0);
    assert_memory_equal(out, "Pinned in memory", 16);
    assert_int_equal(w.cuda.copy_device(a, b, 16, w.stream), 0);
    assert_int_equal(w.cuda.fill(a, '-', 4, w.stream), 0);
    assert_int_equal(w.cuda.copy_out(plain, a, 16, w.stream), 0); /* waits, being pageable */
    assert_memory_equal(plain, "----able memory", 16);
    assert_int_equal(w.cuda.copy_out(out, b, 16, w.stream), 0);
    assert_memory_equal(out, "Pinned in memory", 16);
    assert_int_equal(w.cuda.memory_free(b), 0); /* waits for all */
    assert_memory_equal(out, "pageable memory", 16);
    assert_int_equal(w.cuda.memory_free(a), 0);
    assert_int_equal(w.cuda.host_free(in), 0);
    assert_int_equal(w.cuda.host_free(out), 0);
    close_world(&w, 0);
}

static void synchronous_work_is_not(void **state) {
    (void)state;
    World w = world(NULL, false);
    const CudaAddress a = alloc(&w, 16);
    unsigned char *out = pinned(&w, 16);
    assert_int_equal(w.cuda.fill(a, 9, 16, w.stream), 0);
    assert_int_equal(w.cuda.copy_out(out, a, 16, w.stream), 0);
    assert_int_equal(out[15], 9);
    close_world(&w, 2);
}

static void the_default_stream_waits(void **state) {
    (void)state;
    World w = world(NULL, true);
    CudaStream other;
    const CudaAddress a = alloc(&w, 1);
    unsigned char *out = pinned(&w, 3);
    assert_int_equal(w.cuda.stream_create(&other, 0), 0);
    assert_int_equal(w.cuda.stream_create(&other, 2), 1);
    assert_int_equal(w.cuda.fill(a, 1, 1, other), 0);
    assert_int_equal(w.cuda.copy_out(&out[0], a, 1, other), 0);
    assert_int_equal(w.cuda.copy_out(&out[1], a, 1, w.stream), 0); /* apart */
    assert_int_equal(w.cuda.fill(a, 2, 1, NULL), 0);
    assert_int_equal(out[0], 1);
    assert_int_equal(w.cuda.copy_out(&out[2], a, 1, other), 0);
    assert_int_equal(w.cuda.stream_destroy(other), 0);
    assert_int_equal(out[2], 2);
    assert_int_equal(out[1], 0);
    assert_int_equal(w.cuda.stream_destroy(NULL), 400);
    close_world(&w, 2);
}

static void events_end_where_they_stand(void **state) {
    (void)state;
    World w = world(NULL, true);
    const CudaAddress a = alloc(&w, 1 << 20);
    unsigned char *out = pinned(&w, 2);
    CudaEvent start, end, untimed;
    float ms = -1;
    assert_int_equal(w.cuda.event_create(&start, 0), 0);
    assert_int_equal(w.cuda.event_create(&end, 0), 0);
    assert_int_equal(w.cuda.event_create(&untimed, CUDA_EVENT_UNTIMED), 0);
    assert_int_equal(w.cuda.event_elapsed(&ms, start, end), 400); /* never recorded */
    assert_int_equal(w.cuda.event_wait(end), 0);
    assert_int_equal(w.cuda.event_record(start, w.stream), 0);
    assert_int_equal(w.cuda.fill(a, 5, 1 << 20, w.stream), 0);
    assert_int_equal(w.cuda.copy_out(&out[0], a, 1, w.stream), 0);
    assert_int_equal(w.cuda.event_record(end, w.stream), 0);
    assert_int_equal(w.cuda.event_record(untimed, w.stream), 0);
    assert_int_equal(w.cuda.copy_out(&out[1], a, 1, w.stream), 0);
    assert_int_equal(w.cuda.event_elapsed(&ms, start, end), CUDA_NOT_READY);
    assert_int_equal(w.cuda.event_wait(end), 0);
    assert_int_equal(out[0], 5);
    assert_int_equal(out[1], 0);
    assert_int_equal(w.cuda.event_elapsed(&ms, start, end), 0);
    assert_true(ms > 0.05 && ms < 0.06);
    assert_int_equal(w.cuda.event_elapsed(&ms, start, untimed), 400);
    /* recorded again: the new place counts */
    assert_int_equal(w.cuda.event_record(end, w.stream), 0);
    assert_int_equal(w.cuda.event_record(end, NULL), 0);
    assert_int_equal(w.cuda.event_wait(end), 0);
    assert_int_equal(out[1], 0);
    assert_int_equal(w.cuda.event_destroy(untimed), 0);
    assert_int_equal(w.cuda.stream_wait(w.stream), 0);
    assert_int_equal(out[1], 5);
    assert_int_equal(w.cuda.event_destroy(start), 0);
    assert_int_equal(w.cuda.event_destroy(end), 0);
    close_world(&w, 2);
}

/* ---- modules */

static const char add_text[] =
    "#define THREADS 64\n#define RESIDENT 1\n#include \"kernels/gpu/threads.h\"\n"
    "K_KERNEL(add) {\n"
    "    const int64_t i = (int64_t)(k_block() * THREADS + k_thread());\n"
    "    if (i < a.units) {\n"
    "        a.codes[i] = (uint8_t)(a.source[i] + (uint8_t)a.rows);\n"
    "    }\n"
    "}\n"
    "K_KERNEL(beyond) {\n"
    "    a.codes[a.units + (int64_t)k_thread()] = 1;\n"
    "}\n";

static int launch(World *w, CudaFunction f, unsigned grid, unsigned threads, GpuArgs *args) {
    void *parameters[] = {args};
    return w->cuda.launch(f, grid, 1, 1, threads, 1, 1, 0, w->stream, parameters, NULL);
}

static CudaModule module_of(World *w, const char *text) {
    const Nvrtc n = nvrtc_load();
    char *cubin = nvrtc_cubin(&n, text, "sm_90");
    CudaModule module = NULL;
    assert_int_equal(w->cuda.module_load(&module, cubin), 0);
    free(cubin);
    return module;
}

static void kernels_run(void **state) {
    (void)state;
    World w = world(NULL, true);
    const CudaModule module = module_of(&w, add_text);
    CudaFunction add, none;
    int threads = 0;
    assert_int_equal(w.cuda.module_function(&add, module, "add"), 0);
    assert_int_equal(w.cuda.module_function(&none, module, "subtract"), 500);
    assert_int_equal(w.cuda.function_attribute(&threads, CUDA_FUNCTION_THREADS, add), 0);
    assert_int_equal(threads, 64);
    assert_int_equal(w.cuda.function_attribute(&threads, 99, add), 1);
    const CudaAddress source = alloc(&w, 100), codes = alloc(&w, 100);
    unsigned char in[100], out[100];
    for (int i = 0; i < 100; i++) {
        in[i] = (unsigned char)i;
    }
    assert_int_equal(w.cuda.copy_in(source, in, 100, w.stream), 0);
    GpuArgs a = {.source = (const uint8_t *)(uintptr_t)source,
                 .codes = (uint8_t *)(uintptr_t)codes,
                 .units = 100,
                 .rows = 3};
    assert_int_equal(launch(&w, add, 2, 64, &a), 0);
    a.units = 50; /* arguments were read by the launch */
    assert_int_equal(w.cuda.copy_out(out, codes, 100, w.stream), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(out[i], i + 3);
    }
    assert_int_equal(launch(&w, add, 2, 128, &a), 701);
    assert_int_equal(launch(&w, add, 0, 64, &a), 1);
    assert_int_equal(w.cuda.module_unload(module), 0);
    close_world(&w, 2);
}

static void runs_beyond(void *user) {
    (void)user;
    World w = world(NULL, false);
    const CudaModule module = module_of(&w, add_text);
    CudaFunction f;
    assert_int_equal(w.cuda.module_function(&f, module, "beyond"), 0);
    GpuArgs a = {.codes = (uint8_t *)(uintptr_t)alloc(&w, 100), .units = 100};
    launch(&w, f, 1, 64, &a);
}

/* 12 bytes more may be written: up to a multiple of 16 */
static void kernels_stay_inside(void **state) {
    (void)state;
    unit_aborts(runs_beyond, NULL,
                "fake GPU: kernel: byte 112 of a block of 100 bytes was overwritten\n");
}

static void modules_fit_or_are_refused(void **state) {
    (void)state;
    World w = world(NULL, false);
    const Nvrtc n = nvrtc_load();
    static const struct {
        const char *architecture;
        int code;
    } cases[] = {{"sm_90", 0}, {"sm_90a", 0}, {"sm_80", 209}, {"sm_100", 209}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CudaModule module = NULL;
        char *cubin = nvrtc_cubin(&n, add_text, cases[i].architecture);
        assert_int_equal(w.cuda.module_load(&module, cubin), cases[i].code);
        free(cubin);
    }
    CudaModule module = NULL;
    assert_int_equal(w.cuda.module_load(&module, "\177ELF, but not much of it"), 200);
    close_world(&w, 2);
}

/* ---- failures */

static void calls_fail_as_asked(void **state) {
    (void)state;
    World w = world("cuMemAlloc_v2:2:2,cuMemFree_v2:1:999:forever", false);
    CudaAddress a = 0;
    assert_int_equal(w.cuda.memory_alloc(&a, 1), 0);
    assert_int_equal(w.cuda.memory_alloc(&a, 1), CUDA_OUT_OF_MEMORY);
    assert_int_equal(w.cuda.memory_alloc(&a, 1), 0);
    assert_int_equal(w.cuda.memory_free(a), 999);
    assert_int_equal(w.cuda.memory_free(a), 999);
    assert_int_equal(w.fake->calls("cuMemAlloc_v2"), 3);
    assert_int_equal(w.fake->calls("any"), 5);
    w.fake->failures("any:2:801");
    assert_int_equal(w.cuda.memory_alloc(&a, 1), 0);
    assert_int_equal(w.cuda.memory_free(a), 801);
    assert_int_equal(w.cuda.memory_free(a), 0);
    close_world(&w, 2);
}

static void a_lost_gpu_stays_lost(void **state) {
    (void)state;
    static const int losses[] = {214, 700, 716, 719};
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        char list[64];
        snprintf(list, sizeof list, "cuStreamSynchronize:1:%d", losses[i]);
        World w = world(list, false);
        CudaAddress a;
        int count = 0;
        assert_int_equal(w.cuda.stream_wait(w.stream), losses[i]);
        assert_int_equal(w.cuda.stream_wait(w.stream), losses[i]);
        assert_int_equal(w.cuda.memory_alloc(&a, 1), losses[i]);
        assert_int_equal(w.cuda.context_retain(&w.context, 0), losses[i]);
        assert_int_equal(w.cuda.device_count(&count), 0); /* needs no context */
        close_world(&w, 0);
    }
}

static void waits_for_ever(void *user) {
    World *w = user;
    signal(SIGALRM, SIG_DFL);
    ualarm(100000, 0);
    w->cuda.stream_wait(w->stream);
}

static void a_driver_may_hang_or_crash(void **state) {
    (void)state;
    char said[100];
    World w = world("cuStreamSynchronize:1:hang", false);
    int status = unit_child(waits_for_ever, &w, said, sizeof said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    w.fake->failures("cuStreamSynchronize:1:spin");
    status = unit_child(waits_for_ever, &w, said, sizeof said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    w.fake->failures("cuStreamSynchronize:1:crash");
    status = unit_child(waits_for_ever, &w, said, sizeof said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    w.fake->failures(NULL);
    close_world(&w, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_belongs_to_a_thread),
        cmocka_unit_test(the_environment_describes_the_gpu),
        cmocka_unit_test(memory_is_rubbish_and_apart),
        cmocka_unit_test(bugs_abort),
        cmocka_unit_test(deferred_work_is_late),
        cmocka_unit_test(synchronous_work_is_not),
        cmocka_unit_test(the_default_stream_waits),
        cmocka_unit_test(events_end_where_they_stand),
        cmocka_unit_test(kernels_run),
        cmocka_unit_test(kernels_stay_inside),
        cmocka_unit_test(modules_fit_or_are_refused),
        cmocka_unit_test(calls_fail_as_asked),
        cmocka_unit_test(a_lost_gpu_stays_lost),
        cmocka_unit_test(a_driver_may_hang_or_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
