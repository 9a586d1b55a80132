/* Loading a model: options, the observers' op, the session of the library, its inputs and outputs.
 */
#include "runtime/base/sanitize.h"
#include "runtime/engine/engine_parts.h"

static void release(Session *s, void *owner) {
    (void)s;
    EngineModel *m = owner;
    const OrtCalls *call = &m->engine->call;
    if (m->scratch) {
        engine_release_outputs(m);
        arena_close(m->scratch);
        m->scratch = NULL;
    }
    if (m->held.name) {
        OrtStatus *status = call->AllocatorFree(m->engine->allocator, m->held.name);
        if (status) {
            call->ReleaseStatus(status);
        }
    }
    if (m->held.type) {
        call->ReleaseTypeInfo(m->held.type);
    }
    if (m->held.options) {
        call->ReleaseSessionOptions(m->held.options);
    }
    if (m->held.cuda) {
        call->ReleaseCUDAProviderOptions(m->held.cuda);
    }
    if (m->session) {
        call->ReleaseSession(m->session);
    }
    if (m->domain) {
        call->ReleaseCustomOpDomain(m->domain); /* after the session, which calls it */
    }
    EngineModel **link = &m->engine->models;
    while (*link != m) {
        link = &(*link)->older;
    }
    *link = m->older;
}

void engine_unload(Session *s, EngineModel *m) {
    if (m && m->engine) {
        session_forget(s, &m->cleanup);
        release(s, m);
        m->engine = NULL;
    }
}

/* ---- ports */

static bool read_symbols(EngineModel *m, const OrtShapeInfo *shape, EnginePort *p, Str *why) {
    const char *names[ENGINE_RANK] = {NULL}; /* the type's */
    const Engine *e = m->engine;
    TRY(engine_ok(e, e->call.GetSymbolicDimensions(shape, names, (size_t)p->rank),
                  "reading a shape", why));
    Str *symbols = arena_many(m->s->arena, Str, (size_t)p->rank);
    for (int i = 0; i < p->rank; i++) {
        symbols[i] = str_copy(m->s->arena, str_from(names[i]));
    }
    p->symbols = symbols;
    return true;
}

static bool read_shape(EngineModel *m, const OrtShapeInfo *shape, EnginePort *p, Str *why) {
    const Engine *e = m->engine;
    size_t rank = 0;
    int64_t *dims = arena_many(m->s->arena, int64_t, ENGINE_RANK);
    TRY(engine_ok(e, e->call.GetTensorElementType(shape, &p->type), "reading a type", why));
    TRY(engine_ok(e, e->call.GetDimensionsCount(shape, &rank), "reading a shape", why));
    if (rank > ENGINE_RANK) {
        return true; /* which morc does not read either */
    }
    TRY(engine_ok(e, e->call.GetDimensions(shape, dims, rank), "reading a shape", why));
    p->dims = dims;
    p->rank = (int)rank;
    return read_symbols(m, shape, p, why);
}

typedef struct Asking { /* for inputs, or for outputs */
    OrtStatus *(*name)(const OrtSession *, size_t i, OrtAllocator *, char **);
    OrtStatus *(*type)(const OrtSession *, size_t i, OrtTypeInfo **);
} Asking;

static bool read_port(EngineModel *m, const Asking *ask, size_t i, EnginePort *p, Str *why) {
    const Engine *e = m->engine;
    *p = (EnginePort){.rank = -1};
    TRY(engine_ok(e, ask->name(m->session, i, e->allocator, &m->held.name), "reading a name", why));
    p->name = str_copy(m->s->arena, str_from(m->held.name));
    char *name = m->held.name;
    m->held.name = NULL;
    TRY(engine_ok(e, e->call.AllocatorFree(e->allocator, name), "reading a name", why));
    TRY(engine_ok(e, ask->type(m->session, i, &m->held.type), "reading a type", why));
    const OrtShapeInfo *shape = NULL; /* the type's; NULL: no tensor */
    TRY(engine_ok(e, e->call.CastTypeInfoToTensorInfo(m->held.type, &shape), "reading a type",
                  why));
    TRY(!shape || read_shape(m, shape, p, why));
    e->call.ReleaseTypeInfo(m->held.type);
    m->held.type = NULL;
    return true;
}

static bool read_ports(EngineModel *m, Str *why) {
    const OrtCalls *call = &m->engine->call;
    const Asking in = {call->SessionGetInputName, call->SessionGetInputTypeInfo};
    const Asking out = {call->SessionGetOutputName, call->SessionGetOutputTypeInfo};
    TRY(engine_ok(m->engine, call->SessionGetInputCount(m->session, &m->input_count),
                  "reading the inputs", why));
    TRY(engine_ok(m->engine, call->SessionGetOutputCount(m->session, &m->output_count),
                  "reading the outputs", why));
    m->inputs = arena_many(m->s->arena, EnginePort, m->input_count);
    m->outputs = arena_many(m->s->arena, EnginePort, m->output_count);
    for (size_t i = 0; i < m->input_count; i++) {
        TRY(read_port(m, &in, i, &m->inputs[i], why));
    }
    for (size_t i = 0; i < m->output_count; i++) {
        TRY(read_port(m, &out, i, &m->outputs[i], why));
    }
    return true;
}

