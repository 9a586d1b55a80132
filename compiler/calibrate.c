/* Data through the engine into statistics (calibrate.h). */
#include "compiler/calibrate.h"
#include <sodium.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "compiler/conv_view.h"
#include "compiler/data_wish.h"
#include "compiler/device_choice.h"
#include "compiler/instrument.h"
#include "runtime/base/clock.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/data.h"
#include "runtime/calib/morstat.h"
#include "runtime/engine/observe.h"
#include "runtime/exec/spread_threads.h"

enum { SAVE_SECONDS = 10 }; /* between two writings of the .morstat */

typedef struct CalibrationPass Pass;
struct CalibrationPass {
    Session *s;
    const Plan *plan;
    Calibration *c;
    Arena *arena; /* until the engine has the model no more */
    Engine *engine;
    EngineModel *model;
    Dataset *data;
    EngineObserver observer;
    Instrumented instrumented;
    Span at;      /* the `calibrate` */
    double saved; /* when the .morstat was written last */
};

/* ---- what the engine shows */

static const char *see(void *user, int64_t slot, const EngineTensor *x, const Spread *spread) {
    Pass *p = user;
    const Observation *seen = &p->c->seen.at[slot];
    Stat *stat = stats_find(p->c->stats, seen->name);
    if (seen->conv) {
        StatConv conv;
        return conv_view(seen->conv, x->dims, x->rank, &conv)
                   ? stat_add_conv(stat, x->type, x->data, &conv, spread)
                   : "is not what its convolution reads";
    }
    StatView view = {1, 1, 1};
    const int channels = seen->channels ? x->rank - 1 - seen->behind : -1;
    for (int i = 0; i < x->rank; i++) {
        *(i < channels ? &view.outer : i == channels ? &view.channels : &view.inner) *= x->dims[i];
    }
    return stat_add(stat, x->type, x->data, view, spread);
}

/* ---- identity */

static void hash_text(crypto_hash_sha256_state *h, Str text) {
    const uint64_t length = text.len;
    crypto_hash_sha256_update(h, (const uint8_t *)&length, sizeof length);
    crypto_hash_sha256_update(h, (const uint8_t *)text.data, text.len);
}

/* Graph and weights: contents are hashed by XXH3, which reads as fast as memory. */
static bool hash_model(Session *s, const Model *model, uint8_t out[32]) {
    crypto_hash_sha256_state h;
    crypto_hash_sha256_init(&h);
    crypto_hash_sha256_update(&h, model->graph_hash, sizeof model->graph_hash);
    for (size_t i = 0; i < model->tensors.len; i++) {
        const Tensor *t = model->tensors.at[i];
        const ArenaMark mark = arena_mark(s->arena);
        const uint8_t *bytes = t->size ? tensor_bytes(s, t, s->arena) : (const uint8_t *)"";
        TRY(bytes);
        XXH128_canonical_t digest;
        XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes, (size_t)t->size));
        arena_reset(s->arena, mark);
        hash_text(&h, t->name);
        crypto_hash_sha256_update(&h, digest.digest, sizeof digest.digest);
    }
    crypto_hash_sha256_final(&h, out);
    return true;
}

/* Parts of a data set that were joined on purpose (morc stats merge): of the recipe's model and
 * wish, whatever the data. */
static bool fits_merged(const Stats *stats, const StatsIdentity *id) {
    return stats->complete && memcmp(stats->identity.model, id->model, 32) == 0 &&
           memcmp(stats->identity.asked, id->asked, 32) == 0 &&
           memcmp(stats->identity.data, CALIBRATE_MERGED, strlen(CALIBRATE_MERGED)) == 0;
}

/* Only statistics are ever replaced by statistics. */
static bool refuse_file(Pass *p, const char *wrong) {
    const char *path = str_safe_c(p->s->arena, p->c->stats_path);
    Diag *d = diag_error(p->s, "E1103", NO_SPAN, "statistics would replace %s", path);
    diag_note(d, "it %s", wrong);
    diag_help(d, "--stats FILE keeps them elsewhere, --stats none nowhere");
    return false;
}

static void begin_anew(Pass *p, const char *why) {
    stats_close(p->c->stats);
    p->c->stats = NULL;
    p->c->kept = false;
    p->c->why_new = why;
}

