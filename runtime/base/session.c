/* Opening and closing of a compile's context. session_close releases everything that is still
 * held, so it is also what an unwinding morc_main calls. */
#include "runtime/base/session.h"
#include "runtime/base/alloc.h"
#include "runtime/base/limits.h"
#include <sched.h>

static int usable_processors(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > LIMIT_THREADS ? LIMIT_THREADS : n;
}

Session *session_open(const Sys *sys) {
    Arena *arena = arena_open();
    AllocGuard guard;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump)) {
        arena_close(arena); /* nobody else knows it yet */
        alloc_failed(guard.wanted);
    }
    Session *s = arena_new(arena, Session);
    s->arena = arena;
    s->names = interner_on(arena);
    s->diags.arena = arena;
    s->sys = sys;
    s->threads = usable_processors();
    alloc_guard_pop(&guard);
    return s;
}

void session_on_close(Session *s, Cleanup *c, void (*run)(Session *, void *), void *owner) {
    *c = (Cleanup){run, owner, s->cleanups, NULL};
    if (s->cleanups) {
        s->cleanups->newer = c;
    }
    s->cleanups = c;
}

void session_forget(Session *s, Cleanup *c) {
    if (!c->run) {
        return;
    }
    *(c->newer ? &c->newer->older : &s->cleanups) = c->older;
    if (c->older) {
        c->older->newer = c->newer;
    }
    *c = (Cleanup){0};
}

static void close_arena(Session *s, void *arena) {
    (void)s;
    arena_close(arena);
}

Arena *session_arena_open(Session *s) {
    Arena *arena = arena_open();
    AllocGuard guard;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump)) {
        arena_close(arena); /* nobody else knows it yet */
        alloc_failed(guard.wanted);
    }
    Cleanup *cleanup = arena_new(arena, Cleanup);
    alloc_guard_pop(&guard);
    session_on_close(s, cleanup, close_arena, arena);
    return arena;
}

void session_arena_close(Session *s, Arena *arena) {
    for (Cleanup *c = s->cleanups; c && arena; c = c->older) {
        if (c->run == close_arena && c->owner == arena) {
            session_forget(s, c);
            arena_close(arena);
            return;
        }
    }
}

void session_close(Session *s) {
    if (!s) {
        return;
    }
    while (s->cleanups) {
        Cleanup c = *s->cleanups;
        session_forget(s, s->cleanups);
        c.run(s, c.owner);
    }
    arena_close(s->arena);
}

bool session_stopped(const Session *s) {
    return s->stop && atomic_load_explicit(s->stop, memory_order_relaxed) != 0;
}
