/* Data through the engine into statistics (calibrate.h). */
#include "compiler/calibrate.h"
#include <malloc.h>
#include <sodium.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "compiler/conv_view.h"
#include "compiler/data_wish.h"
#include "compiler/device_choice.h"
#include "runtime/base/clock.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/data.h"
#include "runtime/engine/observe.h"
#include "runtime/exec/spread_threads.h"

enum {
    SAVE_SECONDS = 10, /* between two writings of the .morstat, */
    SAVE_SHARE = 20    /* and this many times what the last one took */
};

typedef struct CalibrationRun Run;
struct CalibrationRun {
    Session *s;
    const Plan *plan;
    Calibration *c;
    KeptStats kept;
    Engine *engine;
    Dataset *data;
    size_t inputs; /* of the model; a batch of them, as data and for the engine: */
    DataTensor *given;
    EngineTensor *in;
    EngineObserver observer;
    Span at; /* the `calibrate` */
    /* of the pass at hand */
    Arena *arena; /* until the engine has the model no more; NULL: it has none */
    Instrumented instrumented;
    EngineModel *model;
    Stats *stats;
    bool *shown;        /* of Calibration.seen, in this run of the model */
    size_t left;        /* values of the pass that are not shown yet */
    bool ends;          /* a run is over when all are: they come once, in the main graph */
    double saved, save; /* when the .morstat was written last, and how long that took */
};

/* ---- what the engine shows */

