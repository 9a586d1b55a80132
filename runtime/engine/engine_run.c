/* One run of a model: tensors of ours are wrapped where they lie, the library's outputs are looked
 * at where they lie. While it lasts, a thread watches whether the session is stopped. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "runtime/base/sanitize.h"
#include "runtime/engine/engine_parts.h"

/* ---- looking at a tensor */

bool engine_type_bytes(int type, uint64_t count, size_t *bytes) {
    static const uint8_t bits_of[] = {/* by TensorProto.DataType; 0: none, or no fixed size */
                                      0,  32,  8,  8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64,
                                      64, 128, 16, 8, 8,  8,  8,  4,  4, 4, 8,  2,  2};
    const uint64_t bits = type >= 0 && type < (int)sizeof bits_of ? bits_of[type] : 0;
    uint64_t all;
    if (bits == 0 || __builtin_mul_overflow(count, bits, &all) || all > UINT64_MAX - 7) {
        return false;
    }
    *bytes = (size_t)((all + 7) / 8);
    return true;
}

static bool count_elements(const int64_t *dims, int rank, uint64_t *count) {
    *count = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || __builtin_mul_overflow(*count, (uint64_t)dims[i], count)) {
            return false;
        }
    }
    return true;
}

static OrtStatus *view_shape(const OrtCalls *call, const OrtShapeInfo *shape, int64_t *dims,
                             EngineTensor *out) {
    size_t rank = 0;
    OrtStatus *status = call->GetTensorElementType(shape, &out->type);
    status = status ? status : call->GetDimensionsCount(shape, &rank);
    if (!status && rank > ENGINE_RANK) {
        status = call->CreateStatus(ORT_NOT_IMPLEMENTED, "a tensor has too many dimensions");
    }
    status = status ? status : call->GetDimensions(shape, dims, rank);
    uint64_t count;
    if (!status && (!count_elements(dims, (int)rank, &count) ||
                    !engine_type_bytes(out->type, count, &out->size))) {
        status = call->CreateStatus(ORT_NOT_IMPLEMENTED, "a tensor has elements of no fixed size");
    }
    out->rank = (int)rank;
    out->dims = dims;
    return status;
}

OrtStatus *engine_view(const OrtCalls *call, const OrtValue *value, int64_t *dims,
                       EngineTensor *out) {
    int is_tensor = 0;
    OrtStatus *status = call->IsTensor(value, &is_tensor);
    if (!status && !is_tensor) {
        status = call->CreateStatus(ORT_NOT_IMPLEMENTED, "a value is no tensor");
    }
    OrtShapeInfo *shape = NULL;
    status = status ? status : call->GetTensorTypeAndShape(value, &shape);
    status = status ? status : view_shape(call, shape, dims, out);
    if (shape) {
        call->ReleaseTensorTypeAndShapeInfo(shape);
    }
    /* the only form of this call in table 18; who looks at an input does not write there */
    return status ? status : call->GetTensorMutableData((OrtValue *)(uintptr_t)value, &out->data);
}

/* ---- stopping */

typedef struct Watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended; /* the run is over */
    bool fired;
    EngineModel *model;
} Watch;

/* Only the signal handler knows when, and it may not wake anybody: so it is asked 50 times a
 * second, which costs nothing beside a run. */
