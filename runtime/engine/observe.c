/* See observe.h. These functions are called by the library, between its frames: whatever allocates
 * in them does so under a guard of their own, so that no failure unwinds through it. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "runtime/base/alloc.h"
#include "runtime/engine/engine_parts.h"

typedef struct Kernel { /* of one node */
    ObserveOp *op;
    int64_t slot;
    char name[]; /* of the node */
} Kernel;

static ObserveOp *op_of(const OrtCustomOp *op) {
    return (ObserveOp *)(uintptr_t)op; /* the first member of an object of ours, never const */
}

/* ---- what the op is like */

static const char *op_name(const OrtCustomOp *op) {
    (void)op;
    return OBSERVE_OP;
}

static const char *op_provider(const OrtCustomOp *op) {
    (void)op;
    return NULL;
}

static size_t one_port(const OrtCustomOp *op) {
    (void)op;
    return 1;
}

/* 0 everywhere: any type, the output's being the input's; required; in the CPU's memory. */
static int nothing_of_port(const OrtCustomOp *op, size_t i) {
    (void)op;
    (void)i;
    return 0;
}

static int nothing(const OrtCustomOp *op) {
    (void)op;
    return 0;
}

static int first_version(const OrtCustomOp *op) {
    (void)op;
    return 1;
}

static int last_version(const OrtCustomOp *op) {
    (void)op;
    return INT32_MAX;
}

/* May the shape be said of the output? The library shows a tensor of unknown rank as a scalar, and
 * would take a size without a symbol that it does not know for one of -1. */
static OrtStatus *shape_is_known(const OrtCalls *call, const OrtShapeInfo *shape, bool *known) {
    int64_t dims[ENGINE_RANK];
    const char *symbols[ENGINE_RANK] = {NULL};
    size_t rank = 0;
    *known = false;
    OrtStatus *status = call->GetDimensionsCount(shape, &rank);
    if (status || rank == 0 || rank > ENGINE_RANK) {
        return status;
    }
    status = call->GetDimensions(shape, dims, rank);
    status = status ? status : call->GetSymbolicDimensions(shape, symbols, rank);
    *known = !status;
    for (size_t i = 0; i < rank && *known; i++) {
        *known = dims[i] >= 0 || (symbols[i] && *symbols[i]);
    }
    return status;
}

/* Without it the shapes behind the op would be unknown, all of them. */
static OrtStatus *infer_shape(const OrtCustomOp *op, OrtInferContext *context) {
    const OrtCalls *call = op_of(op)->call;
    OrtShapeInfo *shape = NULL; /* the context's */
    bool known = false;
    OrtStatus *status = call->ShapeInferContext_GetInputTypeShape(context, 0, &shape);
    status = status ? status : shape_is_known(call, shape, &known);
    return status || !known ? status
                            : call->ShapeInferContext_SetOutputTypeShape(context, 0, shape);
}

/* One pair: output 0 may be input 0. The library reads lists of its own making elsewhere, too, so
 * they are the C library's and not the session's. */
static size_t alias_map(int **in, int **out) {
    *in = calloc(1, sizeof **in);
    *out = calloc(1, sizeof **out);
    if (*in && *out) {
        return 1;
    }
    free(*in);
    free(*out);
    *in = *out = NULL;
    return 0; /* then it copies */
}

static void release_alias_map(int *in, int *out) {
    free(in);
    free(out);
}

/* ---- one node */

static Kernel *new_kernel(size_t name_size) {
    AllocGuard guard;
    Kernel *volatile kernel = NULL;
    alloc_guard_push(&guard);
    if (!setjmp(guard.jump)) {
        kernel = mem_alloc(sizeof(Kernel) + name_size + 1);
    }
    alloc_guard_pop(&guard);
    return kernel;
}

static void destroy(void *kernel) {
    mem_free(kernel);
}

static OrtStatus *create(const OrtCustomOp *op, const OrtTable *table, const OrtKernelInfo *info,
                         void **out) {
    (void)table;
    const OrtCalls *call = op_of(op)->call;
    int64_t slot = 0;
    size_t size = 0; /* with the NUL */
    OrtStatus *status = call->KernelInfoGetAttribute_int64(info, OBSERVE_SLOT, &slot);
    status = status ? status : call->KernelInfo_GetNodeName(info, NULL, &size);
    if (status) {
        return status;
    }
    Kernel *kernel = new_kernel(size);
    if (!kernel) {
        return call->CreateStatus(ORT_FAIL, "out of memory");
    }
    kernel->op = op_of(op);
    kernel->slot = slot;
    status = call->KernelInfo_GetNodeName(info, kernel->name, &size);
    if (status) {
        destroy(kernel);
        return status;
    }
    *out = kernel;
    return NULL;
}

/* ---- tasks on the library's threads */

typedef struct Tasks {
    SpreadTask *task;
    void *user;
    atomic_bool failed;
} Tasks;

/* What goes wrong here ends the run, whatever the observer makes of it. */
typedef struct Pool {
    const OrtCalls *call;
    const OrtKernelContext *context;
    OrtStatus *status; /* of the library, the first; NULL: none */
    bool failed;       /* a task did */
} Pool;

