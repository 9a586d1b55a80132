/* The GPU's kernels, as emitted and compiled for this GPU, beside a device copy: both over large
 * tensors in device memory, in turns, so that a change of clocks meets both. Buffers go round, so
 * that no cache holds what comes next.
 *
 * Prints for each act (a survey reads the weights once more) the microseconds, the bytes it reads
 * and writes over that time, and the fraction of the copy's rate (medians). What comes out is not
 * looked at here: `ctest -L gpu` does that.
 *
 * usage: gpu_kernels [NAME]   NAME: part of a row's name */
#include "kernels/state.h"
#include "runtime/device/gpu_launch.h"
#include "runtime/device/gpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUFFERS = 4,
    ROUNDS = 24,
    WARM = 3,
    BUFFER = 640 << 20,
    SMALL = 320 << 20,
    F32 = 1,
    F16 = 10,
    BF16 = 16
};

typedef struct Case {
    const char *name;
    int source;
    const char *format;
    bool columns;  /* granules run down the columns of [rows, columns] */
    int64_t block; /* 0: one scale a channel */
    int scale;
    bool prune, metrics, mse, nbits;
    int64_t rows, across;
    double goal; /* fraction of the copy; 0: none is set */
} Case;

#define SQUARE 16384, 16384
static const Case cases[] = {
    {"int8 per channel", BF16, "int8", false, 0, BF16, false, false, false, false, SQUARE, 0.98},
    {"fp8 per channel", BF16, "e4m3", false, 0, BF16, false, false, false, false, SQUARE, 0.98},
    {"2:4, fp8 per channel", BF16, "e4m3", false, 0, BF16, true, false, false, false, SQUARE, 0.98},
    {"int4 block(128)", BF16, "int4", false, 128, BF16, false, false, false, false, SQUARE, 0.98},
    {"2:4, int4 block(128)", BF16, "int4", false, 128, BF16, true, false, false, false, SQUARE,
     0.98},
    {"nvfp4", BF16, "e2m1", false, 16, 17, false, false, false, false, SQUARE, 0.97},
    {"mxfp4", BF16, "e2m1", false, 32, 24, false, false, false, false, SQUARE, 0.97},
    {"[K, N] int4 block(128)", BF16, "int4", true, 128, BF16, false, false, false, false, SQUARE,
     0.95},
    {"[K, N] 2:4, int4", BF16, "int4", true, 128, BF16, true, false, false, false, SQUARE, 0.95},
    {"[K, N] nvfp4", BF16, "e2m1", true, 16, 17, false, false, false, false, SQUARE, 0.95},
    {"[K, N] mxfp4", BF16, "e2m1", true, 32, 24, false, false, false, false, SQUARE, 0.95},
    {"[K, N] int8 per channel", BF16, "int8", true, 0, BF16, false, false, false, false, SQUARE,
     0.95},
    {"[K, N] fp8 per channel", BF16, "e4m3", true, 0, BF16, false, false, false, false, SQUARE,
     0.95},
    {"[K, N] int4 f16", F16, "int4", true, 128, F16, false, false, false, false, SQUARE, 0.95},
    {"[K, N] int4 f32", F32, "int4", true, 128, F32, false, false, false, false, 8192, 16384, 0.85},
    {"to MatMulNBits", BF16, "int4", true, 128, BF16, false, false, false, true, SQUARE, 0.85},
    {"int4 f16", F16, "int4", false, 128, F16, false, false, false, false, SQUARE, 0.85},
    {"int4 f32", F32, "int4", false, 128, F32, false, false, false, false, 8192, 16384, 0.85},
    {"fp8 per channel f32", F32, "e4m3", false, 0, F32, false, false, false, false, 8192, 16384,
     0.85},
    {"int4, K = 16400", BF16, "int4", false, 128, BF16, false, false, false, false, 16384, 16400,
     0.85},
    {"[K, N] int4, K = 16400", BF16, "int4", true, 128, BF16, false, false, false, false, 16400,
     16384, 0.85},
    {"conv int8, rows of 576", BF16, "int8", false, 0, BF16, false, false, false, false, 262144,
     576, 0.85},
    {"conv int8, rows of 4608", BF16, "int8", false, 0, BF16, false, false, false, false, 32768,
     4608, 0.85},
    {"int4 with metrics", BF16, "int4", false, 128, BF16, false, true, false, false, SQUARE, 0},
    {"fp8 with metrics", BF16, "e4m3", false, 0, BF16, false, true, false, false, SQUARE, 0},
    {"[K, N] int4 with metrics", BF16, "int4", true, 128, BF16, false, true, false, false, SQUARE,
     0},
    {"int4 mse", BF16, "int4", false, 128, BF16, false, false, true, false, SQUARE, 0},
    {"[K, N] int4 mse", BF16, "int4", true, 128, BF16, false, false, true, false, SQUARE, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

static Kernel kernel_of(const Case *c) {
    const KernelView along = {c->rows, c->across, 1}, down = {1, c->rows, c->across};
    const KernelView channel_along = {1, c->rows, c->across};
    const KernelView channel_down = {c->rows, c->across, 1};
    Kernel k = {.source = c->source, .count = c->rows * c->across};
    k.format = format_find(c->format, strlen(c->format));
    k.granule = c->block ? GRANULE_BLOCK : GRANULE_CHANNEL;
    k.view = c->block ? (c->columns ? down : along) : c->columns ? channel_down : channel_along;
    k.block = c->block;
    k.scale_type = c->scale;
    k.prune_view = c->columns ? down : along;
    k.prune = c->prune ? PRUNE_NM : PRUNE_NONE;
    k.keep = 2;
    k.group = 4;
    k.metrics = c->metrics;
    k.method = c->mse ? METHOD_MSE : METHOD_MAX;
    k.layout = c->nbits ? LAYOUT_NBITS : k.layout;
    return k;
}

typedef struct Bench {
    Session *s;
    Gpu *gpu;
    CudaAddress in[BUFFERS], out[BUFFERS], small[5]; /* scales, zeros, s, z and lo, report and hi */
    CudaStream stream;
    CudaEvent begin, end;
} Bench;

#define MUST(call)                                                                                 \
    do {                                                                                           \
        const CudaStatus status_ = (call);                                                         \
        if (status_ != 0) {                                                                        \
            fprintf(stderr, "gpu_kernels: %s: %s\n", #call,                                        \
                    cuda_status_text(&b->gpu->api, status_, b->s->arena));                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void open_bench(Bench *b) {
    const CudaApi *api = &b->gpu->api;
    MUST(api->stream_create(&b->stream, CUDA_STREAM_APART));
    MUST(api->event_create(&b->begin, 0));
    MUST(api->event_create(&b->end, 0));
    for (int i = 0; i < BUFFERS; i++) {
        MUST(api->memory_alloc(&b->in[i], BUFFER));
        MUST(api->memory_alloc(&b->out[i], BUFFER));
    }
    for (int i = 0; i < 5; i++) {
        MUST(api->memory_alloc(&b->small[i], SMALL));
        MUST(api->fill(b->small[i], 0x3f, SMALL, b->stream)); /* scales that are given: near 0.75 */
    }
    MUST(api->stream_wait(b->stream));
}

/* ---- weights: bell-shaped, with zeros and a few large ones */

static void write_weight(uint8_t *to, int type, float w) {
    uint32_t u;
    memcpy(&u, &w, 4);
    const uint32_t half =
        (u >> 16 & 0x8000u) | (w == 0.0f ? 0u : (u >> 13 & 0x3ffffu) - (112u << 10));
    const uint16_t narrow = (uint16_t)(type == BF16 ? u >> 16 : half);
    if (type == F32) {
        memcpy(to, &u, 4);
    } else {
        memcpy(to, &narrow, 2);
    }
}

static void fill(const Bench *b, int type) {
    const size_t bytes = type == F32 ? 4 : 2, part = 16 << 20;
    uint8_t *weights = malloc(part);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < part / bytes; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        int32_t sum = (int32_t)(x & 0xffff) + (int32_t)(x >> 16 & 0xffff) +
                      (int32_t)(x >> 32 & 0xffff) + (int32_t)(x >> 48) - 131070;
        sum = sum > -64 && sum < 64 ? 0 : sum; /* else it would be subnormal as float16 */
        write_weight(weights + i * bytes, type, (float)sum * (i % 61 == 0 ? 0x1p-16f : 0x1p-20f));
    }
    for (int i = 0; i < BUFFERS; i++) {
        for (size_t at = 0; at < BUFFER; at += part) {
            MUST(b->gpu->api.copy_in(b->in[i] + at, weights, part, b->stream));
            MUST(b->gpu->api.stream_wait(b->stream));
        }
    }
    free(weights);
}

/* ---- measuring */

static double median(float *at, int n) {
    for (int i = 1; i < n; i++) {
        for (int j = i; j > 0 && at[j - 1] > at[j]; j--) {
            const float t = at[j];
            at[j] = at[j - 1];
            at[j - 1] = t;
        }
    }
    return at[n / 2];
}

static float took(const Bench *b) {
    float milliseconds = 0;
    MUST(b->gpu->api.event_record(b->end, b->stream));
    MUST(b->gpu->api.event_wait(b->end));
    MUST(b->gpu->api.event_elapsed(&milliseconds, b->begin, b->end));
    return milliseconds;
}

static float copy_once(const Bench *b, int i, size_t size) {
    MUST(b->gpu->api.event_record(b->begin, b->stream));
    MUST(b->gpu->api.copy_device(b->out[i % BUFFERS], b->in[(i + 1) % BUFFERS], size, b->stream));
    return took(b);
}

static float launch_once(const Bench *b, int i, int program, const GpuText *about,
                         const GpuLaunch *launch) {
    GpuArgs a = launch->args;
    a.source = (const uint8_t *)(uintptr_t)b->in[(i + 2) % BUFFERS];
    a.codes = (uint8_t *)(uintptr_t)b->out[(i + 2) % BUFFERS];
    a.scales = (uint8_t *)(uintptr_t)b->small[0];
    a.zeros = (uint8_t *)(uintptr_t)b->small[1];
    a.s = (float *)(uintptr_t)b->small[2];
    a.z = (float *)(uintptr_t)b->small[3];
    a.lo = (void *)(uintptr_t)b->small[3];
    a.hi = (void *)(uintptr_t)(b->small[4] + 4096);
    a.report = (GpuReport *)(uintptr_t)b->small[4];
    MUST(b->gpu->api.event_record(b->begin, b->stream));
    for (int step = 0; step < about->steps; step++) {
        void *parameters[] = {&a};
        a.units = launch->units[step];
        MUST(b->gpu->api.launch(b->gpu->functions[program][step], (unsigned)launch->blocks[step], 1,
                                1, (unsigned)about->threads, 1, 1, 0, b->stream, parameters, NULL));
    }
    return took(b);
}

/* Bytes that an act must read and write. */
static int64_t bytes_of(const Kernel *k, int act) {
    const Shape shape = shape_of(k);
    const bool given = kernel_surveys(k) > 0 && state_has_scales(&shape);
    const int64_t source = k->count * source_size(k->source);
    return act >= 0 ? source
                    : source + kernel_output_size(k, OUT_CODES) +
                          (given ? 0 : kernel_output_size(k, OUT_SCALES));
}

static void measure(const Bench *b, size_t i, const Case *c, const Kernel *k, int act) {
    const int program = b->gpu->programs.acts[i].act[act + 1].program;
    const GpuText *about = &b->gpu->programs.acts[i].act[act + 1].about;
    const int64_t bytes = bytes_of(k, act), source = k->count * source_size(k->source);
    float kernel[ROUNDS], copy[ROUNDS];
    GpuLaunch launch;
    void *state = malloc(kernel_state_size(k) + 1);
    kernel_state_init(k, state);
    if (program < 0 || !gpu_launch(k, about, 0, state, &launch)) {
        fprintf(stderr, "gpu_kernels: %s has no text\n", c->name);
        exit(1);
    }
    free(state);
    for (int r = -WARM; r < ROUNDS; r++) {
        const float one = copy_once(b, r + WARM, (size_t)source),
                    other = launch_once(b, r + WARM, program, about, &launch);
        copy[r < 0 ? 0 : r] = one;
        kernel[r < 0 ? 0 : r] = other;
    }
    const double time = median(kernel, ROUNDS) * 1e-3;
    const double rate = (double)bytes / time,
                 fraction = rate / (2.0 * (double)source / (median(copy, ROUNDS) * 1e-3));
    printf("%-25s %-7s %-8s %8.1f us %6.0f GB/s  %.3f", act < 0 ? c->name : "",
           act < 0 ? "encode" : "survey", about->skeleton, time * 1e6, rate * 1e-9, fraction);
    if (c->goal > 0) {
        printf("  %s %.2f", fraction >= c->goal ? "reaches" : "MISSES", c->goal);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv) {
    Bench bench = {.s = session_open(&sys_real)}, *const b = &bench;
    Kernel kernels[CASES];
    Str why = {0};
    b->s->threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    for (size_t i = 0; i < CASES; i++) {
        kernels[i] = kernel_of(&cases[i]);
    }
    b->gpu = gpu_open(b->s, &(GpuWish){.ordinal = -1}, kernels, sizeof *kernels, CASES, &why);
    if (!b->gpu) {
        fprintf(stderr, "gpu_kernels: %.*s\n", STR_ARG(why));
        return 4;
    }
    open_bench(b);
    printf("%.*s (sm_%d), medians of %d\n%-25s %-7s %-8s %11s %11s  %s\n", STR_ARG(b->gpu->name),
           b->gpu->arch, ROUNDS, "", "act", "kernel", "", "moved", "of a device copy");
    int filled = 0;
    shape_force((int64_t)1 << 29, 0); /* the whole tensor is one chunk */
    for (size_t i = 0; i < CASES; i++) {
        if (argc < 2 || strstr(cases[i].name, argv[1])) {
            if (filled != cases[i].source) {
                fill(b, cases[i].source);
                filled = cases[i].source;
            }
            for (int act = -1; act < kernel_surveys(&kernels[i]); act++) {
                measure(b, i, &cases[i], &kernels[i], act);
            }
        }
    }
    gpu_close(b->s, b->gpu);
    session_close(b->s);
    return 0;
}
