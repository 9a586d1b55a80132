/* Opening a GPU (gpu.h). The order saves time: the compile child starts first and loads NVRTC while
 * the driver starts; programs are compiled there while the context is made, in a thread. */
#include "runtime/base/clock.h"
#include "runtime/device/gpu.h"
#include <pthread.h>

bool gpu_ok(Gpu *gpu, CudaStatus status, const char *act) {
    if (status == 0) {
        return true;
    }
    int none = 0;
    if (atomic_compare_exchange_strong(&gpu->failed, &none, status)) {
        atomic_store(&gpu->act, act);
    }
    return false;
}

static Str failure_text(const Gpu *gpu, Arena *arena, CudaStatus status, const char *act) {
    return str_format(arena, "%s: %s", act, cuda_status_text(&gpu->api, status, arena));
}

Str gpu_failure(const Gpu *gpu, Arena *arena) {
    const int status = atomic_load(&gpu->failed);
    if (status == 0) {
        return (Str){0};
    }
    const char *act = atomic_load(&gpu->act);
    return failure_text(gpu, arena, status, act ? act : "the GPU");
}

static void close_gpu(Session *s, void *owner) {
    Gpu *gpu = owner;
    (void)s;
    if (gpu->context) {
        gpu->api.context_use(gpu->context);
        for (size_t i = 0; i < gpu->programs.all.len && gpu->modules; i++) {
            if (gpu->modules[i]) {
                gpu->api.module_unload(gpu->modules[i]);
            }
        }
        gpu->api.context_release(gpu->device);
    }
    cuda_api_close(&gpu->api);
    gpu->context = NULL;
}

void gpu_close(Session *s, Gpu *gpu) {
    if (gpu) {
        session_forget(s, &gpu->cleanup);
        close_gpu(s, gpu);
    }
}

/* ---- driver and device */

static bool open_driver(Session *s, Gpu *gpu, int *count, Str *why) {
    int version = 0;
    TRY(cuda_api_open(&gpu->api, s->arena, why));
    const CudaStatus status = gpu->api.init(0);
    if (status != 0) {
        *why = failure_text(gpu, s->arena, status, "the CUDA driver does not start");
        return false;
    }
    gpu->api.driver_version(&version);
    *why = cuda_driver_complaint(s->arena, version);
    TRY(why->len == 0);
    if (gpu->api.device_count(count) != 0 || *count == 0) {
        *why = STR("the CUDA driver finds no GPU");
        return false;
    }
    return true;
}

static bool open_device(Session *s, Gpu *gpu, int ordinal, Str *why) {
    char name[256] = "";
    int major = 0, minor = 0;
    CudaApi *const api = &gpu->api;
    CudaStatus status = api->device_get(&gpu->device, ordinal);
    status = status ? status : api->device_name(name, sizeof name, gpu->device);
    status = status ? status : api->device_attribute(&major, CUDA_DEVICE_MAJOR, gpu->device);
    status = status ? status : api->device_attribute(&minor, CUDA_DEVICE_MINOR, gpu->device);
    if (status != 0) {
        *why = failure_text(gpu, s->arena, status,
                            str_c(s->arena, str_format(s->arena, "GPU %d", ordinal)));
        return false;
    }
    name[sizeof name - 1] = 0;
    gpu->name = str_copy(s->arena, str_from(name));
    gpu->ordinal = ordinal;
    gpu->arch = 10 * major + minor;
    return true;
}

static bool choose_device(Session *s, Gpu *gpu, int wanted, int count, Str *why) {
    if (wanted >= count) {
        *why = str_format(s->arena, "there is no GPU %d; this machine has %d", wanted, count);
        return false;
    }
    for (int i = wanted < 0 ? 0 : wanted; i < (wanted < 0 ? count : wanted + 1); i++) {
        if (open_device(s, gpu, i, why)) {
            return true;
        }
    }
    return false;
}

/* ---- the context, made beside the compiling */

typedef struct ContextThread {
    Gpu *gpu;
    pthread_t thread;
    bool started;
    CudaStatus status;
    double seconds;
} ContextThread;

static void *make_context(void *argument) {
    ContextThread *c = argument;
    const double start = clock_seconds();
    c->gpu->api.context_flags(c->gpu->device, CUDA_CONTEXT_SLEEPS); /* fails if it exists: fine */
    c->status = c->gpu->api.context_retain(&c->gpu->context, c->gpu->device);
    c->seconds = clock_seconds() - start;
    return NULL;
}

static void start_context(ContextThread *c) {
    c->started = pthread_create(&c->thread, NULL, make_context, c) == 0;
    if (!c->started) {
        make_context(c);
    }
}

