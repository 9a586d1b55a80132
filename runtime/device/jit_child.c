/* See jit_child.h. One thread reads programs and queues them; the others take one, compile it and
 * send the result. Threads start as programs come. Memory is mem_alloc's: each thread has a guard
 * that ends the process, since there is nothing to go back to. */
#include "runtime/device/jit_child.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "runtime/base/alloc.h"
#include "runtime/base/clock.h"
#include "runtime/device/confine.h"
#include "runtime/device/kernel_headers.h"

typedef struct Job {
    struct Job *next;
    WireProgram program;
    char text[]; /* NUL-terminated */
} Job;

typedef struct Child {
    JitChild how;
    NvrtcApi api;
    const NvrtcOption *options[NVRTC_OPTIONS]; /* that this version takes */
    int option_count;
    pthread_mutex_t lock, sending;
    pthread_cond_t work;
    Job *first, **last; /* queue */
    int queued, started, idle, running;
    double born; /* clock_seconds */
} Child;

/* ---- frames */

static bool send_all(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        const ssize_t done = send(fd, at, size, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR) {
            return false;
        }
        at += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

static bool receive_all(int fd, void *data, size_t size) {
    char *at = data;
    while (size > 0) {
        const ssize_t done = recv(fd, at, size, 0);
        if (done == 0 || (done < 0 && errno != EINTR)) {
            return false;
        }
        at += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

/* A frame whose body is `head` and then `tail`. A parent that does not listen ends us. */
static void say(WireKind kind, const void *head, size_t size, Str tail) {
    const WireHead frame = {kind, (uint32_t)(size + tail.len)};
    if (!send_all(CONFINE_FD, &frame, sizeof frame) || !send_all(CONFINE_FD, head, size) ||
        !send_all(CONFINE_FD, tail.data, tail.len)) {
        _exit(JIT_CHILD_DONE);
    }
}

static _Noreturn void give_up(Str why) {
    say(WIRE_FAILED, "", 0, why);
    _exit(JIT_CHILD_FAILED);
}

/* ---- compiling */

/* Compiled bytes, or the log of why there are none; malloc'ed together behind a WireResult. */
typedef struct Reply {
    WireResult *result;
    size_t size;
} Reply;

static void choose_arch(const WireProgram *p, char option[48]) {
    snprintf(option, 48, "--gpu-architecture=%s_%d%s", p->ptx ? "compute" : "sm", p->arch,
             p->specific ? "a" : "");
}

static NvrtcStatus compile(const Child *c, const WireProgram *how, const char *text,
                           NvrtcProgram *program) {
    KernelIncludes includes;
    Str unknown;
    const char *names[KERNEL_HEADERS_MAX], *texts[KERNEL_HEADERS_MAX];
    /* a name that is not embedded is the compiler's to complain about */
    kernel_includes(str_from(text), &includes, &unknown);
    for (int i = 0; i < includes.count; i++) {
        names[i] = includes.at[i]->name;
        texts[i] = (const char *)includes.at[i]->data;
    }
    char arch[48];
    const char *options[NVRTC_OPTIONS + 1] = {arch};
    choose_arch(how, arch);
    for (int i = 0; i < c->option_count; i++) {
        options[i + 1] = c->options[i]->text;
    }
    *program = NULL;
    const NvrtcStatus status =
        c->api.create(program, text, "kernel.cu", includes.count, texts, names);
    return status ? status : c->api.compile(*program, c->option_count + 1, options);
}

/* Room for a result with `log` bytes of log and `output` bytes of output behind it. */
static Reply reply_of(size_t log, size_t output) {
    const size_t size = sizeof(WireResult) + log + output;
    return (Reply){mem_alloc(size), size};
}

static char *log_of(const Reply *r) {
    return (char *)(r->result + 1);
}

static size_t log_bytes(const Child *c, NvrtcProgram program) {
    size_t size = 0;
    return program && c->api.log_size(program, &size) == 0 && size > 1 ? size : 0;
}

/* The log at its full size first: it is cut only after its figures were read. */
static Reply collect(const Child *c, NvrtcProgram program, bool ptx, NvrtcStatus status) {
    const size_t full = log_bytes(c, program);
    size_t output = 0;
    if (status == 0) {
        status = ptx ? c->api.ptx_size(program, &output) : c->api.cubin_size(program, &output);
        output = status == 0 && output <= LIMIT_KERNEL_BYTES ? output : 0;
    }
    char *log = mem_alloc(full + 1);
    const size_t known = full > 0 && c->api.log(program, log) == 0 ? strlen(log) : 0;
    const char *said = known > 0 || status == 0 ? log : c->api.error_text(status);
    const size_t length = said ? strnlen(said, WIRE_LOG) : 0;
    Reply r = reply_of(length, output);
    char *to = log_of(&r) + length;
    if (length > 0) {
        memcpy(log_of(&r), said, length);
    }
    if (output > 0) {
        status = ptx ? c->api.ptx(program, to) : c->api.cubin(program, to);
    }
    output -= ptx && output > 0 && to[output - 1] == 0; /* PTX ends in a NUL */
    output = status == 0 ? output : 0;
    /* a compile that gives nothing is a failure as well */
    r.result->status = status == 0 && output == 0 ? -1 : status;
    r.result->use = nvrtc_log_use((Str){log, known});
    r.result->log = (uint32_t)length;
    r.result->output = (uint32_t)output;
    r.size = sizeof(WireResult) + length + output;
    mem_free(log);
    return r;
}

static void do_job(Child *c, const Job *job) {
    const double begin = clock_seconds();
    NvrtcProgram program;
    const NvrtcStatus status = compile(c, &job->program, job->text, &program);
    Reply r = collect(c, program, job->program.ptx, status);
    if (program) {
        c->api.destroy(&program);
    }
    r.result->index = job->program.index;
    r.result->seconds = clock_seconds() - begin;
    pthread_mutex_lock(&c->sending);
    say(WIRE_RESULT, r.result, sizeof *r.result, (Str){log_of(&r), r.size - sizeof *r.result});
    pthread_mutex_unlock(&c->sending);
    mem_free(r.result);
}

/* ---- threads */

/* Under the lock. Time is given anew when a program begins or ends, so one that does not end has no
 * more than its own, and a tenth for each other: enough for those, and not so much that a text
 * could hold up the rest for long. */
static void count_running(Child *c, int change) {
    c->running += change;
    confine_time(c->how.seconds + c->running * (c->how.seconds / 10 + 1));
}

static void *work(void *user) {
    Child *c = user;
    AllocGuard guard;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump)) {
        _exit(JIT_CHILD_MEMORY);
    }
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->first) {
            c->idle++;
            pthread_cond_wait(&c->work, &c->lock);
            c->idle--;
        }
        Job *job = c->first;
        c->first = job->next;
        c->last = c->first ? c->last : &c->first;
        c->queued--;
        count_running(c, 1);
        pthread_mutex_unlock(&c->lock);
        do_job(c, job);
        mem_free(job);
        pthread_mutex_lock(&c->lock);
        count_running(c, -1);
    }
    return NULL;
}

