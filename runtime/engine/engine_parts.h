/* What the files of runtime/engine share, and nobody else includes. Objects of the library are kept
 * in these structs from the moment they are made, never on a stack across an allocation of ours:
 * one that fails unwinds past every frame, and the session's cleanups release what is here. */
#ifndef RUNTIME_ENGINE_ENGINE_PARTS_H
#define RUNTIME_ENGINE_ENGINE_PARTS_H
#include "runtime/base/limits.h"
#include "runtime/engine/observe.h"
#include "runtime/engine/ort_abi.h"

enum { ENGINE_TEXT = 2000, ENGINE_RANK = LIMIT_RANK }; /* bytes of a message; dimensions */

/* The op as the library sees it, one for each model: `op` is first, so that the pointer which the
 * library gives back leads to the rest. */
typedef struct ObserveOp {
    OrtCustomOp op;
    const OrtCalls *call;
    const EngineObserver *observer;
    EngineCounts counts;
    char failed[ENGINE_TEXT]; /* "NODE: TEXT" of the observer that ended the run */
    bool enough;              /* an observer ended it, content */
} ObserveOp;

void observe_op(ObserveOp *o, const OrtCalls *call, const EngineObserver *observer);

struct Engine {
    Session *s;
    void *library;
    OrtCalls call;
    OrtEnv *env;
    OrtMemoryInfo *host;
    OrtAllocator *allocator;               /* the library's, not ours to release */
    Str version, path, providers, why_cpu; /* each NUL-terminated */
    EngineProvider provider;
    int gpu;
    EngineModel *models; /* newest */
    Cleanup cleanup;
};

struct EngineModel {
    Session *s;
    Engine *engine;
    EngineModel *older;
    ObserveOp observe;
    OrtDomain *domain;
    OrtSession *session;
    EnginePort *inputs, *outputs;
    size_t input_count, output_count;
    Arena *scratch; /* of one run: names, dims, the arrays below */
    ArenaMark empty;
    bool finishes; /* EngineLoad's */
    OrtValue **in, **out;
    size_t in_count, out_count;
    OrtRunOptions *run;
    struct { /* while it is loaded */
        OrtSessionOptions *options;
        OrtCudaOptions *cuda;
        OrtTypeInfo *type;
        char *name;
    } held;
    Cleanup cleanup;
};

/* Takes the status. True when there is none; else *why is "DOING: what the library says". */
bool engine_ok(const Engine *e, OrtStatus *status, const char *doing, Str *why);
/* Whether a version is 1.LEAST or later. */
bool engine_at_least(Str version, uint64_t least);
/* Adds the provider to options; `held` keeps the provider's own until it is released. */
bool engine_add_cuda(const Engine *e, OrtSessionOptions *options, OrtCudaOptions **held, Str *why);
/* dims: room for ENGINE_RANK. The status when it is not a tensor that can be looked at. */
OrtStatus *engine_view(const OrtCalls *call, const OrtValue *value, int64_t *dims,
                       EngineTensor *out);
/* Whether each slot is what it is taken for, by running a model of one node. */
bool engine_selftest(Session *s, Engine *e, Str *why);
/* Ends the run of `m` from the start, for the self-test: what RunOptionsSetTerminate does. */
bool engine_run_stops(EngineModel *m, const EngineTensor *in, Str output, Str *why);

#endif
