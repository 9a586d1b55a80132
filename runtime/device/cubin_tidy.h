/* Keeps the folder of the cubin cache small: temporaries that a killed process left go after an
 * hour, and when the entries take more than `limit` bytes, the oldest go until three quarters of it
 * are left. Nobody is locked out and nothing is waited for: whoever reads an entry that goes has it
 * open, and whoever wants it later compiles again. Failures are ignored: the next run tries. */
#ifndef RUNTIME_DEVICE_CUBIN_TIDY_H
#define RUNTIME_DEVICE_CUBIN_TIDY_H
#include <time.h>
#include "runtime/base/arena.h"
#include "runtime/base/sys.h"

enum { CUBIN_TEMP_SIZE = 48, CUBIN_TEMP_SECONDS = 3600 };

void cubin_temp_name(char name[CUBIN_TEMP_SIZE], pid_t pid, unsigned number);
void cubin_tidy(const Sys *sys, int dir, const char *path, uint64_t limit, time_t now,
                Arena *scratch);
#endif
