/* The entry points of the CUDA driver that morc calls, in one table that dlopen fills: morc is
 * built without CUDA and runs without it, and tests put a library of their own in the loader's path
 * (tests/fake). Types and numbers are those of NVIDIA's driver API reference, version 12.0; only
 * what is used is declared. */
#ifndef RUNTIME_DEVICE_CUDA_API_H
#define RUNTIME_DEVICE_CUDA_API_H
#include "runtime/base/str.h"

typedef int CudaStatus; /* 0: success */
typedef int CudaDevice;
typedef uint64_t CudaAddress;
typedef struct CudaContext_ *CudaContext;
typedef struct CudaModule_ *CudaModule;
typedef struct CudaFunction_ *CudaFunction;
typedef struct CudaStream_ *CudaStream;
typedef struct CudaEvent_ *CudaEvent;

enum { /* CudaStatus */
       CUDA_OUT_OF_MEMORY = 2,
       CUDA_NO_DEVICE = 100,
       CUDA_NOT_READY = 600
};
enum { /* what device_attribute gives */
       CUDA_DEVICE_MULTIPROCESSORS = 16,
       CUDA_DEVICE_MAJOR = 75, /* compute capability: sm_90 is 9, 0 */
       CUDA_DEVICE_MINOR = 76
};
enum {                            /* what function_attribute gives; bytes */
       CUDA_FUNCTION_THREADS = 0, /* of a block, at most */
       CUDA_FUNCTION_SHARED = 1,
       CUDA_FUNCTION_LOCAL = 3, /* of a thread */
       CUDA_FUNCTION_REGISTERS = 4
};
enum { /* flags of context_flags, host_alloc, stream_create, event_create */
       CUDA_CONTEXT_SLEEPS = 4, /* a thread that waits gives its processor away */
       CUDA_HOST_PORTABLE = 1,
       CUDA_HOST_WRITE_COMBINED = 4,
       CUDA_STREAM_APART = 1, /* does not wait for the default stream, nor it for this one */
       CUDA_EVENT_UNTIMED = 2
};
/* The oldest driver that morc works with: 1000 * major + 10 * minor, as driver_version says it. */
enum { CUDA_DRIVER_LEAST = 12000 };

typedef struct CudaApi {
    void *library;
    CudaStatus (*init)(unsigned flags);
    CudaStatus (*driver_version)(int *version);
    CudaStatus (*device_count)(int *count);
    CudaStatus (*device_get)(CudaDevice *device, int ordinal);
    CudaStatus (*device_name)(char *name, int size, CudaDevice device);
    CudaStatus (*device_attribute)(int *value, int attribute, CudaDevice device);
    CudaStatus (*device_memory)(size_t *bytes, CudaDevice device);
    CudaStatus (*context_retain)(CudaContext *context, CudaDevice device); /* primary context */
    CudaStatus (*context_release)(CudaDevice device);
    CudaStatus (*context_flags)(CudaDevice device, unsigned flags); /* of the primary context */
    CudaStatus (*context_use)(CudaContext context);                 /* for the calling thread */
    CudaStatus (*memory_info)(size_t *unused, size_t *total);
    CudaStatus (*memory_alloc)(CudaAddress *address, size_t size);
    CudaStatus (*memory_free)(CudaAddress address);
    CudaStatus (*host_alloc)(void **memory, size_t size, unsigned flags); /* pinned */
    CudaStatus (*host_free)(void *memory);
    CudaStatus (*copy_in)(CudaAddress to, const void *from, size_t size, CudaStream stream);
    CudaStatus (*copy_out)(void *to, CudaAddress from, size_t size, CudaStream stream);
    CudaStatus (*copy_device)(CudaAddress to, CudaAddress from, size_t size, CudaStream stream);
    CudaStatus (*fill)(CudaAddress to, unsigned char value, size_t size, CudaStream stream);
    CudaStatus (*module_load)(CudaModule *module, const void *image);
    CudaStatus (*module_unload)(CudaModule module);
    CudaStatus (*module_function)(CudaFunction *function, CudaModule module, const char *name);
    CudaStatus (*function_attribute)(int *value, int attribute, CudaFunction function);
    CudaStatus (*launch)(CudaFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                         unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                         CudaStream stream, void **parameters, void **extra);
    CudaStatus (*stream_create)(CudaStream *stream, unsigned flags);
    CudaStatus (*stream_destroy)(CudaStream stream);
    CudaStatus (*stream_wait)(CudaStream stream); /* until all its work is done */
    CudaStatus (*event_create)(CudaEvent *event, unsigned flags);
    CudaStatus (*event_destroy)(CudaEvent event);
    CudaStatus (*event_record)(CudaEvent event, CudaStream stream);
    CudaStatus (*event_wait)(CudaEvent event);
    CudaStatus (*event_elapsed)(float *milliseconds, CudaEvent start, CudaEvent end);
    CudaStatus (*error_name)(CudaStatus status, const char **name);
    CudaStatus (*error_text)(CudaStatus status, const char **text);
} CudaApi;

/* Opens libcuda.so.1 and checks that every entry is there; calls nothing but driver_version. False:
 * `why` says what is missing, and nothing is open. */
bool cuda_api_open(CudaApi *api, Arena *arena, Str *why);
void cuda_api_close(CudaApi *api); /* also one that was not opened */
/* "the driver is for CUDA 11.4; morc needs ..."; empty: it is new enough. */
Str cuda_driver_complaint(Arena *arena, int version);
/* "out of memory (CUDA_ERROR_OUT_OF_MEMORY)"; never NULL */
const char *cuda_status_text(const CudaApi *api, CudaStatus status, Arena *arena);
#endif
