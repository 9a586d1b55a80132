/* Opening the library: the first candidate that is there, new enough and does what it should. */
#include "runtime/engine/engine.h"
#include <dlfcn.h>
#include <stdio.h>
#include "runtime/base/sanitize.h"
#include "runtime/engine/engine_find.h"
#include "runtime/engine/engine_parts.h"
#include "runtime/engine/ort_log.h"

#define NEEDED "ONNX Runtime 1.18 or later"
_Static_assert(ORT_ABI_VERSION == 18, "the texts say so");

/* "FILE:LINE FUNCTION [ONNXRuntimeError] : 1 : FAIL : TEXT\n" -> "TEXT": the place is of use to the
 * library's authors only. Messages may hold others, so it is done again. */
static void trim(char text[ENGINE_TEXT]) {
    const char *mark = "[ONNXRuntimeError] : ";
    for (const char *at = strstr(text, mark); at; at = strstr(text, mark)) {
        at += strlen(mark);
        for (int i = 0; i < 2; i++) { /* the number and the name of the code */
            const char *end = strstr(at, " : ");
            at = end ? end + strlen(" : ") : at;
        }
        memmove(text, at, strlen(at) + 1);
    }
    for (size_t n = strlen(text); n > 0 && strchr(" \n", text[n - 1]); n--) {
        text[n - 1] = 0;
    }
}

bool engine_ok(const Engine *e, OrtStatus *status, const char *doing, Str *why) {
    if (!status) {
        return true;
    }
    char text[ENGINE_TEXT]; /* an allocation that fails must find the status released */
    const char *said = e->call.GetErrorMessage(status);
    snprintf(text, sizeof text, "%s", said ? said : "");
    e->call.ReleaseStatus(status);
    trim(text);
    if (!text[0] && ort_log_take(text) == 0) {
        snprintf(text, sizeof text, "it does not say why");
    }
    *why = str_safe(e->s->arena, str_format(e->s->arena, "%s: %s", doing, text));
    return false;
}

/* ---- the table */

typedef struct Slot {
    int index;
    size_t field; /* in OrtCalls */
    const char *name;
} Slot;

static const Slot slots[] = {
#define X(index, name, result, arguments) {index, offsetof(OrtCalls, name), #name},
    ORT_SLOTS(X)
#undef X
};
enum { SLOTS = sizeof slots / sizeof slots[0] };
_Static_assert(sizeof(OrtCalls) == SLOTS * sizeof(void *), "OrtCalls has pointers only");

/* A slot that does not lead into the library itself is none. */
static bool fill_table(Engine *e, const OrtTable *table, const Dl_info *home, Str *why) {
    for (int i = 0; i < SLOTS; i++) {
        void *entry;
        Dl_info info;
        memcpy(&entry, (const char *)table + (size_t)slots[i].index * sizeof entry, sizeof entry);
        if (!entry || dladdr(entry, &info) == 0 || info.dli_fbase != home->dli_fbase) {
            *why = str_format(e->s->arena, "its table has no %s", slots[i].name);
            return false;
        }
        memcpy((char *)&e->call + slots[i].field, &entry, sizeof entry);
    }
    return true;
}

bool engine_at_least(Str version, uint64_t least) {
    uint64_t major, minor;
    const size_t m = str_digits(version, &major);
    if (m == 0 || m >= version.len || version.data[m] != '.' ||
        str_digits(str_slice(version, m + 1, version.len), &minor) == 0) {
        return false;
    }
    return major > 1 || (major == 1 && minor >= least);
}

