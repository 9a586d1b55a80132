/* See jit_link.h. The socket does not block on this side. */
#include "runtime/device/jit_link.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "runtime/base/sanitize.h"

enum { SLICE = 100 /* milliseconds after which a signal is noticed */ };

static int64_t milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the process */

/* Its wait status, or -1 when it had to be killed, or the system has taken it away already (an
 * ignored SIGCHLD). It is given `grace` milliseconds to end by itself. The number of a process that
 * was not waited for cannot be another's, so nobody else is killed. */
static int reap(JitLink *link, int grace) {
    int status = -1;
    pid_t done = 0;
    const int64_t until = milliseconds() + grace;
    while (link->child > 0) {
        done = waitpid(link->child, &status, WNOHANG);
        if (done != 0 || milliseconds() >= until) {
            break;
        }
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    if (link->child > 0 && done == 0) {
        kill(link->child, SIGKILL);
        while (waitpid(link->child, NULL, 0) < 0 && errno == EINTR) {
        }
        status = -1;
    }
    link->child = 0;
    return status;
}

static void hang_up(JitLink *link) {
    if (link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
}

void jit_link_close(JitLink *link) {
    hang_up(link);
    reap(link, 0);
    arena_close(link->in);
    arena_close(link->out);
    link->in = link->out = NULL;
}

void jit_link_fail(Session *s, JitLink *link, Str why) {
    if (link->failure.len == 0) {
        link->failure = str_copy(s->arena, why);
    }
    hang_up(link);
    reap(link, 0);
}

static Str reason_of(const Session *s, const JitLink *link, int status) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        return str_format(s->arena, "the compiler was stopped: more than %d s for one kernel",
                          link->seconds);
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        return STR("the compiler was killed (out of memory, most likely)");
    }
    if (WIFSIGNALED(status)) {
        return str_format(s->arena, "the compiler crashed, or needed more than %s (signal %d)",
                          str_bytes(s->arena, JIT_CHILD_BYTES).data, WTERMSIG(status));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == JIT_CHILD_MEMORY) {
        return STR("the compiler ran out of memory");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != JIT_CHILD_DONE) {
        return str_format(s->arena, "the compiler ended by itself (exit %d)", WEXITSTATUS(status));
    }
    return STR("the compiler hung up");
}

/* It has hung up, or cannot be read. */
static void over(Session *s, JitLink *link) {
    const int status = reap(link, 2000);
    jit_link_fail(s, link, reason_of(s, link, status));
}

static void count_task(void *user, const char *name) {
    *(int *)user += name[0] != '.';
}

static int count_tasks(const Session *s) {
    int tasks = 0;
    return s->sys->list("/proc/self/task", count_task, &tasks) == 0 ? tasks : 1;
}

/* A child has only the thread that forked; locks that others held would stay locked in it. None of
 * ours runs any more (one that was joined may be listed for a moment), but libraries that were
 * loaded with us may have started some. */
static bool one_thread(Session *s, Str *why) {
    int tasks = count_tasks(s);
    for (int i = 0; tasks > 1 && i < SLICE; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        tasks = count_tasks(s);
    }
    if (tasks > 1) {
        *why = str_format(s->arena,
                          "no process for the compiler: this one has %d threads already, of "
                          "libraries loaded with it (LD_PRELOAD?)",
                          tasks);
    }
    return tasks <= 1;
}

bool jit_link_open(Session *s, JitLink *link, void (*run)(const JitChild *), int threads,
                   int seconds, Str *why) {
    int ends[2];
    *link = (JitLink){.fd = -1, .seconds = seconds};
    TRY(one_thread(s, why));
    link->in = arena_open();
    link->out = arena_open();
    link->queue = buf_on(link->out);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        *why = str_format(s->arena, "no socket for the compiler: %s", strerror(errno));
        return false;
    }
    link->fd = ends[0];
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
        run(&(JitChild){s->sys, parent, ends[1], threads, seconds});
        _exit(JIT_CHILD_BROKEN);
    }
    const int error = errno;
    close(ends[1]);
    if (child < 0) {
        hang_up(link);
        *why = str_format(s->arena, "no process for the compiler: %s", strerror(error));
        return false;
    }
    link->child = child;
    fcntl(link->fd, F_SETFL, O_NONBLOCK);
    return true;
}

