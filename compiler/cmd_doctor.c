/* `morc doctor`: what works on this machine, one line a part. Nothing is compressed, and nothing
 * written but the cache's folder; drivers and NVRTC are asked in processes of their own
 * (gpu_probe.h, jit.h). With `--device cuda` it is an error when no GPU can be used, and the
 * message names what is missing; with `--device host` only the host is looked at. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "compiler/cmd.h"
#include "kernels/lanes.h"
#include "runtime/base/sanitize.h"
#include "runtime/device/cubin_cache.h"
#include "runtime/device/gpu_probe.h"
#include "runtime/device/jit.h"
#include "runtime/engine/engine.h"

/* A machine with eight GPUs and no persistence daemon takes ten seconds to wake them. */
static const double driver_seconds = 40;

typedef struct Doctor {
    Console *c;
    Session *s;
    int gpu;        /* the one that is asked for; -1: any */
    int arch;       /* of that one; 0: not known */
    Jit *jit;       /* NULL: none */
    Str why_no_jit; /* then */
    Str missing;    /* what keeps kernels from it, the first such thing; empty: nothing */
    Str how;        /* to get it; empty: nobody knows */
} Doctor;

/* One line, or, with --json, an object for the caller to add to and print. */
static cJSON *part(Doctor *d, const char *name, bool ok, Str text) {
    Buf b = buf_on(d->s->arena);
    buf_printf(&b, "%-13s ", name);
    buf_safe(&b, text);
    buf_char(&b, '\n');
    console_out(d->c, buf_view(&b));
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "part");
    cJSON_AddStringToObject(o, "part", name);
    cJSON_AddBoolToObject(o, "ok", ok);
    json_text(o, "text", text);
    return o;
}

static void print_part(Doctor *d, const char *name, bool ok, Str text) {
    console_json(d->c, part(d, name, ok, text));
}

static void lacks(Doctor *d, Str what, Str how) {
    if (d->missing.len == 0) {
        d->missing = what;
        d->how = how;
    }
}

/* ---- the host */

/* "model name : AMD EPYC 9B14" of /proc/cpuinfo; what uname says where there is no such line. */
static Str processor_name(Session *s) {
    enum { BYTES = 8192 }; /* the first processor's lines take less than two thousand */
    char *text = arena_alloc(s->arena, BYTES + 1);
    const int fd = s->sys->open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC, 0);
    const ssize_t size = fd < 0 ? -1 : s->sys->read(fd, text, BYTES);
    if (fd >= 0) {
        s->sys->close(fd);
    }
    const char *line = size > 0 ? strstr(text, "model name") : NULL;
    const char *name = line ? strchr(line, ':') : NULL;
    if (name) {
        name += strspn(name, ": \t");
        return (Str){name, strcspn(name, "\n")};
    }
    struct utsname machine;
    return uname(&machine) == 0 ? str_copy(s->arena, str_from(machine.machine)) : STR("unknown");
}

static void doctor_processor(Doctor *d) {
    Session *s = d->s;
    const Str name = processor_name(s);
    const char *lanes = lanes_best()->name + sizeof "lanes_" - 1;
    Str text = str_format(s->arena, "%.*s, %d thread%s, %s kernels", STR_ARG(name), s->threads,
                          s->threads == 1 ? "" : "s", lanes);
    cJSON *o = part(d, "processor", true, text);
    cJSON_AddNumberToObject(o, "threads", s->threads);
    cJSON_AddStringToObject(o, "lanes", lanes);
    console_json(d->c, o);
}

/* ---- the GPU */

static Str how_to_get_a_driver(Session *s) {
    struct stat info;
    return s->sys->stat("/proc/driver/nvidia/version", &info) == 0
               ? STR("the kernel has the driver, only its library is missing here: in a container, "
                     "ask for the GPU (docker run --gpus all)")
               : STR("where there is a GPU, install NVIDIA's driver, version 525 or later");
}

static void doctor_driver(Doctor *d, const GpuProbe *probe) {
    Arena *arena = d->s->arena;
    Str text = str_from(probe->trouble), how = {0};
    const bool ok = text.len == 0;
    if (ok) {
        text = str_format(arena, "CUDA %d.%d (libcuda.so.1)", probe->version / 1000,
                          probe->version % 1000 / 10);
    } else {
        if (str_starts(text, STR("no NVIDIA driver"))) {
            how = how_to_get_a_driver(d->s);
        }
        lacks(d, text, how);
        text = how.len ? str_format(arena, "%.*s; %.*s", STR_ARG(text), STR_ARG(how)) : text;
    }
    cJSON *o = part(d, "driver", ok, text);
    if (probe->version) {
        cJSON_AddNumberToObject(o, "version", probe->version);
    }
    console_json(d->c, o);
}

