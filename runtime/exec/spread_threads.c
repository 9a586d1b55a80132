/* Indices are handed out one by one under the lock of the pool (spread_threads.h). */
#include "runtime/exec/spread_threads.h"

struct SpreadThreads {
    Spread spread;
    const Session *session;
    Pool pool;
    SpreadTask *task; /* NULL: nothing to do; it and the rest under Pool.lock */
    void *user;
    size_t next, count, busy; /* handed out; of all; at work on one */
};

/* One index of the run under way; false if none is left, or the user has stopped. Holds the lock
 * before and after. */
static bool take_one(SpreadThreads *t) {
    if (!t->task || t->next == t->count || session_stopped(t->session)) {
        return false;
    }
    SpreadTask *const task = t->task;
    const size_t index = t->next++;
    t->busy++;
    pthread_mutex_unlock(&t->pool.lock);
    task(t->user, index);
    pthread_mutex_lock(&t->pool.lock);
    t->busy--;
    if (t->busy == 0) {
        pthread_cond_broadcast(&t->pool.finished);
    }
    return true;
}

static void work(void *user, int worker) {
    (void)worker;
    SpreadThreads *t = user;
    pthread_mutex_lock(&t->pool.lock);
    while (!t->pool.quit) {
        if (!take_one(t)) {
            pthread_cond_wait(&t->pool.changed, &t->pool.lock);
        }
    }
    pthread_mutex_unlock(&t->pool.lock);
}

static bool run_alone(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    const SpreadThreads *t = spread->owner;
    for (size_t i = 0; i < count; i++) {
        if (session_stopped(t->session)) {
            return false;
        }
        task(user, i);
    }
    return true;
}

static bool run(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    SpreadThreads *t = spread->owner;
    pthread_mutex_lock(&t->pool.lock);
    t->task = task;
    t->user = user;
    t->next = 0;
    t->count = count;
    if (count > 1) {
        pthread_cond_broadcast(&t->pool.changed);
    }
    while (take_one(t)) {
    }
    while (t->busy > 0) {
        pthread_cond_wait(&t->pool.finished, &t->pool.lock);
    }
    t->task = NULL;
    const bool all = t->next == t->count;
    pthread_mutex_unlock(&t->pool.lock);
    return all;
}

SpreadThreads *spread_threads_open(Session *s) {
    SpreadThreads *t = arena_new(s->arena, SpreadThreads);
    t->session = s;
    const int others = s->threads > LIMIT_THREADS ? LIMIT_THREADS - 1 : s->threads - 1;
    if (others > 0) {
        pool_open(s, &t->pool, others, work, t);
    }
    t->spread = (Spread){t->pool.started > 0 ? run : run_alone, t};
    return t;
}

const Spread *spread_threads(const SpreadThreads *t) {
    return &t->spread;
}

void spread_threads_close(Session *s, SpreadThreads *t) {
    if (t && t->pool.work) {
        pool_close(s, &t->pool);
    }
}
