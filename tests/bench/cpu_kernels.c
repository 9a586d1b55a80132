/* The host's kernels beside memcpy: both over the same input, in memory, on the same threads, in
 * turns, so that a busy moment of the machine meets both. All passes of a kernel count (surveys
 * are merged as exec merges them), outputs are written whole, nothing touches a disk.
 *
 * Prints for each kernel GB/s of input and its time as a multiple of memcpy's (medians), without
 * and with metrics. Goals are multiples for bfloat16 weights whose blocks lie along the rows.
 *
 * usage: cpu_kernels [threads=2] [MiB=256] [rounds=5] [offset=0] [NAME]   NAME: part of a row's
 * name; offset: bytes by which the input is off a page, as in a mapped file */
#include "kernels/kernels.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_THREADS = 64, MOST_ROUNDS = 99, ROW = 8192, COPY = 4 << 20 };

typedef struct Recipe {
    const char *name, *format;
    KernelGranule granule;
    int block, scale_type; /* 0: the source's */
    bool prune;            /* 2:4 */
    KernelMethod method;
    double goal; /* time of memcpy; 0: none is set */
} Recipe;

static const Recipe recipes[] = {
    {"int4 block(128)", "int4", GRANULE_BLOCK, 128, 0, false, METHOD_MAX, 1.3},
    {"fp8 per channel", "e4m3", GRANULE_CHANNEL, 0, 0, false, METHOD_MAX, 2.0},
    {"int8 per channel", "int8", GRANULE_CHANNEL, 0, 0, false, METHOD_MAX, 0},
    {"nvfp4", "e2m1", GRANULE_BLOCK, 16, 17, false, METHOD_MAX, 6.0},
    {"mxfp4", "e2m1", GRANULE_BLOCK, 32, 24, false, METHOD_MAX, 0},
    {"2:4, int4 block(128)", "int4", GRANULE_BLOCK, 128, 0, true, METHOD_MAX, 0},
    {"2:4, fp8 per channel", "e4m3", GRANULE_CHANNEL, 0, 0, true, METHOD_MAX, 0},
    {"int4 block(128) mse", "int4", GRANULE_BLOCK, 128, 0, false, METHOD_MSE, 0},
};

typedef struct Source {
    const char *name;
    int type, bytes;
} Source;
static const Source sources[] = {{"bf16", 16, 2}, {"f16", 10, 2}, {"f32", 1, 4}};

/* What threads share during one run. */
typedef struct Run {
    const Kernel *k; /* NULL: memcpy */
    int pass;        /* -1: encode */
    const uint8_t *src;
    uint8_t *copy, *out[OUT_COUNT];
    int64_t bytes;
    void *state;
    pthread_mutex_t lock;
    atomic_llong next;
} Run;

typedef struct Worker {
    Run *run;
    void *scratch, *partial;
} Worker;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *room(size_t size) {
    void *p = aligned_alloc(4096, (size + 4096 + 4095) / 4096 * 4096);
    if (p == NULL) {
        fprintf(stderr, "cpu_kernels: out of memory\n");
        exit(4);
    }
    return p;
}

static void copy_part(Run *run, int64_t part) {
    const int64_t at = part * COPY, rest = run->bytes - at;
    memcpy(run->copy + at, run->src + at, (size_t)(rest < COPY ? rest : COPY));
}

static void encode_chunk(const Worker *worker, int64_t chunk) {
    Run *const run = worker->run;
    void *outs[OUT_COUNT] = {0};
    for (int o = 0; o < OUT_COUNT; o++) {
        int64_t offset, size;
        kernel_extent(run->k, chunk, (KernelOutput)o, &offset, &size);
        outs[o] = size > 0 ? run->out[o] + offset : NULL;
    }
    KernelMetrics metrics;
    kernel_encode(run->k, chunk, run->src, run->state, outs, &metrics, worker->scratch);
}

static void survey_chunk(const Worker *worker, int64_t chunk) {
    Run *const run = worker->run;
    pthread_mutex_lock(&run->lock);
    kernel_state_fork(run->k, worker->partial, run->state);
    pthread_mutex_unlock(&run->lock);
    kernel_survey(run->k, run->pass, chunk, run->src, worker->partial, worker->scratch);
    pthread_mutex_lock(&run->lock);
    kernel_state_merge(run->k, run->pass, run->state, worker->partial);
    pthread_mutex_unlock(&run->lock);
}