/* ---- loading */

static bool set_options(EngineModel *m, const EngineLoad *load, Str *why) {
    static const int levels[] = {[ENGINE_BASIC] = ORT_LEVEL_BASIC,
                                 [ENGINE_NONE] = ORT_LEVEL_NONE,
                                 [ENGINE_EXTENDED] = ORT_LEVEL_EXTENDED,
                                 [ENGINE_ALL] = ORT_LEVEL_ALL};
    const Engine *e = m->engine;
    const OrtCalls *call = &e->call;
    TRY(engine_ok(e, call->CreateSessionOptions(&m->held.options), "options", why));
    OrtSessionOptions *options = m->held.options;
    TRY(engine_ok(
        e, call->SetIntraOpNumThreads(options, load->threads > 0 ? load->threads : m->s->threads),
        "threads", why));
    TRY(engine_ok(e, call->SetSessionGraphOptimizationLevel(options, levels[load->level]),
                  "optimization", why));
    m->finishes = load->finishes;
    TRY(!load->no_arena || engine_ok(e, call->DisableCpuMemArena(options), "memory", why));
    TRY(!load->no_pattern || engine_ok(e, call->DisableMemPattern(options), "memory", why));
    if (load->folder.len > 0) {
        const char *key = "session.model_external_initializers_file_folder_path";
        TRY(engine_ok(e, call->AddSessionConfigEntry(options, key, str_c(m->scratch, load->folder)),
                      "external data", why));
    }
    if (load->file) {
        const char *name = str_c(m->scratch, load->file->name);
        char *bytes = (char *)(uintptr_t)load->file->bytes; /* which the library only reads */
        TRY(engine_ok(e,
                      call->AddExternalInitializersFromFilesInMemory(options, &name, &bytes,
                                                                     &load->file->size, 1),
                      "external data", why));
    }
    return e->provider != ENGINE_CUDA || engine_add_cuda(e, options, &m->held.cuda, why);
}

static bool add_observers(EngineModel *m, const EngineObserver *observer, Str *why) {
    const Engine *e = m->engine;
    observe_op(&m->observe, &e->call, observer);
    return engine_ok(e, e->call.CreateCustomOpDomain(OBSERVE_DOMAIN, &m->domain), "observers",
                     why) &&
           engine_ok(e, e->call.CustomOpDomain_Add(m->domain, &m->observe.op), "observers", why) &&
           engine_ok(e, e->call.AddCustomOpDomain(m->held.options, m->domain), "observers", why);
}

static bool load_model(EngineModel *m, const EngineLoad *load, Str *why) {
    const Engine *e = m->engine;
    TRY(set_options(m, load, why) && add_observers(m, load->observer, why));
    enum { EXTERNAL = 21 }; /* 1.20 reads external data of a model in memory, but not all of it */
    const bool loaded = engine_ok(e,
                                  e->call.CreateSessionFromArray(e->env, load->bytes, load->size,
                                                                 m->held.options, &m->session),
                                  "loading the model", why);
    if (!loaded && load->folder.len > 0 && !engine_at_least(e->version, EXTERNAL)) {
        *why = str_format(m->s->arena,
                          "%.*s (it has external data, for which ONNX Runtime 1.%d or later is "
                          "needed; this is %.*s)",
                          STR_ARG(*why), EXTERNAL, STR_ARG(e->version));
    }
    TRY(loaded);
    e->call.ReleaseSessionOptions(m->held.options);
    m->held.options = NULL;
    return read_ports(m, why);
}

EngineModel *engine_load(Session *s, Engine *e, const EngineLoad *load, Str *why) {
    EngineModel *m = arena_new(s->arena, EngineModel);
    m->s = s;
    m->engine = e;
    m->older = e->models;
    e->models = m;
    session_on_close(s, &m->cleanup, release, m);
    m->scratch = arena_open();
    m->empty = arena_mark(m->scratch);
    if (load_model(m, load, why)) {
        return m;
    }
    engine_unload(s, m);
    return NULL;
}

size_t engine_inputs(const EngineModel *m, const EnginePort **ports) {
    *ports = m->inputs;
    return m->input_count;
}

size_t engine_outputs(const EngineModel *m, const EnginePort **ports) {
    *ports = m->outputs;
    return m->output_count;
}

EngineCounts engine_counts(const EngineModel *m) {
    return m->observe.counts;
}
