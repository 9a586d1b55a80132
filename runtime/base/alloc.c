/* The one door to malloc. Counts blocks and fails on demand; keeps the handlers of the calling
 * thread in a list on that thread's stack. The counters are the only global state of the base. */
#include "runtime/base/alloc.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local AllocGuard *innermost;
static atomic_llong live, made;
static atomic_llong countdown; /* 1: the next allocation fails; 0: none does */
static atomic_bool persistent;

_Noreturn void alloc_failed(size_t wanted) {
    AllocGuard *guard = innermost;
    if (!guard) {
        fprintf(stderr, "morc: out of memory (%zu bytes wanted, nobody to handle it)\n", wanted);
        abort();
    }
    innermost = guard->outer;
    guard->wanted = wanted;
    longjmp(guard->jump, 1);
}

static bool must_fail(void) {
    atomic_fetch_add(&made, 1);
    long long left = atomic_load(&countdown);
    if (left < 1) {
        return false;
    }
    if (left > 1 || !atomic_load(&persistent)) {
        atomic_store(&countdown, left - 1); /* one that fails for ever stays at 1 */
    }
    return left == 1;
}

void *mem_try(size_t size) {
    void *p = must_fail() ? NULL : calloc(1, size ? size : 1);
    if (p) {
        atomic_fetch_add(&live, 1);
    }
    return p;
}

void *mem_alloc(size_t size) {
    void *p = mem_try(size);
    if (!p) {
        alloc_failed(size);
    }
    return p;
}

void *mem_resize(void *p, size_t size) {
    void *moved = must_fail() ? NULL : realloc(p, size ? size : 1);
    if (!moved) {
        alloc_failed(size); /* p is still allocated: its owner frees it */
    }
    if (!p) {
        atomic_fetch_add(&live, 1);
    }
    return moved;
}

void mem_free(void *p) {
    if (p) {
        atomic_fetch_sub(&live, 1);
        free(p);
    }
}

void alloc_guard_push(AllocGuard *guard) {
    guard->outer = innermost;
    guard->wanted = 0;
    innermost = guard;
}

void alloc_guard_pop(AllocGuard *guard) {
    if (innermost == guard) {
        innermost = guard->outer;
    }
}

void alloc_fail_at(int64_t n, bool persist) {
    atomic_store(&persistent, persist);
    atomic_store(&countdown, n >= 1 ? n : 0);
}

int64_t alloc_live(void) {
    return atomic_load(&live);
}

int64_t alloc_count(void) {
    return atomic_load(&made);
}
