/* How much memory a process may take before the machine, or the group of processes it belongs to,
 * has none: MemAvailable of /proc/meminfo (what is free, and what the kernel can drop), and the
 * room below the limit of the control group, version 2 or 1; the smaller one. 0: the system does
 * not say. A hint that is old when it is read: nothing that decides a bit may depend on it. */
#ifndef RUNTIME_BASE_FREE_MEMORY_H
#define RUNTIME_BASE_FREE_MEMORY_H
#include "runtime/base/sys.h"

uint64_t free_memory(const Sys *sys);

#endif
