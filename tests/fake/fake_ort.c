/* See fake_ort.h. Objects carry their kind; one lock guards the counts, as a run may be stopped
 * from another thread. */
#include "tests/fake/fake_ort.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/engine/ort_abi.h"
#include "tests/fake/failpoints.h"

#define EXPORT __attribute__((visibility("default")))

enum { SLOTS = 300, RANK = 8, COLUMNS = 3, NODE_SLOT = 5 };
enum { FREED, STATUS, ENV, MEMORY, OPTIONS, SESSION, RUN_OPTIONS, VALUE, TYPE, SHAPE };
enum { DOMAIN = SHAPE + 1, TEXT, LIST, CUDA };
typedef int Kind; /* one of these */

#define PLAIN(name)                                                                                \
    struct name {                                                                                  \
        Kind kind;                                                                                 \
    };
PLAIN(OrtEnv)
PLAIN(OrtMemoryInfo)
PLAIN(OrtCudaOptions)
PLAIN(OrtAllocator)
PLAIN(OrtKernelInfo)
struct OrtStatus {
    Kind kind;
    int code;
    char text[1000];
};
struct OrtSessionOptions {
    Kind kind;
    OrtDomain *domain;
};
struct OrtRunOptions {
    Kind kind;
    bool terminate;
};
struct OrtDomain {
    Kind kind;
    const OrtCustomOp *op;
};
struct OrtShapeInfo {
    Kind kind;
    int type;
    size_t rank;
    int64_t dims[RANK];
};
struct OrtTypeInfo {
    Kind kind;
    OrtShapeInfo shape;
};
struct OrtValue {
    Kind kind;
    OrtShapeInfo shape;
    void *data;
    bool owned;
};
struct OrtSession {
    Kind kind;
    const OrtCustomOp *op;
    void *kernel;
};
struct OrtKernelContext {
    OrtValue *in, *out;
};
struct OrtInferContext {
    OrtShapeInfo in;
    bool set;
};

static struct {
    bool known;
    int live;
    char version[32], table[64];
    const void *slots[SLOTS];
    OrtAllocator allocator;
} fake; /* a library that is loaded once has one state */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *setting(const char *variable, const char *otherwise) {
    const char *value = getenv(variable);
    return value && *value ? value : otherwise;
}

static void reset(void) {
    pthread_mutex_lock(&lock);
    memset(&fake, 0, sizeof fake);
    fake.known = true;
    failpoints_set(getenv("FAKE_ORT"));
    snprintf(fake.version, sizeof fake.version, "%s", setting("FAKE_ORT_VERSION", "1.21.0"));
    snprintf(fake.table, sizeof fake.table, "%s", setting("FAKE_ORT_TABLE", ""));
    pthread_mutex_unlock(&lock);
}

static bool lies(const char *entry) {
    return strncmp(fake.table, "lie:", 4) == 0 && strcmp(fake.table + 4, entry) == 0;
}

static void *make(size_t size, Kind kind) {
    Kind *object = calloc(1, size);
    if (!object) {
        abort();
    }
    *object = kind;
    pthread_mutex_lock(&lock);
    fake.live++;
    pthread_mutex_unlock(&lock);
    return object;
}
#define MAKE(type, kind) ((type *)make(sizeof(type), kind))

static void drop(void *object, Kind kind) {
    if (!object) {
        return;
    }
    if (*(Kind *)object != kind) {
        fprintf(stderr, "fake ONNX Runtime: a release of what is not live (kind %d)\n", kind);
        abort();
    }
    *(Kind *)object = FREED;
    pthread_mutex_lock(&lock);
    fake.live--;
    pthread_mutex_unlock(&lock);
    free(object);
}

static OrtStatus *refuse(int code, const char *text) {
    OrtStatus *status = MAKE(OrtStatus, STATUS);
    status->code = code;
    snprintf(status->text, sizeof status->text, "%s", text);
    return status;
}

/* What each call begins with: NULL, or the status it must return. */
static OrtStatus *enter(const char *entry) {
    pthread_mutex_lock(&lock);
    const int code = failpoint(entry);
    pthread_mutex_unlock(&lock);
    char text[200];
    snprintf(text, sizeof text,
             "x.cc:1 [ONNXRuntimeError] : 1 : FAIL : %s failed, as FAKE_ORT asks\n", entry);
    return code ? refuse(code, text) : NULL;
}

