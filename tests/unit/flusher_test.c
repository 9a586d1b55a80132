/* flusher: asks the kernel while it runs, never after; large outputs have one. */
#include "tests/unit/unit.h"
#include "runtime/base/flusher.h"
#include "runtime/base/output.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static atomic_int asked;
static atomic_bool wrong;

static int count_writeback(int fd, off_t offset, off_t size) {
    wrong = wrong || fcntl(fd, F_GETFD) < 0 || offset != 0 || size != 0;
    asked++;
    return sys_real.start_writeback(fd, offset, size);
}

static Sys counting(void) {
    Sys sys = sys_real;
    sys.start_writeback = count_writeback;
    asked = 0;
    wrong = false;
    return sys;
}

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* Half a minute is for machines under load; it takes 20 ms. */
static void wait_until_asked(int times) {
    for (int i = 0; i < 6000 && asked < times; i++) {
        nap();
    }
    assert_true(asked >= times);
}

static void asks_until_stopped(void **state) {
    (void)state;
    const Sys sys = counting();
    char path[] = "/tmp/flusher-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    Flusher f;
    flusher_start(&f, &sys, fd);
    wait_until_asked(3);
    flusher_stop(&f);
    const int before = asked;
    close(fd);
    for (int i = 0; i < 10; i++) {
        nap();
    }
    assert_int_equal(asked, before);
    assert_false(wrong);
    flusher_stop(&f); /* again is fine */
}

static void zeros_need_no_stop(void **state) {
    (void)state;
    Flusher f = {0};
    flusher_stop(&f);
}

static void large_outputs_are_flushed(void **state) {
    (void)state;
    Sys sys = counting();
    char *dir = unit_directory();
    Session *s = session_open(&sys);
    Output *small = output_open(s, str_format(s->arena, "%s/small", dir), 1 << 20);
    Output *large = output_open(s, str_format(s->arena, "%s/large", dir), 64 << 20);
    assert_true(small && large);
    assert_false(small->flusher.started);
    assert_int_equal(output_write(large, 1 << 20, "written", 7), 0);
    wait_until_asked(1);
    assert_true(output_commit(large));
    output_discard(small);
    assert_false(wrong);
    large = output_open(s, str_format(s->arena, "%s/large", dir), 64 << 20);
    assert_non_null(large);
    session_close(s); /* stops the thread, then closes the file */
    assert_false(wrong);
    unit_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_until_stopped),
        cmocka_unit_test(zeros_need_no_stop),
        cmocka_unit_test(large_outputs_are_flushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
