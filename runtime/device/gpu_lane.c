/* See gpu_lane.h. One copy in, one fill, the kernels, one copy out: everything an act needs lies
 * side by side in pinned memory, in the order of GpuLayout, and is mirrored on the device. */
#include "runtime/device/gpu_lane.h"
#include "kernels/metrics.h"
#include "kernels/scale.h"
#include "kernels/state.h"
#include <string.h>

enum { LINE = 256 };

static size_t room(size_t size) {
    return (size + LINE - 1) / LINE * LINE;
}
static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Where things lie; SIZE_MAX: not there. */
typedef struct GpuLayout {
    size_t s, z, lo_in, hi_in; /* behind the source, in `in` */
    size_t in;
    size_t output[OUT_COUNT], lo, hi, errors, report; /* in `out` */
    size_t out;
} GpuLayout;

typedef struct GpuSlot {
    uint8_t *pinned_in, *pinned_out;
    CudaAddress in, out, scratch;
    CudaStream stream;
    CudaEvent mark[4]; /* before the copy in, the kernels, the copy out; and when all is done */
    bool busy;
    const Kernel *k;
    int act;
    int64_t chunk;
    GpuLaunch launch;
    GpuLayout layout;
} GpuSlot;

struct GpuLane {
    Gpu *gpu;
    GpuSizes sizes;
    GpuSlot slot[GPU_SLOTS];
    GpuTimes times;
    Cleanup cleanup;
};

/* ---- layout */

static size_t place(size_t *end, size_t size) {
    const size_t at = *end;
    *end += room(size);
    return size > 0 ? at : SIZE_MAX;
}

static void lay_out(const Kernel *k, int act, const GpuLaunch *launch, int64_t chunk,
                    GpuLayout *l) {
    const Shape s = shape_of(k);
    const bool scales = state_has_scales(&s);
    const size_t ranges = (size_t)(scales ? s.scales : 1) * sizeof(int32_t);
    const Pass pass = act == GPU_ENCODE ? PASS_COUNT : state_pass(k, act);
    const bool given = pass == PASS_COUNT && k->format != NULL && scales;
    *l = (GpuLayout){0};
    place(&l->in, gpu_gather_size(k, launch));
    l->s = place(&l->in, given ? ranges : 0);
    l->z = place(&l->in, given ? ranges : 0);
    l->lo_in = place(&l->in, pass == PASS_ERROR ? ranges : 0);
    l->hi_in = place(&l->in, pass == PASS_ERROR ? ranges : 0);
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        int64_t offset = 0, size = 0;
        if (pass == PASS_COUNT) {
            kernel_extent(k, chunk, o, &offset, &size);
        }
        l->output[o] = place(&l->out, (size_t)size);
    }
    l->lo = place(&l->out, pass == PASS_RANGE ? ranges : 0);
    l->hi = place(&l->out, pass == PASS_RANGE ? ranges : 0);
    l->errors = place(&l->out, pass == PASS_ERROR ? 2 * ranges * K_RATIOS : 0);
    l->report = place(&l->out, sizeof(GpuReport));
}

void gpu_lane_sizes(const Gpu *gpu, size_t kernel, const Kernel *k, GpuSizes *sizes) {
    const int64_t chunks = kernel_chunks(k);
    for (int a = 0; a < GPU_ACTS; a++) {
        const GpuText *about = &gpu->programs.acts[kernel].act[a].about;
        if (gpu->programs.acts[kernel].act[a].program < 0) {
            continue;
        }
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            GpuLaunch launch;
            GpuLayout l;
            if (gpu_launch(k, about, chunk, NULL, &launch)) {
                lay_out(k, a - 1, &launch, chunk, &l);
                sizes->in = larger(sizes->in, l.in);
                sizes->out = larger(sizes->out, l.out);
                sizes->scratch = larger(sizes->scratch, 2 * room(launch.scratch));
            }
        }
    }
}

/* ---- opening and closing */

