/* A thread that sends what others write to a file on to the disk, from the page cache, while they go
 * on; the fsync at the end then finds little to do. Writers that did it themselves would wait for
 * the disk. Only a hint (Sys.start_writeback): nothing fails, nothing depends on it. */
#ifndef RUNTIME_BASE_FLUSHER_H
#define RUNTIME_BASE_FLUSHER_H
#include <pthread.h>
#include <stdbool.h>
#include "runtime/base/sys.h"

typedef struct Flusher {
    const Sys *sys;
    int fd; /* stays open until flusher_stop */
    bool started, stop;
    pthread_t thread;
    pthread_mutex_t lock; /* of `stop` */
    pthread_cond_t stopped;
} Flusher;

void flusher_start(Flusher *f, const Sys *sys, int fd); /* *f stays where it is */
void flusher_stop(Flusher *f); /* waits for the thread; zeros, or stopped before, is fine */

#endif
