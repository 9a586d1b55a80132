/* The context argument of every stage: one compile, its memory, its messages, its way to the
 * system. No other state is shared between stages; there are no globals but const tables. */
#ifndef RUNTIME_BASE_SESSION_H
#define RUNTIME_BASE_SESSION_H
#include <stdatomic.h>
#include <stdio.h>
#include "runtime/base/diag.h"
#include "runtime/base/map.h"
#include "runtime/base/sys.h"

/* Something that must be let go of even when an allocation failure unwinds past its owner: an open
 * file, running threads. Lives inside its owner; session_close calls what is left, newest first. */
typedef struct Cleanup {
    void (*run)(struct Session *s, void *owner);
    void *owner;
    struct Cleanup *older, *newer;
} Cleanup;

typedef struct Session {
    Arena *arena; /* dies with the compile */
    Interner names;
    Diags diags;
    const Sys *sys;
    int threads;      /* workers, >= 1 */
    uint64_t memory;  /* cap in bytes for tensors in flight; 0 = default */
    atomic_int *stop; /* set by the signal handler to the signal's number; NULL in tests */
    /* Called as work proceeds, from the main thread only; NULL = silent. */
    void (*progress)(void *user, const char *pass, uint64_t done, uint64_t total);
    void *progress_user;
    Cleanup *cleanups; /* newest */
} Session;

Session *session_open(const Sys *sys); /* threads = the processors this process may use */
void session_close(Session *s);        /* NULL is fine */
bool session_stopped(const Session *s);
void session_on_close(Session *s, Cleanup *c, void (*run)(Session *, void *), void *owner);
void session_forget(Session *s, Cleanup *c); /* no harm when it was forgotten already */
/* An arena for a part of the compile, which a failed allocation does not leak. */
Arena *session_arena_open(Session *s);
void session_arena_close(Session *s, Arena *arena); /* NULL is fine */

/* Returns false from the calling function if x is false: whoever failed has reported. */
#define TRY(x)                                                                                     \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

#endif
