/* See gpu_launch.h. A chunk is a box of the unit view (kernels/shape.h); with LAYOUT_NBITS it may be
 * a stretch of columns, which is gathered row by row. */
#include "runtime/device/gpu_launch.h"
#include "kernels/state.h"
#include <string.h>

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static GpuSource source_of(const KernelView u, const Box b) {
    GpuSource s = {(b.o0 * u.axis + b.k0) * u.inner + b.i0, 0, u.inner, 1};
    if (b.i1 - b.i0 < u.inner) { /* only with o0 = 0, o1 = 1 */
        s.run = b.i1 - b.i0;
        s.pieces = b.k1 - b.k0;
    } else {
        s.run = (b.o1 - b.o0) * (b.k1 - b.k0) * u.inner;
    }
    return s;
}

/* Weights in 16 bytes. */
static int64_t vector_of(const Kernel *k) {
    return 16 / source_size(gpu_source(k));
}

static int64_t units_of(const Kernel *k, const GpuText *about, GpuUnits units, const GpuArgs *a) {
    const bool run = a->inner == 1;
    switch (units) {
    case GPU_PIECES:
        return about->align > 0 ? a->outer * ceil_div(a->rows, about->align) * (about->align / 16)
                                : a->outer * a->rows / 16;
    case GPU_ROWS:
        return a->outer;
    case GPU_TILES:
        return ceil_div(a->columns, about->tile_columns) *
               (strcmp(about->skeleton, "survey") == 0
                    ? ceil_div(a->outer * a->rows, about->tile_rows)
                    : ceil_div(a->rows, about->tile_rows) * a->outer);
    case GPU_GRANULES:
        return a->outer * ceil_div(a->rows, a->block) * a->columns;
    case GPU_STRIPS:
        return run ? a->outer * ceil_div(a->rows, K_STRIP)
                   : a->outer * a->rows * ceil_div(a->columns, K_STRIP);
    default:
        return ceil_div(a->outer * a->rows * a->columns, vector_of(k));
    }
}

static int64_t blocks_of(const GpuText *about, GpuUnits units, const GpuArgs *a, int64_t n) {
    const int64_t threads = about->threads;
    switch (units) {
    case GPU_ROWS:
        return ceil_div(n, threads / about->team);
    case GPU_TILES:
        return n;
    case GPU_GRANULES:
        return ceil_div(n * (a->inner == 1 ? 32 : 1), threads);
    case GPU_STRIPS:
        return ceil_div(n * 8, threads);
    default:
        return ceil_div(n, threads * about->per_thread);
    }
}

static void fill_state(const Kernel *k, const Shape *s, const State *state, GpuArgs *a) {
    a->super = 1.0f;
    a->block = s->block > 0 ? s->block : 1;
    a->tie_index = INT64_MAX;
    a->channels = state_has_scales(s) && s->granule == GRANULE_CHANNEL ? s->view.axis : 1;
    a->run = s->granule == GRANULE_CHANNEL ? s->view.inner : 1;
    if (state != NULL && kernel_surveys(k) > 0) {
        a->super = state->super;
        a->threshold = state->threshold;
        a->tie_index = state->tie_index;
    }
}

static void fill_groups(const Kernel *k, const Shape *s, GpuArgs *a) {
    a->prune_axis = a->prune_inner = a->prune_stride = 1;
    if (k->prune == PRUNE_NM) {
        a->prune_axis = k->prune_view.axis;
        a->prune_inner = k->prune_view.inner;
        a->prune_stride = s->unit.inner > 1 ? a->columns : k->prune_view.inner;
    }
}

bool gpu_launch(const Kernel *k, const GpuText *about, int64_t chunk, const void *state,
                GpuLaunch *out) {
    const Shape s = shape_of(k);
    const Box b = shape_chunk(&s, chunk);
    GpuArgs *a = &out->args;
    *out = (GpuLaunch){.source = source_of(s.unit, b)};
    a->outer = b.o1 - b.o0;
    a->rows = b.k1 - b.k0;
    a->columns = b.i1 - b.i0;
    a->axis = s.unit.axis;
    a->inner = s.unit.inner;
    a->first = out->source.first;
    out->weights = a->outer * a->rows * a->columns;
    if (out->weights <= 0 || out->weights > INT32_MAX) {
        return false;
    }
    fill_state(k, &s, state, a);
    fill_groups(k, &s, a);
    if (about->cut > 0) { /* granules of a row become rows themselves */
        a->outer *= a->rows / about->cut;
        a->rows = about->cut;
    }
    for (int i = 0; i < about->steps; i++) {
        const GpuUnits units = about->step[i].units;
        out->units[i] = units_of(k, about, units, a);
        out->blocks[i] = blocks_of(about, units, a, out->units[i]);
        if (out->blocks[i] > INT32_MAX) {
            return false;
        }
        if (units == GPU_GRANULES) {
            out->scratch = (size_t)out->units[i] * sizeof(float);
        }
    }
    return true;
}

size_t gpu_gather_size(const Kernel *k, const GpuLaunch *launch) {
    return ((size_t)launch->weights * (size_t)source_size(gpu_source(k)) + 15) / 16 * 16;
}

/* n weights as they lie, or doubles rounded to float32. */
static void gather_run(const Kernel *k, const char *from, int64_t n, char *to) {
    if (k->source == gpu_source(k)) {
        memcpy(to, from, (size_t)(n * source_size(k->source)));
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, from + 8 * i, sizeof d);
        const float f = (float)d;
        memcpy(to + 4 * i, &f, sizeof f);
    }
}

void gpu_gather(const Kernel *k, const GpuLaunch *launch, const void *tensor, void *to) {
    const int64_t in = source_size(k->source), out = source_size(gpu_source(k));
    const GpuSource *s = &launch->source;
    char *const base = to;
    const size_t filled = (size_t)(launch->weights * out);
    for (int64_t i = 0; i < s->pieces; i++) {
        gather_run(k, (const char *)tensor + (s->first + i * s->stride) * in, s->run,
                   base + i * s->run * out);
    }
    memset(base + filled, 0, gpu_gather_size(k, launch) - filled);
}
