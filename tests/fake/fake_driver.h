/* What the parts of the fake libcuda share. Every entry begins with `fake_enter` and ends with
 * `fake_leave`: the first takes the library's lock, counts the call and says with which code it
 * fails, if it does. */
#ifndef TESTS_FAKE_FAKE_DRIVER_H
#define TESTS_FAKE_FAKE_DRIVER_H
#include <stdbool.h>
#include "runtime/device/cuda_api.h"

#define EXPORT __attribute__((visibility("default")))

/* CUresult: the driver API reference, "Data types used by CUDA driver" */
enum {
    FAKE_OK = 0,
    FAKE_INVALID_VALUE = 1,
    FAKE_OUT_OF_MEMORY = 2,
    FAKE_NOT_INITIALIZED = 3,
    FAKE_NO_DEVICE = 100,
    FAKE_INVALID_DEVICE = 101,
    FAKE_INVALID_IMAGE = 200,
    FAKE_INVALID_CONTEXT = 201,
    FAKE_NO_BINARY = 209,
    FAKE_INVALID_HANDLE = 400,
    FAKE_NOT_FOUND = 500,
    FAKE_NOT_READY = 600,
    FAKE_TOO_MANY_THREADS = 701
};

/* What a call needs: nothing, cuInit, or a context that is current for the thread. */
typedef enum FakeNeed { NEED_NOTHING, NEED_INIT, NEED_CONTEXT } FakeNeed;

int fake_enter(const char *entry, FakeNeed need);
int fake_enter_stream(const char *entry, CudaStream stream); /* NEED_CONTEXT, and a stream */
int fake_leave(int status);                                  /* gives `status` */
_Noreturn void fake_fail(const char *what); /* what no program may do: a line, and abort */
bool fake_device_runs(int arch, bool specific);

/* fake_cuda_module.c */
void fake_modules_reset(void);
unsigned fake_modules_live(void);
#endif
