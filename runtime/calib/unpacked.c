/* See unpacked.h. The file has no name from the start (O_TMPFILE), or loses it at once where the
 * file system has no such files. */
#include "runtime/calib/unpacked.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/base/sanitize.h"

enum { LONG_WORK = 16 << 20, STEP = 4 << 20 };

static bool failed(Unpacked *u, int error) {
    Session *s = u->session;
    Diag *d =
        diag_error(s, "E1102", NO_SPAN, "cannot unpack %s into %s: %s",
                   str_safe_c(s->arena, u->what), str_safe_c(s->arena, u->folder), strerror(error));
    diag_note(d, "it needs %s there until the run ends", str_bytes(s->arena, u->size).data);
    diag_help(d, "the variable TMPDIR names another folder");
    return false;
}

static void close_unpacked(Session *s, void *owner) {
    Unpacked *u = owner;
    if (u->data) {
        s->sys->unmap((void *)(uintptr_t)u->data, (size_t)u->size);
    }
    if (u->fd >= 0) {
        s->sys->close(u->fd);
    }
    u->data = NULL;
    u->fd = -1;
}

void unpacked_close(Session *s, Unpacked *u) {
    if (u) {
        session_forget(s, &u->cleanup);
        close_unpacked(s, u);
    }
}

static void open_file(Unpacked *u) {
    Session *s = u->session;
    for (int tries = 0; tries < FILE_TRIES && u->fd < 0; tries++) {
        u->fd = s->sys->open(u->folder.data, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (u->fd < 0 && errno != EINTR) {
            break;
        }
    }
    bool again = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
    for (int tries = 0; tries < FILE_TRIES && u->fd < 0 && again; tries++) {
        Str name =
            str_format(s->arena, "%s/.mor-data-%ld-%d.tmp", u->folder.data, (long)getpid(), tries);
        u->fd = s->sys->open(name.data, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        again = errno == EINTR || errno == EEXIST;
        if (u->fd >= 0) {
            s->sys->unlink(name.data);
        }
    }
}

/* 0 or an errno value. Writing would find out, too, but late. */
static int reserve(const Unpacked *u) {
    const Sys *sys = u->session->sys;
    for (int tries = 0; tries < FILE_TRIES; tries++) {
        if (sys->allocate(u->fd, 0, (off_t)u->size) == 0) {
            return 0;
        }
        if (errno != EINTR) {
            break;
        }
    }
    if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS) {
        return errno;
    }
    uint64_t space;
    return sys->free_space(u->fd, &space) == 0 && space < u->size ? ENOSPC : 0;
}

Unpacked *unpacked_open(Session *s, Str folder, Str what, uint64_t size) {
    Unpacked *u = arena_new(s->arena, Unpacked);
    *u = (Unpacked){.session = s, .fd = -1, .size = size};
    u->folder = str_copy(s->arena, folder);
    u->what = str_copy(s->arena, what);
    session_on_close(s, &u->cleanup, close_unpacked, u);
    open_file(u);
    const int error = u->fd < 0 ? errno : size > 0 ? reserve(u) : 0;
    if (error) {
        failed(u, error);
        unpacked_close(s, u);
        return NULL;
    }
    return u;
}

void unpacked_progress(Session *s, uint64_t done, uint64_t total) {
    if (s->progress && total >= LONG_WORK) {
        s->progress(s->progress_user, "unpack", done, total);
    }
}

bool unpacked_put(void *unpacked, const void *bytes, size_t size) {
    Unpacked *u = unpacked;
    const uint8_t *from = bytes;
    const uint64_t before = u->at;
    for (int interrupted = 0; size > 0;) {
        const ssize_t wrote = u->session->sys->pwrite(u->fd, from, size, (off_t)u->at);
        if (wrote > 0) {
            from += wrote;
            u->at += (uint64_t)wrote;
            size -= (size_t)wrote;
        } else if (wrote == 0 || errno != EINTR || ++interrupted > FILE_TRIES) {
            u->error = wrote == 0 ? EIO : errno;
            return false;
        }
    }
    if (before / STEP != u->at / STEP || u->at == u->size) {
        unpacked_progress(u->session, u->at, u->size);
    }
    return !session_stopped(u->session);
}

bool unpacked_map(Unpacked *u) {
    Session *s = u->session;
    if (u->error || u->at != u->size) {
        return u->error ? failed(u, u->error) : false;
    }
    if (u->size > 0) {
        u->data = s->sys->map(u->fd, (size_t)u->size, 0);
        if (!u->data) {
            return failed(u, errno);
        }
    }
    s->sys->close(u->fd);
    u->fd = -1;
    return true;
}