/* A task must not leave by longjmp; one that does in spite of that stops here. */
static void run_task(void *user, size_t i) {
    Tasks *tasks = user;
    AllocGuard guard;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump)) {
        atomic_store(&tasks->failed, true);
    } else {
        tasks->task(tasks->user, i);
    }
    alloc_guard_pop(&guard);
}

/* As many batches as tasks: each thread takes the next one, so that one slow thread delays none. */
static bool run_tasks(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    Pool *pool = spread->owner;
    Tasks tasks = {.task = task, .user = user};
    OrtStatus *status = NULL;
    if (count == 1) {
        run_task(&tasks, 0);
    } else if (count > 1) {
        status =
            pool->call->KernelContext_ParallelFor(pool->context, run_task, count, count, &tasks);
    }
    const bool done = !status && !atomic_load(&tasks.failed);
    pool->failed = pool->failed || atomic_load(&tasks.failed);
    if (status && pool->status) {
        pool->call->ReleaseStatus(status);
    } else if (status) {
        pool->status = status;
    }
    return done;
}

/* ---- a run */

static const char *show(const Kernel *kernel, Pool *pool, const EngineTensor *x) {
    const EngineObserver *observer = kernel->op->observer;
    const Spread spread = {.run = run_tasks, .owner = pool};
    const char *volatile text = NULL;
    AllocGuard guard;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump)) {
        text = "out of memory";
    } else {
        text = observer ? observer->see(observer->user, kernel->slot, x, &spread) : NULL;
    }
    alloc_guard_pop(&guard);
    return pool->failed ? "out of memory" : text;
}

/* The library puts words of its own around the text of a status; engine_run says this one. */
static OrtStatus *fail(const Kernel *kernel, const char *text) {
    ObserveOp *op = kernel->op;
    snprintf(op->failed, sizeof op->failed, "%s: %s", kernel->name, text);
    return op->call->CreateStatus(ORT_FAIL, op->failed);
}

const char observe_enough[] = "enough";

static bool is_float(int type) {
    enum { FLOAT = 1, FLOAT16 = 10, DOUBLE = 11, BFLOAT16 = 16, FLOAT8_FIRST, FLOAT8_LAST = 20 };
    return type == FLOAT || type == FLOAT16 || type == DOUBLE ||
           (type >= BFLOAT16 && type <= FLOAT8_LAST);
}

static OrtStatus *hand_on(ObserveOp *op, OrtKernelContext *context, const EngineTensor *x) {
    OrtValue *value = NULL; /* the context's */
    void *data = NULL;
    OrtStatus *status =
        op->call->KernelContext_GetOutput(context, 0, x->dims, (size_t)x->rank, &value);
    status = status ? status : op->call->GetTensorMutableData(value, &data);
    if (status) {
        return status;
    }
    /* An alias is only a wish: an output of the graph, for one, gets memory of its own. */
    if (data == x->data) {
        op->counts.aliased += x->size;
    } else {
        if (x->size) {
            memcpy(data, x->data, x->size);
        }
        op->counts.copied += x->size;
    }
    return NULL;
}

static OrtStatus *compute(void *user, OrtKernelContext *context) {
    const Kernel *kernel = user;
    ObserveOp *op = kernel->op;
    const OrtValue *value = NULL; /* the context's */
    int64_t dims[ENGINE_RANK];
    EngineTensor x = {0};
    OrtStatus *status = op->call->KernelContext_GetInput(context, 0, &value);
    status = status ? status : engine_view(op->call, value, dims, &x);
    if (status) {
        return status;
    }
    if (!is_float(x.type)) {
        return fail(kernel, "only tensors of floats can be observed");
    }
    op->counts.calls++;
    Pool pool = {.call = op->call, .context = context};
    const char *text = show(kernel, &pool, &x);
    if (pool.status) {
        return pool.status;
    }
    if (text == observe_enough) {
        op->enough = true;
        return op->call->CreateStatus(ORT_FAIL, observe_enough);
    }
    return text ? fail(kernel, text) : hand_on(op, context, &x);
}

void observe_op(ObserveOp *o, const OrtCalls *call, const EngineObserver *observer) {
    *o = (ObserveOp){.call = call, .observer = observer};
    o->op = (OrtCustomOp){
        .version = ORT_ABI_VERSION,
        .GetName = op_name,
        .GetExecutionProviderType = op_provider,
        .GetInputType = nothing_of_port,
        .GetInputTypeCount = one_port,
        .GetOutputType = nothing_of_port,
        .GetOutputTypeCount = one_port,
        .KernelDestroy = destroy,
        .GetInputCharacteristic = nothing_of_port,
        .GetOutputCharacteristic = nothing_of_port,
        .GetInputMemoryType = nothing_of_port,
        .GetVariadicInputMinArity = nothing,
        .GetVariadicInputHomogeneity = nothing,
        .GetVariadicOutputMinArity = nothing,
        .GetVariadicOutputHomogeneity = nothing,
        .CreateKernelV2 = create,
        .KernelComputeV2 = compute,
        .InferOutputShapeFn = infer_shape,
        .GetStartVersion = first_version,
        .GetEndVersion = last_version,
        .GetAliasMap = alias_map,
        .ReleaseAliasMap = release_alias_map,
    };
}
