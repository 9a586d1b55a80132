/* spread_threads: every index once, many runs over the same threads, the caller alone, stopping, closing. */
#include "tests/unit/unit.h"
#include "runtime/exec/spread_threads.h"

enum { MOST = 5000 };
static atomic_int seen[MOST];

static void mark(void *user, size_t index) {
    assert_ptr_equal(user, seen);
    atomic_fetch_add(&seen[index], 1);
}

static void every_index_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        Session *s = session_open(&sys_real);
        s->threads = threads;
        SpreadThreads *t = spread_threads_open(s);
        static const size_t counts[] = {0, 1, 2, 3, 64, MOST};
        for (int round = 0; round < 60; round++) {
            const size_t count = counts[round % 6];
            memset(seen, 0, sizeof seen);
            assert_true(spread_run(spread_threads(t), mark, seen, count));
            for (size_t i = 0; i < MOST; i++) {
                assert_int_equal(atomic_load(&seen[i]), i < count);
            }
        }
        spread_threads_close(s, t);
        session_close(s);
    }
}

static void closing_the_session_ends_the_threads(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    s->threads = 3;
    SpreadThreads *t = spread_threads_open(s);
    memset(seen, 0, sizeof seen);
    assert_true(spread_run(spread_threads(t), mark, seen, 100));
    session_close(s); /* without spread_threads_close */
    spread_threads_close(NULL, NULL);
}

/* The user stops in task 10: those at hand end, no other begins, and the run is false. */
static atomic_int stop;

static void stop_at_ten(void *user, size_t index) {
    mark(user, index);
    if (index == 10) {
        atomic_store(&stop, 2);
    }
}

static void a_stop_ends_a_run(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads += 3) {
        Session *s = session_open(&sys_real);
        s->threads = threads;
        s->stop = &stop;
        SpreadThreads *t = spread_threads_open(s);
        atomic_store(&stop, 0);
        memset(seen, 0, sizeof seen);
        assert_false(spread_run(spread_threads(t), stop_at_ten, seen, MOST));
        int done = 0;
        for (size_t i = 0; i < MOST; i++) {
            done += atomic_load(&seen[i]);
        }
        assert_true(done >= 11 && done < MOST);
        assert_false(spread_run(spread_threads(t), mark, seen, 1)); /* and stays so */
        atomic_store(&stop, 0);
        assert_true(spread_run(spread_threads(t), mark, seen, MOST));
        spread_threads_close(s, t);
        session_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_once),
        cmocka_unit_test(a_stop_ends_a_run),
        cmocka_unit_test(closing_the_session_ends_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
