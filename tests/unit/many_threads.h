/* A Spread over plain threads, for tests: the same bits must come out with any number of them. */
#ifndef TESTS_UNIT_MANY_THREADS_H
#define TESTS_UNIT_MANY_THREADS_H
#include "runtime/base/spread.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

typedef struct ThreadedRun {
    SpreadTask *task;
    void *user;
    size_t count;
    atomic_size_t next;
} ThreadedRun;

static void *threaded_worker(void *argument) {
    ThreadedRun *run = argument;
    for (size_t i; (i = atomic_fetch_add(&run->next, 1)) < run->count;) {
        run->task(run->user, i);
    }
    return NULL;
}

static bool threaded_run(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    pthread_t threads[16];
    const size_t n = (size_t)(uintptr_t)spread->owner;
    ThreadedRun run = {.task = task, .user = user, .count = count};
    for (size_t i = 0; i < n; i++) {
        if (pthread_create(&threads[i], NULL, threaded_worker, &run) != 0) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    return true;
}

static inline Spread many_threads(size_t n) /* at most 16 */
{
    return (Spread){threaded_run, (void *)(uintptr_t)n};
}

#endif
