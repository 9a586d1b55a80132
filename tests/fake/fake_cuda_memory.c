/* See fake_cuda.h. Memory, and what streams do with it. */
#include <stdlib.h>
#include <string.h>
#include "tests/fake/fake_driver.h"
#include "tests/fake/fake_memory.h"
#include "tests/fake/fake_stream.h"

/* ---- memory */

EXPORT int cuMemGetInfo_v2(size_t *unused, size_t *total) {
    const int status = fake_enter("cuMemGetInfo_v2", NEED_CONTEXT);
    *unused = status == FAKE_OK ? fake_memory_unused() : 0;
    *total = status == FAKE_OK ? fake_memory_total() : 0;
    return fake_leave(status);
}

EXPORT int cuMemAlloc_v2(CudaAddress *address, size_t size) {
    int status = fake_enter("cuMemAlloc_v2", NEED_CONTEXT);
    if (status == FAKE_OK && size == 0) {
        status = FAKE_INVALID_VALUE;
    } else if (status == FAKE_OK && !fake_memory_alloc(address, size)) {
        status = FAKE_OUT_OF_MEMORY;
    }
    return fake_leave(status);
}

EXPORT int cuMemFree_v2(CudaAddress address) {
    const int status = fake_enter("cuMemFree_v2", NEED_CONTEXT);
    if (status == FAKE_OK && address != 0) {
        fake_streams_run(); /* the driver waits here, too */
        fake_memory_free(address);
    }
    return fake_leave(status);
}

EXPORT int cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
    int status = fake_enter("cuMemHostAlloc", NEED_CONTEXT);
    if (status == FAKE_OK && (size == 0 || flags > 7u)) {
        status = FAKE_INVALID_VALUE;
    } else if (status == FAKE_OK) {
        *memory = fake_pinned_alloc(size);
    }
    return fake_leave(status);
}

EXPORT int cuMemFreeHost(void *memory) {
    const int status = fake_enter("cuMemFreeHost", NEED_CONTEXT);
    if (status == FAKE_OK) {
        fake_streams_run();
        fake_pinned_free(memory);
    }
    return fake_leave(status);
}

/* ---- work */

static void add(CudaStream stream, const FakeWork *work) {
    fake_stream_add((FakeStream *)(void *)stream, work);
}

EXPORT int cuMemcpyHtoDAsync_v2(CudaAddress to, const void *from, size_t size, CudaStream stream) {
    const int status = fake_enter_stream("cuMemcpyHtoDAsync_v2", stream);
    if (status == FAKE_OK && size > 0) {
        fake_memory_at(to, size, "cuMemcpyHtoDAsync_v2");
        FakeWork work = {.kind = WORK_COPY, .to = to, .host_from = from, .size = size};
        if (!fake_pinned_at(from, size, "cuMemcpyHtoDAsync_v2")) {
            work.host_from = work.owned = malloc(size); /* staged before the call returns */
            memcpy(work.owned, from, size);
        }
        add(stream, &work);
    }
    return fake_leave(status);
}

EXPORT int cuMemcpyDtoHAsync_v2(void *to, CudaAddress from, size_t size, CudaStream stream) {
    const int status = fake_enter_stream("cuMemcpyDtoHAsync_v2", stream);
    if (status == FAKE_OK && size > 0) {
        fake_memory_at(from, size, "cuMemcpyDtoHAsync_v2");
        const bool pinned = fake_pinned_at(to, size, "cuMemcpyDtoHAsync_v2");
        add(stream, &(FakeWork){.kind = WORK_COPY, .host_to = to, .from = from, .size = size});
        if (!pinned) {
            fake_stream_run((FakeStream *)(void *)stream); /* such a copy is not asynchronous */
        }
    }
    return fake_leave(status);
}

EXPORT int cuMemcpyDtoDAsync_v2(CudaAddress to, CudaAddress from, size_t size, CudaStream stream) {
    const int status = fake_enter_stream("cuMemcpyDtoDAsync_v2", stream);
    if (status == FAKE_OK && size > 0) {
        fake_memory_at(to, size, "cuMemcpyDtoDAsync_v2");
        fake_memory_at(from, size, "cuMemcpyDtoDAsync_v2");
        add(stream, &(FakeWork){.kind = WORK_COPY, .to = to, .from = from, .size = size});
    }
    return fake_leave(status);
}

EXPORT int cuMemsetD8Async(CudaAddress to, unsigned char value, size_t size, CudaStream stream) {
    const int status = fake_enter_stream("cuMemsetD8Async", stream);
    if (status == FAKE_OK && size > 0) {
        fake_memory_at(to, size, "cuMemsetD8Async");
        add(stream, &(FakeWork){.kind = WORK_FILL, .to = to, .value = value, .size = size});
    }
    return fake_leave(status);
}

/* Only so that the compiler compares the signatures. */
static const CudaApi signatures __attribute__((unused)) = {
    .memory_info = cuMemGetInfo_v2,
    .memory_alloc = cuMemAlloc_v2,
    .memory_free = cuMemFree_v2,
    .host_alloc = cuMemHostAlloc,
    .host_free = cuMemFreeHost,
    .copy_in = cuMemcpyHtoDAsync_v2,
    .copy_out = cuMemcpyDtoHAsync_v2,
    .copy_device = cuMemcpyDtoDAsync_v2,
    .fill = cuMemsetD8Async,
};
