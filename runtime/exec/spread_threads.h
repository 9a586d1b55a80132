/* A Spread on threads of our own, for work between runs of exec and of an engine: they are started
 * once and wait between two runs. The caller's thread works, too. A run that the user stops ends
 * behind the tasks at hand, and is false. */
#ifndef RUNTIME_EXEC_SPREAD_THREADS_H
#define RUNTIME_EXEC_SPREAD_THREADS_H
#include "runtime/base/spread.h"
#include "runtime/exec/pool.h"

typedef struct SpreadThreads SpreadThreads;

/* Session.threads of them, the caller's included; on the session's arena until it is closed. */
SpreadThreads *spread_threads_open(Session *s);
const Spread *spread_threads(const SpreadThreads *threads);
void spread_threads_close(Session *s, SpreadThreads *threads); /* NULL is fine */

#endif