static void print_gpu(Doctor *d, const GpuFound *gpu, int ordinal) {
    Arena *arena = d->s->arena;
    const bool ok = gpu->trouble[0] == 0;
    Buf b = buf_on(arena);
    buf_printf(&b, "%s%s", gpu->name, gpu->name[0] ? ", " : "");
    if (gpu->arch) {
        const Str total = str_bytes(arena, gpu->total), unused = str_bytes(arena, gpu->unused);
        buf_printf(&b, "sm_%d, %.*s", gpu->arch, STR_ARG(total));
        if (ok) {
            buf_printf(&b, ", %.*s free", STR_ARG(unused));
        }
    }
    if (!ok) {
        buf_printf(&b, "%s%s", b.len ? ": " : "", gpu->trouble);
    }
    cJSON *o = part(d, str_format(arena, "GPU %d", ordinal).data, ok, buf_view(&b));
    cJSON_AddNumberToObject(o, "ordinal", ordinal);
    json_text(o, "name", str_from(gpu->name));
    cJSON_AddNumberToObject(o, "arch", gpu->arch);
    cJSON_AddNumberToObject(o, "bytes", (double)gpu->total);
    cJSON_AddNumberToObject(o, "bytes_free", (double)gpu->unused);
    console_json(d->c, o);
}

/* The one that kernels would run on: that which was asked for, else the first that can be used. */
static void choose_gpu(Doctor *d, const GpuProbe *probe) {
    int i = d->gpu < 0 ? 0 : d->gpu;
    while (d->gpu < 0 && i < probe->count - 1 && probe->gpu[i].trouble[0]) {
        i++;
    }
    if (i >= probe->count) {
        lacks(d, str_format(d->s->arena, "there is no GPU %d", i), (Str){0});
        return;
    }
    d->arch = probe->gpu[i].arch;
    if (probe->gpu[i].trouble[0]) {
        lacks(d, str_format(d->s->arena, "GPU %d %s", i, probe->gpu[i].trouble), (Str){0});
    }
}

/* False: stopped by a signal. */
static bool doctor_gpus(Doctor *d) {
    GpuProbe *probe = arena_new(d->s->arena, GpuProbe);
    gpu_probe(d->s, driver_seconds, probe);
    TRY(!session_stopped(d->s));
    doctor_driver(d, probe);
    for (int i = 0; i < probe->count; i++) {
        print_gpu(d, &probe->gpu[i], i);
    }
    choose_gpu(d, probe);
    return true;
}

/* ---- the compiler of its kernels */

static void list_architectures(Doctor *d, cJSON *o) {
    int count = 0;
    const int *at = jit_architectures(d->jit, &count);
    cJSON *list = cJSON_AddArrayToObject(o, "architectures");
    for (int i = 0; i < count; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateNumber(at[i]));
    }
}

/* False: stopped by a signal. */
static bool doctor_nvrtc(Doctor *d) {
    Arena *arena = d->s->arena;
    if (!d->jit || !jit_ready(d->s, d->jit, &d->why_no_jit)) {
        TRY(!session_stopped(d->s));
        const Str why = d->why_no_jit;
        print_part(d, "NVRTC", false, why);
        lacks(d, why,
              str_starts(why, STR("NVRTC (libnvrtc"))
                  ? STR("it comes with the CUDA toolkit; PyPI has it alone, as nvidia-cuda-nvrtc")
                  : (Str){0});
        jit_close(d->s, d->jit);
        d->jit = NULL;
        return true;
    }
    int count = 0;
    const int *at = jit_architectures(d->jit, &count), version = jit_version(d->jit);
    const Str path = jit_path(d->jit);
    Buf b = buf_on(arena);
    buf_printf(&b, "%d.%d (%.*s), sm_%d to sm_%d", version / 1000, version % 1000 / 10,
               STR_ARG(path), at[0], at[count - 1]);
    const bool ok = d->arch == 0 || jit_supports(d->jit, d->arch);
    if (!ok) {
        buf_printf(&b, ", but not sm_%d", d->arch);
        lacks(d,
              str_format(arena, "NVRTC %d.%d does not know sm_%d", version / 1000,
                         version % 1000 / 10, d->arch),
              (Str){0});
    }
    cJSON *o = part(d, "NVRTC", ok, buf_view(&b));
    cJSON_AddNumberToObject(o, "version", version);
    json_text(o, "path", path);
    list_architectures(d, o);
    console_json(d->c, o);
    return true;
}

typedef struct Stock {
    const Sys *sys;
    const char *folder;
    char path[PATH_MAX]; /* nothing may be allocated while a folder is being listed */
    int kernels;
    uint64_t bytes;
} Stock;

static void count_kernel(void *user, const char *name) {
    Stock *stock = user;
    struct stat info;
    const int n = snprintf(stock->path, sizeof stock->path, "%s/%s", stock->folder, name);
    if (str_ends(str_from(name), STR(".cubin")) && n > 0 && n < (int)sizeof stock->path &&
        stock->sys->lstat(stock->path, &info) == 0) {
        stock->kernels++;
        stock->bytes += (uint64_t)info.st_size;
    }
}

