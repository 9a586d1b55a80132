/* POSIX threads. A session that closes while threads run (an allocation failure of the main thread)
 * stops and joins them first: session cleanups do it. */
#include "runtime/exec/pool.h"
#include <errno.h>
#include <signal.h>
#include <time.h>

static void *run(void *argument) {
    Pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    int worker = pool->numbered++;
    pthread_mutex_unlock(&pool->lock);
    pool->work(pool->user, worker);
    pthread_mutex_lock(&pool->lock);
    pool->running--;
    pthread_cond_broadcast(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void stop_and_join(Session *s, void *owner) {
    (void)s;
    Pool *pool = owner;
    pool_quit(pool);
    for (int i = 0; i < pool->started; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_cond_destroy(&pool->changed);
    pthread_cond_destroy(&pool->finished);
    pthread_mutex_destroy(&pool->lock);
}

void pool_open(Session *s, Pool *pool, int threads, void (*work)(void *user, int worker),
               void *user) {
    *pool = (Pool){.work = work, .user = user};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pthread_cond_init(&pool->finished, NULL);
    session_on_close(s, &pool->cleanup, stop_and_join, pool);
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* faults of the thread itself: file.c handles them */
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_mutex_lock(&pool->lock);
    while (pool->started < threads &&
           pthread_create(&pool->threads[pool->started], NULL, run, pool) == 0) {
        pool->started++;
        pool->running++;
    }
    pthread_mutex_unlock(&pool->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pool->started == 0) {
        work(user, 0);
    }
}

void pool_quit(Pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_wait(Pool *pool, int milliseconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += milliseconds * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&pool->lock);
    int waited = 0;
    while (pool->running > 0 && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&pool->finished, &pool->lock, &until);
    }
    bool finished = pool->running == 0;
    pthread_mutex_unlock(&pool->lock);
    return finished;
}

void pool_close(Session *s, Pool *pool) {
    session_forget(s, &pool->cleanup);
    stop_and_join(s, pool);
}
