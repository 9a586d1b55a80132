/* Where kernels run. The host is the only device yet; a GPU's will offer the same three acts:
 * survey a chunk, encode a chunk, give the outputs that belong to no chunk. Callers own all memory:
 * device_need says how much one worker must bring, so nothing is allocated while kernels run. */
#ifndef RUNTIME_DEVICE_DEVICE_H
#define RUNTIME_DEVICE_DEVICE_H
#include <pthread.h>
#include "kernels/kernels.h"

typedef struct DeviceNeed {
    size_t scratch, outputs; /* bytes for each worker */
    size_t state;            /* bytes for each worker's partial survey state, and for each job's */
} DeviceNeed;

/* One worker's memory: of at least the sizes in DeviceNeed, aligned to 16. */
typedef struct DeviceSpace {
    void *scratch, *partial;
    uint8_t *outputs;
} DeviceSpace;

typedef struct DeviceResult {
    struct {
        const uint8_t *data;  /* in DeviceSpace.outputs, valid until that worker's next act */
        int64_t offset, size; /* where it belongs in that output; size 0: nothing */
    } out[OUT_COUNT];
    KernelMetrics metrics; /* device_encode: of this chunk */
} DeviceResult;

/* Grows `need` to what this kernel takes. */
void device_need(const Kernel *k, DeviceNeed *need);
/* Whether some output of the kernel comes from device_globals. */
bool device_has_globals(const Kernel *k);

/* Folds a chunk into `state`, which other workers fold into as well: `lock` guards it. */
void device_survey(const Kernel *k, int pass, int64_t chunk, const void *source, void *state,
                   pthread_mutex_t *lock, const DeviceSpace *space);
void device_encode(const Kernel *k, int64_t chunk, const void *source, const void *state,
                   const DeviceSpace *space, DeviceResult *result);
/* After the last survey pass was closed. */
void device_globals(const Kernel *k, const void *state, const DeviceSpace *space,
                    DeviceResult *result);

#endif
