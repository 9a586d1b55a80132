/* An arena for all tests of a program, and nothing left of it. */
#ifndef TESTS_UNIT_ONE_ARENA_H
#define TESTS_UNIT_ONE_ARENA_H
#include "runtime/base/alloc.h"
#include "tests/unit/unit.h"

static Arena *arena;

static inline int open_arena(void **state) {
    (void)state;
    arena = arena_open();
    return 0;
}

static inline int close_arena(void **state) {
    (void)state;
    arena_close(arena);
    return alloc_live() == 0 ? 0 : -1;
}

#endif