static bool finish_context(Session *s, ContextThread *c, Str *why) {
    if (c->started) {
        pthread_join(c->thread, NULL);
        c->started = false;
    }
    c->gpu->start.context = c->seconds;
    const CudaStatus status = c->status ? c->status : c->gpu->api.context_use(c->gpu->context);
    if (status != 0) {
        *why = failure_text(c->gpu, s->arena, status, "no context can be made");
        return false;
    }
    return true;
}

/* ---- programs */

static bool load_programs(Session *s, Gpu *gpu, const JitProgram *built, Str *why) {
    const size_t count = gpu->programs.all.len;
    gpu->modules = arena_many(s->arena, CudaModule, count + 1);
    gpu->functions = arena_array(s->arena, count + 1, sizeof *gpu->functions);
    for (size_t i = 0; i < count; i++) {
        const CudaStatus status = gpu->api.module_load(&gpu->modules[i], built[i].cubin.data);
        if (status != 0) {
            *why = failure_text(gpu, s->arena, status, "a kernel cannot be loaded");
            return false;
        }
    }
    return true;
}

static bool find_functions(Session *s, Gpu *gpu, size_t kernels, Str *why) {
    for (size_t i = 0; i < kernels; i++) {
        for (int a = 0; a < GPU_ACTS; a++) {
            const int program = gpu->programs.acts[i].act[a].program;
            const GpuText *about = &gpu->programs.acts[i].act[a].about;
            for (int step = 0; program >= 0 && step < about->steps; step++) {
                CudaFunction *function = &gpu->functions[program][step];
                const CudaStatus status =
                    *function ? 0
                              : gpu->api.module_function(function, gpu->modules[program],
                                                         about->step[step].entry);
                if (status != 0) {
                    *why = failure_text(gpu, s->arena, status, "a kernel is not in its program");
                    return false;
                }
            }
        }
    }
    return true;
}

static bool build(Session *s, Gpu *gpu, Jit *jit, JitProgram *built, Str *why) {
    const size_t count = gpu->programs.all.len;
    for (size_t i = 0; i < count; i++) {
        built[i].text = gpu->programs.all.at[i].text;
    }
    TRY(jit_build(s, jit, gpu->arch, built, count, why));
    gpu->start.nvrtc = jit_loading(jit);
    for (size_t i = 0; i < count; i++) {
        const double took = built[i].seconds;
        gpu->start.longest = took > gpu->start.longest ? took : gpu->start.longest;
        gpu->start.compiled += !built[i].cached;
        gpu->start.cached += built[i].cached;
    }
    return true;
}

static bool open_all(Session *s, Gpu *gpu, Jit *jit, const GpuWish *wish, size_t kernels,
                     Str *why) {
    const double start = clock_seconds();
    int count = 0;
    TRY(open_driver(s, gpu, &count, why) && choose_device(s, gpu, wish->ordinal, count, why));
    gpu->start.driver = clock_seconds() - start;
    JitProgram *built = arena_many(s->arena, JitProgram, gpu->programs.all.len + 1);
    ContextThread context = {.gpu = gpu};
    start_context(&context);
    const bool made = build(s, gpu, jit, built, why);
    gpu->start.programs = clock_seconds() - start;
    Str context_why = {0};
    if (!finish_context(s, &context, &context_why)) {
        *why = made ? context_why : *why;
        return false;
    }
    TRY(made);
    const double loading = clock_seconds();
    TRY(load_programs(s, gpu, built, why) && find_functions(s, gpu, kernels, why));
    gpu->start.load = clock_seconds() - loading;
    return true;
}

Jit *gpu_compiler(Session *s, const GpuWish *wish, Str *why) {
    Str no_cache = {0};
    const JitOptions options = {
        .cache = wish->cache_root.len ? cubin_cache_open(s, wish->cache_root, &no_cache) : NULL,
        .threads = s->threads};
    return jit_open(s, &options, why);
}

Gpu *gpu_open(Session *s, const GpuWish *wish, const Kernel *kernels, size_t stride, size_t count,
              Str *why) {
    Gpu *gpu = arena_new(s->arena, Gpu);
    gpu->timed = wish->timed;
    session_on_close(s, &gpu->cleanup, close_gpu, gpu);
    Jit *jit = wish->compiler ? wish->compiler : gpu_compiler(s, wish, why);
    gpu_programs_collect(s->arena, kernels, stride, count, &gpu->programs);
    const bool open = jit && open_all(s, gpu, jit, wish, count, why);
    jit_close(s, jit);
    if (!open) {
        gpu_close(s, gpu);
        return NULL;
    }
    return gpu;
}
