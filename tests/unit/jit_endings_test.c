/* jit: nothing is left of the child whatever happens to its parent (killed, stopped, out of memory,
 * calls that fail), nor of what the parent had for it. The first test needs no NVRTC. */
#include "tests/unit/jit_world.h"
#include "tests/unit/faulty_sys.h"
#include "runtime/base/alloc.h"
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>

static void opening_and_closing_leaves_nothing(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        const int64_t live = alloc_live();
        Session *s = session_open(&sys_real);
        Jit *jit = opened(s, (JitOptions){.threads = 2});
        assert_int_equal(jit_version(jit), 0);
        if (i % 2) {
            jit_close(s, jit);
            jit_close(s, NULL);
        }
        session_close(s);
        assert_int_equal(alloc_live(), live);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

/* Kills a process that has a Jit at work, after so many milliseconds. What it leaves becomes our
 * child (we are its reaper), and must be gone soon. */
static void kill_parent_after(int milliseconds) {
    const pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        Session *s = session_open(&sys_real);
        Str why = {0};
        Jit *jit = jit_open(s, &(JitOptions){.threads = 2}, &why);
        JitProgram p[2] = {{.text = str_from(kernel)}, {.text = str_from(kernel)}};
        while (jit && jit_build(s, jit, 90, p, 2, &why)) {
        }
        _exit(1);
    }
    nanosleep(&(struct timespec){0, milliseconds * 1000000L}, NULL);
    assert_int_equal(kill(parent, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status));
    const double until = now() + 10;
    for (;;) {
        const pid_t left = waitpid(-1, &status, WNOHANG);
        if (left < 0 && errno == ECHILD) {
            return;
        }
        if (now() > until) {
            fail_msg("a child outlives its parent, which was killed after %d ms", milliseconds);
        }
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

static void nothing_outlives_a_killed_parent(void **state) {
    (void)state;
    NEEDS_NVRTC();
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    for (int i = 0; i < 40; i++) {
        kill_parent_after(i < 20 ? i : i * 4);
    }
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void a_signal_ends_the_build(void **state) {
    (void)state;
    NEEDS_NVRTC();
    Session *s = session_open(&sys_real);
    atomic_int stop = 0;
    s->stop = &stop;
    Jit *jit = opened(s, (JitOptions){.threads = 1});
    JitProgram p = {.text = str_from(kernel)};
    build(s, jit, 90, &p, 1);
    atomic_store(&stop, SIGINT);
    Str why = {0};
    const double begin = now();
    assert_false(jit_build(s, jit, 90, &p, 1, &why));
    assert_true(now() - begin < 1);
    assert_str(why, "stopped");
    session_close(s);
}

static __attribute__((noinline)) int open_descriptors(void) {
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d)) {
        count++;
    }
    closedir(d);
    return count;
}

static void failing_allocations_unwind(void **state) {
    (void)state;
    NEEDS_NVRTC();
    const int descriptors = open_descriptors();
    for (volatile int n = 1;; n++) {
        const int64_t live = alloc_live();
        Session *volatile s = session_open(&sys_real);
        volatile bool failed = false, built = false;
        AllocGuard guard;
        alloc_guard_push(&guard);
        if (setjmp(guard.jump) == 0) {
            Str why = {0};
            JitProgram p = {.text = {kernel, sizeof kernel - 1}};
            alloc_fail_at(n, true);
            JitOptions options = {.threads = 1, .cache = cubin_cache_open(s, str_from(dir), &why)};
            Jit *jit = jit_open(s, &options, &why);
            built = jit && jit_build(s, jit, 90, &p, 1, &why);
        } else {
            failed = true;
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&guard);
        session_close(s);
        assert_int_equal(alloc_live(), live);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        if (!failed && built) {
            print_message("%d allocations failed\n", n - 1);
            assert_true(n > 5);
            return;
        }
        assert_true(n < 2000);
    }
}

/* Calls of the parent and of the child, which counts on from the fork. What fails costs a kernel or
 * a stored result, never more. */
static void failing_calls_do_no_harm(void **state) {
    (void)state;
    NEEDS_NVRTC();
    const int descriptors = open_descriptors();
    int failures = 0;
    for (int n = 1; n <= 40; n++) {
        static const int errors[] = {EIO, EACCES, EMFILE, EINTR};
        const int64_t live = alloc_live();
        faulty_set(n, errors[n / 2 % 4], n % 2);
        Session *s = session_open(&sys_faulty);
        Str why = {0};
        JitOptions options = {.threads = 1, .cache = cubin_cache_open(s, str_from(dir), &why)};
        Jit *jit = jit_open(s, &options, &why);
        JitProgram p = {.text = str_from(kernel)};
        if (!jit || !jit_build(s, jit, 90, &p, 1, &why)) {
            failures++;
            assert_true(why.len > 0);
        } else {
            assert_true(p.cubin.len > 1000);
        }
        session_close(s);
        faulty_set(0, 0, false);
        assert_int_equal(faulty_open_files(), 0);
        assert_int_equal(alloc_live(), live);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
    assert_true(failures < 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_and_closing_leaves_nothing),
        cmocka_unit_test_setup_teardown(nothing_outlives_a_killed_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_signal_ends_the_build, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_unwind, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_calls_do_no_harm, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
