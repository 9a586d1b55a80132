/* The part of ONNX Runtime's binary interface that morc calls, declared by ourselves: nothing of it
 * is needed to build morc. libonnxruntime exports OrtGetApiBase(), which gives a table of function
 * pointers that only grows: a slot keeps its index and signature for ever. ORT_SLOTS lists the ones
 * used; engine_open checks each by what it does (engine_selftest.c), but those for CUDA and for files
 * in memory, which are called only when that is wished for. Types and numbers are those of the public C API. */
#ifndef RUNTIME_ENGINE_ORT_ABI_H
#define RUNTIME_ENGINE_ORT_ABI_H
#include <stddef.h>
#include <stdint.h>

/* The oldest interface that has all that is used (aliases of custom ops came last), and the library
 * that has it: 1.18. Newer libraries give every older table. */
enum { ORT_ABI_VERSION = 18 };
#define ORT_BASE_SYMBOL "OrtGetApiBase"

typedef struct OrtEnv OrtEnv;       /* one for the process, counted */
typedef struct OrtStatus OrtStatus; /* NULL is success; else it must be released */
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtShapeInfo OrtShapeInfo; /* element type and shape of a tensor */
typedef struct OrtDomain OrtDomain;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtInferContext OrtInferContext;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtCudaOptions OrtCudaOptions;
typedef struct OrtTable OrtTable; /* the raw table */
struct OrtCustomOp;

enum { /* codes of a status */
       ORT_FAIL = 1,
       ORT_INVALID_ARGUMENT = 2,
       ORT_NO_MODEL = 4,
       ORT_NOT_IMPLEMENTED = 9
};
enum { ORT_LOG_WARNING = 2 };
enum { ORT_LEVEL_NONE = 0, ORT_LEVEL_BASIC = 1, ORT_LEVEL_EXTENDED = 2, ORT_LEVEL_ALL = 99 };
enum { ORT_ALLOCATOR_DEVICE = 0, ORT_MEMORY_DEFAULT = 0 };

typedef void OrtLogFunction(void *user, int severity, const char *category, const char *id,
                            const char *where, const char *message);
typedef void OrtTaskFunction(void *user, size_t i);

