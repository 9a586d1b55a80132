/* cubin_cache: failing calls and allocations, and eight processes at once, never give a wrong
 * kernel, a leak or a leftover. */
#include "tests/unit/cubin_world.h"
#include "tests/unit/faulty_sys.h"
#include "runtime/base/alloc.h"
#include <errno.h>
#include <sys/wait.h>

/* One life of a cache; whatever fails, a kernel that is given is the right one. */
static void life(const Sys *sys) {
    Session *s = session_open(sys);
    Str why = {0}, got = {0};
    const Str payload = payload_of(s, 3000, 1);
    CubinCache *cache = cubin_cache_open(s, str_from(root), &why);
    if (!cache) {
        assert_true(why.len > 0);
    } else {
        for (int i = 0; i < 2; i++) {
            if (cubin_cache_load(s, cache, &key, &got)) {
                assert_true(str_eq(got, payload));
            }
            cubin_cache_store(s, cache, &key, payload);
        }
    }
    session_close(s);
}

static void failing_calls_do_no_harm(void **state) {
    (void)state;
    static const int errors[] = {EIO, ENOSPC, EACCES, EINTR, EMFILE};
    int runs = 0;
    for (int e = 0; e < 5; e++) {
        for (int n = 1; n < 1000; n++, runs++) {
            const int64_t live = alloc_live();
            faulty_short_writes(n % 3 == 0);
            faulty_set(n, errors[e], n % 2);
            life(&sys_faulty);
            const bool all_ran = faulty_calls() < n;
            faulty_set(0, 0, false);
            faulty_short_writes(false);
            assert_int_equal(alloc_live(), live);
            assert_int_equal(faulty_open_files(), 0);
            assert_true(access(kernels, F_OK) != 0 || files(".tmp") == 0);
            if (all_ran) {
                assert_true(loads(&key, 3000));
                break;
            }
            if (n % 5 == 0) {
                unlink(entry);
            }
        }
    }
    print_message("%d lives with a failing call\n", runs);
    assert_true(runs > 100);
}

static void failing_allocations_unwind(void **state) {
    (void)state;
    for (volatile int n = 1;; n++) {
        const int64_t live = alloc_live();
        Session *volatile s = session_open(&sys_faulty);
        volatile bool failed = false;
        static const Str payload = {"0123456789abcdef", 16};
        AllocGuard guard;
        alloc_guard_push(&guard);
        if (setjmp(guard.jump) == 0) {
            Str why, got;
            alloc_fail_at(n, false);
            CubinCache *cache = cubin_cache_open(s, str_from(root), &why);
            cubin_cache_store(s, cache, &key, payload);
            cubin_cache_load(s, cache, &key, &got);
        } else {
            failed = true;
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&guard);
        session_close(s);
        assert_int_equal(alloc_live(), live);
        assert_int_equal(faulty_open_files(), 0);
        if (!failed) {
            assert_true(n > 2); /* debug builds: one for each object */
            return;
        }
    }
}

/* ---- many at once */

enum { PROCESSES = 8, ROUNDS = 200, KEYS = 5 };

/* Every entry says in its first byte how long it is and how it goes on. 0: well. */
static int stores_and_loads(unsigned seed) {
    for (int round = 0; round < ROUNDS; round++) {
        Session *s = session_open(&sys_real);
        Str why = {0};
        CubinCache *cache = cubin_cache_open(s, str_from(root), &why);
        if (!cache) {
            return 1;
        }
        for (int i = 0; i < KEYS; i++) {
            const CubinKey k = {90 + i, false, 13000, STR("options"), STR("text")};
            seed = seed * 1664525u + 1013904223u;
            const char first = (char)(seed >> 25);
            if (seed >> 24 & 1) {
                cubin_cache_store(s, cache, &k, payload_of(s, 1u + (size_t)first * 300, first));
            }
            Str got = {0};
            if (!cubin_cache_load(s, cache, &k, &got)) {
                if (seed >> 24 & 1) {
                    return 2; /* what is stored cannot be missing */
                }
            } else if (!str_eq(got, payload_of(s, 1u + (size_t)got.data[0] * 300, got.data[0]))) {
                return 3;
            }
        }
        session_close(s);
    }
    return 0;
}

static void many_processes_share_a_cache(void **state) {
    (void)state;
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            _exit(stores_and_loads((unsigned)i * 7919u + 1u));
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(files(".cubin"), KEYS);
    assert_int_equal(files(".tmp"), 0);
    assert_int_equal(files(""), KEYS + 2); /* . and .. : no lock, nothing else */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(failing_calls_do_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_unwind, setup, teardown),
        cmocka_unit_test_setup_teardown(many_processes_share_a_cache, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
