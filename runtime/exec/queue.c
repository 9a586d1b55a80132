/* See queue.h. Slots are few, so looking for the oldest walks all of them. */
#include "runtime/exec/queue.h"
#include "runtime/device/device.h"
#include <string.h>

/* ---- planning */

static int element_size(int onnx_type) {
    return onnx_type == 11 ? 8 : onnx_type == 1 ? 4 : 2;
}

static void plan_job(Queue *queue, size_t index) {
    const Kernel *k = &queue->schedule->jobs.at[index].kernel;
    QueueJob *job = &queue->jobs[index];
    job->chunks = kernel_chunks(k);
    job->surveys = kernel_surveys(k);
    job->bytes = k->count * element_size(k->source);
    job->globals = device_has_globals(k);
    queue->total += (uint64_t)job->bytes * (uint64_t)(job->surveys + 1);
    queue->schedule->jobs.at[index].metrics = (KernelMetrics){0};
}

void queue_open(Queue *queue, Schedule *schedule, Arena *arena) {
    *queue = (Queue){.schedule = schedule};
    bool *seen = arena_many(arena, bool, schedule->jobs.len + 1);
    queue->jobs = arena_many(arena, QueueJob, schedule->jobs.len + 1);
    for (size_t i = 0; i < schedule->jobs.len; i++) {
        plan_job(queue, i);
    }
    for (size_t i = 0; i < schedule->segments.len; i++) {
        const ScheduleSegment *g = &schedule->segments.at[i];
        if (g->kind == SEGMENT_KERNEL) {
            queue->jobs[g->job].target[g->out] = (QueueTarget){true, g->file, g->offset};
            if (!seen[g->job]) {
                vec_push(arena, &queue->items, (QueueItem){g->job, 0, 0});
            }
            seen[g->job] = true;
            continue;
        }
        queue->total += g->size;
        QueueItem *last = queue->items.len ? &vec_last(&queue->items) : NULL;
        if (last && last->job < 0 && last->first + last->count == i &&
            schedule->segments.at[i - 1].file == g->file) {
            last->count++;
        } else {
            vec_push(arena, &queue->items, (QueueItem){-1, i, 1});
        }
    }
}

void queue_slots(Queue *queue, int count, size_t state_size, Arena *arena) {
    queue->slot_count = count;
    queue->slots = arena_many(arena, Slot, (size_t)count);
    for (int i = 0; i < count; i++) {
        queue->slots[i].state = arena_alloc(arena, state_size);
    }
}

/* ---- taking and completing */

const Kernel *queue_kernel(const Queue *queue, const Slot *slot) {
    return &queue->schedule->jobs.at[slot->item->job].kernel;
}

/* Goes to the first stage, from `stage` on, that has something to do. */
static void enter(Queue *queue, Slot *slot, Stage stage) {
    const QueueJob *job = &queue->jobs[slot->item->job];
    if (stage == STAGE_SURVEY && (slot->pass >= job->surveys)) {
        stage = STAGE_GLOBALS;
    } else if (stage == STAGE_SURVEY && job->chunks == 0) {
        stage = STAGE_CLOSE;
    }
    if (stage == STAGE_GLOBALS && !job->globals) {
        stage = STAGE_ENCODE;
    }
    if (stage == STAGE_ENCODE && job->chunks == 0) {
        stage = STAGE_GONE;
    }
    slot->stage = stage;
    slot->next = slot->done = slot->folded = 0;
    if (stage == STAGE_GONE) {
        slot->item = NULL;
    }
}

static void open_item(Queue *queue, Slot *slot) {
    slot->item = &queue->items.at[queue->next_item++];
    slot->age = queue->ages++;
    slot->pass = 0;
    if (slot->item->job < 0) {
        slot->stage = STAGE_COPY;
        slot->cursor = (Cursor){slot->item->first, 0};
    } else {
        if (queue->jobs[slot->item->job].surveys > 0) {
            kernel_state_init(queue_kernel(queue, slot), slot->state);
        }
        memset(slot->ready, 0, sizeof slot->ready);
        enter(queue, slot, STAGE_SURVEY);
    }
}

