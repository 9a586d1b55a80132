/* What a child process gives up before it works on texts that may be hostile, in two steps:
 * confine_begin when it is born, confine_end when it has loaded all that it needs. After that it
 * can open nothing (no descriptors left; Landlock, where the kernel has it), gain no rights, write
 * no file and no core, and it is limited in memory and processor time. It dies with its parent at
 * any moment. It may still ask whether a name exists, and use the one descriptor that it kept. */
#ifndef RUNTIME_DEVICE_CONFINE_H
#define RUNTIME_DEVICE_CONFINE_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "runtime/base/sys.h"

enum { CONFINE_FD = 3 /* what `keep` becomes */ };

/* Signals as a fresh program has them, but SIGINT is ignored: the terminal sends it to us as well,
 * and it is the parent who decides. All descriptors but `keep` are closed, the first three lead
 * nowhere. False: the parent is gone already, or that could not be done. */
bool confine_begin(const Sys *sys, int keep, pid_t parent);

typedef struct ConfineLimits {
    uint64_t memory; /* bytes that may be had on top of what is mapped now */
    int seconds;     /* of processor time, for the whole life from here on */
} ConfineLimits;

/* False: a limit could not be set, and the process must not go on. *landlock: it is in force. */
bool confine_end(const Sys *sys, const ConfineLimits *limits, bool *landlock);

/* From now on the process is killed (SIGXCPU) after that many more seconds of processor time. */
void confine_time(int seconds);

#endif
