/* See gpu_probe.h. The child writes what it learns into memory that both share, as it learns it, so
 * nothing is lost when it dies half way. */
#include "runtime/device/gpu_probe.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "runtime/base/alloc.h"
#include "runtime/base/clock.h"
#include "runtime/device/cuda_api.h"

/* What both processes see. */
typedef struct Shared {
    GpuProbe probe;
    bool finished;
} Shared;

/* ---- in the child */

static void put(char *field, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put(char *field, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(field, size, format, args);
    va_end(args);
}

/* The first call that fails, in words; false then. */
static bool went(const CudaApi *cuda, Arena *arena, char *trouble, size_t size, const char *what,
                 CudaStatus status) {
    if (status != 0 && trouble[0] == 0) {
        put(trouble, size, "%s: %s", what, cuda_status_text(cuda, status, arena));
    }
    return status == 0;
}

static void probe_gpu(const CudaApi *cuda, Arena *arena, int ordinal, GpuFound *gpu) {
    CudaDevice device = 0;
    CudaContext context = NULL;
    int major = 0, minor = 0;
    size_t total = 0, unused = 0;
#define WENT(what, call) went(cuda, arena, gpu->trouble, sizeof gpu->trouble, what, cuda->call)
    if (WENT("cannot be opened", device_get(&device, ordinal)) &&
        WENT("does not say its name", device_name(gpu->name, GPU_PROBE_TEXT - 1, device)) &&
        WENT("does not say what it is", device_attribute(&major, CUDA_DEVICE_MAJOR, device)) &&
        WENT("does not say what it is", device_attribute(&minor, CUDA_DEVICE_MINOR, device)) &&
        WENT("does not say its memory", device_memory(&total, device))) {
        gpu->arch = 10 * major + minor;
        gpu->total = total;
        if (WENT("cannot be used", context_retain(&context, device)) &&
            WENT("cannot be used", context_use(context)) &&
            WENT("does not say its free memory", memory_info(&unused, &total))) {
            gpu->unused = unused;
        }
    }
#undef WENT
}

static void probe(GpuProbe *p, Arena *arena) {
    CudaApi cuda;
    Str why = {0};
    int count = 0;
    if (!cuda_api_open(&cuda, arena, &why)) {
        put(p->trouble, sizeof p->trouble, "%.*s", STR_ARG(why));
        return;
    }
#define WENT(what, call) went(&cuda, arena, p->trouble, sizeof p->trouble, what, cuda.call)
    if (!WENT("the driver does not say its version", driver_version(&p->version))) {
        return;
    }
    why = cuda_driver_complaint(arena, p->version);
    if (why.len) {
        put(p->trouble, sizeof p->trouble, "%.*s", STR_ARG(why));
    } else if (WENT("the driver finds no GPU", init(0)) &&
               WENT("the driver does not count its GPUs", device_count(&count))) {
        if (count <= 0) {
            put(p->trouble, sizeof p->trouble, "the driver finds no GPU");
        }
        for (int i = 0; i < count && i < GPU_PROBE_GPUS; i++) {
            probe_gpu(&cuda, arena, i, &p->gpu[i]);
            p->count = i + 1;
        }
    }
#undef WENT
}

/* Nothing of the caller's is touched or flushed; a driver that prints prints nowhere. */
static _Noreturn void be_child(Shared *shared, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* it died before we asked to die with it */
    }
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGBUS, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        signal(signals[i], SIG_DFL);
    }
    const int nowhere = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        dup2(nowhere, fd);
    }
    AllocGuard guard;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump) == 0) {
        probe(&shared->probe, arena_open());
    } else {
        put(shared->probe.trouble, sizeof shared->probe.trouble, "no memory");
    }
    shared->finished = true;
    _exit(0);
}

/* ---- in the caller */

/* True: the child ended; *status as waitpid. */
static bool ended(pid_t child, int *status) {
    const pid_t got = waitpid(child, status, WNOHANG);
    if (got < 0 && errno != EINTR) {
        *status = 0; /* somebody else waits for our children: it is gone */
        return true;
    }
    return got == child;
}

static bool wait_for(const Session *s, pid_t child, double seconds, int *status) {
    const double end = clock_seconds() + seconds;
    bool done = ended(child, status);
    for (long pause = 1000000; !done && clock_seconds() < end && !session_stopped(s); pause += pause / 4) {
        const long most = 50000000; /* a short wait at first, as most drivers answer soon */
        nanosleep(&(struct timespec){0, pause < most ? pause : most}, NULL);
        done = ended(child, status);
    }
    return done;
}

/* Not even now for sure: a process that hangs in the kernel does not die. It is left alone then. */
static void end_child(pid_t child) {
    int status;
    kill(child, SIGKILL);
    for (int i = 0; i < 50 && !ended(child, &status); i++) {
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
}

/* A driver that went wrong may have written anywhere. */
static void take(GpuProbe *out, const GpuProbe *shared) {
    *out = *shared;
    out->trouble[sizeof out->trouble - 1] = 0;
    out->count = out->count < 0 ? 0 : out->count > GPU_PROBE_GPUS ? GPU_PROBE_GPUS : out->count;
    for (int i = 0; i < out->count; i++) {
        out->gpu[i].name[GPU_PROBE_TEXT - 1] = out->gpu[i].trouble[GPU_PROBE_TEXT - 1] = 0;
    }
}

void gpu_probe(Session *s, double seconds, GpuProbe *out) {
    memset(out, 0, sizeof *out);
    Shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const pid_t parent = getpid(), child = shared == MAP_FAILED ? -1 : fork();
    if (child < 0) {
        put(out->trouble, sizeof out->trouble, "the driver cannot be asked: %s", strerror(errno));
    } else if (child == 0) {
        be_child(shared, parent);
    } else {
        int status = 0;
        const bool done = wait_for(s, child, seconds, &status);
        if (!done) {
            end_child(child);
        }
        take(out, &shared->probe);
        if (!done) {
            put(out->trouble, sizeof out->trouble, "the driver does not answer within %.3g s",
                seconds);
        } else if (WIFSIGNALED(status)) {
            put(out->trouble, sizeof out->trouble, "the driver crashed (signal %d)",
                WTERMSIG(status));
        } else if (!shared->finished) {
            put(out->trouble, sizeof out->trouble, "the driver ended the process that asked it");
        }
    }
    if (shared != MAP_FAILED) {
        munmap(shared, sizeof *shared);
    }
}
