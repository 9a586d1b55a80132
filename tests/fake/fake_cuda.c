/* See fake_cuda.h. State, device, context and texts of the fake driver, under the names that the
 * real one exports. */
#include "tests/fake/fake_cuda.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/fake/failpoints.h"
#include "tests/fake/fake_driver.h"
#include "tests/fake/fake_memory.h"
#include "tests/fake/fake_stream.h"

static struct {
    bool known;    /* the environment was read */
    pid_t process; /* that called cuInit; 0: none did */
    unsigned retained;
    int lost; /* the code of every later call; 0: not lost */
    int devices, version, major, minor;
} gpu; /* there is one GPU */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static char context;
static _Thread_local CudaContext current; /* a context is current for a thread */

_Noreturn void fake_fail(const char *what) {
    fprintf(stderr, "fake GPU: %s\n", what);
    abort();
}

bool fake_device_runs(int arch, bool specific) {
    const int here = gpu.major * 10 + gpu.minor;
    return arch == here || (!specific && arch / 10 == gpu.major && arch <= here);
}

/* ---- state */

static const char *setting(const char *variable, const char *otherwise) {
    const char *value = getenv(variable);
    return value && *value ? value : otherwise;
}

static void drop_all(void) {
    const bool defer = atoi(setting("FAKE_CUDA_DEFER", "0")) != 0;
    fake_streams_reset(defer, strtoull(setting("FAKE_CUDA_SEED", "0"), NULL, 10));
    fake_modules_reset();
    fake_memory_reset(strtoull(setting("FAKE_CUDA_MEMORY", "1073741824"), NULL, 10));
}

static void start(void) {
    memset(&gpu, 0, sizeof gpu);
    failpoints_set(getenv("FAKE_CUDA"));
    gpu.known = true;
    gpu.devices = atoi(setting("FAKE_CUDA_DEVICES", "1"));
    gpu.version = atoi(setting("FAKE_CUDA_VERSION", "13000"));
    if (sscanf(setting("FAKE_CUDA_CAPABILITY", "9.0"), "%d.%d", &gpu.major, &gpu.minor) != 2) {
        fake_fail("FAKE_CUDA_CAPABILITY is not MAJOR.MINOR");
    }
    drop_all();
}

/* Whoever lost a GPU may not have given back what it had on it; a library that is unloaded must not
 * leave that behind as a leak of the caller. */
static void __attribute__((destructor)) unload(void) {
    if (gpu.known) {
        drop_all();
    }
}

/* After these the context is of no use any more. */
static bool is_loss(int code) {
    return code == 214 || code == 700 || code == 702 || (code >= 714 && code <= 719);
}

int fake_enter(const char *entry, FakeNeed need) {
    pthread_mutex_lock(&lock);
    if (!gpu.known) {
        start();
    }
    const int code = failpoint(entry);
    if (code != 0) {
        gpu.lost = is_loss(code) ? code : gpu.lost;
        return code;
    }
    if (need == NEED_NOTHING) {
        return FAKE_OK;
    }
    if (gpu.process != getpid()) {
        return FAKE_NOT_INITIALIZED; /* also after fork: a child cannot use its parent's driver */
    }
    if (need == NEED_INIT) {
        return FAKE_OK;
    }
    if (gpu.lost != 0) {
        return gpu.lost;
    }
    return gpu.retained > 0 && current ? FAKE_OK : FAKE_INVALID_CONTEXT;
}

int fake_leave(int status) {
    pthread_mutex_unlock(&lock);
    return status;
}

int fake_enter_stream(const char *entry, CudaStream stream) {
    const int status = fake_enter(entry, NEED_CONTEXT);
    if (status == FAKE_OK && !fake_stream_known((FakeStream *)(void *)stream)) {
        fake_fail("work for a stream that does not exist");
    }
    return status;
}

/* ---- the driver and its device */

EXPORT int cuInit(unsigned flags) {
    int status = fake_enter("cuInit", NEED_NOTHING);
    if (status == FAKE_OK && flags != 0) {
        status = FAKE_INVALID_VALUE;
    }
    if (status == FAKE_OK && gpu.devices == 0) {
        status = FAKE_NO_DEVICE;
    }
    if (status == FAKE_OK) {
        gpu.process = getpid();
    }
    return fake_leave(status);
}

EXPORT int cuDriverGetVersion(int *version) {
    const int status = fake_enter("cuDriverGetVersion", NEED_NOTHING);
    *version = status == FAKE_OK ? gpu.version : 0;
    return fake_leave(status);
}

EXPORT int cuDeviceGetCount(int *count) {
    const int status = fake_enter("cuDeviceGetCount", NEED_INIT);
    *count = status == FAKE_OK ? gpu.devices : 0;
    return fake_leave(status);
}

static int enter_device(const char *entry, CudaDevice device) {
    const int status = fake_enter(entry, NEED_INIT);
    return status == FAKE_OK && device != 0 ? FAKE_INVALID_DEVICE : status;
}

EXPORT int cuDeviceGet(CudaDevice *device, int ordinal) {
    const int status = enter_device("cuDeviceGet", ordinal);
    *device = 0;
    return fake_leave(status);
}