static void *work(void *argument) {
    Worker *const worker = argument;
    Run *const run = worker->run;
    const int64_t parts = run->k == NULL ? (run->bytes + COPY - 1) / COPY : kernel_chunks(run->k);
    for (int64_t part; (part = atomic_fetch_add(&run->next, 1)) < parts;) {
        if (run->k == NULL) {
            copy_part(run, part);
        } else if (run->pass >= 0) {
            survey_chunk(worker, part);
        } else {
            encode_chunk(worker, part);
        }
    }
    return NULL;
}

static void on_threads(Run *run, Worker *workers, int threads) {
    pthread_t ids[MOST_THREADS];
    atomic_store(&run->next, 0);
    for (int i = 0; i < threads; i++) {
        workers[i].run = run;
        if (pthread_create(&ids[i], NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "cpu_kernels: no thread\n");
            exit(4);
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
    }
}

/* Seconds of one whole kernel, or of one memcpy. */
static double measure(Run *run, const Kernel *k, Worker *workers, int threads) {
    const double begin = seconds();
    run->k = k;
    if (k != NULL) {
        kernel_state_init(k, run->state);
        for (run->pass = 0; run->pass < kernel_surveys(k); run->pass++) {
            on_threads(run, workers, threads);
            kernel_state_close(k, run->pass, run->state);
        }
        for (int o = 0; o < OUT_COUNT; o++) {
            kernel_global(k, (KernelOutput)o, run->state, run->out[o]);
        }
        run->pass = -1;
    }
    on_threads(run, workers, threads);
    return seconds() - begin;
}

/* ---- weights: bell-shaped, all kinds alike */

static void fill(uint8_t *at, int64_t count, int type) {
    uint64_t x = 88172645463325252u;
    for (int64_t i = 0; i < count; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        int32_t sum = (int32_t)(x & 0xffff) + (int32_t)(x >> 16 & 0xffff) +
                      (int32_t)(x >> 32 & 0xffff) + (int32_t)(x >> 48) - 131070;
        sum = sum > -64 && sum < 64 ? 0 : sum; /* else it would be subnormal as float16 */
        const float w = (float)sum * 0x1p-20f; /* below 1/8 */
        uint32_t u;
        memcpy(&u, &w, 4);
        const uint32_t half =
            (u >> 16 & 0x8000u) | (sum == 0 ? 0u : (u >> 13 & 0x3ffffu) - (112u << 10));
        const uint16_t narrow = (uint16_t)(type == 16 ? u >> 16 : half);
        if (type == 1) {
            memcpy(at + 4 * i, &u, 4);
        } else {
            memcpy(at + 2 * i, &narrow, 2);
        }
    }
}

/* ---- rows of the table */

static Kernel kernel_of(const Recipe *r, const Source *s, int64_t bytes, bool columns,
                        bool metrics) {
    const int64_t across = bytes / s->bytes / ROW; /* [across, ROW], or its transpose's layout */
    Kernel k = {.source = s->type, .count = across * ROW, .granule = r->granule};
    const KernelView reduce = columns ? (KernelView){1, across, ROW} : (KernelView){across, ROW, 1};
    const KernelView channel =
        columns ? (KernelView){across, ROW, 1} : (KernelView){1, across, ROW};
    k.format = format_find(r->format, strlen(r->format));
    k.view = r->granule == GRANULE_CHANNEL ? channel : reduce;
    k.block = r->block;
    k.scale_type = r->scale_type > 0 ? r->scale_type : s->type;
    k.prune = r->prune ? PRUNE_NM : PRUNE_NONE;
    k.keep = 2;
    k.group = 4;
    k.prune_view = reduce;
    k.method = r->method;
    k.metrics = metrics;
    return k;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *at, int n) {
    qsort(at, (size_t)n, sizeof *at, by_size);
    return at[n / 2];
}

static void open_run(Run *run, Worker *workers, int threads, const Kernel *k) {
    run->state = room(kernel_state_size(k));
    for (int i = 0; i < threads; i++) {
        workers[i].scratch = room(kernel_scratch_size(k));
        workers[i].partial = room(kernel_state_size(k));
    }
    for (int o = 0; o < OUT_COUNT; o++) {
        const size_t size = (size_t)kernel_output_size(k, (KernelOutput)o);
        run->out[o] = size > 0 ? memset(room(size), 1, size) : NULL;
    }
}

static void close_run(Run *run, Worker *workers, int threads) {
    free(run->state);
    for (int i = 0; i < threads; i++) {
        free(workers[i].scratch);
        free(workers[i].partial);
    }
    for (int o = 0; o < OUT_COUNT; o++) {
        free(run->out[o]);
    }
}

/* GB/s and multiple of memcpy's time, one figure of each for metrics off and on. */
static void measure_row(Run *run, const Recipe *r, const Source *s, bool columns, int threads,
                        int rounds) {
    const int64_t whole = run->bytes;
    Worker workers[MOST_THREADS];
    double time[3][MOST_ROUNDS];
    if (r->method == METHOD_MSE) {
        run->bytes /= 8; /* slow: an eighth says as much */
    }
    const Kernel plain = kernel_of(r, s, run->bytes, columns, false);
    const Kernel metrics = kernel_of(r, s, run->bytes, columns, true);
    open_run(run, workers, threads, &metrics);
    for (int i = -1; i < rounds; i++) { /* the first one warms up */
        const int at = i < 0 ? 0 : i;
        time[0][at] = measure(run, NULL, workers, threads);
        time[1][at] = measure(run, &plain, workers, threads);
        time[2][at] = measure(run, &metrics, workers, threads);
    }
    close_run(run, workers, threads);
    const double copy = median(time[0], rounds), size = (double)run->bytes * 1e-9;
    const double a = median(time[1], rounds), b = median(time[2], rounds);
    printf("%-21s %-4s %-7s %6.2f  %6.2f %6.2f x  %6.2f %6.2f x", r->name, s->name,
           columns ? "columns" : "rows", size / copy, size / a, a / copy, size / b, b / copy);
    if (r->goal > 0 && s->type == 16 && !columns) {
        printf("  %s %.1f x", a / copy <= r->goal ? "within" : "MISSES", r->goal);
    }
    printf("\n");
    fflush(stdout);
    run->bytes = whole;
}

int main(int argc, char **argv) {
    const int threads = argc > 1 ? atoi(argv[1]) : 2, rounds = argc > 3 ? atoi(argv[3]) : 5;
    const int64_t megabytes = argc > 2 ? atoi(argv[2]) : 256, offset = argc > 4 ? atoi(argv[4]) : 0;
    if (threads < 1 || threads > MOST_THREADS || rounds < 1 || rounds > MOST_ROUNDS ||
        megabytes < 8 || offset < 0 || offset > 4095) {
        fprintf(stderr, "usage: cpu_kernels [threads] [MiB >= 8] [rounds] [offset] [NAME]\n");
        return 2;
    }
    Run run = {.bytes = megabytes << 20, .lock = PTHREAD_MUTEX_INITIALIZER};
    uint8_t *const memory = room((size_t)run.bytes);
    run.copy = memset(room((size_t)run.bytes), 1, (size_t)run.bytes);
    printf("%d threads, %lld MiB of input, medians of %d; GB/s of input, multiple of memcpy's time"
           "\n%-21s %-4s %-7s %6s  %15s  %15s  %s\n",
           threads, (long long)megabytes, rounds, "", "", "layout", "memcpy", "kernel",
           "with metrics", "goal");
    for (size_t s = 0; s < sizeof sources / sizeof *sources; s++) {
        run.src = memory + offset;
        fill(memory + offset, run.bytes / sources[s].bytes, sources[s].type);
        for (size_t r = 0; r < sizeof recipes / sizeof *recipes; r++) {
            if (argc > 5 && strstr(recipes[r].name, argv[5]) == NULL) {
                continue;
            }
            measure_row(&run, &recipes[r], &sources[s], false, threads, rounds);
            measure_row(&run, &recipes[r], &sources[s], true, threads, rounds);
        }
    }
    free(memory);
    free(run.copy);
    return 0;
}
