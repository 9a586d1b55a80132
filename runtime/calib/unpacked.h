/* Bytes that must be unpacked before they can be read at any place: they go to a file without a
 * name in a folder for such things and are mapped from there, so that they cost disk and page cache
 * but no memory of ours. Nothing is left when the process ends, however it ends. Errors: E1102. */
#ifndef RUNTIME_CALIB_UNPACKED_H
#define RUNTIME_CALIB_UNPACKED_H
#include "runtime/base/session.h"

typedef struct Unpacked {
    Session *session;
    Str what, folder;    /* for messages */
    int fd;              /* -1 once it is mapped */
    uint64_t size, at;   /* bytes that will come, and have come */
    int error;           /* errno value of the first failed write */
    const uint8_t *data; /* NULL until unpacked_map, and when size is 0 */
    Cleanup cleanup;
} Unpacked;

/* Reserves `size` bytes; NULL after an error. Closed with the session at the latest. */
Unpacked *unpacked_open(Session *s, Str folder, Str what, uint64_t size);
/* Appends (an NpzPut); tells s->progress about long ones. False: out of space, or the run stops. */
bool unpacked_put(void *unpacked, const void *bytes, size_t size);
bool unpacked_map(Unpacked *u); /* all bytes are there; also reports what unpacked_put met */
void unpacked_close(Session *s, Unpacked *u); /* NULL is fine */

/* Tells s->progress about work on `total` bytes, if they are many. */
void unpacked_progress(Session *s, uint64_t done, uint64_t total);

#endif