static void close_slot(Gpu *gpu, GpuSlot *slot) {
    CudaApi *const api = &gpu->api;
    if (slot->stream) {
        api->stream_wait(slot->stream); /* nothing may come into memory that is freed */
        api->stream_destroy(slot->stream);
    }
    for (int i = 0; i < 4; i++) {
        if (slot->mark[i]) {
            api->event_destroy(slot->mark[i]);
        }
    }
    if (slot->pinned_in) {
        api->host_free(slot->pinned_in);
    }
    if (slot->pinned_out) {
        api->host_free(slot->pinned_out);
    }
    const CudaAddress device[] = {slot->in, slot->out, slot->scratch};
    for (int i = 0; i < 3; i++) {
        if (device[i]) {
            api->memory_free(device[i]);
        }
    }
    *slot = (GpuSlot){0};
}

static void close_lane(Session *s, void *owner) {
    GpuLane *lane = owner;
    (void)s;
    lane->gpu->api.context_use(lane->gpu->context);
    for (int i = 0; i < GPU_SLOTS; i++) {
        close_slot(lane->gpu, &lane->slot[i]);
    }
}

void gpu_lane_close(Session *s, GpuLane *lane) {
    if (lane) {
        session_forget(s, &lane->cleanup);
        close_lane(s, lane);
    }
}

/* A GPU that has not the memory has not failed: it has fewer lanes. */
static bool open_slot(GpuLane *lane, GpuSlot *slot) {
    CudaApi *const api = &lane->gpu->api;
    const GpuSizes *z = &lane->sizes;
    const unsigned kind = lane->gpu->timed ? 0 : CUDA_EVENT_UNTIMED;
    CudaStatus status = api->memory_alloc(&slot->in, z->in);
    status = status ? status : api->memory_alloc(&slot->out, z->out);
    if (z->scratch > 0) {
        status = status ? status : api->memory_alloc(&slot->scratch, z->scratch);
    }
    status = status ? status
                    : api->host_alloc((void **)&slot->pinned_in, z->in, CUDA_HOST_PORTABLE);
    status = status ? status
                    : api->host_alloc((void **)&slot->pinned_out, z->out, CUDA_HOST_PORTABLE);
    status = status ? status : api->stream_create(&slot->stream, CUDA_STREAM_APART);
    for (int i = 0; i < 4 && status == 0; i++) {
        if (lane->gpu->timed || i == 3) {
            status = api->event_create(&slot->mark[i], kind);
        }
    }
    return status == CUDA_OUT_OF_MEMORY ? false : gpu_ok(lane->gpu, status, "memory for a worker");
}

GpuLane *gpu_lane_open(Session *s, Gpu *gpu, const GpuSizes *sizes, size_t least) {
    GpuLane *lane = arena_new(s->arena, GpuLane);
    size_t unused = 0, total = 0;
    const size_t wanted = GPU_SLOTS * (sizes->in + sizes->out + sizes->scratch);
    lane->gpu = gpu;
    lane->sizes = *sizes;
    session_on_close(s, &lane->cleanup, close_lane, lane);
    bool open = atomic_load(&gpu->failed) == 0 &&
                gpu_ok(gpu, gpu->api.memory_info(&unused, &total), "free memory of the GPU") &&
                unused >= least + wanted;
    for (int i = 0; i < GPU_SLOTS && open; i++) {
        open = open_slot(lane, &lane->slot[i]);
    }
    if (!open) {
        gpu_lane_close(s, lane);
        return NULL;
    }
    return lane;
}

void gpu_lane_enter(GpuLane *lane) {
    gpu_ok(lane->gpu, lane->gpu->api.context_use(lane->gpu->context), "the context of a worker");
}

/* ---- acts */

static void *device_pointer(CudaAddress base, size_t at) {
    return at == SIZE_MAX ? NULL : (void *)(uintptr_t)(base + at);
}

