/* Which device runs the kernels of a schedule, and why, in one line. `auto` takes a GPU when one
 * can be used and the work is worth starting it; the bytes are the same either way. */
#ifndef COMPILER_DEVICE_CHOICE_H
#define COMPILER_DEVICE_CHOICE_H
#include "compiler/args.h"
#include "runtime/engine/engine.h"
#include "runtime/exec/exec.h"

typedef struct DeviceChoice {
    Gpu *gpu; /* NULL: the host */
    Str name; /* "host", "cuda:0" */
    Str why;  /* "4.3 MB take less time than a GPU takes to start" */
} DeviceChoice;

/* Forks the compile child, which an engine's threads would forbid later: for recipes with data,
 * before the engine is opened. NULL: --device host, or it cannot be had, which device_choose will
 * say. */
Jit *device_compiler(Session *s, const Args *args, const char *(*get)(const char *variable));
/* timed: measure the GPU's parts (morc bench). compiler: device_compiler's, which is closed here;
 * NULL: is forked if a GPU is wanted. False: --device cuda cannot be had (E1106, reported). */
bool device_choose(Session *s, const Args *args, const Schedule *schedule,
                   const char *(*get)(const char *variable), bool timed, Jit *compiler,
                   DeviceChoice *out);
/* Who runs the model on data: CUDA where the engine and the machine have it, unless --device host.
 */
EngineWish device_engine(const Args *args, const char *(*get)(const char *variable));
/* Seconds that the host would take with so many threads: a rule of thumb. */
double device_host_seconds(const Schedule *schedule, int threads);
#endif
