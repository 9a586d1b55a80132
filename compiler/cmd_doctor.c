/* `morc doctor`: what works on this machine, one line a part. Nothing is compressed, and nothing
 * written but the cache's folder; drivers are asked in a process of their own (gpu_probe.h). With
 * `--device cuda` it is an error when that GPU cannot be used, and the message names what is
 * missing; with `--device host` only the host is looked at. */
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

/* A machine with eight GPUs and no persistence daemon takes ten seconds to wake them. */
static const double driver_seconds = 40;

typedef struct Doctor {
    Console *c;
    Session *s;
    int gpu;     /* the one that is asked for */
    Str missing; /* what keeps kernels from it, the first such thing; empty: nothing */
    Str how;     /* to get it; empty: nobody knows */
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

static void doctor_gpu(Doctor *d, const GpuFound *gpu, int ordinal) {
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
        if (ordinal == d->gpu) {
            lacks(d, str_format(arena, "GPU %d %s", ordinal, gpu->trouble), (Str){0});
        }
    }
    cJSON *o = part(d, str_format(arena, "GPU %d", ordinal).data, ok, buf_view(&b));
    cJSON_AddNumberToObject(o, "ordinal", ordinal);
    json_text(o, "name", str_from(gpu->name));
    cJSON_AddNumberToObject(o, "arch", gpu->arch);
    cJSON_AddNumberToObject(o, "bytes", (double)gpu->total);
    cJSON_AddNumberToObject(o, "bytes_free", (double)gpu->unused);
    console_json(d->c, o);
}

/* False: stopped by a signal. */
static bool doctor_gpus(Doctor *d) {
    GpuProbe *probe = arena_new(d->s->arena, GpuProbe);
    gpu_probe(d->s, driver_seconds, probe);
    TRY(!session_stopped(d->s));
    doctor_driver(d, probe);
    for (int i = 0; i < probe->count; i++) {
        doctor_gpu(d, &probe->gpu[i], i);
    }
    if (d->gpu >= probe->count) {
        lacks(d, str_format(d->s->arena, "there is no GPU %d", d->gpu), (Str){0});
    }
    return true;
}

/* To be filled from runtime/device/jit.h. */
static void doctor_nvrtc(Doctor *d) {
    print_part(d, "NVRTC", false, STR("not in this build"));
    lacks(d, STR("NVRTC is not in this build"), (Str){0});
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
    Str text = abi < 0 ? str_format(d->s->arena, "no Landlock: %s", why)
                       : str_format(d->s->arena, "Landlock, ABI %ld", abi);
    print_part(d, "confinement", abi > 0, text);
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

bool cmd_doctor(Console *c, const Args *args) {
    Doctor d = {.c = c, .s = c->s, .gpu = args->gpu};
    print_part(&d, "morc", true, STR(MORC_VERSION));
    doctor_processor(&d);
    if (!str_is(args->device, "host")) {
        if (!doctor_gpus(&d)) {
            print_result(c, 128 + atomic_load(&c->env->stop));
            return false;
        }
        doctor_nvrtc(&d);
        doctor_cache(&d, args->cache_dir);
        doctor_confinement(&d);
    }
    if (str_starts(args->device, STR("cuda")) && d.missing.len) {
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