static void fill_addresses(const GpuSlot *slot, GpuArgs *a) {
    const GpuLayout *l = &slot->layout;
    a->source = device_pointer(slot->in, 0);
    a->codes = device_pointer(slot->out, l->output[OUT_CODES]);
    a->scales = device_pointer(slot->out, l->output[OUT_SCALES]);
    a->zeros = device_pointer(slot->out, l->output[OUT_ZEROS]);
    a->report = device_pointer(slot->out, l->report);
    a->errors = device_pointer(slot->out, l->errors);
    const bool known = l->lo_in != SIZE_MAX; /* ranges: read by PASS_ERROR, made by PASS_RANGE */
    a->lo = known ? device_pointer(slot->in, l->lo_in) : device_pointer(slot->out, l->lo);
    a->hi = known ? device_pointer(slot->in, l->hi_in) : device_pointer(slot->out, l->hi);
    a->s = device_pointer(slot->in, l->s);
    a->z = device_pointer(slot->in, l->z);
    if (slot->launch.scratch > 0) {
        a->s = device_pointer(slot->scratch, 0);
        a->z = device_pointer(slot->scratch, room(slot->launch.scratch));
    }
}

static void gather(GpuSlot *slot, const void *source, const void *state) {
    const Shape s = shape_of(slot->k);
    const GpuLayout *l = &slot->layout;
    gpu_gather(slot->k, &slot->launch, source, slot->pinned_in);
    if (l->s == SIZE_MAX && l->lo_in == SIZE_MAX) {
        return;
    }
    const StateArrays a = state_arrays(slot->k, &s, state);
    const size_t size = (size_t)(state_has_scales(&s) ? s.scales : 1) * 4;
    const struct { size_t at; const void *from; } parts[] = {
        {l->s, a.s}, {l->z, a.z}, {l->lo_in, a.lo}, {l->hi_in, a.hi}};
    for (int i = 0; i < 4; i++) {
        if (parts[i].at != SIZE_MAX) {
            memcpy(slot->pinned_in + parts[i].at, parts[i].from, size);
        }
    }
}

static bool mark(GpuLane *lane, GpuSlot *slot, int i) {
    return !slot->mark[i] ||
           gpu_ok(lane->gpu, lane->gpu->api.event_record(slot->mark[i], slot->stream), "an event");
}

static bool launch_steps(GpuLane *lane, GpuSlot *slot, int program, const GpuText *about) {
    GpuArgs args = slot->launch.args;
    void *parameters[] = {&args};
    fill_addresses(slot, &args);
    for (int i = 0; i < about->steps; i++) {
        args.units = slot->launch.units[i];
        const CudaStatus status = lane->gpu->api.launch(
            lane->gpu->functions[program][i], (unsigned)slot->launch.blocks[i], 1, 1,
            (unsigned)about->threads, 1, 1, 0, slot->stream, parameters, NULL);
        if (!gpu_ok(lane->gpu, status, "starting a kernel")) {
            return false;
        }
    }
    return true;
}

/* What was enqueued before an error may still run: the slot's memory is not touched before
 * close_slot has waited, since no act is begun any more. */
static bool enqueue(GpuLane *lane, GpuSlot *slot, int program, const GpuText *about) {
    Gpu *const gpu = lane->gpu;
    const GpuLayout *l = &slot->layout;
    CudaApi *const api = &gpu->api;
    return mark(lane, slot, 0) &&
           gpu_ok(gpu, api->copy_in(slot->in, slot->pinned_in, l->in, slot->stream),
                  "copying to the GPU") &&
           gpu_ok(gpu, api->fill(slot->out, 0, l->out, slot->stream), "clearing memory") &&
           mark(lane, slot, 1) && launch_steps(lane, slot, program, about) &&
           mark(lane, slot, 2) &&
           gpu_ok(gpu, api->copy_out(slot->pinned_out, slot->out, l->out, slot->stream),
                  "copying from the GPU") &&
           mark(lane, slot, 3);
}

