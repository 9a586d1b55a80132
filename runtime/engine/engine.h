/* Runs ONNX models on ONNX Runtime, opened with dlopen: morc is built without it, and what needs no
 * run of a model never looks for it. Inputs are read and outputs are given where they lie in host
 * memory. An Engine and its models belong to the session, which closes what is left of them; one
 * thread at a time uses them. Functions that can fail give false or NULL and say why, sanitised,
 * on the session's arena: the caller reports it (engine_need does). Nothing is printed here. */
#ifndef RUNTIME_ENGINE_ENGINE_H
#define RUNTIME_ENGINE_ENGINE_H
#include "runtime/base/session.h"

typedef struct Engine Engine;
typedef struct EngineModel EngineModel;
struct EngineObserver; /* observe.h */

typedef struct EngineTensor {
    Str name;
    int type; /* TensorProto.DataType */
    int rank;
    const int64_t *dims;
    void *data;
    size_t size; /* bytes */
} EngineTensor;

/* ---- the library */

typedef enum EngineProvider {
    ENGINE_CPU,
    ENGINE_CUDA, /* or no engine */
    ENGINE_AUTO  /* CUDA where the library and the machine have it */
} EngineProvider;

typedef struct EngineWish {
    EngineProvider provider;
    int gpu;                                  /* ordinal, for CUDA */
    const char *(*get)(const char *variable); /* environment; NULL: every variable is unset */
} EngineWish;

/* Looked for where MORC_ORT says (a file or a folder; nowhere else then), beside the binary, in
 * build/venv when the binary lies in build/, in the loader's path. The first one is taken that is
 * new enough (1.18) and does what engine_selftest.c asks of it. Threads are started: whoever forks
 * (gpu_probe, jit_open) must have done so. */
Engine *engine_open(Session *s, const EngineWish *wish, Str *why);
/* The same; a failure is reported, unless the session is stopped: E1108, with the place of the step
 * that needs an engine. */
Engine *engine_need(Session *s, const EngineWish *wish, Span at);
void engine_close(Session *s, Engine *e); /* its models too; NULL is fine */

Str engine_version(const Engine *e);             /* "1.32.0" */
Str engine_path(const Engine *e);                /* of the library */
Str engine_providers(const Engine *e);           /* built into it and of use here: "CUDA, CPU" */
EngineProvider engine_provider(const Engine *e); /* that runs models: ENGINE_CPU or ENGINE_CUDA */
Str engine_why_cpu(const Engine *e);             /* ENGINE_AUTO, but not CUDA: the reason */

/* ---- a model */

typedef enum EngineLevel {               /* how the library may rewrite the graph */
                           ENGINE_BASIC, /* exact: constants, dead nodes, pairs that cancel */
                           ENGINE_NONE,
                           ENGINE_EXTENDED, /* fuses, by other arithmetic */
                           ENGINE_ALL
} EngineLevel;

/* Weights inside the bytes are held twice while the model is loaded, those in `folder` once (30 MB
 * of them: 53 MiB more, or 31). */
typedef struct EngineFile {
    Str name; /* as the model calls it */
    const void *bytes;
    size_t size;
} EngineFile;

typedef struct EngineLoad {
    const void *bytes; /* an ONNX file; borrowed until the model is closed */
    size_t size;
    Str folder;  /* of its external data (1.21 reads all of it); empty: it has none */
    const EngineFile *file; /* of external data, in memory, borrowed until it is loaded; or NULL */
    int threads;            /* 0: the session's */
    EngineLevel level;
    const struct EngineObserver *observer; /* of its mor.Observe nodes, borrowed; NULL: has none */
    bool no_arena;   /* every tensor is allocated by itself: lower peak, slower */
    bool finishes;   /* a run that has begun ends by itself, though the session is stopped */
    bool no_pattern; /* no plan of the memory by the shapes of earlier runs */
} EngineLoad;

typedef struct EnginePort { /* an input or output */
    Str name;
    int type;            /* 0: no tensor */
    int rank;            /* -1: unknown, or no tensor */
    const int64_t *dims; /* -1: unknown */
    const Str *symbols;  /* of each dimension; empty: it has none */
} EnginePort;

typedef struct EngineCounts { /* of mor.Observe nodes, since the model was loaded */
    uint64_t calls;
    uint64_t aliased, copied; /* bytes handed on in place, and by a copy */
} EngineCounts;

EngineModel *engine_load(Session *s, Engine *e, const EngineLoad *load, Str *why);
void engine_unload(Session *s, EngineModel *m); /* NULL is fine */
size_t engine_inputs(const EngineModel *m, const EnginePort **ports);
size_t engine_outputs(const EngineModel *m, const EnginePort **ports);
/* The tensors `in` are borrowed until the run ends. out[i] is the one called outputs[i]; it, its
 * name and dims are valid until engine_release_outputs or the next run. A session that is stopped
 * ends the run after the node at hand: false, "interrupted". A run that an observer has ended
 * (observe_enough) has no outputs: their data is NULL. */
bool engine_run(EngineModel *m, const EngineTensor *in, size_t in_count, const Str *outputs,
                size_t count, EngineTensor *out, Str *why);
void engine_release_outputs(EngineModel *m);
EngineCounts engine_counts(const EngineModel *m);

/* Bytes of `count` elements of a type; false: no type of fixed size, or too many. */
bool engine_type_bytes(int type, uint64_t count, size_t *bytes);

#endif