/* The data's identity knows no batches: what is not complete must end where one of ours does. */
static bool goes_on(const Pass *p) {
    const Stats *kept = p->c->stats;
    const uint64_t batches = (uint64_t)dataset_batches(p->data);
    return kept->complete ||
           (kept->batches <= batches &&
            kept->samples == (uint64_t)dataset_samples_in(p->data, (int64_t)kept->batches));
}

/* Statistics of the same model, data and wish that an earlier run has kept; NULL: none. */
static bool take_kept(Pass *p, const StatsIdentity *id) {
    Session *s = p->s;
    struct stat is;
    if (!p->c->stats_path.len || s->sys->stat(str_c(s->arena, p->c->stats_path), &is) != 0) {
        return true;
    }
    const char *why = NULL;
    p->c->stats = morstat_open(s, p->c->stats_path, id, &why);
    if (!p->c->stats) {
        TRY(why); /* else it is reported */
        const char *wrong = NULL;
        Stats *others = morstat_open(s, p->c->stats_path, NULL, &wrong);
        const bool ours = others || (wrong && strcmp(wrong, MORSTAT_OTHER_VERSION) == 0);
        TRY(ours || (wrong && refuse_file(p, wrong)));
        if (others && p->c->args->stats.len && fits_merged(others, id)) {
            p->c->stats = others;
        } else {
            stats_close(others);
        }
    }
    p->c->kept = p->c->stats != NULL;
    p->c->why_new = p->c->stats ? NULL : why;
    if (p->c->kept && !goes_on(p)) {
        begin_anew(p, "was begun with batches of another size");
    }
    return true;
}

static bool keep(Pass *p) {
    p->saved = clock_seconds();
    return !p->c->stats_path.len || morstat_write(p->c->stats, p->c->stats_path);
}

static bool identify(Pass *p, StatsIdentity *id) {
    TRY(hash_model(p->s, p->plan->layers->model, id->model));
    SpreadThreads *threads = spread_threads_open(p->s);
    const bool hashed = dataset_hash(p->s, p->data, spread_threads(threads), id->data);
    spread_threads_close(p->s, threads);
    TRY(hashed);
    Buf asked = buf_on(p->s->arena);
    buf_printf(&asked, "morc %s\n", MORC_VERSION); /* another may sum in another order */
    observations_print(&p->c->seen, &asked);
    crypto_hash_sha256(id->asked, (const uint8_t *)asked.data, asked.len);
    return true;
}

/* ---- opening */

static bool open_data(Pass *p) {
    Session *s = p->s;
    const Plan *plan = p->plan;
    DataWish wish;
    TRY(data_of_step(s, plan->recipe, plan->data_step, p->c->args, p->c->get, &wish));
    wish.part = plan->evaluation.held_out ? DATA_BUT_TENTH : DATA_ALL;
    size_t count;
    const DataInput *inputs = data_inputs_of_model(s, p->plan->layers->model, &count);
    p->data = dataset_open(s, &wish, inputs, count);
    return p->data != NULL;
}

static bool fail(Pass *p, const char *what, Str why) {
    if (session_stopped(p->s)) {
        return false;
    }
    Diag *d = diag_error(p->s, "E0707", p->at, "%s", what);
    diag_note(d, "%s", str_safe_c(p->s->arena, why));
    return false;
}

/* One set of statistics has one engine: another may give other bits. */
static bool open_engine(Pass *p) {
    Session *s = p->s;
    const EngineWish wish = device_engine(p->c->args, p->c->get);
    p->engine = engine_need(s, &wish, p->at);
    TRY(p->engine);
    p->c->engine = str_format(s->arena, "ONNX Runtime %.*s, %s", STR_ARG(engine_version(p->engine)),
                              engine_provider(p->engine) == ENGINE_CUDA ? "CUDA" : "CPU");
    p->c->why_cpu = engine_why_cpu(p->engine);
    if (p->c->stats && !str_eq(p->c->stats->engine, p->c->engine)) {
        begin_anew(p, "was begun by another engine");
    }
    return true;
}

static bool open_model(Pass *p) {
    Session *s = p->s;
    TRY(instrument(s, p->arena, p->c->model_path, &p->c->seen, &p->instrumented));
    p->observer = (EngineObserver){p, see};
    const EngineLoad load = {.bytes = p->instrumented.bytes,
                             .size = p->instrumented.size,
                             .folder = model_data_folder(s, p->plan->layers->model),
                             .observer = &p->observer,
                             .finishes = true}; /* statistics hold whole batches */
    Str why = {0};
    p->model = engine_load(s, p->engine, &load, &why);
    return p->model || fail(p, "the engine does not take this model", why);
}