static const char *add(const Observation *seen, Stat *stat, const EngineTensor *x,
                       const Spread *spread) {
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

static const char *see(void *user, int64_t slot, const EngineTensor *x, const Spread *spread) {
    Run *r = user;
    const Observation *seen = &r->c->seen.at[slot];
    if (seen->pass != r->c->pass) {
        return NULL;
    }
    const char *wrong = add(seen, stats_find(r->stats, seen->name), x, spread);
    r->left -= !r->shown[slot];
    r->shown[slot] = true;
    return wrong ? wrong : r->ends && r->left == 0 ? observe_enough : NULL;
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

static bool identify(Run *r, StatsIdentity *id) {
    TRY(hash_model(r->s, r->plan->layers->model, id->model));
    SpreadThreads *threads = spread_threads_open(r->s);
    const bool hashed = dataset_hash(r->s, r->data, spread_threads(threads), id->data);
    spread_threads_close(r->s, threads);
    return hashed;
}

/* ---- opening */

static bool open_data(Run *r) {
    Session *s = r->s;
    const Plan *plan = r->plan;
    DataWish wish;
    TRY(data_of_step(s, plan->recipe, plan->data_step, r->c->args, r->c->get, &wish));
    wish.part = plan->evaluation.held_out ? DATA_BUT_TENTH : DATA_ALL;
    size_t count;
    const DataInput *inputs = data_inputs_of_model(s, r->plan->layers->model, &count);
    r->data = dataset_open(s, &wish, inputs, count);
    r->inputs = count;
    r->given = arena_many(s->arena, DataTensor, count + 1);
    r->in = arena_many(s->arena, EngineTensor, count + 1);
    return r->data != NULL;
}

static bool fail(Run *r, const char *what, Str why) {
    if (session_stopped(r->s)) {
        return false;
    }
    Diag *d = diag_error(r->s, "E0707", r->at, "%s", what);
    diag_note(d, "%s", str_safe_c(r->s->arena, why));
    if (r->engine && engine_provider(r->engine) == ENGINE_CUDA) {
        diag_help(d, "it ran on the GPU; --device host runs it on the CPU");
    }
    return false;
}

static bool open_engine(Run *r) {
    Session *s = r->s;
    const EngineWish wish = device_engine(r->c->args, r->c->get);
    if (r->engine) {
        return true;
    }
    r->engine = engine_need(s, &wish, r->at);
    TRY(r->engine);
    r->c->engine = str_format(s->arena, "ONNX Runtime %.*s, %s", STR_ARG(engine_version(r->engine)),
                              engine_provider(r->engine) == ENGINE_CUDA ? "CUDA" : "CPU");
    r->c->why_cpu = engine_why_cpu(r->engine);
    return true;
}

/* The copy of the model that the pass is run on. */
static bool make_copy(Run *r, const InstrumentEdits *edits) {
    Calibration *c = r->c;
    const int level = edits ? c->passes.all.at[c->pass].level : ALL_LEVELS;
    r->arena = session_arena_open(r->s);
    return instrument(r->s, r->arena, c->model_path, &c->seen, level, edits, &r->instrumented);
}

/* All observers are in the graph in every pass, so that the library rewrites it alike. */
static bool open_model(Run *r) {
    Session *s = r->s;
    TRY(open_engine(r));
    r->observer = (EngineObserver){r, see};
    const EngineFile file = {STR(INSTRUMENT_DATA), r->instrumented.data, r->instrumented.data_size};
    const EngineLoad load = {.bytes = r->instrumented.bytes,
                             .size = r->instrumented.size,
                             .folder = model_data_folder(s, r->plan->layers->model),
                             .file = r->instrumented.data ? &file : NULL,
                             .observer = &r->observer,
                             .finishes = true}; /* statistics hold whole batches */
    Str why = {0};
    r->model = engine_load(s, r->engine, &load, &why);
    return r->model || fail(r, "the engine does not take this model", why);
}

static void close_model(Run *r) {
    engine_unload(r->s, r->model);
    r->model = NULL;
    if (r->instrumented.model) {
        model_close(r->instrumented.model);
    }
    r->instrumented = (Instrumented){0};
    if (r->arena) {
        session_arena_close(r->s, r->arena);
        malloc_trim(0); /* models come and go: what the library leaves in pieces would add up */
    }
    r->arena = NULL;
}

/* ---- running */

static bool keep(Run *r) {
    const double begin = clock_seconds();
    TRY(kept_stats_write(&r->kept, r->c->pass, r->stats));
    r->c->saved = r->c->saved || r->stats->batches > 0;
    r->saved = clock_seconds();
    r->save = r->saved - begin;
    return true;
}

static void begin_run(Run *r) {
    memset(r->shown, 0, r->c->seen.len * sizeof *r->shown);
    r->left = r->c->passes.all.at[r->c->pass].values;
}

static bool run_batch(Run *r, int64_t index) {
    TRY(dataset_batch(r->s, r->data, index, r->given));
    size_t count = 0;
    for (size_t i = 0; i < r->inputs; i++) {
        const DataTensor *t = &r->given[i];
        if (t->data || t->size == 0) {
            void *bytes = (void *)(uintptr_t)t->data;
            r->in[count++] =
                (EngineTensor){t->name, t->type, t->rank, t->dims, bytes, (size_t)t->size};
        }
    }
    const EnginePort *ports;
    if (engine_outputs(r->model, &ports) == 0) {
        return fail(r, "this model has no outputs to run for", STR(""));
    }
    EngineTensor out;
    Str why = {0};
    begin_run(r);
    if (!engine_run(r->model, r->in, count, &ports[0].name, 1, &out, &why)) {
        return fail(r, "the engine cannot run this model on the data", why);
    }
    engine_release_outputs(r->model);
    return true;
}

static const char *pass_name(const Run *r) {
    const size_t count = r->c->passes.all.len;
    return count == 1 ? "calibrate"
                      : str_format(r->s->arena, "calibrate %d/%zu", r->c->pass + 1, count).data;
}

static bool run_data(Run *r) {
    Session *s = r->s;
    const int64_t batches = dataset_batches(r->data);
    const char *name = pass_name(r);
    r->saved = clock_seconds();
    for (int64_t i = (int64_t)r->stats->batches; i < batches; i++) {
        if (s->progress) {
            s->progress(s->progress_user, name, (uint64_t)i, (uint64_t)batches);
        }
        const bool stopped = session_stopped(s);
        const double since = clock_seconds() - r->saved;
        if (stopped || (since > SAVE_SECONDS && since > SAVE_SHARE * r->save)) {
            TRY(keep(r) && !stopped);
        }
        TRY(run_batch(r, i));
        r->stats->batches++;
        r->stats->samples = (uint64_t)dataset_samples_in(r->data, i + 1);
    }
    r->stats->complete = true;
    return dataset_unchanged(s, r->data) && keep(r);
}

/* ---- passes */

static bool run_ends(const Run *r) {
    for (size_t i = 0; i < r->c->seen.len; i++) {
        const Observation *seen = &r->c->seen.at[i];
        TRY(seen->pass != r->c->pass || seen->graph->number == 0);
    }
    return true;
}

/* Takes what is kept of the pass; edits: as for calibrate. */
static bool begin_pass(Run *r, const InstrumentEdits *edits) {
    Calibration *c = r->c;
    uint8_t hash[32];
    if (edits) {
        TRY(make_copy(r, edits));
        crypto_hash_sha256_state h;
        crypto_hash_sha256_init(&h);
        crypto_hash_sha256_update(&h, r->instrumented.bytes, r->instrumented.size);
        crypto_hash_sha256_update(&h, r->instrumented.data, r->instrumented.data_size);
        crypto_hash_sha256_final(&h, hash);
    }
    r->stats = kept_stats_take(&r->kept, c->pass, edits ? hash : NULL);
    TRY(r->stats);
    c->why_new = r->kept.why_new;
    c->resumed = (int64_t)r->stats->samples;
    c->samples = r->stats->complete ? c->resumed : dataset_samples(r->data);
    c->kept_passes += r->stats->complete;
    c->saved = c->saved || (r->stats->batches && r->kept.path.len);
    r->ends = run_ends(r);
    return r->stats->complete || r->model || ((r->arena || make_copy(r, NULL)) && open_model(r));
}

/* What files have, and the engine if there is more to measure: of one model by one engine, as
 * another may give other bits. */
static bool find_kept(Run *r) {
    KeptStats *kept = &r->kept;
    kept->data = r->data;
    TRY(kept_stats_find(kept));
    bool whole = true, same = true;
    for (size_t i = 0; i < kept->all.len; i++) {
        whole = whole && kept->all.at[i].complete;
    }
    if (whole) {
        return true;
    }
    TRY(open_engine(r)); /* none at hand: said before any work */
    kept->engine = r->c->engine;
    for (size_t i = 0; i < kept->all.len; i++) {
        const KeptPass *pass = &kept->all.at[i];
        same = same && (!pass->kept || str_eq(pass->engine, kept->engine));
    }
    return same || kept_stats_find(kept);
}

static void begin_statistics(Run *r) {
    Calibration *c = r->c;
    c->stats = stats_open(r->s, r->stats ? &r->stats->identity : &r->kept.id);
    c->stats->engine = r->stats ? r->stats->engine : c->engine;
    for (size_t i = 0; i < c->seen.len; i++) {
        stats_add(c->stats, c->seen.at[i].name, c->seen.at[i].what);
    }
}

bool calibrate_open(Session *s, const Plan *plan, Calibration *c) {
    const double begin = clock_seconds();
    c->seen = observations(plan, s->arena);
    c->passes = (DataPasses){.budget = data_passes_budget(s, c->args->stats_memory)};
    Run *r = c->run = arena_new(s->arena, Run);
    *r = (Run){.s = s, .plan = plan, .c = c, .at = plan->data_step->span};
    r->shown = arena_many(s->arena, bool, c->seen.len + 1);
    r->kept = (KeptStats){.s = s,
                          .path = c->stats_path,
                          .named = c->args->stats.len > 0,
                          .seen = &c->seen,
                          .passes = &c->passes,
                          .encoded = plan->encoded};
    bool ok = open_data(r) && identify(r, &r->kept.id) && find_kept(r);
    if (ok) {
        c->samples = dataset_samples(r->data);
        /* Behind encoded layers the first pass, too, waits for weights that need no data. What the
         * data holds for all batches is made here, below what a pass gives back of the arena. */
        ok = plan->encoded ? c->samples == 0 || dataset_batch(s, r->data, 0, r->given)
                           : begin_pass(r, NULL);
    }
    if (ok) {
        begin_statistics(r);
    }
    c->seconds = clock_seconds() - begin;
    if (!ok) {
        calibrate_close(s, c);
    }
    return ok;
}

/* What a pass has measured joins the others. */
static void end_pass(Run *r) {
    Calibration *c = r->c;
    for (size_t i = 0; i < c->seen.len; i++) {
        if (c->seen.at[i].pass == c->pass) {
            stats_move(c->stats, r->stats, c->seen.at[i].name);
        }
    }
    c->stats->batches = r->stats->batches;
    c->stats->samples = r->stats->samples;
    c->stats->complete = r->stats->complete;
    stats_close(r->stats);
    r->stats = NULL;
    c->pass++;
}

bool calibrate(Session *s, Calibration *c, const InstrumentEdits *edits) {
    const double begin = clock_seconds();
    Run *r = c->run;
    const ArenaMark mark = arena_mark(s->arena);
    bool ok = r->stats || begin_pass(r, edits);
    ok = ok && (r->stats->complete || run_data(r));
    if (edits) { /* the float one serves all passes */
        close_model(r);
    }
    if (ok) {
        end_pass(r);
        if (edits) { /* the copy, as it was read: 5 MB for 900 nodes, and there are many passes */
            arena_reset(s->arena, mark);
        }
    }
    c->seconds += clock_seconds() - begin;
    if (!ok || calibrate_over(c)) {
        calibrate_close(s, c);
    }
    return ok;
}

bool calibrate_over(const Calibration *c) {
    return c->pass == (int)c->passes.all.len;
}

void calibrate_close(Session *s, Calibration *c) {
    Run *r = c->run;
    if (!r) {
        return;
    }
    c->run = NULL;
    close_model(r);
    engine_close(s, r->engine);
    dataset_close(s, r->data);
}
