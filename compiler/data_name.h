/* Names of data files: STEM.data-HASH. HASH is 16 hex digits: the XXH3-64 of the XXH3-64s (canonical:
 * most significant byte first) of the file's pieces of 4 MiB, so that threads can share the work.
 * The name is in the model file, so it has its final length from the start and its digits are
 * written in when the data is there. */
#ifndef COMPILER_DATA_NAME_H
#define COMPILER_DATA_NAME_H
#include "runtime/exec/exec.h"

Str data_name_placeholder(Arena *arena, Str stem); /* "STEM.data-################" */
/* Hashes files[1], writes its name over every placeholder in files[0], returns the name. */
bool data_name_settle(Session *s, Output *const files[2], const Schedule *schedule, Str placeholder,
                      Str *name);

#endif