bool gpu_lane_begin(GpuLane *lane, int number, size_t kernel, const Kernel *k, int act,
                    int64_t chunk, const void *source, const void *state) {
    GpuSlot *const slot = &lane->slot[number];
    const GpuActs *const acts = &lane->gpu->programs.acts[kernel];
    const int program = acts->act[act + 1].program;
    const GpuText *const about = &acts->act[act + 1].about;
    if (program < 0 || atomic_load(&lane->gpu->failed) != 0 ||
        !gpu_launch(k, about, chunk, state, &slot->launch)) {
        return false;
    }
    slot->k = k;
    slot->act = act;
    slot->chunk = chunk;
    lay_out(k, act, &slot->launch, chunk, &slot->layout);
    if (slot->layout.in > lane->sizes.in || slot->layout.out > lane->sizes.out ||
        2 * room(slot->launch.scratch) > lane->sizes.scratch) {
        return false;
    }
    gather(slot, source, state);
    slot->busy = enqueue(lane, slot, program, about);
    return slot->busy;
}

static void add_times(GpuLane *lane, const GpuSlot *slot) {
    GpuTimes *const t = &lane->times;
    float part[3] = {0};
    for (int i = 0; i < 3 && lane->gpu->timed; i++) {
        lane->gpu->api.event_elapsed(&part[i], slot->mark[i], slot->mark[i + 1]);
    }
    t->in += (double)part[0] * 1e-3;
    t->kernel += (double)part[1] * 1e-3;
    t->out += (double)part[2] * 1e-3;
    t->bytes_in += slot->layout.in;
    t->bytes_out += slot->layout.out;
    t->acts++;
}

static bool wait_for(GpuLane *lane, GpuSlot *slot) {
    const bool busy = slot->busy;
    slot->busy = false;
    if (!busy || !gpu_ok(lane->gpu, lane->gpu->api.event_wait(slot->mark[3]), "a kernel")) {
        return false;
    }
    add_times(lane, slot);
    return true;
}

static void read_report(const Kernel *k, const GpuSlot *slot, KernelMetrics *m) {
    GpuReport r;
    memcpy(&r, slot->pinned_out + slot->layout.report, sizeof r);
    *m = (KernelMetrics){.count = slot->launch.weights, .nonfinite = (int64_t)r.nonfinite};
    m->first_nonfinite = r.nonfinite > 0 ? (int64_t)~r.not_first : -1;
    if (k->metrics) {
        metrics_from_limbs(r.ww, r.qq, r.ee, m);
        m->max_error = (double)k_float(r.max_error);
        m->zeros = (int64_t)r.zeros;
    }
}

bool gpu_lane_finish(GpuLane *lane, int number, DeviceResult *result) {
    GpuSlot *const slot = &lane->slot[number];
    if (!wait_for(lane, slot)) {
        return false;
    }
    memset(result, 0, sizeof *result);
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        if (slot->layout.output[o] != SIZE_MAX) {
            kernel_extent(slot->k, slot->chunk, o, &result->out[o].offset, &result->out[o].size);
            result->out[o].data = slot->pinned_out + slot->layout.output[o];
        }
    }
    read_report(slot->k, slot, &result->metrics);
    return true;
}

bool gpu_lane_finish_survey(GpuLane *lane, int number, void *state, pthread_mutex_t *lock,
                            void *partial) {
    GpuSlot *const slot = &lane->slot[number];
    if (!wait_for(lane, slot)) {
        return false;
    }
    const Shape s = shape_of(slot->k);
    const GpuLayout *l = &slot->layout;
    const StateArrays a = state_arrays(slot->k, &s, partial);
    const size_t size = (size_t)(state_has_scales(&s) ? s.scales : 1) * 4;
    pthread_mutex_lock(lock);
    kernel_state_fork(slot->k, partial, state);
    pthread_mutex_unlock(lock);
    const struct { size_t at; void *to; size_t size; } parts[] = {
        {l->lo, a.lo, size}, {l->hi, a.hi, size}, {l->errors, a.errors, 2 * size * K_RATIOS}};
    for (int i = 0; i < 3; i++) {
        if (parts[i].at != SIZE_MAX) {
            memcpy(parts[i].to, slot->pinned_out + parts[i].at, parts[i].size);
        }
    }
    pthread_mutex_lock(lock);
    kernel_state_merge(slot->k, slot->act, state, partial);
    pthread_mutex_unlock(lock);
    return true;
}

const GpuTimes *gpu_lane_times(const GpuLane *lane) {
    return &lane->times;
}
