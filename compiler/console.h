/* What a run says: results to stdout, everything for people to stderr, one JSON object a line on
 * stdout under --json. Progress is one redrawn line on a terminal, one plain line per finished
 * pass otherwise, nothing when quiet. */
#ifndef COMPILER_CONSOLE_H
#define COMPILER_CONSOLE_H
#include <cjson/cJSON.h>
#include "compiler/args.h"
#include "compiler/morc.h"

typedef struct Console {
    Session *s;
    MorcEnv *env;
    bool json, quiet, verbose, colour; /* colour: of stderr */
    bool warnings_fail;                /* --deny warnings */
    size_t errors, warnings;           /* printed so far */
    int exit;                          /* of the first error printed, 0 if none */
    char pass[32];                     /* progress line on the screen, empty if none */
    double pass_start, last_draw;
} Console;

void console_open(Console *c, Session *s, MorcEnv *env, const Args *args);
/* Prints and clears the session's diagnostics; the exit code of the worst family joins c->exit. */
void console_flush(Console *c);
void console_out(Console *c, Str text); /* results; not under --json */
void console_say(Console *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));    /* stderr */
void console_json(Console *c, cJSON *object); /* prints and frees; nothing without --json */
void console_progress(void *console, const char *pass, uint64_t done, uint64_t total);
void console_progress_end(Console *c);
int exit_of_code(Str code);                               /* E0301 -> 1, E1003 -> 5, ... */
void json_text(cJSON *object, const char *key, Str text); /* adds a sanitised, valid UTF-8 string */

#endif
