/* The verbs. Each takes the parsed command line and returns true unless it reported an error;
 * cmd_run also sets the exit code of a failed expectation through the diagnostics (E09xx). */
#ifndef COMPILER_CMD_H
#define COMPILER_CMD_H
#include "compiler/console.h"

bool cmd_run(Console *c, const Args *args); /* also plan and -n */
bool cmd_check(Console *c, const Args *args);
bool cmd_fmt(Console *c, const Args *args);
bool cmd_inspect(Console *c, const Args *args);
bool cmd_explain(Console *c, const Args *args);
bool cmd_doctor(Console *c, const Args *args);
bool cmd_data(Console *c, const Args *args);
bool cmd_stats(Console *c, const Args *args);
bool cmd_opt(Console *c, const Args *args);

#endif
