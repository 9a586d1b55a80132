/* Work that may run on several threads, whoever owns them: the engine's own while a model runs,
 * ours otherwise. Code that takes a Spread cuts its work by the shapes alone, never by the number
 * of threads, so that its result has the same bits on any of them. */
#ifndef MORC_RUNTIME_BASE_SPREAD_H
#define MORC_RUNTIME_BASE_SPREAD_H

#include <stdbool.h>
#include <stddef.h>

typedef void SpreadTask(void *user, size_t index);

/* run() calls task(user, i) once for every i < count, in any order and on any threads, and returns
 * when all are done; false when some could not run, and the result must not be used. Tasks never
 * leave by longjmp. NULL in place of a Spread means one after the other, on this thread. */
typedef struct Spread {
    bool (*run)(const struct Spread *spread, SpreadTask *task, void *user, size_t count);
    void *owner;
} Spread;

static inline bool spread_run(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    if (spread) {
        return spread->run(spread, task, user, count);
    }
    for (size_t i = 0; i < count; i++) {
        task(user, i);
    }
    return true;
}

#endif
