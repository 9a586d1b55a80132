/* All heap memory of morc. An allocation that fails never returns: it jumps to the handler that
 * the innermost alloc_guard set (morc_main sets one, prints "out of memory", exits 4), so callers
 * check nothing. Worker threads must not allocate; their buffers are made before they start.
 *
 * alloc_fail_at(n) makes the n-th allocation from now fail (and every later one when `persist`),
 * for the tests that sweep over all of them. alloc_live() counts blocks not yet freed. */
#ifndef RUNTIME_BASE_ALLOC_H
#define RUNTIME_BASE_ALLOC_H
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size);           /* zeroed */
void *mem_resize(void *p, size_t size); /* new bytes are not zeroed */
void mem_free(void *p);
/* Like mem_alloc, but NULL when it fails: for code that no jump may leave. */
void *mem_try(size_t size);

typedef struct AllocGuard {
    jmp_buf jump;
    size_t wanted; /* size of the allocation that failed */
    struct AllocGuard *outer;
} AllocGuard;

/* Use: `alloc_guard_push(&g); if (setjmp(g.jump)) { failed } else { work } alloc_guard_pop(&g);`
 * A guard that was jumped to is popped already (popping it again does no harm), so what fails while
 * a failure is being handled goes to the outer guard. Guards belong to their thread. */
void alloc_guard_push(AllocGuard *guard);
void alloc_guard_pop(AllocGuard *guard);
/* What a failed allocation does; also for sizes that overflow, and to pass a failure on. */
_Noreturn void alloc_failed(size_t wanted);

void alloc_fail_at(int64_t n, bool persist); /* n >= 1; n < 1: never */
int64_t alloc_live(void);
int64_t alloc_count(void); /* allocations since the process began */

#endif
