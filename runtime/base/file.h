/* Files in and out.
 * In: opened read-only, must be regular, mapped; identity (size, mtime, inode) is checked again by
 * file_unchanged at the end of a run. A SIGBUS from a file truncated under the mapping is turned
 * into an error by file_guard (see file.c), never a crash.
 * Out: Output follows the commit protocol: O_TMPFILE in the target's directory (a named temporary
 * where the file system has none) -> pwrite anywhere -> fsync -> fchmod -> link under a temporary
 * name -> rename -> fsync of the directory. Until output_commit returns true the old file is whole;
 * after it the new one is. An Output that is closed without a commit leaves nothing behind. Stale
 * named temporaries of dead runs (".NAME.mor-PID-N.tmp") are removed when the next run opens there.
 * Errors are reported to diags as E11xx with the path and strerror. */
#ifndef RUNTIME_BASE_FILE_H
#define RUNTIME_BASE_FILE_H
#include "runtime/base/session.h"

typedef struct Input {
    Str path;              /* as given */
    int fd;
    const uint8_t *data;   /* NULL when size is 0 */
    uint64_t size;
    struct stat identity;
} Input;

Input *input_open(Session *s, Str path);                       /* E1101 missing/unreadable, ... */
/* Opens `relative` beneath the directory of the (symlink-resolved) file `base`; refuses absolute
 * paths, "..", links that leave the directory, NUL, devices, hard links. E1003 on refusal, naming
 * `what` (a tensor). */
Input *input_open_beneath(Session *s, const Input *base, Str relative, Str what);
bool input_unchanged(Session *s, const Input *input);          /* E1104 if it was modified */
void input_close(Session *s, Input *input);
bool file_read_text(Session *s, Str path, size_t limit, Str *text); /* small text files, "-" = stdin */

typedef struct Output {
    Session *session;
    Str path;        /* final name */
    int fd;
    uint64_t size;   /* planned; space is reserved up front where the file system can */
    bool named;      /* no O_TMPFILE: a named temporary */
    Str temp;
    mode_t mode;
} Output;

Output *output_open(Session *s, Str path, uint64_t size);
bool output_exists(Session *s, Str path);
/* Thread-safe (no allocation, no diags): 0 or an errno value. Handles short writes and EINTR. */
int output_write(Output *out, uint64_t offset, const void *data, size_t size);
int output_copy(Output *out, uint64_t offset, const Input *in, uint64_t in_offset, uint64_t size);
bool output_fail(Output *out, int error);  /* reports E1102 "cannot write", returns false */
bool output_sync(Output *out);             /* fsync; a failure is final */
bool output_commit(Output *out);           /* link, rename, fsync(dir); the Output is then closed */
void output_discard(Output *out);          /* NULL is fine */

#endif
