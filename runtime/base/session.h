/* The context argument of every stage: one compile, its memory, its messages, its way to the
 * system. No other state is shared between stages; there are no globals but const tables. */
#ifndef RUNTIME_BASE_SESSION_H
#define RUNTIME_BASE_SESSION_H
#include <stdatomic.h>
#include <stdio.h>
#include "runtime/base/diag.h"
#include "runtime/base/map.h"
#include "runtime/base/sys.h"

typedef struct Session {
    Arena *arena;        /* dies with the compile */
    Interner names;
    Diags diags;
    const Sys *sys;
    int threads;         /* workers, >= 1 */
    uint64_t memory;     /* cap in bytes for tensors in flight; 0 = default */
    atomic_int *stop;    /* set by the signal handler to the signal's number; NULL in tests */
    /* Called as work proceeds, from the main thread only; NULL = silent. */
    void (*progress)(void *user, const char *pass, uint64_t done, uint64_t total);
    void *progress_user;
} Session;

Session *session_open(const Sys *sys);
void session_close(Session *s);
bool session_stopped(const Session *s);

/* Returns false from the calling function if x is false: whoever failed has reported. */
#define TRY(x)                                                                                     \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

#endif
