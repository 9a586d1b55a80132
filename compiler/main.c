/* The process around morc_main: streams, environment, signals. */
#include <signal.h>
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

int main(int argc, char **argv) {
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
    if (fflush(stdout) != 0 && code == 0) {
        code = 5;
    }
    return code;
}