/* Calls that only may fail, that give something they know, and that make something. */
#define CALL(name, ...)                                                                            \
    static OrtStatus *name(__VA_ARGS__) {                                                          \
        return enter(#name);                                                                       \
    }
#define GIVES(name, value, ...)                                                                    \
    static OrtStatus *name(__VA_ARGS__) {                                                          \
        *out = (value);                                                                            \
        return enter(#name);                                                                       \
    }
#define MAKER(name, type, kind, ...)                                                               \
    static OrtStatus *name(__VA_ARGS__) {                                                          \
        OrtStatus *status = enter(#name);                                                          \
        if (!status) {                                                                             \
            *out = MAKE(type, kind);                                                               \
        }                                                                                          \
        return status;                                                                             \
    }

/* ---- statuses, the environment, options */

static OrtStatus *CreateStatus(int code, const char *message) {
    return refuse(code, message);
}

static int GetErrorCode(const OrtStatus *status) {
    return status->code;
}

static const char *GetErrorMessage(const OrtStatus *status) {
    return lies("GetErrorMessage") ? "something else" : status->text;
}

static OrtStatus *CreateEnvWithCustomLogger(OrtLogFunction *log, void *user, int severity,
                                            const char *id, OrtEnv **out) {
    OrtStatus *status = enter("CreateEnvWithCustomLogger");
    if (!status) {
        *out = MAKE(OrtEnv, ENV);
        log(user, 1, "fake", id, "here", "information");
        log(user, severity, "fake", id, "here", "a warning of the fake library");
    }
    return status;
}

CALL(DisableTelemetryEvents, const OrtEnv *env)
MAKER(CreateCpuMemoryInfo, OrtMemoryInfo, MEMORY, int allocator, int memory, OrtMemoryInfo **out)
GIVES(GetAllocatorWithDefaultOptions, &fake.allocator, OrtAllocator **out)
static OrtStatus *AllocatorFree(OrtAllocator *allocator, void *text) {
    drop((char *)text - sizeof(Kind), TEXT);
    return enter("AllocatorFree");
}

MAKER(CreateSessionOptions, OrtSessionOptions, OPTIONS, OrtSessionOptions **out)
CALL(DisableMemPattern, OrtSessionOptions *options)
CALL(DisableCpuMemArena, OrtSessionOptions *options)
CALL(SetSessionGraphOptimizationLevel, OrtSessionOptions *options, int level)
CALL(SetIntraOpNumThreads, OrtSessionOptions *options, int threads)
CALL(AddSessionConfigEntry, OrtSessionOptions *options, const char *key, const char *value)
CALL(AddExternalInitializersFromFilesInMemory, OrtSessionOptions *options,
     const char *const *names, char *const *files, const size_t *sizes, size_t count)
MAKER(CreateCustomOpDomain, OrtDomain, DOMAIN, const char *name, OrtDomain **out)
static OrtStatus *CustomOpDomain_Add(OrtDomain *domain, const OrtCustomOp *op) {
    domain->op = op;
    return enter("CustomOpDomain_Add");
}

static OrtStatus *AddCustomOpDomain(OrtSessionOptions *options, OrtDomain *domain) {
    options->domain = domain;
    return enter("AddCustomOpDomain");
}

static OrtStatus *GetAvailableProviders(char ***out, int *count) {
    static const char *const names[] = {"CUDAExecutionProvider", "CPUExecutionProvider"};
    OrtStatus *status = enter("GetAvailableProviders");
    if (!status) {
        Kind *list = make(sizeof(Kind) * 2 + sizeof names, LIST);
        *out = memcpy(list + 2, names, sizeof names);
        *count = 2;
    }
    return status;
}

static OrtStatus *ReleaseAvailableProviders(char **names, int count) {
    drop((Kind *)(void *)names - 2, LIST);
    return enter("ReleaseAvailableProviders");
}

MAKER(CreateCUDAProviderOptions, OrtCudaOptions, CUDA, OrtCudaOptions **out)
CALL(UpdateCUDAProviderOptions, OrtCudaOptions *options, const char *const *keys,
     const char *const *values, size_t count)
CALL(SessionOptionsAppendExecutionProvider_CUDA_V2, OrtSessionOptions *options,
     const OrtCudaOptions *cuda)
/* ---- shapes and values */

GIVES(CastTypeInfoToTensorInfo, &type->shape, const OrtTypeInfo *type, const OrtShapeInfo **out)
GIVES(GetTensorElementType, shape->type, const OrtShapeInfo *shape, int *out)
GIVES(GetDimensionsCount, shape->rank, const OrtShapeInfo *shape, size_t *out)
static OrtStatus *GetDimensions(const OrtShapeInfo *shape, int64_t *dims, size_t rank) {
    memcpy(dims, shape->dims, rank * sizeof *dims);
    dims[0] += lies("GetDimensions");
    return enter("GetDimensions");
}

static OrtStatus *GetSymbolicDimensions(const OrtShapeInfo *shape, const char **names,
                                        size_t rank) {
    for (size_t i = 0; i < rank; i++) {
        names[i] = shape->dims[i] < 0 ? "n" : "";
    }
    return enter("GetSymbolicDimensions");
}

static OrtStatus *GetTensorTypeAndShape(const OrtValue *value, OrtShapeInfo **out) {
    OrtStatus *status = enter("GetTensorTypeAndShape");
    if (!status) {
        *out = MAKE(OrtShapeInfo, SHAPE);
        **out = value->shape;
        (*out)->kind = SHAPE;
    }
    return status;
}

static OrtValue *new_value(const int64_t *dims, size_t rank, int type) {
    OrtValue *value = MAKE(OrtValue, VALUE);
    value->shape = (OrtShapeInfo){.type = type, .rank = rank};
    memcpy(value->shape.dims, dims, rank * sizeof *dims);
    return value;
}

static OrtStatus *CreateTensorWithDataAsOrtValue(const OrtMemoryInfo *info, void *data, size_t size,
                                                 const int64_t *dims, size_t rank, int type,
                                                 OrtValue **out) {
    OrtStatus *status = enter("CreateTensorWithDataAsOrtValue");
    if (!status) {
        *out = new_value(dims, rank, type);
        (*out)->data = data;
    }
    return status;
}

GIVES(IsTensor, 1, const OrtValue *value, int *out)
GIVES(GetTensorMutableData, value->data, OrtValue *value, void **out)
/* ---- sessions */

GIVES(SessionGetInputCount, 1, const OrtSession *session, size_t *out)
GIVES(SessionGetOutputCount, 1, const OrtSession *session, size_t *out)
static OrtStatus *give_name(const char *entry, char name, char **out) {
    OrtStatus *status = enter(entry);
    if (!status) {
        *out = (char *)make(sizeof(Kind) + 2, TEXT) + sizeof(Kind);
        (*out)[0] = name;
    }
    return status;
}

static OrtStatus *SessionGetInputName(const OrtSession *session, size_t i, OrtAllocator *allocator,
                                      char **out) {
    return give_name("SessionGetInputName", 'x', out);
}

static OrtStatus *SessionGetOutputName(const OrtSession *session, size_t i, OrtAllocator *allocator,
                                       char **out) {
    return give_name("SessionGetOutputName", 'y', out);
}

static OrtStatus *give_type(const char *entry, OrtTypeInfo **out) {
    OrtStatus *status = enter(entry);
    if (!status) {
        *out = MAKE(OrtTypeInfo, TYPE);
        (*out)->shape = (OrtShapeInfo){.type = 1, .rank = 2, .dims = {-1, COLUMNS}};
    }
    return status;
}

static OrtStatus *SessionGetInputTypeInfo(const OrtSession *session, size_t i, OrtTypeInfo **out) {
    return give_type("SessionGetInputTypeInfo", out);
}

static OrtStatus *SessionGetOutputTypeInfo(const OrtSession *session, size_t i, OrtTypeInfo **out) {
    return give_type("SessionGetOutputTypeInfo", out);
}

static OrtStatus *CreateSessionFromArray(const OrtEnv *env, const void *model, size_t size,
                                         const OrtSessionOptions *options, OrtSession **out) {
    OrtStatus *status = enter("CreateSessionFromArray");
    if (status) {
        return status;
    }
    const OrtCustomOp *op = options->domain->op;
    OrtInferContext infer = {.in = {.type = 1, .rank = 2, .dims = {-1, COLUMNS}}};
    const OrtKernelInfo info = {FREED};
    void *kernel = NULL;
    int *from, *to;
    if (op->GetAliasMap(&from, &to) == 1) {
        op->ReleaseAliasMap(from, to);
    }
    status = op->InferOutputShapeFn(op, &infer);
    status = status ? status : op->CreateKernelV2(op, NULL, &info, &kernel);
    if (!status) {
        *out = MAKE(OrtSession, SESSION);
        (*out)->op = op;
        (*out)->kernel = kernel;
    }
    return status;
}

MAKER(CreateRunOptions, OrtRunOptions, RUN_OPTIONS, OrtRunOptions **out)
static OrtStatus *RunOptionsSetTerminate(OrtRunOptions *options) {
    options->terminate = true;
    return enter("RunOptionsSetTerminate");
}

static OrtStatus *Run(OrtSession *session, const OrtRunOptions *options,
                      const char *const *in_names, const OrtValue *const *in, size_t in_count,
                      const char *const *out_names, size_t out_count, OrtValue **out) {
    OrtStatus *status = enter("Run");
    if (status) {
        return status;
    }
    if (options->terminate && !lies("Run")) {
        return refuse(ORT_FAIL, "terminated");
    }
    if (in_count != 1 || out_count != 1 || strcmp(in_names[0], "x") != 0 ||
        strcmp(out_names[0], "y") != 0) {
        return refuse(ORT_INVALID_ARGUMENT, "invalid name");
    }
    OrtKernelContext context = {.in = (OrtValue *)(uintptr_t)in[0]};
    status = session->op->KernelComputeV2(session->kernel, &context);
    out[0] = context.out;
    return status;
}

/* ---- what a custom op calls */

GIVES(KernelInfoGetAttribute_int64, strcmp(name, "slot") == 0 ? NODE_SLOT : -1,
      const OrtKernelInfo *info, const char *name, int64_t *out)
static OrtStatus *KernelInfo_GetNodeName(const OrtKernelInfo *info, char *out, size_t *size) {
    OrtStatus *status = enter("KernelInfo_GetNodeName");
    if (out) {
        snprintf(out, *size, "look");
    }
    *size = sizeof "look";
    return status;
}

GIVES(KernelContext_GetInput, context->in, const OrtKernelContext *context, size_t i,
      const OrtValue **out)
static OrtStatus *KernelContext_GetOutput(OrtKernelContext *context, size_t i, const int64_t *dims,
                                          size_t rank, OrtValue **out) {
    OrtStatus *status = enter("KernelContext_GetOutput");
    if (!status) {
        size_t count = 1;
        for (size_t k = 0; k < rank; k++) {
            count *= (size_t)dims[k];
        }
        context->out = *out = new_value(dims, rank, context->in->shape.type);
        context->out->data = calloc(count, 8);
        context->out->owned = true;
    }
    return status;
}

static OrtStatus *KernelContext_ParallelFor(const OrtKernelContext *context, OrtTaskFunction *task,
                                            size_t total, size_t batches, void *user) {
    OrtStatus *status = enter("KernelContext_ParallelFor");
    for (size_t i = lies("KernelContext_ParallelFor"); !status && i < total; i++) {
        task(user, i);
    }
    return status;
}

GIVES(ShapeInferContext_GetInputTypeShape, (OrtShapeInfo *)(uintptr_t)&context->in,
      const OrtInferContext *context, size_t i, OrtShapeInfo **out)
CALL(ShapeInferContext_SetOutputTypeShape, const OrtInferContext *context, size_t i,
     const OrtShapeInfo *shape)
/* ---- releasing */

#define RELEASE(name, type, kind)                                                                  \
    static void name(type *object) {                                                               \
        drop(object, kind);                                                                        \
    }
RELEASE(ReleaseEnv, OrtEnv, ENV)
RELEASE(ReleaseStatus, OrtStatus, STATUS)
RELEASE(ReleaseMemoryInfo, OrtMemoryInfo, MEMORY)
RELEASE(ReleaseRunOptions, OrtRunOptions, RUN_OPTIONS)
RELEASE(ReleaseTypeInfo, OrtTypeInfo, TYPE)
RELEASE(ReleaseTensorTypeAndShapeInfo, OrtShapeInfo, SHAPE)
RELEASE(ReleaseSessionOptions, OrtSessionOptions, OPTIONS)
RELEASE(ReleaseCustomOpDomain, OrtDomain, DOMAIN)
RELEASE(ReleaseCUDAProviderOptions, OrtCudaOptions, CUDA)

static void ReleaseSession(OrtSession *session) {
    session->op->KernelDestroy(session->kernel);
    drop(session, SESSION);
}

static void ReleaseValue(OrtValue *value) {
    if (value && value->owned) {
        free(value->data);
    }
    drop(value, VALUE);
}

/* ---- the table */

static void put(int index, const char *name, const void *entry) {
    const char *colon = strchr(fake.table, ':');
    const bool meant = colon && strcmp(colon + 1, name) == 0;
    fake.slots[index] = !meant || fake.table[0] == 'l' ? entry
                        : fake.table[0] == 's'         ? stderr
                                                       : NULL;
}

static const OrtTable *GetApi(uint32_t version) {
    if (version != ORT_ABI_VERSION || strcmp(fake.table, "none") == 0) {
        fprintf(stderr, "The requested API version [%u] is not available\n", version);
        return NULL;
    }
#define X(index, name, result, arguments) put(index, #name, (const void *)(uintptr_t)name);
    ORT_SLOTS(X)
#undef X
    return (const OrtTable *)fake.slots;
}

static const char *GetVersionString(void) {
    return fake.version;
}

EXPORT const OrtBase *OrtGetApiBase(void) {
    static const OrtBase base = {GetApi, GetVersionString};
    if (!fake.known) {
        reset();
    }
    return &base;
}

static void failures(const char *list) {
    pthread_mutex_lock(&lock);
    failpoints_set(list);
    pthread_mutex_unlock(&lock);
}

static int live(void) {
    return fake.live;
}

EXPORT const FakeOrt fake_ort = {reset, failures, failpoints_calls, live};
