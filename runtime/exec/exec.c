/* The engine of a run: takes memory, starts threads, hands out units (queue.h says which, worker.h
 * does them), sums up. */
#include "runtime/exec/exec.h"
#include "runtime/base/clock.h"
#include "runtime/exec/worker.h"
#include <assert.h>

enum {
    TICK = 100,            /* milliseconds between two looks at progress and the stop flag */
    DEVICE_LEFT = 32 << 20 /* bytes of a GPU's memory that stay free */
};

typedef struct Run {
    Shared shared;
    Gpu *gpu;
    Arena *arena; /* all the memory of the run */
    Cleanup cleanup;
    Worker *workers;
    int error; /* errno of the first failed write, of `failed`; under the lock of the pool */
    Output *failed;
} Run;

/* ---- before the start */

static size_t aligned(size_t size) {
    return (size + 63) / 64 * 64;
}

/* Items that are open at a time: one for each unit under way, and one more. */
static int slots_for(const Run *run, int threads) {
    return threads * (run->gpu ? GPU_SLOTS : 1) + 1;
}

/* How many threads memory allows, at most Session.threads; 0 after an error. */
static int plan_memory(Run *run, DeviceNeed *need, size_t *bytes) {
    *need = (DeviceNeed){0};
    for (size_t i = 0; i < run->shared.schedule->jobs.len; i++) {
        device_need(&run->shared.schedule->jobs.at[i].kernel, need);
    }
    const size_t worker = aligned(need->scratch) + aligned(need->outputs) + aligned(need->state) +
                          WORKER_STAGING + sizeof(Worker);
    const size_t slot = aligned(need->state) + sizeof(Slot);
    int threads = run->shared.s->threads < 1 ? 1 : run->shared.s->threads;
    threads = threads > LIMIT_THREADS ? LIMIT_THREADS : threads;
    *bytes = worker * (size_t)threads + slot * (size_t)slots_for(run, threads);
    while (threads > 1 && run->shared.s->memory && *bytes > run->shared.s->memory) {
        threads--;
        *bytes = worker * (size_t)threads + slot * (size_t)slots_for(run, threads);
    }
    if (run->shared.s->memory && *bytes > run->shared.s->memory) {
        Diag *d = diag_error(run->shared.s, "E1105", NO_SPAN, "%s of memory are too few for this model",
                             str_bytes(run->shared.s->arena, run->shared.s->memory).data);
        diag_help(d, "one thread needs %s: --memory %zuKiB", str_bytes(run->shared.s->arena, *bytes).data,
                  (*bytes + 1023) / 1024);
        return 0;
    }
    return threads;
}

static void take_memory(Run *run, const DeviceNeed *need, int threads) {
    run->workers = arena_many(run->arena, Worker, (size_t)threads);
    for (int i = 0; i < threads; i++) {
        Worker *w = &run->workers[i];
        w->space.scratch = arena_alloc(run->arena, aligned(need->scratch));
        w->space.outputs = arena_alloc(run->arena, aligned(need->outputs));
        w->space.partial = arena_alloc(run->arena, aligned(need->state));
        w->staging = arena_alloc(run->arena, WORKER_STAGING);
    }
    queue_slots(&run->shared.queue, slots_for(run, threads), aligned(need->state), run->arena);
}

/* As many lanes as the GPU and the cap on memory have room for; workers without one use the host. */
static void open_lanes(Run *run, int threads, size_t *bytes) {
    const uint64_t cap = run->shared.s->memory;
    GpuSizes sizes = {0};
    for (size_t i = 0; run->gpu && i < run->shared.schedule->jobs.len; i++) {
        gpu_lane_sizes(run->gpu, i, &run->shared.schedule->jobs.at[i].kernel, &sizes);
    }
    const size_t lane = GPU_SLOTS * (sizes.in + sizes.out);
    for (int i = 0; i < threads && lane > 0 && (!cap || *bytes + lane <= cap); i++) {
        run->workers[i].lane = gpu_lane_open(run->shared.s, run->gpu, &sizes, DEVICE_LEFT);
        if (!run->workers[i].lane) {
            return;
        }
        *bytes += lane;
    }
}

/* ---- work */

/* A unit is done. Under the lock. */
static void complete(Run *run, const Unit *unit, Outcome outcome, const KernelMetrics *metrics) {
    if (outcome.error) {
        if (!run->failed) {
            run->failed = run->shared.files[outcome.file];
            run->error = outcome.error;
        }
        run->shared.pool.quit = true;
    } else {
        queue_complete(&run->shared.queue, unit, metrics);
    }
    pthread_cond_broadcast(&run->shared.pool.changed);
}

/* The unit that this worker began first. Under the lock, which is let go meanwhile. */
static void end_oldest(Run *run, Worker *w) {
    Unit unit;
    KernelMetrics metrics;
    pthread_mutex_unlock(&run->shared.pool.lock);
    const Outcome outcome = worker_end(&run->shared, w, &unit, &metrics);
    pthread_mutex_lock(&run->shared.pool.lock);
    complete(run, &unit, outcome, &metrics);
}

/* Begins a unit on the GPU or does it here. Under the lock, which is let go meanwhile. */
static void start_unit(Run *run, Worker *w, const Unit *unit) {
    KernelMetrics metrics;
    pthread_mutex_unlock(&run->shared.pool.lock);
    const bool begun = worker_begin(&run->shared, w, unit);
    const Outcome outcome =
        begun ? (Outcome){0, 0} : worker_run(&run->shared, w, unit, &metrics);
    pthread_mutex_lock(&run->shared.pool.lock);
    if (!begun) {
        complete(run, unit, outcome, &metrics);
    }
}

