/* See fake_cuda.h. Modules and their kernels, launches, streams and events. */
#include <stdio.h>
#include <stdlib.h>
#include "tests/fake/fake_cubin.h"
#include "tests/fake/fake_driver.h"
#include "tests/fake/fake_stream.h"

typedef struct FakeFunction {
    SimtKernel *kernel;
    unsigned threads; /* of a block: what the text was written for */
    struct FakeModule *module;
    struct FakeFunction *next;
} FakeFunction;

typedef struct FakeModule {
    TextLibrary *library;
    FakeFunction *functions;
    struct FakeModule *next;
} FakeModule;

static FakeModule *modules; /* of the one GPU */

static void drop_module(FakeModule *m) {
    for (FakeFunction *f = m->functions, *next; f; f = next) {
        next = f->next;
        free(f);
    }
    text_unload(m->library);
    free(m);
}

void fake_modules_reset(void) {
    for (FakeModule *m = modules, *next; m; m = next) {
        next = m->next;
        drop_module(m);
    }
    modules = NULL;
}

unsigned fake_modules_live(void) {
    unsigned n = 0;
    for (const FakeModule *m = modules; m; m = m->next) {
        n++;
    }
    return n;
}

static FakeModule *known_module(CudaModule module) {
    for (FakeModule *m = modules; m; m = m->next) {
        if ((void *)m == (void *)module) {
            return m;
        }
    }
    fake_fail("no such module");
}

static FakeFunction *known_function(CudaFunction function) {
    for (FakeModule *m = modules; m; m = m->next) {
        for (FakeFunction *f = m->functions; f; f = f->next) {
            if ((void *)f == (void *)function) {
                return f;
            }
        }
    }
    fake_fail("no such kernel");
}

static int load(const char *image, TextLibrary **library) {
    FakeCubin cubin;
    if (!fake_cubin_read(image, &cubin)) {
        return FAKE_INVALID_IMAGE;
    }
    int status = FAKE_NO_BINARY;
    if (fake_device_runs(cubin.arch, cubin.specific)) {
        char why[2000];
        *library = text_load(cubin.files.at[0].text, &cubin.files, why, sizeof why);
        if (!*library) {
            fprintf(stderr, "fake GPU: a module's text does not compile:\n%s\n", why);
        }
        status = *library ? FAKE_OK : FAKE_INVALID_IMAGE;
    }
    text_files_free(&cubin.files);
    return status;
}

EXPORT int cuModuleLoadData(CudaModule *module, const void *image) {
    int status = fake_enter("cuModuleLoadData", NEED_CONTEXT);
    TextLibrary *library = NULL;
    status = status == FAKE_OK ? load(image, &library) : status;
    if (status == FAKE_OK) {
        FakeModule *m = calloc(1, sizeof *m);
        m->library = library;
        m->next = modules;
        modules = m;
        *module = (CudaModule)(void *)m;
    }
    return fake_leave(status);
}

EXPORT int cuModuleUnload(CudaModule module) {
    const int status = fake_enter("cuModuleUnload", NEED_CONTEXT);
    if (status == FAKE_OK) {
        fake_streams_run();
        FakeModule *m = known_module(module), **p = &modules;
        while (*p != m) {
            p = &(*p)->next;
        }
        *p = m->next;
        drop_module(m);
    }
    return fake_leave(status);
}

EXPORT int cuModuleGetFunction(CudaFunction *function, CudaModule module, const char *name) {
    int status = fake_enter("cuModuleGetFunction", NEED_CONTEXT);
    if (status == FAKE_OK) {
        FakeModule *m = known_module(module);
        unsigned threads;
        SimtKernel *kernel = text_kernel(m->library, name, &threads);
        status = kernel ? FAKE_OK : FAKE_NOT_FOUND;
        if (kernel) {
            FakeFunction *f = calloc(1, sizeof *f);
            *f = (FakeFunction){kernel, threads, m, m->functions};
            m->functions = f;
            *function = (CudaFunction)(void *)f;
        }
    }
    return fake_leave(status);
}

EXPORT int cuFuncGetAttribute(int *value, int attribute, CudaFunction function) {
    int status = fake_enter("cuFuncGetAttribute", NEED_CONTEXT);
    if (status == FAKE_OK) {
        const FakeFunction *f = known_function(function);
        /* CUfunction_attribute: threads of a block; bytes of shared, constant and local memory;
         * registers of a thread. Only the first is true of the host. */
        const int values[] = {(int)f->threads, 0, 0, 0, 32};
        if (attribute >= 0 && attribute < (int)(sizeof values / sizeof *values)) {
            *value = values[attribute];
        } else {
            status = FAKE_INVALID_VALUE;
        }
    }
    return fake_leave(status);
}