static bool take_copy(const Queue *queue, Slot *slot, Unit *unit) {
    *unit = (Unit){slot, STAGE_COPY, slot->cursor, 0, 0};
    const size_t end = slot->item->first + slot->item->count;
    while (slot->cursor.segment < end && unit->bytes < QUEUE_COPY) {
        const uint64_t left =
            queue->schedule->segments.at[slot->cursor.segment].size - slot->cursor.done;
        const uint64_t room = QUEUE_COPY - unit->bytes;
        unit->bytes += left < room ? left : room;
        slot->cursor.done += left < room ? left : room;
        if (left <= room) {
            slot->cursor = (Cursor){slot->cursor.segment + 1, 0};
        }
    }
    if (slot->cursor.segment == end) {
        slot->item = NULL; /* the unit says all that is left to do */
    }
    return unit->bytes > 0;
}

static bool take_from(const Queue *queue, Slot *slot, Unit *unit) {
    if (slot->stage == STAGE_COPY) {
        return take_copy(queue, slot, unit);
    }
    const bool whole = slot->stage == STAGE_CLOSE || slot->stage == STAGE_GLOBALS;
    const int64_t chunks = whole ? 1 : queue->jobs[slot->item->job].chunks;
    if (slot->next >= chunks ||
        (slot->stage == STAGE_ENCODE && slot->next >= slot->folded + QUEUE_AHEAD)) {
        return false;
    }
    *unit = (Unit){slot, slot->stage, {0}, 0, slot->next++};
    return true;
}

/* The oldest open item that has a unit; false if none has. */
static bool take_open(Queue *queue, Unit *unit) {
    for (uint64_t age = 0;;) {
        Slot *oldest = NULL;
        for (int i = 0; i < queue->slot_count; i++) {
            Slot *slot = &queue->slots[i];
            if (slot->item && slot->age >= age && (!oldest || slot->age < oldest->age)) {
                oldest = slot;
            }
        }
        if (!oldest) {
            return false;
        }
        age = oldest->age + 1;
        if (take_from(queue, oldest, unit)) {
            return true;
        }
    }
}

Taken queue_take(Queue *queue, Unit *unit) {
    while (!take_open(queue, unit)) {
        Slot *unused = NULL;
        bool all_free = true;
        for (int i = 0; i < queue->slot_count; i++) {
            unused = queue->slots[i].item ? unused : &queue->slots[i];
            all_free = all_free && !queue->slots[i].item;
        }
        if (!unused || queue->next_item == queue->items.len) {
            return all_free ? TAKEN_END : TAKEN_WAIT;
        }
        open_item(queue, unused);
    }
    return TAKEN_UNIT;
}

static void fold_metrics(Queue *queue, Slot *slot, int64_t chunk, const KernelMetrics *metrics) {
    slot->metrics[chunk % QUEUE_AHEAD] = *metrics;
    slot->ready[chunk % QUEUE_AHEAD] = true;
    KernelMetrics *sum = &queue->schedule->jobs.at[slot->item->job].metrics;
    while (slot->ready[slot->folded % QUEUE_AHEAD]) {
        slot->ready[slot->folded % QUEUE_AHEAD] = false;
        kernel_metrics_add(sum, &slot->metrics[slot->folded % QUEUE_AHEAD]);
        slot->folded++;
    }
}

void queue_complete(Queue *queue, const Unit *unit, const KernelMetrics *metrics) {
    Slot *slot = unit->slot;
    if (unit->stage == STAGE_COPY) {
        queue->done += unit->bytes;
        return;
    }
    const QueueJob *job = &queue->jobs[slot->item->job];
    slot->done++;
    if (unit->stage == STAGE_CLOSE) {
        slot->pass++;
        enter(queue, slot, STAGE_SURVEY);
    } else if (unit->stage == STAGE_GLOBALS) {
        enter(queue, slot, STAGE_ENCODE);
    } else {
        const int64_t share = job->bytes / job->chunks;
        queue->done +=
            (uint64_t)(slot->done < job->chunks ? share : job->bytes - share * (job->chunks - 1));
        if (unit->stage == STAGE_ENCODE) {
            fold_metrics(queue, slot, unit->chunk, metrics);
        }
        if (slot->done == job->chunks) {
            enter(queue, slot, unit->stage == STAGE_SURVEY ? STAGE_CLOSE : STAGE_GONE);
        }
    }
}
