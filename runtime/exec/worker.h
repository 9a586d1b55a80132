/* One thread of a run: its memory, its place on the GPU if there is one, and what it does with a
 * unit. Units of kernels go to the GPU where it takes them (worker_begin) and are ended later
 * (worker_end, oldest first); everything else is done at once (worker_run). What a GPU fails to do,
 * worker_end does on the host. */
#ifndef RUNTIME_EXEC_WORKER_H
#define RUNTIME_EXEC_WORKER_H
#include "runtime/base/output.h"
#include "runtime/device/gpu_lane.h"
#include "runtime/exec/exec.h"
#include "runtime/exec/pool.h"
#include "runtime/exec/queue.h"

typedef struct Worker {
    DeviceSpace space;
    uint8_t *staging; /* WORKER_STAGING bytes */
    GpuLane *lane;    /* NULL: the host alone */
    Unit begun[GPU_SLOTS];
    int first, count; /* of begun: a ring; a unit's place in it is its slot of the lane */
    ExecTimes times;  /* of this worker */
} Worker;

enum { WORKER_STAGING = 256 << 10 /* small segments are gathered here and written together */ };

/* What all workers of a run see. */
typedef struct Shared {
    Session *s;
    Schedule *schedule;
    Output **files;
    Pool pool;
    Queue queue; /* under pool.lock */
} Shared;

/* 0 or an errno value, with the file that failed. */
typedef struct Outcome {
    int error;
    int file;
} Outcome;

/* False: not one for the GPU, or it does not take it. */
bool worker_begin(Shared *run, Worker *w, const Unit *unit);
/* Of the unit begun first: waits, writes; metrics: of an encoded chunk. */
Outcome worker_end(Shared *run, Worker *w, Unit *unit, KernelMetrics *metrics);
Outcome worker_run(Shared *run, Worker *w, const Unit *unit, KernelMetrics *metrics);
#endif
