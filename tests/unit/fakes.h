/* The fake driver and the fake NVRTC for tests in this process. A library that is loaded answers to
 * its own name from then on, so morc's dlopen("libcuda.so.1") finds it without a change of the
 * loader's path; a test that wants other libraries, or none, forks (unit_child) before it loads. */
#ifndef TESTS_UNIT_FAKES_H
#define TESTS_UNIT_FAKES_H
#include <dlfcn.h>
#include <sys/wait.h>
#include "tests/fake/fake_cuda.h"
#include "tests/unit/unit.h"

/* file: below build/PRESET/fake */
static inline void *fake_load(const char *file) {
    char path[4200];
    snprintf(path, sizeof path, MORC_BINARY_DIR "/fake/%s", file);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fail_msg("%s", dlerror());
    }
    return library;
}

/* Loaded, and as if no call had been made. */
static inline const FakeCuda *fake_cuda_load(void) {
    const FakeCuda *fake = dlsym(fake_load("libcuda.so.1"), FAKE_CUDA_SYMBOL);
    assert_non_null(fake);
    fake->reset();
    return fake;
}

/* Runs `act` in a child whose stderr comes back in `said`; its wait status. */
static inline int unit_child(void (*act)(void *user), void *user, char *said, size_t size) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        signal(SIGABRT, SIG_DFL); /* CMocka would go on with the next test */
        act(user);
        fflush(NULL);
        _exit(0);
    }
    close(fds[1]);
    size_t got = 0;
    char rest[256];
    for (ssize_t n = 1; n > 0;) {
        n = got + 1 < size ? read(fds[0], said + got, size - 1 - got)
                           : read(fds[0], rest, sizeof rest);
        got += n > 0 && got + 1 < size ? (size_t)n : 0;
    }
    said[got] = 0;
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* ... which must abort with this line. */
static inline void unit_aborts(void (*act)(void *user), void *user, const char *line) {
    char said[1000];
    const int status = unit_child(act, user, said, sizeof said);
    assert_string_equal(said, line);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#endif
