/* See flusher.h. */
#include "runtime/base/flusher.h"
#include <signal.h>
#include <time.h>

enum { PAUSE = 20 /* milliseconds between two calls: a disk writes tens of MB in that time */ };

static struct timespec after_pause(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += PAUSE * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    return t;
}

static void *flush(void *user) {
    Flusher *f = user;
    pthread_mutex_lock(&f->lock);
    while (!f->stop) {
        const struct timespec until = after_pause();
        pthread_cond_timedwait(&f->stopped, &f->lock, &until);
        if (!f->stop) {
            pthread_mutex_unlock(&f->lock);
            f->sys->start_writeback(f->fd, 0, 0); /* 0 bytes: to the end */
            pthread_mutex_lock(&f->lock);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

void flusher_start(Flusher *f, const Sys *sys, int fd) {
    *f = (Flusher){.sys = sys, .fd = fd};
    pthread_condattr_t clock;
    sigset_t all, before;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&f->stopped, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&f->lock, NULL);
    sigfillset(&all); /* handlers run in the main thread */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    f->started = pthread_create(&f->thread, NULL, flush, f) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void flusher_stop(Flusher *f) {
    if (f->started) {
        pthread_mutex_lock(&f->lock);
        f->stop = true;
        pthread_cond_signal(&f->stopped);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
        pthread_cond_destroy(&f->stopped);
        pthread_mutex_destroy(&f->lock);
        f->started = false;
    }
}