static bool read_table(Engine *e, Str *why) {
    Arena *arena = e->s->arena;
    void *symbol = dlsym(e->library, ORT_BASE_SYMBOL);
    OrtGetBase *get_base;
    memcpy(&get_base, &symbol, sizeof symbol);
    Dl_info home;
    const OrtBase *base = symbol && dladdr(symbol, &home) != 0 ? get_base() : NULL;
    if (!base || !base->GetVersionString || !base->GetApi) {
        *why = STR("it is not ONNX Runtime: it has no " ORT_BASE_SYMBOL);
        return false;
    }
    e->path = str_safe(arena, str_copy(arena, str_from(home.dli_fname)));
    e->version = str_safe(arena, str_copy(arena, str_from(base->GetVersionString())));
    if (!engine_at_least(e->version, ORT_ABI_VERSION)) { /* GetApi would print a line by itself */
        *why = str_format(arena, "it is version %.*s; 1.%d is the oldest that will do",
                          STR_ARG(e->version), ORT_ABI_VERSION);
        return false;
    }
    const OrtTable *table = base->GetApi(ORT_ABI_VERSION);
    if (!table) {
        *why = str_format(arena, "it is version %.*s, but has no interface of version %d",
                          STR_ARG(e->version), ORT_ABI_VERSION);
        return false;
    }
    return fill_table(e, table, &home, why);
}

/* ---- providers */

/* Of those built in the ones that morc uses, in the library's order: "CUDA, CPU". */
static void list_providers(char **names, int count, char text[ENGINE_TEXT]) {
    static const char *const used[][2] = {{"CUDAExecutionProvider", "CUDA"},
                                          {"CPUExecutionProvider", "CPU"}};
    text[0] = 0;
    for (int i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof used / sizeof *used; k++) {
            const size_t at = strlen(text);
            if (names[i] && strcmp(names[i], used[k][0]) == 0) {
                snprintf(text + at, ENGINE_TEXT - at, "%s%s", at ? ", " : "", used[k][1]);
            }
        }
    }
}

static bool read_providers(Engine *e, Str *why) {
    char text[ENGINE_TEXT]; /* the list must be released before anything is allocated */
    char **names = NULL;
    int count = 0;
    TRY(engine_ok(e, e->call.GetAvailableProviders(&names, &count), "listing providers", why));
    list_providers(names, names ? count : 0, text);
    OrtStatus *status = e->call.ReleaseAvailableProviders(names, count);
    e->providers = str_copy(e->s->arena, str_from(text));
    return engine_ok(e, status, "listing providers", why);
}

/* Products in float32 as they are written, not in TF32; convolutions not by whichever algorithm was
 * fastest in a trial. */
bool engine_add_cuda(const Engine *e, OrtSessionOptions *options, OrtCudaOptions **held, Str *why) {
    char ordinal[16];
    snprintf(ordinal, sizeof ordinal, "%d", e->gpu);
    const char *const keys[] = {"device_id", "use_tf32", "cudnn_conv_algo_search"};
    const char *const values[] = {ordinal, "0", "DEFAULT"};
    const size_t count = sizeof keys / sizeof *keys;
    const OrtCalls *call = &e->call;
    return engine_ok(e, call->CreateCUDAProviderOptions(held), "CUDA", why) &&
           engine_ok(e, call->UpdateCUDAProviderOptions(*held, keys, values, count), "CUDA", why) &&
           engine_ok(e, call->SessionOptionsAppendExecutionProvider_CUDA_V2(options, *held), "CUDA",
                     why);
}

/* Loads a model of one node on the GPU: what is missing shows itself then. */
static bool choose_provider(Session *s, Engine *e, const EngineWish *wish, Str *why) {
    if (wish->provider == ENGINE_CPU) {
        return true;
    }
    e->gpu = wish->gpu;
    Str reason = {0};
    if (!strstr(e->providers.data, "CUDA")) {
        reason = str_format(s->arena,
                            "ONNX Runtime %.*s (%.*s) is built without CUDA: `pip "
                            "install onnxruntime-gpu` has it",
                            STR_ARG(e->version), STR_ARG(e->path));
    } else {
        e->provider = ENGINE_CUDA;
        if (engine_selftest(s, e, &reason)) {
            return true;
        }
        e->provider = ENGINE_CPU;
    }
    e->why_cpu = reason;
    *why = reason;
    return wish->provider == ENGINE_AUTO;
}

/* ---- opening */

static void release(Session *s, void *owner) {
    Engine *e = owner;
    while (e->models) {
        engine_unload(s, e->models);
    }
    if (e->host) {
        e->call.ReleaseMemoryInfo(e->host);
    }
    if (e->env) {
        e->call.ReleaseEnv(e->env);
    }
    if (e->library) {
        dlclose(e->library);
    }
    *e = (Engine){.s = s};
}