/* NVRTC's parser is recursive: each thread gets what a main thread usually has. */
static void start_thread(Child *c) {
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return;
    }
    pthread_attr_setstacksize(&attributes, (size_t)8 << 20);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    c->started += pthread_create(&thread, &attributes, work, c) == 0;
    pthread_attr_destroy(&attributes);
}

/* Without any thread to come, the reader itself compiles. */
static void queue(Child *c, Job *job) {
    pthread_mutex_lock(&c->lock);
    if (c->queued >= c->idle && c->started < c->how.threads) {
        start_thread(c);
    }
    const bool taken = c->started > 0;
    if (taken) {
        *c->last = job;
        c->last = &job->next;
        c->queued++;
        pthread_cond_signal(&c->work);
    } else {
        count_running(c, 1);
    }
    pthread_mutex_unlock(&c->lock);
    if (!taken) {
        do_job(c, job);
        mem_free(job);
        count_running(c, -1);
    }
}

static Job *read_job(void) {
    WireHead head;
    if (!receive_all(CONFINE_FD, &head, sizeof head)) {
        _exit(JIT_CHILD_DONE);
    }
    if (head.kind != WIRE_PROGRAM || head.size < sizeof(WireProgram) ||
        head.size > sizeof(WireProgram) + LIMIT_KERNEL_TEXT) {
        _exit(JIT_CHILD_BROKEN);
    }
    Job *job = mem_alloc(sizeof *job + head.size + 1);
    Str text;
    if (!receive_all(CONFINE_FD, job->text, head.size)) {
        _exit(JIT_CHILD_DONE);
    }
    if (!wire_program((Str){job->text, head.size}, &job->program, &text)) {
        _exit(JIT_CHILD_BROKEN);
    }
    memmove(job->text, text.data, text.len);
    job->text[text.len] = 0;
    return job;
}

/* ---- beginning */

