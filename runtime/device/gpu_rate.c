/* See gpu_rate.h. Copies go round four buffers, so that no cache holds what is copied next. */
#include "runtime/device/gpu_rate.h"

enum { BUFFERS = 4, COPIES = 15, BYTES = 256 << 20 };

typedef struct Rate {
    CudaAddress buffer[BUFFERS];
    CudaStream stream;
    CudaEvent begin, end;
    float milliseconds[COPIES]; /* ascending */
} Rate;

static CudaStatus open_rate(const CudaApi *api, Rate *r) {
    CudaStatus status = api->stream_create(&r->stream, CUDA_STREAM_APART);
    status = status ? status : api->event_create(&r->begin, 0);
    status = status ? status : api->event_create(&r->end, 0);
    for (int i = 0; i < BUFFERS && status == 0; i++) {
        status = api->memory_alloc(&r->buffer[i], BYTES);
        status = status ? status : api->fill(r->buffer[i], (unsigned char)(37 * i), BYTES, r->stream);
    }
    return status;
}

static CudaStatus copy_once(const CudaApi *api, Rate *r, int i, float *milliseconds) {
    CudaStatus status = api->event_record(r->begin, r->stream);
    status = status ? status
                    : api->copy_device(r->buffer[i % BUFFERS], r->buffer[(i + 1) % BUFFERS], BYTES,
                                       r->stream);
    status = status ? status : api->event_record(r->end, r->stream);
    status = status ? status : api->event_wait(r->end);
    return status ? status : api->event_elapsed(milliseconds, r->begin, r->end);
}

static void insert(float *sorted, int count, float value) {
    int at = count;
    for (; at > 0 && sorted[at - 1] > value; at--) {
        sorted[at] = sorted[at - 1];
    }
    sorted[at] = value;
}

double gpu_copy_rate(Gpu *gpu) {
    const CudaApi *api = &gpu->api;
    Rate r = {0};
    CudaStatus status = open_rate(api, &r);
    for (int i = 0; i < COPIES && status == 0; i++) {
        float took = 0;
        status = copy_once(api, &r, i, &took);
        insert(r.milliseconds, i, took);
    }
    if (r.stream) {
        api->stream_wait(r.stream);
        api->stream_destroy(r.stream);
    }
    for (int i = 0; i < BUFFERS; i++) {
        if (r.buffer[i]) {
            api->memory_free(r.buffer[i]);
        }
    }
    if (r.begin) {
        api->event_destroy(r.begin);
    }
    if (r.end) {
        api->event_destroy(r.end);
    }
    const float median = r.milliseconds[COPIES / 2];
    return status == 0 && median > 0 ? 2.0 * BYTES / ((double)median * 1e-3) : 0;
}
