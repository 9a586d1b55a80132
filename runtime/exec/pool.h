/* Threads that work until there is nothing left or somebody says quit. The pool owns the one lock
 * of its users; signals are blocked in its threads, so handlers run in the main thread. Workers
 * never allocate and never report: they leave results for whoever joins them. */
#ifndef RUNTIME_EXEC_POOL_H
#define RUNTIME_EXEC_POOL_H
#include <pthread.h>
#include "runtime/base/limits.h"
#include "runtime/base/session.h"

typedef struct Pool {
    pthread_mutex_t lock;
    pthread_cond_t changed;  /* something was done: look for work again */
    pthread_cond_t finished; /* `running` is 0 */
    bool quit;               /* under lock: end after the unit at hand */
    int started, running, numbered;
    pthread_t threads[LIMIT_THREADS];
    void (*work)(void *user, int worker);
    void *user;
    Cleanup cleanup;
} Pool;

/* Starts up to `threads` threads that call work(user, worker) once each, worker = 0, 1, ...; runs
 * it in the calling thread when the system gives none. pool_close quits, waits, and frees. */
void pool_open(Session *s, Pool *pool, int threads, void (*work)(void *user, int worker),
               void *user);
void pool_quit(Pool *pool);
bool pool_wait(Pool *pool, int milliseconds); /* true: all have returned */
void pool_close(Session *s, Pool *pool);

#endif
