/* pool: each worker runs once with a number of its own; quitting and closing end them. */
#include "tests/unit/unit.h"
#include "runtime/exec/pool.h"

static atomic_int seen[16];

static void mark(void *user, int worker) {
    assert_ptr_equal(user, seen);
    atomic_fetch_add(&seen[worker], 1);
}

static void each_worker_runs_once(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    for (int threads = 0; threads < 9; threads++) {
        memset(seen, 0, sizeof seen);
        Pool pool;
        pool_open(s, &pool, threads, mark, seen); /* 0: in this thread */
        while (!pool_wait(&pool, 1000)) {
        }
        pool_close(s, &pool);
        for (int i = 0; i < 16; i++) {
            assert_int_equal(atomic_load(&seen[i]), i < threads || (threads == 0 && i == 0));
        }
    }
    session_close(s);
}

static void wait_for_quit(void *user, int worker) {
    (void)worker;
    Pool *pool = user;
    pthread_mutex_lock(&pool->lock);
    while (!pool->quit) {
        pthread_cond_wait(&pool->changed, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void closing_the_session_ends_the_threads(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Pool *pool = arena_new(s->arena, Pool);
    pool_open(s, pool, 3, wait_for_quit, pool);
    assert_false(pool_wait(pool, 5));
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_worker_runs_once),
        cmocka_unit_test(closing_the_session_ends_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