void engine_close(Session *s, Engine *e) {
    if (e) {
        session_forget(s, &e->cleanup);
        release(s, e);
    }
}

static bool start(Session *s, Engine *e, Str *why) {
    const OrtCalls *call = &e->call;
    return read_table(e, why) &&
           engine_ok(e,
                     call->CreateEnvWithCustomLogger(ort_log_keep, NULL, ORT_LOG_WARNING, "morc",
                                                     &e->env),
                     "starting it", why) &&
           engine_ok(e, call->DisableTelemetryEvents(e->env), "starting it", why) &&
           engine_ok(e,
                     call->CreateCpuMemoryInfo(ORT_ALLOCATOR_DEVICE, ORT_MEMORY_DEFAULT, &e->host),
                     "starting it", why) &&
           engine_ok(e, call->GetAllocatorWithDefaultOptions(&e->allocator), "starting it", why) &&
           read_providers(e, why) && engine_selftest(s, e, why);
}

/* One candidate. RTLD_LOCAL: it carries libraries that others have, too. RTLD_NODELETE: its threads
 * end with destructors of its own, which must be there then. *missing: there is no such file. */
static Engine *try_library(Session *s, Str path, Str *why, bool *missing) {
    Engine *e = arena_new(s->arena, Engine);
    e->s = s;
    session_on_close(s, &e->cleanup, release, e);
    e->library = dlopen(path.data, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    *missing = false;
    if (!e->library) {
        const Str said = str_from(dlerror());
        *missing = str_starts(said, path) && str_ends(said, STR("No such file or directory"));
        *why = str_safe(s->arena, str_copy(s->arena, said));
    } else {
        Str problem;
        if (start(s, e, &problem)) {
            return e;
        }
        *why = str_format(s->arena, "%s: %.*s", str_safe_c(s->arena, path), STR_ARG(problem));
    }
    engine_close(s, e);
    return NULL;
}

/* The sentence when nothing will do; first: against a library that is there. */
static Str explain(Session *s, const EngineCandidates *list, Str first) {
    const char *how = "`pip install onnxruntime` brings " NEEDED
                      "; MORC_ORT names its libonnxruntime.so, or the folder that has it";
    if (first.len > 0) {
        return str_format(s->arena, "%.*s; %s", STR_ARG(first), how);
    }
    if (list->asked.len > 0) {
        return str_format(s->arena, "MORC_ORT is %s, but no libonnxruntime.so is there; %s",
                          str_safe_c(s->arena, list->asked), how);
    }
    return str_format(s->arena, "ONNX Runtime is not installed; %s", how);
}

Engine *engine_open(Session *s, const EngineWish *wish, Str *why) {
    const EngineCandidates list = engine_find(s, wish->get);
    Str first = {0};
    for (size_t i = 0; i < list.paths.len; i++) {
        Str problem;
        bool missing;
        Engine *e = try_library(s, list.paths.at[i], &problem, &missing);
        if (e && choose_provider(s, e, wish, why)) {
            return e;
        }
        if (e) {
            engine_close(s, e);
            return NULL;
        }
        first = first.len == 0 && !missing ? problem : first;
    }
    *why = explain(s, &list, first);
    return NULL;
}

Engine *engine_need(Session *s, const EngineWish *wish, Span at) {
    Str why = {0};
    Engine *e = engine_open(s, wish, &why);
    if (!e && !session_stopped(s)) {
        Diag *d = diag_error(s, "E1108", at, "this needs an engine that runs the model");
        diag_line(d, "%.*s", STR_ARG(why));
        diag_help(d,
                  "morc doctor shows the engine that is found; steps on weights alone need none");
    }
    return e;
}

Str engine_version(const Engine *e) {
    return e->version;
}

Str engine_path(const Engine *e) {
    return e->path;
}

Str engine_providers(const Engine *e) {
    return e->providers;
}

EngineProvider engine_provider(const Engine *e) {
    return e->provider;
}

Str engine_why_cpu(const Engine *e) {
    return e->why_cpu;
}
