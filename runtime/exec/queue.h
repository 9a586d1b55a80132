/* The order of work. Segments become items, in their order: a run of copies, or a job. A few items
 * are open at a time, one per slot: a worker takes the next unit of the oldest open item that has
 * one, opens the next item when none has, or is told to wait. One slot more than there are workers
 * keeps them busy while a stage of one job waits for its last chunk.
 *
 * Nothing here is locked, and nothing allocates after queue_open: callers hold one lock. */
#ifndef RUNTIME_EXEC_QUEUE_H
#define RUNTIME_EXEC_QUEUE_H
#include "runtime/exec/schedule.h"

enum {
    QUEUE_COPY = 8 << 20, /* bytes of copying in a unit */
    QUEUE_AHEAD = 64      /* chunks of a job that may be done before its oldest one is */
};

typedef enum Stage {
    STAGE_COPY,
    STAGE_SURVEY,  /* chunks of pass 0, 1, ... */
    STAGE_CLOSE,   /* of a pass, once all its chunks are folded in */
    STAGE_GLOBALS, /* outputs that belong to no chunk */
    STAGE_ENCODE,  /* chunks */
    STAGE_GONE
} Stage;

/* A run of copies (segments [first, first + count), job -1) or a job. */
typedef struct QueueItem {
    int job;
    size_t first, count;
} QueueItem;

typedef struct QueueTarget {
    bool wanted;
    int file;
    uint64_t offset;
} QueueTarget;

typedef struct QueueJob {
    int64_t chunks, bytes; /* bytes: of the source */
    int surveys;
    bool globals;
    QueueTarget target[OUT_COUNT];
} QueueJob;

/* Where copying goes on: byte `done` of a segment. */
typedef struct Cursor {
    size_t segment;
    uint64_t done;
} Cursor;

/* An open item. */
typedef struct Slot {
    const QueueItem *item; /* NULL: the slot is free */
    uint64_t age;
    Stage stage;
    Cursor cursor; /* STAGE_COPY */
    void *state;   /* survey state of the job */
    int pass;
    int64_t next, done;      /* chunks of this stage: taken, completed */
    int64_t folded;          /* STAGE_ENCODE: metrics added, always the first ones */
    bool ready[QUEUE_AHEAD]; /* metrics[chunk % QUEUE_AHEAD] waits to be added */
    KernelMetrics metrics[QUEUE_AHEAD];
} Slot;

typedef struct Unit {
    Slot *slot;
    Stage stage;
    Cursor cursor; /* STAGE_COPY: from here, `bytes` bytes */
    uint64_t bytes;
    int64_t chunk;
} Unit;

typedef struct Queue {
    Schedule *schedule;
    QueueJob *jobs; /* one per Schedule.jobs */
    Vec(QueueItem) items;
    size_t next_item;
    Slot *slots;
    int slot_count;
    uint64_t ages;
    uint64_t done, total; /* bytes copied and, per pass, read by kernels */
} Queue;

typedef enum Taken { TAKEN_UNIT, TAKEN_WAIT, TAKEN_END } Taken;

/* Plans; resets the metrics of all jobs. queue_slots follows, when the number is known. */
void queue_open(Queue *queue, Schedule *schedule, Arena *arena);
void queue_slots(Queue *queue, int count, size_t state_size, Arena *arena);
Taken queue_take(Queue *queue, Unit *unit);
/* metrics: of the chunk, STAGE_ENCODE only. */
void queue_complete(Queue *queue, const Unit *unit, const KernelMetrics *metrics);
const Kernel *queue_kernel(const Queue *queue, const Slot *slot);

#endif
