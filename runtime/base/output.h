/* Files out, by the commit protocol: O_TMPFILE in the target's directory (a named temporary where
 * the file system has none) -> write anywhere -> fsync -> fchmod -> link under a temporary name ->
 * rename -> fsync of the directory. Until output_commit returns true the old file is whole; after
 * it the new one is. An Output that is closed without a commit leaves nothing behind. Temporaries
 * of killed runs (".NAME.mor-PID-N.tmp", not locked, PID gone) are removed when the next run opens
 * NAME there. Large files go to the disk while they are written (flusher.h). Errors: E1102 with the
 * path and strerror. */
#ifndef RUNTIME_BASE_OUTPUT_H
#define RUNTIME_BASE_OUTPUT_H
#include "runtime/base/file.h"
#include "runtime/base/flusher.h"

typedef struct Output {
    Session *session;
    Str path;      /* final name; may be changed before the commit */
    Str opened_as; /* path at the start: names the temporary, so that the next run finds it */
    int fd;        /* -1: closed */
    uint64_t size; /* planned; space is reserved up front where the file system can */
    bool named;    /* `temp` exists in the directory */
    bool synced;
    Str temp;
    mode_t mode; /* of the file that is replaced; 0: what umask gives */
    Flusher flusher; /* of a large file, from the start until it is synced or closed */
    Cleanup cleanup;
} Output;

Output *output_open(Session *s, Str path, uint64_t size);
bool output_exists(Session *s, Str path); /* a link counts, wherever it leads */
/* These three are thread-safe (no allocation, no diags): 0 or an errno value. Short counts and
 * EINTR are handled. output_copy copies in the kernel where it can and from the mapping where not;
 * output_read reads back what was written, and beyond the end is EIO. */
int output_write(const Output *out, uint64_t offset, const void *data, size_t size);
int output_copy(const Output *out, uint64_t offset, const Input *in, uint64_t in_offset,
                uint64_t size);
int output_read(const Output *out, uint64_t offset, void *data, size_t size);
bool output_fail(Output *out, int error); /* reports E1102 "cannot write", returns false */
bool output_sync(Output *out);            /* fsync; a failure is final */
bool output_commit(Output *out);          /* sync, link, rename, fsync(dir); closes the Output */
void output_discard(Output *out);         /* NULL, committed or discarded is fine */

#endif
