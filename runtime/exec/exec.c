/* The engine of a run: takes memory, starts threads, runs units (queue.h says which), sums up. */
#include "runtime/exec/exec.h"
#include "runtime/device/device.h"
#include "runtime/exec/pool.h"
#include "runtime/exec/queue.h"
#include <assert.h>
#include <string.h>
#include <time.h>

enum {
    STAGING = 256 << 10,   /* small segments are gathered here and written together */
    SMALL = 32 << 10,      /* what is small */
    WRITEBACK = 256 << 10, /* writes of this size go to the disk at once */
    TICK = 100             /* milliseconds between two looks at progress and the stop flag */
};

typedef struct Worker {
    DeviceSpace space;
    uint8_t *staging;
    ExecTimes times; /* of this worker */
} Worker;

typedef struct Run {
    Session *s;
    Schedule *schedule;
    Output **files;
    Arena *arena; /* all the memory of the run */
    Cleanup cleanup;
    Pool pool;
    Worker *workers;
    Queue queue; /* under pool.lock, as the rest */
    int error;   /* errno of the first failed write, of `failed` */
    Output *failed;
} Run;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- before the start */

static size_t aligned(size_t size) {
    return (size + 63) / 64 * 64;
}

/* How many threads memory allows, at most Session.threads; 0 after an error. */
static int plan_memory(Run *run, DeviceNeed *need, size_t *bytes) {
    *need = (DeviceNeed){0};
    for (size_t i = 0; i < run->schedule->jobs.len; i++) {
        device_need(&run->schedule->jobs.at[i].kernel, need);
    }
    const size_t worker = aligned(need->scratch) + aligned(need->outputs) + aligned(need->state) +
                          STAGING + sizeof(Worker);
    const size_t slot = aligned(need->state) + sizeof(Slot);
    int threads = run->s->threads < 1 ? 1 : run->s->threads;
    threads = threads > LIMIT_THREADS ? LIMIT_THREADS : threads;
    *bytes = worker * (size_t)threads + slot * (size_t)(threads + 1);
    while (threads > 1 && run->s->memory && *bytes > run->s->memory) {
        threads--;
        *bytes -= worker + slot;
    }
    if (run->s->memory && *bytes > run->s->memory) {
        Diag *d = diag_error(run->s, "E1105", NO_SPAN, "%s of memory are too few for this model",
                             str_bytes(run->s->arena, run->s->memory).data);
        diag_help(d, "one thread needs %s: --memory %zuKiB", str_bytes(run->s->arena, *bytes).data,
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
        w->staging = arena_alloc(run->arena, STAGING);
    }
    queue_slots(&run->queue, threads + 1, aligned(need->state), run->arena);
}

/* ---- running units (without the lock) */

/* 0 or an errno value, with the file that failed. */
typedef struct Outcome {
    int error;
    int file;
} Outcome;

static Outcome write_bytes(Run *run, Worker *w, int file, uint64_t offset, const void *data,
                           size_t size) {
    const double start = now();
    const int error = output_write(run->files[file], offset, data, size);
    if (size >= WRITEBACK) { /* the disk begins now: the fsync at the end finds little to do */
        run->s->sys->start_writeback(run->files[file]->fd, (off_t)offset, (off_t)size);
    }
    w->times.seconds_write += now() - start;
    return (Outcome){error, file};
}

static Outcome copy_large(Run *run, Worker *w, const ScheduleSegment *g, uint64_t from,
                          uint64_t size) {
    if (g->kind == SEGMENT_MEMORY) {
        return write_bytes(run, w, g->file, g->offset + from, (const uint8_t *)g->data + from,
                           (size_t)size);
    }
    const double start = now();
    const int error =
        output_copy(run->files[g->file], g->offset + from, g->input, g->input_offset + from, size);
    run->s->sys->start_writeback(run->files[g->file]->fd, (off_t)(g->offset + from), (off_t)size);
    w->times.seconds_copy += now() - start;
    return (Outcome){error, g->file};
}

/* Segments of an item follow each other in their file, so small ones are written together. */
static Outcome run_copy(Run *run, Worker *w, const Unit *unit) {
    Outcome outcome = {0, 0};
    uint64_t left = unit->bytes, gathered_at = 0;
    size_t gathered = 0;
    for (Cursor c = unit->cursor; left > 0 && !outcome.error; c = (Cursor){c.segment + 1, 0}) {
        const ScheduleSegment *g = &run->schedule->segments.at[c.segment];
        const uint64_t rest = g->size - c.done, size = rest < left ? rest : left;
        const bool small = size <= SMALL;
        left -= size;
        if (gathered && (!small || gathered + size > STAGING)) {
            outcome = write_bytes(run, w, g->file, gathered_at, w->staging, gathered);
            gathered = 0;
        }
        if (small && size) {
            const uint8_t *from = g->kind == SEGMENT_MEMORY ? (const uint8_t *)g->data
                                                            : g->input->data + g->input_offset;
            gathered_at = gathered ? gathered_at : g->offset + c.done;
            memcpy(w->staging + gathered, from + c.done, (size_t)size);
            gathered += (size_t)size;
        } else if (!outcome.error && size) {
            outcome = copy_large(run, w, g, c.done, size);
        }
        if (gathered && left == 0 && !outcome.error) {
            outcome = write_bytes(run, w, g->file, gathered_at, w->staging, gathered);
        }
    }
    w->times.bytes_copied += unit->bytes;
    return outcome;
}

static Outcome write_outputs(Run *run, Worker *w, const QueueJob *job, const DeviceResult *result) {
    for (KernelOutput i = 0; i < OUT_COUNT; i++) {
        const QueueTarget *target = &job->target[i];
        const uint64_t size = (uint64_t)result->out[i].size;
        if (size > 0 && target->wanted) {
            const Outcome outcome =
                write_bytes(run, w, target->file, target->offset + (uint64_t)result->out[i].offset,
                            result->out[i].data, (size_t)size);
            if (outcome.error) {
                return outcome;
            }
            w->times.bytes_encoded += size;
        }
    }
    return (Outcome){0, 0};
}

static Outcome run_unit(Run *run, Worker *w, const Unit *unit, DeviceResult *result) {
    if (unit->stage == STAGE_COPY) {
        return run_copy(run, w, unit);
    }
    const Slot *slot = unit->slot; /* its item and state stay while a unit of it is at work */
    const QueueJob *job = &run->queue.jobs[slot->item->job];
    const Kernel *k = queue_kernel(&run->queue, slot);
    const void *source = run->schedule->jobs.at[slot->item->job].source;
    const double start = now();
    switch (unit->stage) {
    case STAGE_SURVEY:
        device_survey(k, slot->pass, unit->chunk, source, slot->state, &run->pool.lock, &w->space);
        w->times.seconds_survey += now() - start;
        break;
    case STAGE_CLOSE:
        kernel_state_close(k, slot->pass, slot->state);
        w->times.seconds_survey += now() - start;
        break;
    case STAGE_GLOBALS:
        device_globals(k, slot->state, &w->space, result);
        return write_outputs(run, w, job, result);
    default:
        device_encode(k, unit->chunk, source, slot->state, &w->space, result);
        w->times.seconds_encode += now() - start;
        w->times.bytes_source += (uint64_t)(job->bytes / job->chunks);
        return write_outputs(run, w, job, result);
    }
    return (Outcome){0, 0};
}

/* False: nothing is left to take, or the run ends. Under the lock. */
static bool take(Run *run, Unit *unit) {
    while (!run->pool.quit && !session_stopped(run->s)) {
        const Taken taken = queue_take(&run->queue, unit);
        if (taken != TAKEN_WAIT) {
            return taken == TAKEN_UNIT;
        }
        pthread_cond_wait(&run->pool.changed, &run->pool.lock);
    }
    return false;
}

static void work(void *user, int worker) {
    Run *run = user;
    Worker *w = &run->workers[worker];
    Unit unit;
    pthread_mutex_lock(&run->pool.lock);
    while (take(run, &unit)) {
        pthread_mutex_unlock(&run->pool.lock);
        DeviceResult result;
        const Outcome outcome = run_unit(run, w, &unit, &result);
        pthread_mutex_lock(&run->pool.lock);
        if (outcome.error) {
            if (!run->failed) {
                run->failed = run->files[outcome.file];
                run->error = outcome.error;
            }
            run->pool.quit = true;
        } else {
            queue_complete(&run->queue, &unit, &result.metrics);
        }
        pthread_cond_broadcast(&run->pool.changed);
    }
    pthread_cond_broadcast(&run->pool.changed);
    pthread_mutex_unlock(&run->pool.lock);
}

/* ---- the whole */

static void close_run(Session *s, void *owner) {
    (void)s;
    Run *run = owner;
    arena_close(run->arena);
}

static bool open_files(Run *run) {
    for (size_t i = 0; i < run->schedule->files.len; i++) {
        const ScheduleFile *file = &run->schedule->files.at[i];
        run->files[i] = output_open(run->s, file->path, file->size);
        TRY(run->files[i]);
    }
    return true;
}

static void report_progress(const Run *run, uint64_t done) {
    if (run->s->progress) {
        run->s->progress(run->s->progress_user, "encode", done, run->queue.total);
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
    }
}

static bool run_all(Run *run, ExecTimes *times) {
    DeviceNeed need;
    queue_open(&run->queue, run->schedule, run->arena);
    const int threads = plan_memory(run, &need, &times->memory);
    TRY(threads > 0);
    TRY(open_files(run));
    take_memory(run, &need, threads);
    pool_open(run->s, &run->pool, threads, work, run);
    while (!pool_wait(&run->pool, TICK)) {
        if (session_stopped(run->s)) {
            pool_quit(&run->pool);
        }
        pthread_mutex_lock(&run->pool.lock);
        const uint64_t done = run->queue.done;
        pthread_mutex_unlock(&run->pool.lock);
        report_progress(run, done);
    }
    times->threads = run->pool.started ? run->pool.started : 1;
    pool_close(run->s, &run->pool);
    sum_times(run, threads, times);
    if (run->failed) {
        return output_fail(run->failed, run->error);
    }
    TRY(!session_stopped(run->s));
    report_progress(run, run->queue.total);
    return true;
}

bool exec_run(Session *s, Schedule *schedule, Output **files, ExecTimes *times) {
    assert(schedule_check(schedule) == NULL);
    ExecTimes unwanted;
    times = times ? times : &unwanted;
    *times = (ExecTimes){0};
    const double start = now();
    for (size_t i = 0; i < schedule->files.len; i++) {
        files[i] = NULL;
    }
    Run *run = arena_new(s->arena, Run);
    *run = (Run){.s = s, .schedule = schedule, .files = files};
    session_on_close(s, &run->cleanup, close_run, run);
    run->arena = arena_open();
    const bool done = run_all(run, times);
    for (size_t i = 0; i < schedule->files.len && !done; i++) {
        output_discard(files[i]);
        files[i] = NULL;
    }
    session_forget(s, &run->cleanup);
    close_run(s, run);
    times->seconds_total = now() - start;
    return done;
}