/* Compiles nothing with the options so far; `log` holds what was said about it. */
static NvrtcStatus try_options(const Child *c, char log[WIRE_LOG]) {
    NvrtcProgram program;
    const WireProgram how = {.arch = c->api.at[c->api.architectures - 1]};
    const NvrtcStatus status = compile(c, &how, "", &program);
    log[0] = 0;
    if (program) {
        if (log_bytes(c, program) > 0 && log_bytes(c, program) < WIRE_LOG) {
            c->api.log(program, log);
        }
        c->api.destroy(&program);
    }
    return status;
}

/* Drops one that this version does not know: the one that the log names, or the last optional one.
 * False: none can go. */
static bool drop_option(Child *c, const char *log) {
    int named = -1, last = -1;
    for (int i = 0; i < c->option_count; i++) {
        if (c->options[i]->optional) {
            const Str name = str_from(c->options[i]->text);
            const int64_t end = str_find(name, '=');
            char word[64];
            snprintf(word, sizeof word, "%.*s", end < 0 ? (int)name.len : (int)end, name.data);
            named = strstr(log, word) ? i : named;
            last = i;
        }
    }
    const int gone = named >= 0 ? named : last;
    for (int i = gone; gone >= 0 && i + 1 < c->option_count; i++) {
        c->options[i] = c->options[i + 1];
    }
    c->option_count -= gone >= 0;
    return gone >= 0;
}

/* The first compile also makes NVRTC load the rest of itself (libnvrtc-builtins). That an option
 * is not known costs no time: it is said before anything is compiled. */
static void warm_up(Child *c) {
    char *log = mem_alloc(WIRE_LOG);
    for (const NvrtcOption *o = nvrtc_options; o->text; o++) {
        c->options[c->option_count++] = o;
    }
    NvrtcStatus status;
    do {
        status = try_options(c, log);
    } while (status == NVRTC_INVALID_OPTION && drop_option(c, log));
    if (status != 0) {
        char text[400];
        const char *said = c->api.error_text(status);
        log[strcspn(log, "\n")] = 0; /* one sentence */
        snprintf(text, sizeof text, "NVRTC %d.%d cannot compile an empty program: %s %.200s",
                 c->api.version / 1000, c->api.version % 1000 / 10, said ? said : "no reason given",
                 log);
        give_up(str_from(text));
    }
    mem_free(log);
}

static void say_loaded(const Child *c, Arena *arena) {
    struct stat is;
    WireLoaded loaded = {.version = c->api.version, .architectures = c->api.architectures};
    memcpy(loaded.at, c->api.at, sizeof loaded.at);
    Str path = nvrtc_api_path(&c->api, arena);
    if (path.len > 0 && c->how.sys->stat(path.data, &is) == 0) {
        loaded.file = (WireFile){is.st_size, is.st_mtim.tv_sec, is.st_mtim.tv_nsec,
                                 (uint64_t)is.st_dev, (uint64_t)is.st_ino};
    } else {
        path.len = 0;
    }
    loaded.path = (uint32_t)path.len;
    say(WIRE_LOADED, &loaded, sizeof loaded, path);
}

static void begin(Child *c) {
    Arena *arena = arena_open();
    Str why = {0};
    if (!nvrtc_api_open(&c->api, c->how.sys, arena, &why)) {
        give_up(why);
    }
    say_loaded(c, arena);
    warm_up(c);
    const ConfineLimits limits = {JIT_CHILD_BYTES, JIT_CHILD_TOTAL};
    bool landlock = false;
    if (!confine_end(c->how.sys, &limits, &landlock)) {
        give_up(STR("the compiler's process could not be confined"));
    }
    const WireReady ready = {.landlock = landlock, .seconds = clock_seconds() - c->born};
    say(WIRE_READY, &ready, sizeof ready, STR(""));
    arena_close(arena);
}

_Noreturn void jit_child_run(const JitChild *how) {
    const double born = clock_seconds();
    AllocGuard guard;
    alloc_guard_push(&guard);
    if (setjmp(guard.jump)) {
        _exit(JIT_CHILD_MEMORY);
    }
    if (!confine_begin(how->sys, how->socket, how->parent)) {
        _exit(JIT_CHILD_DONE);
    }
    Child *c = mem_alloc(sizeof *c);
    c->how = *how;
    c->born = born;
    c->last = &c->first;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->sending, NULL);
    pthread_cond_init(&c->work, NULL);
    begin(c);
    for (;;) {
        queue(c, read_job());
    }
}
