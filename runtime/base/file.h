/* Files in. Opened read-only, must be regular, mapped; identity (size, mtime, inode) is checked
 * again by input_unchanged at the end of a run. A file truncated under its mapping raises SIGBUS:
 * the handler puts zeros where bytes are missing and marks the Input as torn, so that the run goes
 * on and input_unchanged reports it; nobody crashes. Files out: output.h.
 * Errors are reported to diags as E11xx (E1003: a refused path) with the path and strerror. */
#ifndef RUNTIME_BASE_FILE_H
#define RUNTIME_BASE_FILE_H
#include "runtime/base/session.h"

typedef struct Input {
    Str path; /* as given */
    int fd;
    const uint8_t *data; /* NULL when size is 0 */
    uint64_t size;
    struct stat identity;
    atomic_bool torn;   /* bytes vanished while they were mapped */
    struct Input *next; /* list of mappings for the SIGBUS handler */
    Cleanup cleanup;
} Input;

Input *input_open(Session *s, Str path); /* E1101 missing/unreadable, ... */
/* Opens `relative` beneath the directory of the file `base`, or, if that is a link, beneath the
 * directory of what it leads to; refuses absolute paths, "..", links that leave the directory, NUL,
 * devices, hard links. E1003 on refusal, E1101 when it is missing; both name `what` (a tensor). */
Input *input_open_beneath(Session *s, const Input *base, Str relative, Str what);
/* Maps a file that is open already, such as an Output to be read back; `fd` stays the caller's. */
Input *input_from(Session *s, int fd, Str path);
bool input_unchanged(Session *s, const Input *input); /* E1104 if it was modified */
void input_close(Session *s, Input *input);           /* NULL is fine */
/* Small text files; "-" is the standard input. Longer than `limit` bytes: E0106. */
bool file_read_text(Session *s, Str path, size_t limit, Str *text);

/* Directory of a path, without the last '/'; "." if it names none. */
Str path_directory(Arena *arena, Str path);

/* What a system call interrupted by a signal is worth: tried again, but not for ever. */
enum { FILE_TRIES = 100 };

#include "runtime/base/output.h"
#endif
