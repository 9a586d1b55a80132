/* See worker.h. Runs without the lock of the run. */
#include "runtime/base/clock.h"
#include "runtime/exec/worker.h"
#include <string.h>

enum { SMALL = 32 << 10 /* segments that are gathered */ };

/* ---- writing and copying */

static Outcome write_bytes(Shared *run, Worker *w, int file, uint64_t offset, const void *data,
                           size_t size) {
    const double start = clock_seconds();
    const int error = output_write(run->files[file], offset, data, size);
    w->times.seconds_write += clock_seconds() - start;
    return (Outcome){error, file};
}

static Outcome copy_large(Shared *run, Worker *w, const ScheduleSegment *g, uint64_t from,
                          uint64_t size) {
    if (g->kind == SEGMENT_MEMORY) {
        return write_bytes(run, w, g->file, g->offset + from, (const uint8_t *)g->data + from,
                           (size_t)size);
    }
    const double start = clock_seconds();
    const int error =
        output_copy(run->files[g->file], g->offset + from, g->input, g->input_offset + from, size);
    w->times.seconds_copy += clock_seconds() - start;
    return (Outcome){error, g->file};
}

/* Segments of an item follow each other in their file, so small ones are written together. */
static Outcome run_copy(Shared *run, Worker *w, const Unit *unit) {
    Outcome outcome = {0, 0};
    uint64_t left = unit->bytes, gathered_at = 0;
    size_t gathered = 0;
    for (Cursor c = unit->cursor; left > 0 && !outcome.error; c = (Cursor){c.segment + 1, 0}) {
        const ScheduleSegment *g = &run->schedule->segments.at[c.segment];
        const uint64_t rest = g->size - c.done, size = rest < left ? rest : left;
        const bool small = size <= SMALL;
        left -= size;
        if (gathered && (!small || gathered + size > WORKER_STAGING)) {
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

static Outcome write_outputs(Shared *run, Worker *w, const QueueJob *job, const DeviceResult *result) {
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

/* ---- kernels */

static const void *source_of(const Shared *run, const Unit *unit) {
    return run->schedule->jobs.at[unit->slot->item->job].source;
}

static Outcome write_chunk(Shared *run, Worker *w, const Unit *unit, const DeviceResult *result,
                           KernelMetrics *metrics) {
    const QueueJob *job = &run->queue.jobs[unit->slot->item->job];
    w->times.bytes_source += (uint64_t)(job->bytes / job->chunks);
    *metrics = result->metrics;
    return write_outputs(run, w, job, result);
}

/* The unit's item and state stay while a unit of it is at work. */
Outcome worker_run(Shared *run, Worker *w, const Unit *unit, KernelMetrics *metrics) {
    if (unit->stage == STAGE_COPY) {
        return run_copy(run, w, unit);
    }
    const Slot *slot = unit->slot;
    const Kernel *k = queue_kernel(&run->queue, slot);
    const void *source = source_of(run, unit);
    const double start = clock_seconds();
    DeviceResult result;
    switch (unit->stage) {
    case STAGE_SURVEY:
        device_survey(k, slot->pass, unit->chunk, source, slot->state, &run->pool.lock, &w->space);
        w->times.seconds_survey += clock_seconds() - start;
        break;
    case STAGE_CLOSE:
        kernel_state_close(k, slot->pass, slot->state);
        w->times.seconds_survey += clock_seconds() - start;
        break;
    case STAGE_GLOBALS:
        device_globals(k, slot->state, &w->space, &result);
        return write_outputs(run, w, &run->queue.jobs[slot->item->job], &result);
    default:
        device_encode(k, unit->chunk, source, slot->state, &w->space, &result);
        w->times.seconds_encode += clock_seconds() - start;
        return write_chunk(run, w, unit, &result, metrics);
    }
    return (Outcome){0, 0};
}

bool worker_begin(Shared *run, Worker *w, const Unit *unit) {
    const bool kernel = unit->stage == STAGE_SURVEY || unit->stage == STAGE_ENCODE;
    if (!w->lane || !kernel || w->count == GPU_SLOTS) {
        return false;
    }
    const Slot *slot = unit->slot;
    const int place = (w->first + w->count) % GPU_SLOTS;
    const int act = unit->stage == STAGE_ENCODE ? GPU_ENCODE : slot->pass;
    const double start = clock_seconds();
    const bool begun = gpu_lane_begin(w->lane, place, (size_t)slot->item->job,
                                      queue_kernel(&run->queue, slot), act, unit->chunk,
                                      source_of(run, unit), slot->state);
    w->times.seconds_read += clock_seconds() - start;
    if (begun) {
        w->begun[place] = *unit;
        w->count++;
    }
    return begun;
}

Outcome worker_end(Shared *run, Worker *w, Unit *unit, KernelMetrics *metrics) {
    const int place = w->first;
    *unit = w->begun[place];
    w->first = (w->first + 1) % GPU_SLOTS;
    w->count--;
    const double start = clock_seconds();
    DeviceResult result;
    bool done;
    if (unit->stage == STAGE_SURVEY) {
        done = gpu_lane_finish_survey(w->lane, place, unit->slot->state, &run->pool.lock,
                                      w->space.partial);
    } else {
        done = gpu_lane_finish(w->lane, place, &result);
    }
    w->times.seconds_wait += clock_seconds() - start;
    if (!done) {
        return worker_run(run, w, unit, metrics);
    }
    return unit->stage == STAGE_SURVEY ? (Outcome){0, 0}
                                       : write_chunk(run, w, unit, &result, metrics);
}