EXPORT int cuDeviceGetName(char *name, int size, CudaDevice device) {
    const int status = enter_device("cuDeviceGetName", device);
    if (status == FAKE_OK) {
        snprintf(name, (size_t)size, "Fake GPU");
    }
    return fake_leave(status);
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute, CudaDevice device) {
    /* CUdevice_attribute; values of a small GPU */
    static const int known[][2] = {
        {1, 1024},     /* threads of a block */
        {8, 49152},    /* bytes of shared memory of a block */
        {10, 32},      /* lanes of a warp */
        {12, 65536},   /* registers of a block */
        {13, 1000000}, /* clock, kHz */
        {16, 4},       /* multiprocessors */
        {36, 1000000}, /* memory clock, kHz */
        {37, 256},     /* bits of the memory bus */
        {38, 1 << 20}, /* bytes of L2 */
        {39, 2048},    /* threads of a multiprocessor */
        {40, 2},       /* copy engines */
        {41, 1},       /* one address space with the host */
        {81, 102400},  /* bytes of shared memory of a multiprocessor */
        {97, 101376},  /* ... that a block may ask for */
    };
    int status = enter_device("cuDeviceGetAttribute", device);
    if (status == FAKE_OK && (attribute == 75 || attribute == 76)) {
        *value = attribute == 75 ? gpu.major : gpu.minor;
    } else if (status == FAKE_OK) {
        status = FAKE_INVALID_VALUE;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (known[i][0] == attribute) {
                *value = known[i][1];
                status = FAKE_OK;
            }
        }
    }
    return fake_leave(status);
}

EXPORT int cuDeviceTotalMem_v2(size_t *bytes, CudaDevice device) {
    const int status = enter_device("cuDeviceTotalMem_v2", device);
    *bytes = status == FAKE_OK ? fake_memory_total() : 0;
    return fake_leave(status);
}

/* ---- the primary context */

EXPORT int cuDevicePrimaryCtxRetain(CudaContext *out, CudaDevice device) {
    int status = enter_device("cuDevicePrimaryCtxRetain", device);
    status = status == FAKE_OK ? gpu.lost : status;
    if (status == FAKE_OK) {
        gpu.retained++;
        *out = (CudaContext)(void *)&context;
    }
    return fake_leave(status);
}

EXPORT int cuDevicePrimaryCtxRelease_v2(CudaDevice device) {
    int status = enter_device("cuDevicePrimaryCtxRelease_v2", device);
    if (status == FAKE_OK && gpu.retained == 0) {
        status = FAKE_INVALID_CONTEXT;
    } else if (status == FAKE_OK && --gpu.retained == 0) {
        drop_all();
    }
    return fake_leave(status);
}

EXPORT int cuDevicePrimaryCtxSetFlags_v2(CudaDevice device, unsigned flags) {
    int status = enter_device("cuDevicePrimaryCtxSetFlags_v2", device);
    if (status == FAKE_OK && (flags & 7u) > 4u) { /* how a host thread waits: 0, 1, 2 or 4 */
        status = FAKE_INVALID_VALUE;
    }
    return fake_leave(status);
}

EXPORT int cuCtxSetCurrent(CudaContext wanted) {
    int status = fake_enter("cuCtxSetCurrent", NEED_INIT);
    if (status == FAKE_OK && wanted && (void *)wanted != (void *)&context) {
        fake_fail("cuCtxSetCurrent: no context");
    }
    if (status == FAKE_OK && wanted && gpu.retained == 0) {
        status = FAKE_INVALID_CONTEXT;
    }
    if (status == FAKE_OK) {
        current = wanted;
    }
    return fake_leave(status);
}

/* ---- texts: CUDA's names; the texts are ours */

static const struct {
    int code;
    const char *name, *text;
} errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {4, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "device busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image for this device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {715, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "driver and library versions do not fit"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static int error_row(int code) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].code == code) {
            return (int)i;
        }
    }
    return -1;
}

EXPORT int cuGetErrorName(int code, const char **name) {
    const int row = error_row(code);
    *name = row < 0 ? NULL : errors[row].name;
    return row < 0 ? FAKE_INVALID_VALUE : FAKE_OK;
}

EXPORT int cuGetErrorString(int code, const char **text) {
    const int row = error_row(code);
    *text = row < 0 ? NULL : errors[row].text;
    return row < 0 ? FAKE_INVALID_VALUE : FAKE_OK;
}

/* Only so that the compiler compares the signatures. */
static const CudaApi signatures __attribute__((unused)) = {
    .init = cuInit,
    .driver_version = cuDriverGetVersion,
    .device_count = cuDeviceGetCount,
    .device_get = cuDeviceGet,
    .device_name = cuDeviceGetName,
    .device_attribute = cuDeviceGetAttribute,
    .device_memory = cuDeviceTotalMem_v2,
    .context_retain = cuDevicePrimaryCtxRetain,
    .context_release = cuDevicePrimaryCtxRelease_v2,
    .context_flags = cuDevicePrimaryCtxSetFlags_v2,
    .context_use = cuCtxSetCurrent,
    .error_name = cuGetErrorName,
    .error_text = cuGetErrorString,
};

/* ---- for tests */

static void control_reset(void) {
    pthread_mutex_lock(&lock);
    start();
    current = NULL;
    pthread_mutex_unlock(&lock);
}

static void control_fail(const char *list) {
    pthread_mutex_lock(&lock);
    failpoints_set(list);
    pthread_mutex_unlock(&lock);
}

static unsigned long control_calls(const char *entry) {
    pthread_mutex_lock(&lock);
    const unsigned long calls = failpoints_calls(entry);
    pthread_mutex_unlock(&lock);
    return calls;
}

static unsigned control_live(void) {
    pthread_mutex_lock(&lock);
    const unsigned live =
        gpu.retained + fake_memory_blocks() + fake_streams_live() + fake_modules_live();
    pthread_mutex_unlock(&lock);
    return live;
}

EXPORT extern const FakeCuda fake_cuda;
const FakeCuda fake_cuda = {control_reset, control_fail, control_calls, control_live};
