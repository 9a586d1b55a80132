/* See cuda_api.h. The names on the right are the driver's; _v2 is the form of an entry that every
 * driver since CUDA 12.0 has, where the plain name is one with 32-bit sizes or other semantics. */
#include "runtime/device/cuda_api.h"
#include <dlfcn.h>
#include <string.h>

typedef struct Entry {
    size_t field; /* in CudaApi */
    const char *name;
} Entry;

#define ENTRY(field, name)                                                                         \
    { offsetof(CudaApi, field), name }
static const Entry entries[] = {
    ENTRY(init, "cuInit"),
    ENTRY(driver_version, "cuDriverGetVersion"),
    ENTRY(device_count, "cuDeviceGetCount"),
    ENTRY(device_get, "cuDeviceGet"),
    ENTRY(device_name, "cuDeviceGetName"),
    ENTRY(device_attribute, "cuDeviceGetAttribute"),
    ENTRY(device_memory, "cuDeviceTotalMem_v2"),
    ENTRY(context_retain, "cuDevicePrimaryCtxRetain"),
    ENTRY(context_release, "cuDevicePrimaryCtxRelease_v2"),
    ENTRY(context_flags, "cuDevicePrimaryCtxSetFlags_v2"),
    ENTRY(context_use, "cuCtxSetCurrent"),
    ENTRY(memory_info, "cuMemGetInfo_v2"),
    ENTRY(memory_alloc, "cuMemAlloc_v2"),
    ENTRY(memory_free, "cuMemFree_v2"),
    ENTRY(host_alloc, "cuMemHostAlloc"),
    ENTRY(host_free, "cuMemFreeHost"),
    ENTRY(copy_in, "cuMemcpyHtoDAsync_v2"),
    ENTRY(copy_out, "cuMemcpyDtoHAsync_v2"),
    ENTRY(copy_device, "cuMemcpyDtoDAsync_v2"),
    ENTRY(fill, "cuMemsetD8Async"),
    ENTRY(module_load, "cuModuleLoadData"),
    ENTRY(module_unload, "cuModuleUnload"),
    ENTRY(module_function, "cuModuleGetFunction"),
    ENTRY(function_attribute, "cuFuncGetAttribute"),
    ENTRY(launch, "cuLaunchKernel"),
    ENTRY(stream_create, "cuStreamCreate"),
    ENTRY(stream_destroy, "cuStreamDestroy_v2"),
    ENTRY(stream_wait, "cuStreamSynchronize"),
    ENTRY(event_create, "cuEventCreate"),
    ENTRY(event_destroy, "cuEventDestroy_v2"),
    ENTRY(event_record, "cuEventRecord"),
    ENTRY(event_wait, "cuEventSynchronize"),
    ENTRY(event_elapsed, "cuEventElapsedTime"),
    ENTRY(error_name, "cuGetErrorName"),
    ENTRY(error_text, "cuGetErrorString"),
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };
_Static_assert(sizeof(CudaApi) == (ENTRIES + 1) * sizeof(void *),
               "every pointer of CudaApi but the library has an entry");

static Str why_absent(Arena *arena) {
    const char *error = dlerror();
    if (!error || strstr(error, "libcuda.so.1: cannot open shared object file: No such file")) {
        return STR("no NVIDIA driver: libcuda.so.1 is not in the loader's path");
    }
    return str_format(arena, "libcuda.so.1 cannot be loaded: %s", error);
}

static Str why_incomplete(const CudaApi *api, const char *missing, Arena *arena) {
    int version = 0;
    Str complaint = {0};
    if (api->driver_version && api->driver_version(&version) == 0) {
        complaint = cuda_driver_complaint(arena, version);
    }
    return complaint.len ? complaint : str_format(arena, "libcuda.so.1 has no %s", missing);
}

bool cuda_api_open(CudaApi *api, Arena *arena, Str *why) {
    memset(api, 0, sizeof *api);
    api->library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!api->library) {
        *why = why_absent(arena);
        return false;
    }
    const char *missing = NULL;
    for (int i = 0; i < ENTRIES; i++) {
        void *symbol = dlsym(api->library, entries[i].name);
        memcpy((char *)api + entries[i].field, &symbol, sizeof symbol);
        missing = symbol || missing ? missing : entries[i].name;
    }
    if (missing) {
        *why = why_incomplete(api, missing, arena);
        cuda_api_close(api);
        return false;
    }
    return true;
}

void cuda_api_close(CudaApi *api) {
    if (api->library) {
        dlclose(api->library);
    }
    memset(api, 0, sizeof *api);
}

Str cuda_driver_complaint(Arena *arena, int version) {
    if (version >= CUDA_DRIVER_LEAST) {
        return (Str){0};
    }
    return str_format(arena,
                      "the NVIDIA driver is for CUDA %d.%d; morc needs one for CUDA %d.%d or later "
                      "(version 525 or later)",
                      version / 1000, version % 1000 / 10, CUDA_DRIVER_LEAST / 1000,
                      CUDA_DRIVER_LEAST % 1000 / 10);
}

const char *cuda_status_text(const CudaApi *api, CudaStatus status, Arena *arena) {
    const char *name = NULL, *text = NULL;
    if (!api->error_name || api->error_name(status, &name) != 0) {
        name = NULL;
    }
    if (!api->error_text || api->error_text(status, &text) != 0) {
        text = NULL;
    }
    if (!name || !text) { /* a driver newer than its documentation, or none at all */
        return str_format(arena, "%s%sCUDA error %d", text ? text : "", text ? ", " : "", status)
            .data;
    }
    return str_format(arena, "%s (%s)", text, name).data;
}
