/* Runs acts on the emulated GPU: the emitted text, compiled for the host, thread by thread
 * (tests/fake). What comes out is compared with the host's kernels by the caller. */
#ifndef TESTS_UNIT_EMULATED_GPU_H
#define TESTS_UNIT_EMULATED_GPU_H
#include "kernels/state.h"
#include "runtime/device/gpu_launch.h"
#include "tests/fake/text_load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room up to a multiple of 16 bytes, and a rubbish line behind it that must stay. */
typedef struct Room {
    uint8_t *at;
    size_t size;
} Room;
enum { ROOM_GUARD = 64 };

static inline Room room_new(size_t size, int fill) {
    Room r = {NULL, (size + 15) / 16 * 16};
    if (size > 0) {
        r.at = aligned_alloc(64, (r.size + 127) / 64 * 64 + ROOM_GUARD);
        memset(r.at, fill, r.size);
        memset(r.at + r.size, 0xd7, ROOM_GUARD);
    }
    return r;
}
static inline bool room_free(Room r) {
    bool whole = true;
    for (int i = 0; r.at && i < ROOM_GUARD; i++) {
        whole = whole && r.at[r.size + (size_t)i] == 0xd7;
    }
    free(r.at);
    return whole;
}

typedef struct EmulatedChunk {
    Room out[OUT_COUNT];
    GpuReport report;
    bool whole; /* nothing was written behind a buffer */
} EmulatedChunk;

static inline TextLibrary *emulated_text(const Kernel *k, int act, GpuText *about) {
    Arena *arena = arena_open();
    Buf text = buf_on(arena);
    static char why[4096];
    if (!gpu_text(k, act, about, &text)) {
        arena_close(arena);
        return NULL;
    }
    TextLibrary *library = text_load_tree(text.data, why, sizeof why);
    if (library == NULL) {
        fprintf(stderr, "%s\n%s\n", text.data, why);
        abort();
    }
    arena_close(arena);
    return library;
}

static inline void emulated_steps(TextLibrary *library, const GpuText *about, GpuLaunch *launch,
                                  uint64_t seed) {
    for (int i = 0; i < about->steps; i++) {
        unsigned threads = 0;
        SimtKernel *kernel = text_kernel(library, about->step[i].entry, &threads);
        if (kernel == NULL || threads != (unsigned)about->threads) {
            abort();
        }
        launch->args.units = launch->units[i];
        void *parameters[] = {&launch->args};
        text_run(library, kernel, (unsigned)launch->blocks[i], threads, parameters, seed);
    }
}

/* False: this act or chunk is the host's. */
static inline bool emulated_encode(const Kernel *k, int64_t chunk, const void *src,
                                   const void *state, uint64_t seed, EmulatedChunk *result) {
    GpuText about;
    GpuLaunch launch;
    TextLibrary *library = emulated_text(k, GPU_ENCODE, &about);
    if (library == NULL || !gpu_launch(k, &about, chunk, state, &launch)) {
        return false;
    }
    const Shape s = shape_of(k);
    Room source = room_new(gpu_gather_size(k, &launch), 0);
    gpu_gather(k, &launch, src, source.at);
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        int64_t offset, size;
        kernel_extent(k, chunk, o, &offset, &size);
        result->out[o] = room_new((size_t)size, o == OUT_SCALES ? 0xa5 : 0);
    }
    const bool given = kernel_surveys(k) > 0 && state_has_scales(&s);
    const StateArrays arrays = state_arrays(k, &s, state);
    Room s_room = room_new(launch.scratch, 0x5a), z_room = room_new(launch.scratch, 0x5a);
    memset(&result->report, 0, sizeof result->report);
    GpuArgs *a = &launch.args;
    a->source = source.at;
    a->codes = result->out[OUT_CODES].at;
    a->scales = result->out[OUT_SCALES].at;
    a->zeros = result->out[OUT_ZEROS].at;
    a->s = given ? arrays.s : (float *)s_room.at;
    a->z = given ? arrays.z : (float *)z_room.at;
    a->report = &result->report;
    emulated_steps(library, &about, &launch, seed);
    text_unload(library);
    result->whole = true;
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        for (int i = 0; result->out[o].at && i < ROOM_GUARD; i++) {
            result->whole = result->whole && result->out[o].at[result->out[o].size + (size_t)i] == 0xd7;
        }
    }
    result->whole = room_free(source) && room_free(s_room) && room_free(z_room) && result->whole;
    return true;
}

/* Folds a chunk into `partial`, as kernel_survey does. */
static inline bool emulated_survey(const Kernel *k, int pass, int64_t chunk, const void *src,
                                   void *partial, uint64_t seed) {
    GpuText about;
    GpuLaunch launch;
    TextLibrary *library = emulated_text(k, pass, &about);
    if (library == NULL || !gpu_launch(k, &about, chunk, partial, &launch)) {
        return false;
    }
    const Shape s = shape_of(k);
    const StateArrays arrays = state_arrays(k, &s, partial);
    Room source = room_new(gpu_gather_size(k, &launch), 0);
    gpu_gather(k, &launch, src, source.at);
    GpuReport report = {0};
    launch.args.source = source.at;
    launch.args.lo = arrays.lo;
    launch.args.hi = arrays.hi;
    launch.args.errors = arrays.errors;
    launch.args.report = &report;
    emulated_steps(library, &about, &launch, seed);
    text_unload(library);
    return room_free(source);
}
#endif