/* What is begun is ended before a worker waits for others, who may wait for it. */
static void work(void *user, int worker) {
    Run *run = user;
    Worker *w = &run->workers[worker];
    Pool *pool = &run->shared.pool;
    if (w->lane) {
        gpu_lane_enter(w->lane);
    }
    pthread_mutex_lock(&pool->lock);
    for (bool more = true; more || w->count > 0;) {
        Unit unit;
        Taken taken = TAKEN_END;
        if (!pool->quit && !session_stopped(run->shared.s) && w->count < GPU_SLOTS) {
            taken = queue_take(&run->shared.queue, &unit);
            more = taken != TAKEN_END;
        } else {
            more = !pool->quit && !session_stopped(run->shared.s);
        }
        if (taken == TAKEN_UNIT) {
            start_unit(run, w, &unit);
        } else if (w->count > 0) {
            end_oldest(run, w);
        } else if (more) {
            pthread_cond_wait(&pool->changed, &pool->lock);
        }
    }
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the whole */

static void close_run(Session *s, void *owner) {
    (void)s;
    Run *run = owner;
    arena_close(run->arena);
}

static void close_lanes(Run *run, int threads) {
    for (int i = 0; i < threads; i++) {
        gpu_lane_close(run->shared.s, run->workers[i].lane);
        run->workers[i].lane = NULL;
    }
}

static bool open_files(Run *run) {
    for (size_t i = 0; i < run->shared.schedule->files.len; i++) {
        const ScheduleFile *file = &run->shared.schedule->files.at[i];
        run->shared.files[i] = output_open(run->shared.s, file->path, file->size);
        TRY(run->shared.files[i]);
    }
    return true;
}

static void report_progress(const Run *run, uint64_t done) {
    if (run->shared.s->progress) {
        run->shared.s->progress(run->shared.s->progress_user, "encode", done, run->shared.queue.total);
    }
}

static void sum_times(const Run *run, int threads, ExecTimes *times) {
    for (int i = 0; i < threads; i++) {
        const ExecTimes *t = &run->workers[i].times;
        times->bytes_copied += t->bytes_copied;
        times->bytes_source += t->bytes_source;
        times->bytes_encoded += t->bytes_encoded;
        times->seconds_copy += t->seconds_copy;
        times->seconds_survey += t->seconds_survey;
        times->seconds_encode += t->seconds_encode;
        times->seconds_write += t->seconds_write;
        times->seconds_read += t->seconds_read;
        times->seconds_wait += t->seconds_wait;
        if (run->workers[i].lane) {
            const GpuTimes *g = gpu_lane_times(run->workers[i].lane);
            times->lanes++;
            times->gpu.in += g->in;
            times->gpu.kernel += g->kernel;
            times->gpu.out += g->out;
            times->gpu.bytes_in += g->bytes_in;
            times->gpu.bytes_out += g->bytes_out;
            times->gpu.acts += g->acts;
        }
    }
}

static bool run_all(Run *run, ExecTimes *times) {
    DeviceNeed need;
    queue_open(&run->shared.queue, run->shared.schedule, run->arena);
    const int threads = plan_memory(run, &need, &times->memory);
    TRY(threads > 0);
    TRY(open_files(run));
    take_memory(run, &need, threads);
    open_lanes(run, threads, &times->memory);
    pool_open(run->shared.s, &run->shared.pool, threads, work, run);
    while (!pool_wait(&run->shared.pool, TICK)) {
        if (session_stopped(run->shared.s)) {
            pool_quit(&run->shared.pool);
        }
        pthread_mutex_lock(&run->shared.pool.lock);
        const uint64_t done = run->shared.queue.done;
        pthread_mutex_unlock(&run->shared.pool.lock);
        report_progress(run, done);
    }
    times->threads = run->shared.pool.started ? run->shared.pool.started : 1;
    pool_close(run->shared.s, &run->shared.pool);
    sum_times(run, threads, times);
    close_lanes(run, threads);
    if (run->failed) {
        return output_fail(run->failed, run->error);
    }
    TRY(!session_stopped(run->shared.s));
    report_progress(run, run->shared.queue.total);
    return true;
}

bool exec_run(Session *s, Schedule *schedule, Gpu *gpu, Output **files, ExecTimes *times) {
    assert(schedule_check(schedule) == NULL);
    ExecTimes unwanted;
    times = times ? times : &unwanted;
    *times = (ExecTimes){0};
    const double start = clock_seconds();
    for (size_t i = 0; i < schedule->files.len; i++) {
        files[i] = NULL;
    }
    Run *run = arena_new(s->arena, Run);
    *run = (Run){.shared = {.s = s, .schedule = schedule, .files = files}, .gpu = gpu};
    session_on_close(s, &run->cleanup, close_run, run);
    run->arena = arena_open();
    const bool done = run_all(run, times);
    for (size_t i = 0; i < schedule->files.len && !done; i++) {
        output_discard(files[i]);
        files[i] = NULL;
    }
    session_forget(s, &run->cleanup);
    close_run(s, run);
    times->seconds_total = clock_seconds() - start;
    return done;
}
