/* confine: each thing that a confined process must not do is tried in one; it dies with its parent
 * and at its limits. Children give a number for what went wrong, 0 for nothing. */
#include "tests/unit/unit.h"
#include "runtime/device/confine.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static const ConfineLimits limits = {(uint64_t)1 << 30, 30};

typedef int (*Body)(bool landlock);

/* The child's wait status; what it wrote to its descriptor is in said[]. */
static int run(Body body, char said[16]) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const pid_t parent = getpid(), child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool landlock = false;
        if (!confine_begin(&sys_real, ends[1], parent)) {
            _exit(101);
        }
        if (!confine_end(&sys_real, &limits, &landlock)) {
            _exit(102);
        }
        _exit(body(landlock));
    }
    close(ends[1]);
    memset(said, 0, 16);
    assert_true(read(ends[0], said, 15) >= 0);
    close(ends[0]);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int opens_nothing(bool landlock) {
    if (open("/etc/passwd", O_RDONLY) >= 0 || open("/dev/null", O_RDWR) >= 0 ||
        openat(AT_FDCWD, ".", O_PATH) >= 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0 ||
        dup(0) >= 0 || dup(CONFINE_FD) >= 0) {
        return 1;
    }
    /* even with descriptors to spare; the limit cannot be lifted, so one is given back */
    close(0);
    const int fd = open("/etc/passwd", O_RDONLY);
    if (landlock && (fd >= 0 || errno != EACCES)) {
        return 2;
    }
    if (landlock && (mkdir("/tmp/morc-confined", 0700) == 0 || errno != EACCES)) {
        return 3;
    }
    char name[2] = {landlock ? 'L' : '-', 0};
    if (write(CONFINE_FD, name, 1) != 1) {
        return 4;
    }
    return 0;
}

static void nothing_can_be_opened(void **state) {
    (void)state;
    char said[16];
    assert_int_equal(run(opens_nothing, said), 0);
    if (said[0] == 'L') {
        print_message("Landlock is in force\n");
    } else {
        assert_string_equal(said, "-");
        print_message("skip nothing_can_be_opened: this kernel has no Landlock; the limit on "
                      "descriptors was tested alone\n");
    }
}

static int has_lost_its_rights(bool landlock) {
    (void)landlock;
    char where[16];
    struct rlimit now;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        return 1;
    }
    if (!getcwd(where, sizeof where) || strcmp(where, "/") != 0) {
        return 2;
    }
    static const int resources[] = {RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CPU};
    static const rlim_t most[] = {0, 0, CONFINE_FD + 1, 40};
    for (int i = 0; i < 4; i++) {
        if (getrlimit(resources[i], &now) != 0 || now.rlim_max > most[i]) {
            return 10 + i;
        }
    }
    struct sigaction action;
    if (sigaction(SIGINT, NULL, &action) != 0 || action.sa_handler != SIG_IGN) {
        return 20;
    }
    static const int signals[] = {SIGPIPE, SIGXFSZ, SIGTERM, SIGBUS, SIGSEGV, SIGHUP};
    for (int i = 0; i < 6; i++) {
        if (sigaction(signals[i], NULL, &action) != 0 || action.sa_handler != SIG_DFL) {
            return 21 + i;
        }
    }
    int dies_with = 0;
    return prctl(PR_GET_PDEATHSIG, &dies_with) != 0 || dies_with != SIGKILL ? 30 : 0;
}

static void ignore(int number) {
    (void)number;
}

static void rights_and_signals_are_reset(void **state) {
    (void)state;
    char said[16];
    signal(SIGTERM, ignore);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(run(has_lost_its_rights, said), 0);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
}

static int maps_too_much(bool landlock) {
    (void)landlock;
    const size_t piece = (size_t)64 << 20;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    int pieces = 0;
    while (pieces < 64 &&
           mmap(NULL, piece, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED) {
        pieces++;
    }
    return pieces >= 14 && pieces <= 16 ? 0 : pieces + 1; /* 1 GiB, less what is in use */
}

static int spins(bool landlock) {
    (void)landlock;
    confine_time(1);
    for (volatile unsigned long n = 0;; n++) {
    }
    return 1;
}

static void limits_hold(void **state) {
    (void)state;
    char said[16];
    assert_int_equal(run(maps_too_much, said), 0);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const int status = run(spins, said);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
    assert_false(WCOREDUMP(status));
    assert_true(end.tv_sec - begin.tv_sec < 60);
}

/* parent -> middle -> confined; the middle is killed. The confined one holds the only other end of
 * a pipe: when it reads as closed, it is gone. */
static void it_dies_with_its_parent(void **state) {
    (void)state;
    int alive[2];
    assert_int_equal(pipe(alive), 0);
    const pid_t middle = fork();
    if (middle == 0) {
        const pid_t self = getpid();
        if (fork() == 0) {
            bool landlock;
            close(alive[0]);
            if (confine_begin(&sys_real, alive[1], self) &&
                confine_end(&sys_real, &limits, &landlock) && write(CONFINE_FD, "x", 1) == 1) {
                for (;;) {
                    pause();
                }
            }
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    close(alive[1]);
    char c = 0;
    assert_int_equal(read(alive[0], &c, 1), 1);
    struct pollfd end = {alive[0], POLLIN, 0};
    assert_int_equal(poll(&end, 1, 50), 0); /* both live */
    assert_int_equal(kill(middle, SIGKILL), 0);
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    assert_int_equal(poll(&end, 1, 10000), 1);
    assert_int_equal(read(alive[0], &c, 1), 0);
    close(alive[0]);
}

static void an_orphan_does_not_begin(void **state) {
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        _exit(confine_begin(&sys_real, 0, 1 << 30) ? 1 : 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_can_be_opened), cmocka_unit_test(rights_and_signals_are_reset),
        cmocka_unit_test(limits_hold),           cmocka_unit_test(it_dies_with_its_parent),
        cmocka_unit_test(an_orphan_does_not_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
