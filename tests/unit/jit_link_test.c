/* jit_link: children that hang up, die in any way, hang, trickle, flood or talk nonsense are ended,
 * and the reason is a sentence; frames arrive whole in any pieces; no process and no descriptor is
 * left. */
#include "tests/unit/unit.h"
#include "runtime/base/alloc.h"
#include "runtime/device/jit_link.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void pause_for(int milliseconds) {
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000L}, NULL);
}

static void put(const JitChild *c, const void *data, size_t size) {
    if (send(c->socket, data, size, MSG_NOSIGNAL) != (ssize_t)size) {
        _exit(9);
    }
}

static void put_frame(const JitChild *c, uint32_t kind, const void *body, uint32_t size) {
    const WireHead head = {kind, size};
    put(c, &head, sizeof head);
    if (size > 0) {
        put(c, body, size);
    }
}

static JitLink opened(Session *s, void (*run)(const JitChild *)) {
    JitLink link;
    Str why = {0};
    if (!jit_link_open(s, &link, run, 2, 20, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    return link;
}

/* Such a child is ended for that reason, within so many seconds. */
static void ends(void (*run)(const JitChild *), const char *reason, double within) {
    const int64_t live = alloc_live();
    Session *s = session_open(&sys_real);
    JitLink link = opened(s, run);
    WireKind kind;
    Str body;
    const double begin = now();
    assert_false(jit_link_next(s, &link, 1, &kind, &body));
    assert_true(now() - begin < within);
    assert_str(link.failure, reason);
    assert_false(jit_link_next(s, &link, 1, &kind, &body)); /* and stays so */
    jit_link_fail(s, &link, STR("another reason"));
    assert_str(link.failure, reason);
    assert_int_equal(link.fd, -1);
    jit_link_close(&link);
    jit_link_close(&link);
    session_close(s);
    assert_int_equal(alloc_live(), live);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void hangs_up(const JitChild *c) {
    (void)c;
    _exit(0);
}
static void has_no_memory(const JitChild *c) {
    (void)c;
    _exit(JIT_CHILD_MEMORY);
}
static void dies(int number) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    raise(number);
}
static void crashes(const JitChild *c) {
    (void)c;
    dies(SIGSEGV);
}
static void is_killed(const JitChild *c) {
    (void)c;
    dies(SIGKILL);
}
static void takes_too_long(const JitChild *c) {
    (void)c;
    dies(SIGXCPU);
}
static void hangs(const JitChild *c) {
    (void)c;
    for (;;) {
        pause();
    }
}
static void trickles(const JitChild *c) {
    const WireHead head = {WIRE_RESULT, 1000000};
    put(c, &head, sizeof head);
    for (;;) {
        put(c, "x", 1);
        pause_for(50);
    }
}
static void stops_within_a_frame(const JitChild *c) {
    put(c, "\2\0\0\0\100\0\0\0only this much", 22);
    _exit(0);
}
static void is_too_long(const JitChild *c) {
    const WireHead head = {WIRE_RESULT, WIRE_BODY + 1};
    put(c, &head, sizeof head);
    hangs(c);
}
static void is_of_no_kind(const JitChild *c) {
    put_frame(c, 77, "", 0);
    hangs(c);
}
static void closes_and_stays(const JitChild *c) {
    close(c->socket);
    signal(SIGTERM, SIG_IGN);
    hangs(c);
}
static void says_why(const JitChild *c) {
    put_frame(c, WIRE_FAILED, "no \x1b[31mcompiler\n", 17);
    hangs(c);
}
static void returns(const JitChild *c) {
    (void)c;
}

static void bad_children_are_ended(void **state) {
    (void)state;
    ends(hangs_up, "the compiler hung up", 2);
    ends(returns, "the compiler ended by itself (exit 4)", 2);
    ends(has_no_memory, "the compiler ran out of memory", 2);
    ends(crashes, "the compiler crashed, or needed more than 4.0 GiB (signal 11)", 2);
    ends(is_killed, "the compiler was killed (out of memory, most likely)", 2);
    ends(takes_too_long, "the compiler was stopped: more than 20 s for one kernel", 2);
    ends(hangs, "the compiler did not answer for 1 s", 3);
    ends(trickles, "the compiler did not answer for 1 s", 3);
    ends(stops_within_a_frame, "the compiler hung up", 2);
    ends(is_too_long, "the compiler's answer makes no sense", 2);
    ends(is_of_no_kind, "the compiler's answer makes no sense", 2);
    ends(closes_and_stays, "the compiler hung up", 5);
    ends(says_why, "no \\x1b[31mcompiler\\x0a", 2);
}

/* Sends four frames in pieces of growing size, then what it was sent, all at once. */
static void echoes(const JitChild *c) {
    char frame[4096];
    for (uint32_t i = 0; i < 4; i++) {
        const WireHead head = {WIRE_RESULT, i * 1000};
        memcpy(frame, &head, sizeof head);
        memset(frame + sizeof head, 'a' + (int)i, head.size);
        for (size_t at = 0, piece = 1; at < sizeof head + head.size; at += piece, piece += 1 + i) {
            const size_t left = sizeof head + head.size - at;
            put(c, frame + at, piece < left ? piece : left);
        }
    }
    char *all = malloc(WIRE_BODY);
    size_t have = 0;
    for (;;) {
        const ssize_t got = recv(c->socket, all + have, WIRE_BODY - have, 0);
        if (got <= 0) {
            _exit(0);
        }
        have += (size_t)got;
        if (have >= 5000000) {
            put_frame(c, WIRE_LOADED, all, (uint32_t)have);
            free(all);
            have = 0;
            all = malloc(WIRE_BODY);
        }
    }
}

static void frames_arrive_whole(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    JitLink link = opened(s, echoes);
    WireKind kind;
    Str body;
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(jit_link_next(s, &link, 10, &kind, &body));
        assert_int_equal(kind, WIRE_RESULT);
        assert_int_equal(body.len, i * 1000);
        for (size_t k = 0; k < body.len; k++) {
            assert_int_equal(body.data[k], 'a' + (int)i);
        }
    }
    char *big = arena_alloc(s->arena, 5000000);
    for (size_t i = 0; i < 5000000; i++) {
        big[i] = (char)(i * 2654435761u >> 13);
    }
    for (int round = 0; round < 2; round++) { /* much more than a socket holds, both ways */
        jit_link_send(&link, WIRE_PROGRAM, "head", 4, (Str){big, 5000000 - 12});
        assert_true(jit_link_next(s, &link, 10, &kind, &body));
        assert_int_equal(kind, WIRE_LOADED);
        assert_int_equal(body.len, 5000000);
        const WireHead head = {WIRE_PROGRAM, 5000000 - 8};
        assert_memory_equal(body.data, &head, sizeof head);
        assert_memory_equal(body.data + 8, "head", 4);
        assert_memory_equal(body.data + 12, big, 5000000 - 12);
    }
    jit_link_close(&link);
    session_close(s);
}

/* The child is told who its parent is, and what it may take. */
static void tells(const JitChild *c) {
    const int facts[4] = {c->threads, c->seconds, c->parent == getppid(), c->sys == &sys_real};
    put_frame(c, WIRE_READY, facts, sizeof facts);
    hangs(c);
}

static void the_child_knows_its_limits(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    JitLink link = opened(s, tells);
    WireKind kind;
    Str body;
    assert_true(jit_link_next(s, &link, 10, &kind, &body));
    const int facts[4] = {2, 20, 1, 1};
    assert_int_equal(body.len, sizeof facts);
    assert_memory_equal(body.data, facts, sizeof facts);
    atomic_int stop = SIGTERM;
    s->stop = &stop;
    assert_false(jit_link_next(s, &link, 10, &kind, &body));
    assert_str(link.failure, "stopped");
    jit_link_close(&link);
    session_close(s);
}

/* Who ignores SIGCHLD has no children to wait for. */
static void an_ignored_signal_does_not_matter(void **state) {
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    Session *s = session_open(&sys_real);
    WireKind kind;
    Str body;
    JitLink link = opened(s, crashes);
    assert_false(jit_link_next(s, &link, 10, &kind, &body));
    assert_str(link.failure, "the compiler hung up");
    jit_link_close(&link);
    link = opened(s, hangs);
    jit_link_close(&link);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    session_close(s);
}

static void *wait_for_end(void *user) {
    pthread_mutex_lock(user);
    pthread_mutex_unlock(user);
    return NULL;
}

static void a_process_with_threads_is_not_forked(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    pthread_mutex_t end = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    JitLink link;
    Str why = {0};
    pthread_mutex_lock(&end);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &end), 0);
    assert_false(jit_link_open(s, &link, hangs_up, 2, 20, &why));
    assert_non_null(strstr(str_c(s->arena, why), "has 2 threads already"));
    jit_link_close(&link);
    pthread_mutex_unlock(&end);
    pthread_join(thread, NULL);
    link = opened(s, hangs_up);
    jit_link_close(&link);
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_children_are_ended),
        cmocka_unit_test(frames_arrive_whole),
        cmocka_unit_test(the_child_knows_its_limits),
        cmocka_unit_test(an_ignored_signal_does_not_matter),
        cmocka_unit_test(a_process_with_threads_is_not_forked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
