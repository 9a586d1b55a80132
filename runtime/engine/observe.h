/* The op mor.Observe (domain "mor", version 1, attribute `slot`: int): hands its input on as its
 * output and shows it to an observer on the way. Any type of floats, any shape. The output is the
 * input's own memory where the library can do that; EngineCounts says how many bytes were copied.
 * It runs on the CPU: in a model that runs on a GPU the library copies the tensor out and in.
 * A pass-through runs right before what reads it, so nothing lives longer for being observed. */
#ifndef RUNTIME_ENGINE_OBSERVE_H
#define RUNTIME_ENGINE_OBSERVE_H
#include "runtime/base/spread.h"
#include "runtime/engine/engine.h"

#define OBSERVE_DOMAIN "mor"
#define OBSERVE_OP "Observe"
#define OBSERVE_SLOT "slot"

/* What see() gives when nothing behind this tensor is of interest: the run ends there and counts as
 * done, but has no outputs. The graph stays whole, so what runs has the bits of a whole run. */
extern const char observe_enough[];

/* see() is called on a thread that runs the model, for one tensor at a time; x is valid during the
 * call and must not be written. `spread` runs tasks on the engine's own threads. NULL is success; a
 * constant text fails the run, which says it with the node's name. It may allocate: an allocation
 * that fails fails the run. Tasks of `spread` must not. */
typedef struct EngineObserver {
    void *user;
    const char *(*see)(void *user, int64_t slot, const EngineTensor *x, const Spread *spread);
} EngineObserver;

#endif