/* X(index, name, result, arguments) */
#define ORT_SLOTS(X)                                                                               \
    X(0, CreateStatus, OrtStatus *, (int code, const char *message))                               \
    X(1, GetErrorCode, int, (const OrtStatus *))                                                   \
    X(2, GetErrorMessage, const char *, (const OrtStatus *))                                       \
    X(4, CreateEnvWithCustomLogger, OrtStatus *,                                                   \
      (OrtLogFunction *, void *user, int severity, const char *id, OrtEnv **))                     \
    X(6, DisableTelemetryEvents, OrtStatus *, (const OrtEnv *))                                    \
    X(8, CreateSessionFromArray, OrtStatus *,                                                      \
      (const OrtEnv *, const void *model, size_t size, const OrtSessionOptions *, OrtSession **))  \
    X(9, Run, OrtStatus *,                                                                         \
      (OrtSession *, const OrtRunOptions *, const char *const *in_names,                           \
       const OrtValue *const *in, size_t in_count, const char *const *out_names, size_t out_count, \
       OrtValue **out))                                                                            \
    X(10, CreateSessionOptions, OrtStatus *, (OrtSessionOptions **))                               \
    X(17, DisableMemPattern, OrtStatus *, (OrtSessionOptions *))                                   \
    X(19, DisableCpuMemArena, OrtStatus *, (OrtSessionOptions *))                                  \
    X(23, SetSessionGraphOptimizationLevel, OrtStatus *, (OrtSessionOptions *, int level))         \
    X(24, SetIntraOpNumThreads, OrtStatus *, (OrtSessionOptions *, int threads))                   \
    X(26, CreateCustomOpDomain, OrtStatus *, (const char *name, OrtDomain **))                     \
    X(27, CustomOpDomain_Add, OrtStatus *, (OrtDomain *, const struct OrtCustomOp *))              \
    X(28, AddCustomOpDomain, OrtStatus *, (OrtSessionOptions *, OrtDomain *))                      \
    X(30, SessionGetInputCount, OrtStatus *, (const OrtSession *, size_t *))                       \
    X(31, SessionGetOutputCount, OrtStatus *, (const OrtSession *, size_t *))                      \
    X(33, SessionGetInputTypeInfo, OrtStatus *, (const OrtSession *, size_t i, OrtTypeInfo **))    \
    X(34, SessionGetOutputTypeInfo, OrtStatus *, (const OrtSession *, size_t i, OrtTypeInfo **))   \
    X(36, SessionGetInputName, OrtStatus *,                                                        \
      (const OrtSession *, size_t i, OrtAllocator *, char **))                                     \
    X(37, SessionGetOutputName, OrtStatus *,                                                       \
      (const OrtSession *, size_t i, OrtAllocator *, char **))                                     \
    X(39, CreateRunOptions, OrtStatus *, (OrtRunOptions **))                                       \
    X(46, RunOptionsSetTerminate, OrtStatus *, (OrtRunOptions *))                                  \
    X(49, CreateTensorWithDataAsOrtValue, OrtStatus *,                                             \
      (const OrtMemoryInfo *, void *data, size_t size, const int64_t *dims, size_t rank, int type, \
       OrtValue **))                                                                               \
    X(50, IsTensor, OrtStatus *, (const OrtValue *, int *))                                        \
    X(51, GetTensorMutableData, OrtStatus *, (OrtValue *, void **))                                \
    X(55, CastTypeInfoToTensorInfo, OrtStatus *, (const OrtTypeInfo *, const OrtShapeInfo **))     \
    X(60, GetTensorElementType, OrtStatus *, (const OrtShapeInfo *, int *))                        \
    X(61, GetDimensionsCount, OrtStatus *, (const OrtShapeInfo *, size_t *))                       \
    X(62, GetDimensions, OrtStatus *, (const OrtShapeInfo *, int64_t *, size_t rank))              \
    X(63, GetSymbolicDimensions, OrtStatus *, (const OrtShapeInfo *, const char **, size_t rank))  \
    X(65, GetTensorTypeAndShape, OrtStatus *, (const OrtValue *, OrtShapeInfo **))                 \
    X(69, CreateCpuMemoryInfo, OrtStatus *, (int allocator, int memory, OrtMemoryInfo **))         \
    X(76, AllocatorFree, OrtStatus *, (OrtAllocator *, void *))                                    \
    X(78, GetAllocatorWithDefaultOptions, OrtStatus *, (OrtAllocator **))                          \
    X(86, KernelInfoGetAttribute_int64, OrtStatus *,                                               \
      (const OrtKernelInfo *, const char *name, int64_t *))                                        \
    X(90, KernelContext_GetInput, OrtStatus *,                                                     \
      (const OrtKernelContext *, size_t i, const OrtValue **))                                     \
    X(91, KernelContext_GetOutput, OrtStatus *,                                                    \
      (OrtKernelContext *, size_t i, const int64_t *dims, size_t rank, OrtValue **))               \
    X(92, ReleaseEnv, void, (OrtEnv *))                                                            \
    X(93, ReleaseStatus, void, (OrtStatus *))                                                      \
    X(94, ReleaseMemoryInfo, void, (OrtMemoryInfo *))                                              \
    X(95, ReleaseSession, void, (OrtSession *))                                                    \
    X(96, ReleaseValue, void, (OrtValue *))                                                        \
    X(97, ReleaseRunOptions, void, (OrtRunOptions *))                                              \
    X(98, ReleaseTypeInfo, void, (OrtTypeInfo *))                                                  \
    X(99, ReleaseTensorTypeAndShapeInfo, void, (OrtShapeInfo *))                                   \
    X(100, ReleaseSessionOptions, void, (OrtSessionOptions *))                                     \
    X(101, ReleaseCustomOpDomain, void, (OrtDomain *))                                             \
    X(125, GetAvailableProviders, OrtStatus *, (char ***, int *count))                             \
    X(126, ReleaseAvailableProviders, OrtStatus *, (char **, int count))                           \
    X(130, AddSessionConfigEntry, OrtStatus *,                                                     \
      (OrtSessionOptions *, const char *key, const char *value))                                   \
    X(204, SessionOptionsAppendExecutionProvider_CUDA_V2, OrtStatus *,                             \
      (OrtSessionOptions *, const OrtCudaOptions *))                                               \
    X(205, CreateCUDAProviderOptions, OrtStatus *, (OrtCudaOptions **))                            \
    X(206, UpdateCUDAProviderOptions, OrtStatus *,                                                 \
      (OrtCudaOptions *, const char *const *keys, const char *const *values, size_t count))        \
    X(208, ReleaseCUDAProviderOptions, void, (OrtCudaOptions *))                                   \
    X(244, KernelInfo_GetNodeName, OrtStatus *, (const OrtKernelInfo *, char *, size_t *size))     \
    X(268, ShapeInferContext_GetInputTypeShape, OrtStatus *,                                       \
      (const OrtInferContext *, size_t i, OrtShapeInfo **))                                        \
    X(270, ShapeInferContext_SetOutputTypeShape, OrtStatus *,                                      \
      (const OrtInferContext *, size_t i, const OrtShapeInfo *))                                   \
    X(274, KernelContext_ParallelFor, OrtStatus *,                                                 \
      (const OrtKernelContext *, OrtTaskFunction *, size_t total, size_t batches, void *user))     \
    X(279, AddExternalInitializersFromFilesInMemory, OrtStatus *,                                  \
      (OrtSessionOptions *, const char *const *names, char *const *files, const size_t *sizes,     \
       size_t count))