EXPORT int cuLaunchKernel(CudaFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                          unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                          CudaStream stream, void **parameters, void **extra) {
    int status = fake_enter_stream("cuLaunchKernel", stream);
    if (status == FAKE_OK) {
        const FakeFunction *f = known_function(function);
        if (grid_x == 0 || grid_x > 0x7fffffffu || block_x == 0) {
            status = FAKE_INVALID_VALUE;
        } else if (block_x > f->threads) {
            status = FAKE_TOO_MANY_THREADS;
        } else if (block_x != f->threads || grid_y != 1 || grid_z != 1 || block_y != 1 ||
                   block_z != 1 || shared != 0 || !parameters || extra) {
            fake_fail("a launch that kernels/gpu/threads.h does not provide for");
        }
        if (status == FAKE_OK) {
            fake_stream_add((FakeStream *)(void *)stream,
                            &(FakeWork){.kind = WORK_LAUNCH,
                                        .library = f->module->library,
                                        .kernel = f->kernel,
                                        .grid = grid_x,
                                        .threads = block_x,
                                        .args = *(const GpuArgs *)parameters[0]});
        }
    }
    return fake_leave(status);
}

/* ---- streams, events */

EXPORT int cuStreamCreate(CudaStream *stream, unsigned flags) {
    int status = fake_enter("cuStreamCreate", NEED_CONTEXT);
    if (status == FAKE_OK && flags > 1u) {
        status = FAKE_INVALID_VALUE;
    } else if (status == FAKE_OK) {
        *stream = (CudaStream)(void *)fake_stream_new(flags == 0); /* 1: CU_STREAM_NON_BLOCKING */
    }
    return fake_leave(status);
}

EXPORT int cuStreamDestroy_v2(CudaStream stream) {
    int status = fake_enter_stream("cuStreamDestroy_v2", stream);
    if (status == FAKE_OK && !stream) {
        status = FAKE_INVALID_HANDLE;
    } else if (status == FAKE_OK) {
        fake_stream_free((FakeStream *)(void *)stream);
    }
    return fake_leave(status);
}

EXPORT int cuStreamSynchronize(CudaStream stream) {
    const int status = fake_enter_stream("cuStreamSynchronize", stream);
    if (status == FAKE_OK) {
        fake_stream_run((FakeStream *)(void *)stream);
    }
    return fake_leave(status);
}

EXPORT int cuEventCreate(CudaEvent *event, unsigned flags) {
    int status = fake_enter("cuEventCreate", NEED_CONTEXT);
    if (status == FAKE_OK && flags > 3u) {
        status = FAKE_INVALID_VALUE;
    } else if (status == FAKE_OK) {
        *event = (CudaEvent)(void *)fake_event_new((flags & 2u) == 0); /* CU_EVENT_DISABLE_TIMING */
    }
    return fake_leave(status);
}

static FakeEvent *known_event(CudaEvent event) {
    FakeEvent *e = (FakeEvent *)(void *)event;
    if (!fake_event_known(e)) {
        fake_fail("no such event");
    }
    return e;
}

EXPORT int cuEventDestroy_v2(CudaEvent event) {
    const int status = fake_enter("cuEventDestroy_v2", NEED_CONTEXT);
    if (status == FAKE_OK) {
        fake_event_free(known_event(event));
    }
    return fake_leave(status);
}

EXPORT int cuEventRecord(CudaEvent event, CudaStream stream) {
    const int status = fake_enter_stream("cuEventRecord", stream);
    if (status == FAKE_OK) {
        fake_event_record(known_event(event), (FakeStream *)(void *)stream);
    }
    return fake_leave(status);
}

EXPORT int cuEventSynchronize(CudaEvent event) {
    const int status = fake_enter("cuEventSynchronize", NEED_CONTEXT);
    if (status == FAKE_OK) {
        fake_event_run(known_event(event));
    }
    return fake_leave(status);
}

EXPORT int cuEventElapsedTime(float *milliseconds, CudaEvent start, CudaEvent end) {
    int status = fake_enter("cuEventElapsedTime", NEED_CONTEXT);
    if (status == FAKE_OK) {
        status = fake_event_elapsed(milliseconds, known_event(start), known_event(end));
    }
    return fake_leave(status);
}

/* Only so that the compiler compares the signatures. */
static const CudaApi signatures __attribute__((unused)) = {
    .module_load = cuModuleLoadData,
    .module_unload = cuModuleUnload,
    .module_function = cuModuleGetFunction,
    .function_attribute = cuFuncGetAttribute,
    .launch = cuLaunchKernel,
    .stream_create = cuStreamCreate,
    .stream_destroy = cuStreamDestroy_v2,
    .stream_wait = cuStreamSynchronize,
    .event_create = cuEventCreate,
    .event_destroy = cuEventDestroy_v2,
    .event_record = cuEventRecord,
    .event_wait = cuEventSynchronize,
    .event_elapsed = cuEventElapsedTime,
};
