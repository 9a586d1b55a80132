/* The command line of morc as a function: no exit(), no globals, all output through the streams
 * given, so that tests run it thousands of times in one process. Returns the exit code of
 * language.md 4.2 (0 done, 1 recipe, 2 command line, 3 expectation, 4 machine, 5 file, 70 bug,
 * 128+n signal). */
#ifndef COMPILER_MORC_H
#define COMPILER_MORC_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include "runtime/base/sys.h"

typedef struct MorcEnv {
    const Sys *sys;
    FILE *out, *err;
    bool out_terminal, err_terminal;
    const char *(*get)(const char *variable); /* environment; NULL when unset */
    atomic_int stop;                          /* a signal's number once it arrived */
} MorcEnv;

int morc_main(int argc, char **argv, MorcEnv *env);

#endif