/* ---- frames */

void jit_link_send(JitLink *link, WireKind kind, const void *head, size_t size, Str tail) {
    const WireHead frame = {kind, (uint32_t)(size + tail.len)};
    buf_add(&link->queue, &frame, sizeof frame);
    buf_add(&link->queue, head, size);
    buf_str(&link->queue, tail);
}

static void push(JitLink *link) {
    while (link->sent < link->queue.len) {
        const ssize_t done = send(link->fd, link->queue.data + link->sent,
                                  link->queue.len - link->sent, MSG_NOSIGNAL);
        if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        /* to one who has hung up nothing is sent; what he said before is still to be read */
        link->sent = done < 0 ? link->queue.len : link->sent + (size_t)done;
    }
    arena_reset(link->out, (ArenaMark){0});
    link->queue = buf_on(link->out);
    link->sent = 0;
}

/* Where the next bytes of the frame go, and how many are missing there. */
static char *place(JitLink *link, size_t *room) {
    if (link->received < sizeof link->head) {
        *room = sizeof link->head - link->received;
        return (char *)&link->head + link->received;
    }
    const size_t have = link->received - sizeof link->head;
    *room = link->head.size - have;
    return link->body + have;
}

static bool complete(const JitLink *link) {
    return link->body && link->received == sizeof link->head + link->head.size;
}

typedef enum Pulled { PULLED, PULLED_END, PULLED_NONSENSE } Pulled;

/* What is there now. */
static Pulled pull(JitLink *link) {
    while (!complete(link)) {
        size_t room;
        char *to = place(link, &room);
        const ssize_t done = recv(link->fd, to, room, 0);
        if (done < 0 && errno == EAGAIN) {
            return PULLED;
        }
        if (done == 0 || (done < 0 && errno != EINTR)) {
            return PULLED_END;
        }
        link->received += done > 0 ? (size_t)done : 0;
        if (link->received == sizeof link->head && !link->body) {
            if (!wire_head(link->head)) {
                return PULLED_NONSENSE;
            }
            link->body = arena_alloc(link->in, link->head.size + 1);
        }
    }
    return PULLED;
}

static void next_frame(JitLink *link) {
    if (link->given) {
        arena_reset(link->in, (ArenaMark){0});
        link->body = NULL;
        link->received = 0;
        link->given = false;
    }
}

/* One turn: false when the link is over. */
static bool turn(Session *s, JitLink *link) {
    const bool sends = link->queue.len > link->sent;
    struct pollfd p = {link->fd, (short)(POLLIN | (sends ? POLLOUT : 0)), 0};
    const int ready = poll(&p, 1, SLICE);
    Pulled pulled = PULLED;
    if (session_stopped(s)) {
        jit_link_fail(s, link, STR("stopped"));
        return false;
    }
    if (ready > 0 && (p.revents & POLLOUT)) {
        push(link);
    }
    if (ready > 0 && (p.revents & (POLLIN | POLLHUP | POLLERR))) {
        pulled = pull(link);
    }
    if (pulled == PULLED_END) {
        over(s, link);
    } else if (pulled == PULLED_NONSENSE) {
        jit_link_fail(s, link, STR("the compiler's answer makes no sense"));
    }
    return pulled == PULLED;
}

bool jit_link_next(Session *s, JitLink *link, int patience, WireKind *kind, Str *body) {
    const int64_t until = milliseconds() + (int64_t)patience * 1000;
    if (link->failure.len > 0) {
        return false;
    }
    next_frame(link);
    while (!complete(link)) {
        TRY(turn(s, link));
        if (!complete(link) && milliseconds() > until) {
            jit_link_fail(s, link,
                          str_format(s->arena, "the compiler did not answer for %d s", patience));
            return false;
        }
    }
    link->given = true;
    *kind = (WireKind)link->head.kind;
    *body = (Str){link->body, link->head.size};
    if (*kind == WIRE_FAILED) {
        jit_link_fail(s, link, str_safe(s->arena, str_slice(*body, 0, 1000)));
        return false;
    }
    return true;
}