typedef struct OrtCalls {
#define ORT_FIELD(index, name, result, arguments) result(*name) arguments;
    ORT_SLOTS(ORT_FIELD)
#undef ORT_FIELD
} OrtCalls;

typedef struct OrtBase {
    const OrtTable *(*GetApi)(uint32_t version); /* NULL, and a line on stderr: it is older */
    const char *(*GetVersionString)(void);
} OrtBase;
typedef const OrtBase *OrtGetBase(void);

/* What the library calls of a custom op; it reads the members that `version` knows, in this order.
 * Types are numbers of TensorProto.DataType; 0 is any. Numbers: the version that a member came with
 * (the V2 forms stand in for CreateKernel and KernelCompute from 16 on). */
typedef struct OrtCustomOp {
    uint32_t version;
    void *(*CreateKernel)(const struct OrtCustomOp *, const OrtTable *, const OrtKernelInfo *);
    const char *(*GetName)(const struct OrtCustomOp *);
    const char *(*GetExecutionProviderType)(const struct OrtCustomOp *); /* NULL: the CPU */
    int (*GetInputType)(const struct OrtCustomOp *, size_t i);
    size_t (*GetInputTypeCount)(const struct OrtCustomOp *);
    int (*GetOutputType)(const struct OrtCustomOp *, size_t i);
    size_t (*GetOutputTypeCount)(const struct OrtCustomOp *);
    void (*KernelCompute)(void *kernel, OrtKernelContext *);
    void (*KernelDestroy)(void *kernel);
    int (*GetInputCharacteristic)(const struct OrtCustomOp *, size_t i); /* 0: required */
    int (*GetOutputCharacteristic)(const struct OrtCustomOp *, size_t i);
    int (*GetInputMemoryType)(const struct OrtCustomOp *, size_t i); /* ORT_MEMORY_DEFAULT */
    int (*GetVariadicInputMinArity)(const struct OrtCustomOp *);
    int (*GetVariadicInputHomogeneity)(const struct OrtCustomOp *);
    int (*GetVariadicOutputMinArity)(const struct OrtCustomOp *);
    int (*GetVariadicOutputHomogeneity)(const struct OrtCustomOp *);
    OrtStatus *(*CreateKernelV2)(const struct OrtCustomOp *, const OrtTable *,
                                 const OrtKernelInfo *, void **kernel);              /* 16 */
    OrtStatus *(*KernelComputeV2)(void *kernel, OrtKernelContext *);                 /* 16 */
    OrtStatus *(*InferOutputShapeFn)(const struct OrtCustomOp *, OrtInferContext *); /* 17 */
    int (*GetStartVersion)(const struct OrtCustomOp *);                              /* 17 */
    int (*GetEndVersion)(const struct OrtCustomOp *);                                /* 17 */
    size_t (*GetMayInplace)(int **in, int **out);                                    /* 18 */
    void (*ReleaseMayInplace)(int *in, int *out);                                    /* 18 */
    size_t (*GetAliasMap)(int **in, int **out); /* 18: pairs that share their memory */
    void (*ReleaseAliasMap)(int *in, int *out); /* 18 */
} OrtCustomOp;

#endif
