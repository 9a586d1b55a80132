/* See device_choice.h. */
#include "compiler/device_choice.h"
#include "kernels/shape.h"
#include "runtime/base/sanitize.h"

/* Of one thread, in bytes of weights a second (./dev bench cpu), with metrics and writing; and the
 * longest that is not worth starting a GPU for, which takes half a second or more. */
static const double host_rate = 3.5e9, host_rate_search = 0.16e9, worth_a_gpu = 1.0;

double device_host_seconds(const Schedule *schedule, int threads) {
    double seconds = 0;
    for (size_t i = 0; i < schedule->jobs.len; i++) {
        const Kernel *k = &schedule->jobs.at[i].kernel;
        const double bytes = (double)k->count * source_size(k->source);
        seconds += bytes * (kernel_surveys(k) + 1) / host_rate;
        seconds += k->method == METHOD_MSE ? bytes / host_rate_search : 0;
    }
    return seconds / (threads > 0 ? threads : 1);
}

static uint64_t weight_bytes(const Schedule *schedule) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < schedule->jobs.len; i++) {
        const Kernel *k = &schedule->jobs.at[i].kernel;
        bytes += (uint64_t)k->count * (uint64_t)source_size(k->source);
    }
    return bytes;
}

static Str describe(Session *s, const Gpu *gpu) {
    const GpuStart *t = &gpu->start;
    const int all = t->compiled + t->cached;
    Buf b = buf_on(s->arena);
    buf_safe(&b, gpu->name);
    buf_printf(&b, " (sm_%d), %d kernel%s ", gpu->arch, all, all == 1 ? "" : "s");
    if (t->compiled == 0) {
        buf_str(&b, STR("from the cache"));
    } else {
        buf_printf(&b, "compiled in %.2f s", t->programs);
    }
    return buf_view(&b);
}

static GpuWish wish_of(Session *s, const Args *args, const char *(*get)(const char *variable)) {
    const bool cuda = str_starts(args->device, STR("cuda"));
    return (GpuWish){.ordinal = cuda ? args->gpu : -1,
                     .cache_root = cubin_cache_root(s, args->cache_dir, get)};
}

Jit *device_compiler(Session *s, const Args *args, const char *(*get)(const char *variable)) {
    const GpuWish wish = wish_of(s, args, get);
    CudaApi driver;
    Str why = {0};
    if (str_is(args->device, "host") || !cuda_api_open(&driver, s->arena, &why)) {
        return NULL; /* nothing to compile for */
    }
    cuda_api_close(&driver);
    return gpu_compiler(s, &wish, &why);
}

/* False: the host is better, and why. */
static bool wants_gpu(Session *s, const Args *args, const Schedule *schedule, Str *why) {
    const bool cuda = str_starts(args->device, STR("cuda"));
    if (str_is(args->device, "host")) {
        *why = STR("as asked");
    } else if (schedule->jobs.len == 0) {
        *why = STR("there is nothing to compute");
    } else if (!cuda && device_host_seconds(schedule, s->threads) < worth_a_gpu) {
        *why = str_format(s->arena, "%s of weights take less time than a GPU takes to start",
                          str_bytes(s->arena, weight_bytes(schedule)).data);
    }
    return why->len == 0;
}

bool device_choose(Session *s, const Args *args, const Schedule *schedule,
                   const char *(*get)(const char *variable), bool timed, Jit *compiler,
                   DeviceChoice *out) {
    *out = (DeviceChoice){.name = STR("host")};
    if (!wants_gpu(s, args, schedule, &out->why)) {
        jit_close(s, compiler);
        return true;
    }
    GpuWish wish = wish_of(s, args, get);
    wish.timed = timed;
    wish.compiler = compiler;
    out->gpu = gpu_open(s, &wish, &schedule->jobs.at[0].kernel, sizeof *schedule->jobs.at,
                        schedule->jobs.len, &out->why);
    if (out->gpu) {
        out->name = str_format(s->arena, "cuda:%d", out->gpu->ordinal);
        out->why = describe(s, out->gpu);
    } else if (str_starts(args->device, STR("cuda"))) {
        Diag *d = diag_error(s, "E1106", NO_SPAN, "the GPU cannot be used: %s",
                             str_safe_c(s->arena, out->why));
        diag_help(d, "morc doctor shows what is missing; --device host writes the same bytes");
        return false;
    }
    return true;
}

EngineWish device_engine(const Args *args, const char *(*get)(const char *variable)) {
    const bool host = str_is(args->device, "host");
    return (EngineWish){.provider = host ? ENGINE_CPU : ENGINE_AUTO,
                        .gpu = args->gpu > 0 ? args->gpu : 0,
                        .get = get};
}