static void doctor_cache(Doctor *d, Str flag) {
    Session *s = d->s;
    Str why = {0}, root = cubin_cache_root(s, flag, d->c->env->get);
    const CubinCache *cache = cubin_cache_open(s, root, &why);
    if (!cache) {
        print_part(d, "kernel cache", false, str_format(s->arena, "none: %.*s", STR_ARG(why)));
        return;
    }
    Stock *stock = arena_new(s->arena, Stock);
    stock->sys = s->sys;
    stock->folder = str_c(s->arena, cubin_cache_folder(cache));
    s->sys->list(stock->folder, count_kernel, stock);
    const Str bytes = str_bytes(s->arena, stock->bytes);
    cJSON *o = part(d, "kernel cache", true,
                    str_format(s->arena, "%s, %d kernel%s, %.*s", stock->folder, stock->kernels,
                               stock->kernels == 1 ? "" : "s", STR_ARG(bytes)));
    json_text(o, "folder", str_from(stock->folder));
    cJSON_AddNumberToObject(o, "kernels", stock->kernels);
    cJSON_AddNumberToObject(o, "bytes", (double)stock->bytes);
    console_json(d->c, o);
}

/* What confines the process in which NVRTC compiles. */
static void doctor_confinement(Doctor *d) {
    enum { CREATE_RULESET = 444, ASK_VERSION = 1 }; /* Linux: userspace-api/landlock */
    const long abi = syscall(CREATE_RULESET, NULL, (size_t)0, (unsigned)ASK_VERSION);
    const char *why = errno == ENOSYS       ? "this kernel does not have it"
                      : errno == EOPNOTSUPP ? "it is switched off (boot with lsm=landlock,...)"
                                            : strerror(errno);
    const bool ok = abi > 0 && (!d->jit || jit_confined(d->jit));
    Str text = abi < 0 ? str_format(d->s->arena, "limits, but no Landlock: %s", why)
                       : str_format(d->s->arena, "Landlock, ABI %ld%s", abi,
                                    ok ? "" : ", but it is not in force");
    print_part(d, "confinement", ok, text);
}

/* ---- the engine */

/* What steps that run the model would use, opened in this process, as they do. It starts threads,
 * so it comes after all that forks. False: stopped by a signal. */
static bool doctor_engine(Doctor *d) {
    Session *s = d->s;
    const EngineWish wish = {.provider = ENGINE_CPU, .get = d->c->env->get};
    Str why = {0};
    Engine *e = engine_open(s, &wish, &why);
    TRY(!session_stopped(s));
    if (!e) {
        print_part(d, "engine", false, why);
        return true;
    }
    const Str version = engine_version(e), path = engine_path(e), providers = engine_providers(e);
    cJSON *o = part(d, "engine", true,
                    str_format(s->arena, "ONNX Runtime %.*s (%.*s), %.*s", STR_ARG(version),
                               STR_ARG(path), STR_ARG(providers)));
    json_text(o, "version", version);
    json_text(o, "path", path);
    json_text(o, "providers", providers);
    console_json(d->c, o);
    engine_close(s, e);
    return true;
}

static void print_result(Console *c, int exit) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "result");
    cJSON_AddBoolToObject(o, "ok", exit == 0);
    cJSON_AddNumberToObject(o, "exit", exit);
    cJSON_AddNumberToObject(o, "errors", (double)c->errors);
    cJSON_AddNumberToObject(o, "warnings", (double)c->warnings);
    console_json(c, o);
}

/* The parts that only GPUs need. False: stopped by a signal. */
static bool doctor_device(Doctor *d, Str cache_dir) {
    d->jit = jit_open(d->s, &(JitOptions){.threads = 1}, &d->why_no_jit); /* loads meanwhile */
    TRY(doctor_gpus(d) && doctor_nvrtc(d));
    doctor_cache(d, cache_dir);
    doctor_confinement(d);
    jit_close(d->s, d->jit);
    return true;
}

bool cmd_doctor(Console *c, const Args *args) {
    const bool cuda = str_starts(args->device, STR("cuda"));
    Doctor d = {.c = c, .s = c->s, .gpu = cuda ? args->gpu : -1};
    print_part(&d, "morc", true, STR(MORC_VERSION));
    doctor_processor(&d);
    if ((!str_is(args->device, "host") && !doctor_device(&d, args->cache_dir)) ||
        !doctor_engine(&d)) {
        print_result(c, 128 + atomic_load(&c->env->stop));
        return false;
    }
    if (cuda && d.missing.len) {
        Diag *diag = diag_error(c->s, "E1106", NO_SPAN, "no GPU can be used: %s",
                                str_safe_c(c->s->arena, d.missing));
        if (d.how.len) {
            diag_help(diag, "%.*s", STR_ARG(d.how));
        }
        diag_help(diag, "--device host writes the same bytes");
    }
    console_flush(c);
    print_result(c, c->exit);
    return c->exit == 0;
}
