/* See jit.h: what is compiled where, and when to wait. The child is jit_child.c's, the way to it
 * jit_link.c's. */
#include "runtime/device/jit.h"
#include <string.h>
#include "runtime/device/jit_cache.h"
#include "runtime/device/jit_link.h"
#include "runtime/device/kernel_headers.h"

/* Seconds without a word after which the child is given up: on a machine so busy that loading or
 * one program takes that long, the host is faster. */
enum { PATIENCE = 120 };

/* What jit_build has in hand. */
typedef struct Build {
    JitProgram *programs;
    size_t count, waiting;
    bool *sent; /* and not answered */
    size_t failed;
    Str log; /* of the failed program with the lowest index; .data NULL: none failed */
} Build;

struct Jit {
    JitLink link;
    JitOptions options;
    bool loaded, ready, landlock;
    double loading; /* seconds until ready */
    int version;    /* of the NVRTC in the child, or, until it is loaded, of the one remembered */
    int recalled;   /* -1: not tried yet */
    int architectures, at[NVRTC_ARCHITECTURES];
    WireFile file;
    Str path;
    Build build;
    Arena *scratch;
    Cleanup cleanup;
};

static void close_jit(Session *s, void *owner) {
    (void)s;
    Jit *jit = owner;
    jit_link_close(&jit->link);
    arena_close(jit->scratch);
}

Jit *jit_open(Session *s, const JitOptions *options, Str *why) {
    Jit *jit = arena_new(s->arena, Jit);
    jit->options = *options;
    jit->options.threads = options->threads < 1 ? 1 : options->threads;
    jit->options.seconds = options->seconds < 1 ? JIT_SECONDS : options->seconds;
    jit->recalled = -1;
    jit->link.fd = -1;
    session_on_close(s, &jit->cleanup, close_jit, jit);
    jit->scratch = arena_open();
    if (!jit_link_open(s, &jit->link, jit_child_run, jit->options.threads, jit->options.seconds,
                       why)) {
        jit_close(s, jit);
        return NULL;
    }
    return jit;
}

void jit_close(Session *s, Jit *jit) {
    if (jit) {
        session_forget(s, &jit->cleanup);
        close_jit(s, jit);
    }
}

int jit_version(const Jit *jit) {
    return jit->version;
}

bool jit_supports(const Jit *jit, int arch) {
    for (int i = 0; i < jit->architectures; i++) {
        if (jit->at[i] == arch) {
            return true;
        }
    }
    return false;
}

const int *jit_architectures(const Jit *jit, int *count) {
    *count = jit->architectures;
    return jit->at;
}

Str jit_path(const Jit *jit) {
    return jit->path;
}

double jit_loading(const Jit *jit) {
    return jit->loading;
}

bool jit_confined(const Jit *jit) {
    return jit->landlock;
}

/* ---- what the child says */

static bool take_loaded(Session *s, Jit *jit, Str body) {
    WireLoaded loaded;
    Str path;
    if (jit->loaded || !wire_loaded(body, &loaded, &path)) {
        return false;
    }
    jit->loaded = true;
    jit->version = loaded.version;
    jit->architectures = loaded.architectures;
    memcpy(jit->at, loaded.at, sizeof jit->at);
    jit->file = loaded.file;
    jit->path = str_copy(s->arena, path);
    return true;
}

static bool take_ready(Jit *jit, Str body) {
    WireReady ready;
    if (!jit->loaded || jit->ready || !wire_ready(body, &ready)) {
        return false;
    }
    jit->ready = true;
    jit->landlock = ready.landlock != 0;
    jit->loading = ready.seconds;
    return true;
}

static bool take_result(Session *s, Jit *jit, Str body) {
    Build *b = &jit->build;
    WireResult result;
    Str log, output;
    if (!wire_result(body, &result, &log, &output) || result.index >= b->count ||
        !b->sent[result.index]) {
        return false;
    }
    b->sent[result.index] = false;
    b->waiting--;
    JitProgram *p = &b->programs[result.index];
    p->seconds = result.seconds;
    if (result.status != 0) {
        if (!b->log.data || result.index < b->failed) {
            b->failed = result.index;
            b->log = str_copy(s->arena, log);
        }
        return true;
    }
    *(jit->options.ptx ? &p->ptx : &p->cubin) = str_copy(s->arena, output);
    p->registers = result.use.registers;
    p->stack = result.use.stack;
    p->shared = result.use.shared;
    p->spills = result.use.spills;
    return true;
}

/* One frame. False: the link is over, and *why says so. */
static bool listen_once(Session *s, Jit *jit, Str *why) {
    WireKind kind = WIRE_FAILED;
    Str body = {0};
    bool good = false;
    if (jit_link_next(s, &jit->link, PATIENCE, &kind, &body)) {
        good = kind == WIRE_LOADED   ? take_loaded(s, jit, body)
               : kind == WIRE_READY  ? take_ready(jit, body)
               : kind == WIRE_RESULT ? take_result(s, jit, body)
                                     : false;
        if (!good) {
            jit_link_fail(s, &jit->link, STR("the compiler's answer makes no sense"));
        }
    }
    if (!good) {
        *why = jit->link.failure;
    }
    return good;
}

