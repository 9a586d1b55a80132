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
#include "kernels/kernels.h"
#include "runtime/base/file.h"

typedef struct ScheduleFile {
    Str path;                /* final name of the output */
    uint64_t size;
} ScheduleFile;

/* One kernel over one weight tensor. Where its outputs go is said by the segments that name it; an
 * output that no segment names is not stored. */
typedef struct ScheduleJob {
    Kernel kernel;
    const void *source;      /* the whole tensor; lives (mapped or on an arena) until exec_run ends */
    Str name;                /* of the tensor, for -d schedule */
    KernelMetrics metrics;   /* result; meaningless unless exec_run returned true */
} ScheduleJob;

typedef enum SegmentKind { SEGMENT_MEMORY, SEGMENT_INPUT, SEGMENT_KERNEL } SegmentKind;

typedef struct ScheduleSegment {
    SegmentKind kind;
    int file;                /* index in Schedule.files */
    uint64_t offset, size;   /* in that file */
    union {
        const void *data;    /* SEGMENT_MEMORY: `size` bytes */
        struct {             /* SEGMENT_INPUT: copied by the kernel of the system where possible */
            const Input *input;
            uint64_t input_offset;
        };
        struct {             /* SEGMENT_KERNEL: size == kernel_output_size(job's kernel, out) */
            int job;         /* index in Schedule.jobs */
            KernelOutput out;
        };
    };
} ScheduleSegment;

/* Segments are in ascending (file, offset) order and cover each file without holes or overlaps
 * (schedule_check says so in debug builds). Vectors lie on an arena that outlives the run. */
typedef struct Schedule {
    Vec(ScheduleFile) files;
    Vec(ScheduleSegment) segments;
    Vec(ScheduleJob) jobs;
} Schedule;

typedef struct ExecTimes {
    uint64_t bytes_copied;   /* MEMORY and INPUT segments */
    uint64_t bytes_source;   /* read by kernels, surveys not counted */
    uint64_t bytes_encoded;  /* written by kernels */
    double seconds_copy, seconds_survey, seconds_encode, seconds_write; /* summed over threads */
    double seconds_total;    /* wall clock of exec_run */
    int threads;             /* that really ran */
    size_t memory;           /* bytes taken for scratch, outputs, staging and state */
} ExecTimes;

/* Opens files[i] (an Output for each Schedule.files[i], caller's array) and writes everything into
 * them: nothing is synced or committed. False: reported (or stopped), every Output is discarded and
 * files[] is all NULL. `times` may be NULL. */
bool exec_run(Session *s, Schedule *schedule, Output **files, ExecTimes *times);

/* One line per file, job and segment; stable, no addresses: `-d schedule` and golden tests. */
void schedule_print(const Schedule *schedule, Buf *out);

/* The rules above; NULL if they hold, else which one does not (a bug of the caller). */
const char *schedule_check(const Schedule *schedule);

#endif
