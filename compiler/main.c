/* The process around morc_main: streams, environment, signals. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compiler/morc.h"

static MorcEnv env;

/* The first signal asks for a clean stop; the second does not wait for it. */
static void on_signal(int number) {
    if (atomic_exchange(&env.stop, number) != 0) {
        _exit(128 + number);
    }
}

static const char *from_environment(const char *variable) {
    return getenv(variable);
}

/* A stream that was closed must not become a file of ours, or messages would go into a model. A
 * file that cannot be written takes its place, so that what is lost is noticed. */
static bool streams_are_open(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd) {
            return false;
        }
    }
    return true;
}

/* Whoever closed the other end of a pipe has read what they wanted: nothing is said about that. */
static bool output_arrived(void) {
    bool flushed = fflush(stdout) == 0;
    if (flushed && !ferror(stdout)) {
        return true;
    }
    struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};
    if (poll(&out, 1, 0) < 1 || !(out.revents & POLLERR)) {
        fputs("error[E1102]: cannot write to the standard output\n", stderr);
    }
    return false;
}

int main(int argc, char **argv) {
    if (!streams_are_open()) {
        return 4;
    }
    env.sys = &sys_real;
    env.out = stdout;
    env.err = stderr;
    env.out_terminal = isatty(STDOUT_FILENO) == 1;
    env.err_terminal = isatty(STDERR_FILENO) == 1;
    env.get = from_environment;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART;
        sigaction(signals[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN); /* a closed pipe and a file too large are errors like any other */
    signal(SIGXFSZ, SIG_IGN);
    int code = morc_main(argc, argv, &env);
    if (!output_arrived() && code == 0) {
        code = 5;
    }
    return code;
}
