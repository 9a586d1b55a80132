/* A table of system calls in which the nth call fails: once, or that one and every later one.
 * Also makes writes short. For tests that sweep n over a whole run. */
#ifndef TESTS_UNIT_FAULTY_SYS_H
#define TESTS_UNIT_FAULTY_SYS_H
#include "runtime/base/sys.h"
#include <stdatomic.h>
#include <stdbool.h>

extern const Sys sys_faulty;

/* From now on: call number `n` (from 1) fails with `error`; n = 0: none. Counts anew. Calls that
 * give things back (close, unmap, unlink) are counted but do their work all the same. */
void faulty_set(int64_t n, int error, bool persist);
void faulty_short_writes(bool on);
int64_t faulty_calls(void);  /* since faulty_set */
int64_t faulty_open_files(void); /* opened through the table and not closed */

#endif
