/* Which GPUs there are and whether they can be used, asked in a child process: a driver that hangs,
 * crashes or prints costs the caller nothing but the time allowed. The caller's process keeps no
 * driver. Texts come from the driver and are sanitised by whoever prints them. */
#ifndef RUNTIME_DEVICE_GPU_PROBE_H
#define RUNTIME_DEVICE_GPU_PROBE_H
#include "runtime/base/session.h"

enum { GPU_PROBE_GPUS = 64, GPU_PROBE_TEXT = 256 };

typedef struct GpuFound {
    char name[GPU_PROBE_TEXT];
    int arch;                     /* 90: sm_90 */
    uint64_t total, unused;       /* bytes of its memory */
    char trouble[GPU_PROBE_TEXT]; /* why it cannot be used; empty: it can */
} GpuFound;

typedef struct GpuProbe {
    int version;                      /* of the driver: 13000; 0: not known */
    char trouble[2 * GPU_PROBE_TEXT]; /* why there are no (more) GPUs; empty: all are here */
    int count;
    GpuFound gpu[GPU_PROBE_GPUS];
} GpuProbe;

/* Never fails: what went wrong is in `trouble`. Gives up after so many seconds, or when the session
 * is stopped. */
void gpu_probe(Session *s, double seconds, GpuProbe *out);
#endif