static bool wait_loaded(Session *s, Jit *jit, Str *why) {
    while (!jit->loaded) {
        TRY(listen_once(s, jit, why));
    }
    return true;
}

bool jit_ready(Session *s, Jit *jit, Str *why) {
    const bool was_ready = jit->ready;
    if (jit->link.failure.len > 0) {
        *why = jit->link.failure;
        return false;
    }
    while (!jit->ready) {
        TRY(listen_once(s, jit, why));
    }
    if (!was_ready && jit->options.cache && jit->recalled != jit->version) {
        jit_cache_remember(s, jit->options.cache, jit->version, &jit->file, jit->path);
        jit->recalled = jit->version;
    }
    return true;
}

/* ---- building */

/* Only names of the table, so that the key holds all that is compiled. */
static bool check_text(Session *s, const JitProgram *p, Str *why) {
    KernelIncludes includes;
    Str unknown = {0};
    if (!kernel_includes(p->text, &includes, &unknown)) {
        *why = str_format(s->arena, "a kernel includes \"%.*s\", which is not embedded",
                          STR_ARG(unknown));
        return false;
    }
    if (p->text.len > LIMIT_KERNEL_TEXT) {
        *why = str_format(s->arena, "a kernel's text has %zu bytes", p->text.len);
        return false;
    }
    return true;
}

static bool is_built(const Jit *jit, const JitProgram *p) {
    return (jit->options.ptx ? p->ptx.len : p->cubin.len) > 0;
}

static size_t look_up(Session *s, Jit *jit, int arch, JitProgram *programs, size_t count) {
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        arena_reset(jit->scratch, (ArenaMark){0});
        if (!is_built(jit, &programs[i])) {
            missing += !jit_cache_load(s, jit->options.cache, arch, jit->version, &programs[i],
                                       jit->scratch);
        }
    }
    return missing;
}

/* How many programs the cache does not have. Asks the child for its version only if no run before
 * has noted it. */
static bool from_cache(Session *s, Jit *jit, int arch, JitProgram *programs, size_t count,
                       size_t *missing, Str *why) {
    *missing = count;
    if (!jit->options.cache || jit->options.ptx || count == 0) {
        return true;
    }
    if (!jit->loaded && jit->recalled < 0) {
        jit->version = jit->recalled = jit_cache_recall(s, jit->options.cache);
    }
    if (jit->version == 0) {
        TRY(wait_loaded(s, jit, why));
    }
    const int version = jit->version;
    *missing = look_up(s, jit, arch, programs, count);
    if (*missing > 0) {
        TRY(jit_ready(s, jit, why));
        if (jit->version != version) { /* another NVRTC than was remembered */
            *missing = look_up(s, jit, arch, programs, count);
        }
    }
    return true;
}

static void send_missing(Jit *jit, int arch, Build *b) {
    for (size_t i = 0; i < b->count; i++) {
        if (!is_built(jit, &b->programs[i])) {
            const WireProgram head = {(uint32_t)i, arch, b->programs[i].specific, jit->options.ptx};
            jit_link_send(&jit->link, WIRE_PROGRAM, &head, sizeof head, b->programs[i].text);
            b->sent[i] = true;
            b->waiting++;
        }
    }
}

static bool compile_missing(Session *s, Jit *jit, int arch, Str *why) {
    Build *b = &jit->build;
    send_missing(jit, arch, b);
    while (b->waiting > 0) {
        TRY(listen_once(s, jit, why));
    }
    if (b->log.data) {
        const Str explained = nvrtc_log_explain(s->arena, b->programs[b->failed].text, b->log);
        *why = str_format(s->arena, "NVRTC %d.%d refuses a kernel for sm_%d%s:\n%.*s",
                          jit->version / 1000, jit->version % 1000 / 10, arch,
                          b->programs[b->failed].specific ? "a" : "", STR_ARG(explained));
        return false;
    }
    return true;
}

bool jit_build(Session *s, Jit *jit, int arch, JitProgram *programs, size_t count, Str *why) {
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        JitProgram *p = &programs[i];
        *p = (JitProgram){.text = p->text,
                          .specific = p->specific,
                          .registers = -1,
                          .stack = -1,
                          .shared = -1,
                          .spills = -1};
        TRY(check_text(s, p, why));
    }
    TRY(from_cache(s, jit, arch, programs, count, &missing, why));
    if (missing == 0) {
        return true;
    }
    TRY(jit_ready(s, jit, why));
    if (!jit_supports(jit, arch)) {
        *why = str_format(s->arena, "NVRTC %d.%d does not know sm_%d", jit->version / 1000,
                          jit->version % 1000 / 10, arch);
        return false;
    }
    bool *sent = arena_many(s->arena, bool, count);
    jit->build = (Build){.programs = programs, .count = count, .sent = sent};
    const bool built = compile_missing(s, jit, arch, why);
    jit->build = (Build){0};
    for (size_t i = 0; jit->options.cache && !jit->options.ptx && i < count; i++) {
        if (is_built(jit, &programs[i]) && !programs[i].cached) {
            arena_reset(jit->scratch, (ArenaMark){0});
            jit_cache_store(s, jit->options.cache, arch, jit->version, &programs[i], jit->scratch);
        }
    }
    return built;
}
