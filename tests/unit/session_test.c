/* session: cleanups run newest first, what was forgotten does not, opening leaks nothing when
 * memory runs out. */
#include "tests/unit/unit.h"
#include "runtime/base/alloc.h"

static char order[8];

static void note(Session *s, void *owner) {
    (void)s;
    strcat(order, owner);
}

static void cleanups_run_newest_first(void **state) {
    (void)state;
    int64_t live = alloc_live();
    Session *s = session_open(&sys_real);
    assert_true(s->threads >= 1);
    assert_ptr_equal(s->sys, &sys_real);
    Cleanup c[4] = {0};
    char *names[4] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        session_on_close(s, &c[i], note, names[i]);
    }
    session_forget(s, &c[3]);
    session_forget(s, &c[1]);
    session_forget(s, &c[1]);
    order[0] = 0;
    session_close(s);
    session_close(NULL);
    assert_string_equal(order, "ca");
    assert_int_equal(alloc_live(), live);
}

static void stopping_is_seen(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    assert_false(session_stopped(s));
    atomic_int stop = 0;
    s->stop = &stop;
    assert_false(session_stopped(s));
    atomic_store(&stop, 2);
    assert_true(session_stopped(s));
    session_close(s);
}

static void opening_survives_every_failure(void **state) {
    (void)state;
    int64_t live = alloc_live();
    volatile int failures = 0;
    for (volatile int n = 1;; n++) {
        AllocGuard g;
        alloc_guard_push(&g);
        if (setjmp(g.jump) == 0) {
            alloc_fail_at(n, true);
            Session *s = session_open(&sys_real);
            alloc_fail_at(0, false);
            alloc_guard_pop(&g);
            session_close(s);
            break;
        }
        alloc_fail_at(0, false);
        failures++;
        assert_int_equal(alloc_live(), live);
    }
    assert_true(failures >= 2);
    assert_int_equal(alloc_live(), live);
}

/* Closed by hand, and by the session what is left; whatever allocation fails. */
static void arenas_are_closed_with_it(void **state) {
    (void)state;
    const int64_t live = alloc_live();
    volatile int failures = 0;
    for (volatile int n = 1;; n++) {
        Session *volatile s = session_open(&sys_real);
        AllocGuard g;
        volatile bool done = false;
        alloc_guard_push(&g);
        if (setjmp(g.jump) == 0) {
            alloc_fail_at(n, false);
            Arena *first = session_arena_open(s), *second = session_arena_open(s);
            Arena *third = session_arena_open(s);
            assert_non_null(arena_alloc(first, 100000));
            session_arena_close(s, second);
            session_arena_close(s, NULL);
            assert_non_null(arena_alloc(third, 1));
            done = true;
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&g);
        session_close(s);
        assert_int_equal(alloc_live(), live);
        if (done) {
            break;
        }
        failures++;
    }
    assert_true(failures >= 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleanups_run_newest_first),
        cmocka_unit_test(stopping_is_seen),
        cmocka_unit_test(arenas_are_closed_with_it),
        cmocka_unit_test(opening_survives_every_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