/* ---- running */

static bool run_batch(Pass *p, int64_t index, size_t inputs, DataTensor *tensors,
                      EngineTensor *in) {
    TRY(dataset_batch(p->s, p->data, index, tensors));
    size_t count = 0;
    for (size_t i = 0; i < inputs; i++) {
        if (tensors[i].data || tensors[i].size == 0) {
            in[count++] = (EngineTensor){tensors[i].name,
                                         tensors[i].type,
                                         tensors[i].rank,
                                         tensors[i].dims,
                                         (void *)(uintptr_t)tensors[i].data,
                                         (size_t)tensors[i].size};
        }
    }
    const EnginePort *ports;
    if (engine_outputs(p->model, &ports) == 0) {
        return fail(p, "this model has no outputs to run for", STR(""));
    }
    EngineTensor out;
    Str why = {0};
    if (!engine_run(p->model, in, count, &ports[0].name, 1, &out, &why)) {
        return fail(p, "the engine cannot run this model on the data", why);
    }
    engine_release_outputs(p->model);
    return true;
}

static bool run_data(Pass *p) {
    Session *s = p->s;
    Stats *stats = p->c->stats;
    const int64_t batches = dataset_batches(p->data);
    size_t inputs;
    data_inputs_of_model(s, p->plan->layers->model, &inputs);
    DataTensor *tensors = arena_many(p->arena, DataTensor, inputs + 1);
    EngineTensor *in = arena_many(p->arena, EngineTensor, inputs + 1);
    p->saved = clock_seconds();
    for (int64_t i = (int64_t)stats->batches; i < batches; i++) {
        if (s->progress) {
            s->progress(s->progress_user, "calibrate", (uint64_t)i, (uint64_t)batches);
        }
        const bool stopped = session_stopped(s);
        if (stopped || clock_seconds() - p->saved > SAVE_SECONDS) {
            TRY(keep(p) && !stopped);
        }
        TRY(run_batch(p, i, inputs, tensors, in));
        stats->batches++;
        stats->samples = (uint64_t)dataset_samples_in(p->data, i + 1);
    }
    stats->complete = true;
    return dataset_unchanged(s, p->data) && keep(p);
}

static void begin_statistics(Pass *p, const StatsIdentity *id) {
    Calibration *c = p->c;
    if (!c->stats) {
        c->stats = stats_open(p->s, id);
        c->stats->engine = c->engine;
        for (size_t i = 0; i < c->seen.len; i++) {
            stats_add(c->stats, c->seen.at[i].name, c->seen.at[i].what);
        }
    }
    c->resumed = (int64_t)c->stats->samples;
    c->samples = c->stats->complete ? c->resumed : dataset_samples(p->data);
}

bool calibrate_open(Session *s, const Plan *plan, Calibration *c) {
    const double begin = clock_seconds();
    c->seen = observations(plan, s->arena);
    Pass *p = c->pass = arena_new(s->arena, Pass);
    *p = (Pass){.s = s, .plan = plan, .c = c, .at = plan->data_step->span};
    p->arena = session_arena_open(s);
    StatsIdentity id = {0};
    bool ok = open_data(p) && identify(p, &id) && take_kept(p, &id);
    c->seconds = clock_seconds() - begin;
    ok = ok && ((c->stats && c->stats->complete) || open_engine(p));
    if (ok) {
        begin_statistics(p, &id);
    }
    if (!ok || (!c->stats->complete && !open_model(p))) {
        calibrate_close(s, c);
        return false;
    }
    return true;
}

bool calibrate(Session *s, Calibration *c) {
    const double begin = clock_seconds();
    const bool ok = c->stats->complete || run_data(c->pass);
    c->seconds += clock_seconds() - begin;
    calibrate_close(s, c);
    return ok;
}

void calibrate_close(Session *s, Calibration *c) {
    Pass *p = c->pass;
    if (!p) {
        return;
    }
    c->pass = NULL;
    engine_unload(s, p->model);
    engine_close(s, p->engine);
    if (p->instrumented.model) {
        model_close(p->instrumented.model);
    }
    dataset_close(s, p->data);
    session_arena_close(s, p->arena);
}
