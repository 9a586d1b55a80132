/* Runs a schedule: plain data that says where every byte of every output file comes from. Nothing
 * is decided here and nothing is named twice; sizes, offsets and kernels are the compiler's.
 *
 * A schedule is cut into units (a chunk of a kernel, up to 8 MiB of copying) that threads take in
 * the order of the segments. Which thread runs a unit, and when, changes no byte of any result:
 * kernels are chunked independently of the thread count and metrics are added in chunk order.
 * Memory in flight: (threads) x (scratch, outputs and staging of one unit) + (threads + 1) x survey
 * state; all of it is taken before the first thread starts, fewer threads run when Session.memory
 * says so, and workers allocate nothing.
 *
 * Errors: E1102 by the first write that fails. Ctrl-C (Session.stop) ends a run between two units;
 * exec_run then returns false without a diagnostic: ask session_stopped. Values that are not finite
 * are counted in KernelMetrics; the caller reports them. */
#ifndef RUNTIME_EXEC_EXEC_H
#define RUNTIME_EXEC_EXEC_H
#include "runtime/device/gpu_lane.h"
#include "runtime/exec/schedule.h"

typedef struct ExecTimes {
    uint64_t bytes_copied;  /* MEMORY and INPUT segments */
    uint64_t bytes_source;  /* read by kernels, surveys not counted */
    uint64_t bytes_encoded; /* written by kernels */
    double seconds_copy, seconds_survey, seconds_encode, seconds_write; /* summed over threads */
    double seconds_total; /* wall clock of exec_run */
    /* with a GPU: gathering weights into pinned memory, waiting for it (over threads); its own */
    double seconds_read, seconds_wait;
    GpuTimes gpu;
    int threads, lanes; /* that really ran; those of them that had a place on the GPU */
    size_t memory;      /* bytes taken for scratch, outputs, staging, state and pinned memory */
} ExecTimes;

/* Opens files[i] (an Output for each Schedule.files[i], caller's array) and writes everything into
 * them: nothing is synced or committed. gpu: opened for the kernels of Schedule.jobs, in their
 * order; NULL: the host. What the GPU cannot do the host does; ask gpu_failure. False: reported (or stopped), every Output is discarded and
 * files[] is all NULL. `times` may be NULL. */
bool exec_run(Session *s, Schedule *schedule, Gpu *gpu, Output **files, ExecTimes *times);

#endif