static void *watch(void *user) {
    enum { PAUSE = 20 * 1000000, SECOND = 1000000000 };
    Watch *w = user;
    const OrtCalls *call = &w->model->engine->call;
    pthread_mutex_lock(&w->lock);
    while (!w->ended && !w->fired) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PAUSE;
        until.tv_sec += until.tv_nsec / SECOND;
        until.tv_nsec %= SECOND;
        pthread_cond_timedwait(&w->changed, &w->lock, &until);
        if (!w->ended && session_stopped(w->model->s)) {
            w->fired = true;
            OrtStatus *status = call->RunOptionsSetTerminate(w->model->run);
            if (status) {
                call->ReleaseStatus(status); /* then the run ends when it is done */
            }
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static bool start_watch(Watch *w, pthread_t *thread) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are the main thread's */
    const bool started = pthread_create(thread, NULL, watch, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void end_watch(Watch *w, const pthread_t *thread) {
    if (thread) {
        pthread_mutex_lock(&w->lock);
        w->ended = true;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(*thread, NULL);
    }
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}

/* ---- running */

void engine_release_outputs(EngineModel *m) {
    const OrtCalls *call = &m->engine->call;
    for (size_t i = 0; i < m->in_count; i++) {
        if (m->in[i]) {
            call->ReleaseValue(m->in[i]);
        }
    }
    for (size_t i = 0; i < m->out_count; i++) {
        if (m->out[i]) {
            call->ReleaseValue(m->out[i]);
        }
    }
    m->in_count = m->out_count = 0;
    if (m->run) {
        call->ReleaseRunOptions(m->run);
        m->run = NULL;
    }
    arena_reset(m->scratch, m->empty);
}

/* What the run made of the messages: the observer's own words, without the library's around them.
 */
static bool explain(EngineModel *m, OrtStatus *status, bool stopped, Str *why) {
    if (!status) {
        return true;
    }
    if (m->observe.enough) {
        m->engine->call.ReleaseStatus(status);
        return true;
    }
    if (stopped || m->observe.failed[0]) {
        m->engine->call.ReleaseStatus(status);
        *why = stopped ? STR("interrupted")
                       : str_safe(m->s->arena, str_copy(m->s->arena, str_from(m->observe.failed)));
        return false;
    }
    return engine_ok(m->engine, status, "running the model", why);
}

/* The names of inputs and outputs; the values of inputs. */
static bool prepare(EngineModel *m, const EngineTensor *in, size_t in_count, const Str *outputs,
                    size_t count, const char ***names, Str *why) {
    const Engine *e = m->engine;
    *names = arena_many(m->scratch, const char *, in_count + count);
    m->in = arena_many(m->scratch, OrtValue *, in_count);
    m->out = arena_many(m->scratch, OrtValue *, count);
    for (size_t i = 0; i < in_count; i++) {
        (*names)[i] = str_c(m->scratch, in[i].name);
    }
    for (size_t i = 0; i < count; i++) {
        (*names)[in_count + i] = str_c(m->scratch, outputs[i]);
    }
    char *empty = arena_alloc(m->scratch, 16); /* a tensor without elements needs a place, too */
    for (size_t i = 0; i < in_count; i++, m->in_count++) {
        TRY(engine_ok(e,
                      e->call.CreateTensorWithDataAsOrtValue(
                          e->host, in[i].data ? in[i].data : empty, in[i].size, in[i].dims,
                          (size_t)in[i].rank, in[i].type, &m->in[i]),
                      (*names)[i], why));
    }
    m->out_count = count;
    return engine_ok(e, e->call.CreateRunOptions(&m->run), "running the model", why);
}

static bool view_outputs(EngineModel *m, const char *const *names, EngineTensor *out, Str *why) {
    for (size_t i = 0; i < m->out_count; i++) {
        int64_t *dims = arena_many(m->scratch, int64_t, ENGINE_RANK);
        out[i] = (EngineTensor){.name = str_from(names[i])};
        if (m->observe.enough) {
            continue;
        }
        TRY(engine_ok(m->engine, engine_view(&m->engine->call, m->out[i], dims, &out[i]), names[i],
                      why));
    }
    return true;
}

/* Between the start of the watch and its end nothing of ours allocates outside a guard. */
static bool run_watched(EngineModel *m, const char *const *names, Str *why) {
    Watch w = {.model = m};
    pthread_t thread;
    const bool watched = m->s->stop != NULL && !m->finishes;
    if (watched && !start_watch(&w, &thread)) {
        end_watch(&w, NULL);
        *why = STR("running the model: the system gives no more threads");
        return false;
    }
    m->observe.failed[0] = 0;
    m->observe.enough = false;
    OrtStatus *status =
        m->engine->call.Run(m->session, m->run, names, (const OrtValue *const *)m->in, m->in_count,
                            names + m->in_count, m->out_count, m->out);
    if (watched) {
        end_watch(&w, &thread);
    }
    return explain(m, status, w.fired, why);
}

bool engine_run(EngineModel *m, const EngineTensor *in, size_t in_count, const Str *outputs,
                size_t count, EngineTensor *out, Str *why) {
    engine_release_outputs(m);
    if (session_stopped(m->s)) {
        *why = STR("interrupted");
        return false;
    }
    const char **names;
    const bool done = prepare(m, in, in_count, outputs, count, &names, why) &&
                      run_watched(m, names, why) && view_outputs(m, names + in_count, out, why);
    if (!done) {
        engine_release_outputs(m);
    }
    return done;
}

bool engine_run_stops(EngineModel *m, const EngineTensor *in, Str output, Str *why) {
    const Engine *e = m->engine;
    const char **names;
    engine_release_outputs(m);
    TRY(prepare(m, in, 1, &output, 1, &names, why));
    TRY(engine_ok(e, e->call.RunOptionsSetTerminate(m->run), "stopping a run", why));
    Str ignored;
    const bool ran = run_watched(m, names, &ignored);
    engine_release_outputs(m);
    if (ran) {
        *why = STR("a run that was stopped went on");
    }
    return !ran;
}
