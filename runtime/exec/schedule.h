/* A schedule: where each byte of each output file comes from. Plain data, filled by the compiler,
 * run by exec; nothing in it is named twice. */
#ifndef RUNTIME_EXEC_SCHEDULE_H
#define RUNTIME_EXEC_SCHEDULE_H
#include "kernels/kernels.h"
#include "runtime/base/file.h"

typedef struct ScheduleFile {
    Str path; /* final name of the output */
    uint64_t size;
} ScheduleFile;

/* One kernel over one weight tensor. Where its outputs go is said by the segments that name it; an
 * output that no segment names is not stored. */
typedef struct ScheduleJob {
    Kernel kernel;
    const void *source;    /* the whole tensor; mapped or on an arena until exec_run ends */
    Str name;              /* of the tensor, for -d schedule */
    KernelMetrics metrics; /* result; meaningless unless exec_run returned true */
} ScheduleJob;

typedef enum SegmentKind { SEGMENT_MEMORY, SEGMENT_INPUT, SEGMENT_KERNEL } SegmentKind;

typedef struct ScheduleSegment {
    SegmentKind kind;
    int file;              /* index in Schedule.files */
    uint64_t offset, size; /* in that file */
    union {
        const void *data; /* SEGMENT_MEMORY: `size` bytes */
        struct {          /* SEGMENT_INPUT: copied by the kernel of the system where possible */
            const Input *input;
            uint64_t input_offset;
        };
        struct {     /* SEGMENT_KERNEL: size == kernel_output_size(job's kernel, out) */
            int job; /* index in Schedule.jobs */
            KernelOutput out;
        };
    };
} ScheduleSegment;

/* Segments are in ascending (file, offset) order and cover each file without holes or overlaps
 * (exec_run asserts schedule_check). Vectors lie on an arena that outlives the run. */
typedef struct Schedule {
    Vec(ScheduleFile) files;
    Vec(ScheduleSegment) segments;
    Vec(ScheduleJob) jobs;
} Schedule;

/* One line per file, job and segment; stable, no addresses: `-d schedule` and golden tests. */
void schedule_print(const Schedule *schedule, Buf *out);

/* The rules above; NULL if they hold, else which one does not (a bug of the caller). */
const char *schedule_check(const Schedule *schedule);

#endif
