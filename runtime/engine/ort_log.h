/* What the library logs: kept, not printed. The library has one logger for the process, set by the
 * first that opens it and in use until it is unloaded, so what it writes into must be there as
 * long: the one place of this layer whose state is the process's. Its threads log, too. */
#ifndef RUNTIME_ENGINE_ORT_LOG_H
#define RUNTIME_ENGINE_ORT_LOG_H
#include <stddef.h>
#include "runtime/engine/ort_abi.h"

enum { ORT_LOG_BYTES = 1000 };

/* An OrtLogFunction; `user` is not used. Keeps the newest warning or error. */
void ort_log_keep(void *user, int severity, const char *category, const char *id, const char *where,
                  const char *message);
/* The newest message, cut to ORT_LOG_BYTES - 1 bytes; forgets it. Its length. */
size_t ort_log_take(char out[ORT_LOG_BYTES]);

#endif
