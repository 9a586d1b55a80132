/* A session for each test, and nothing left of it. */
#ifndef TESTS_UNIT_ONE_SESSION_H
#define TESTS_UNIT_ONE_SESSION_H
#include "runtime/base/alloc.h"
#include "tests/unit/unit.h"

static Session *s;

static inline int setup(void **state) {
    (void)state;
    s = session_open(&sys_real);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    session_close(s);
    return alloc_live() == 0 ? 0 : -1;
}

#endif
