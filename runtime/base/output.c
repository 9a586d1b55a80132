/* The commit protocol. The temporary is locked (flock) as long as it lives, so that a later run can
 * tell a dead run's leftovers from the file of a run that is still at work. */
#include "runtime/base/output.h"
#include "runtime/base/sanitize.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NAME_KEPT = 180,  /* of the final name in a temporary's, which may have 255 bytes */
    FLUSHED = 64 << 20 /* bytes of a file that a flusher is worth starting for */
};

static atomic_uint temp_count; /* makes temporaries of one process differ */

typedef struct PathParts {
    Str dir; /* with its '/', or empty for the current directory */
    Str name;
} PathParts;

static PathParts split(Str path) {
    size_t cut = path.len;
    while (cut > 0 && path.data[cut - 1] != '/') {
        cut--;
    }
    return (PathParts){str_slice(path, 0, cut), str_slice(path, cut, path.len)};
}

static const char *dir_name(Arena *arena, Str dir) {
    return dir.len ? str_c(arena, dir) : ".";
}

bool output_fail(Output *out, int error) {
    Session *s = out->session;
    Diag *d = diag_error(s, "E1102", NO_SPAN, "cannot write %s: %s",
                         str_safe_c(s->arena, out->path), strerror(error));
    if (error == ENOSPC || error == EDQUOT) {
        diag_note(d, "%s are needed; nothing was left behind", str_bytes(s->arena, out->size).data);
    }
    return false;
}

/* ---- leftovers of killed runs */

typedef struct Sweep {
    const Session *s;
    Str dir, prefix; /* of the temporaries looked for: ".NAME.mor-" */
} Sweep;

/* The process id in ".NAME.mor-PID-N.tmp", or 0 if the name is not of this form. */
static long owner_of(Str name, Str prefix) {
    if (!str_starts(name, prefix) || !str_ends(name, STR(".tmp"))) {
        return 0;
    }
    long pid = 0;
    size_t at = prefix.len;
    for (; at < name.len && name.data[at] >= '0' && name.data[at] <= '9' && pid < 1 << 24; at++) {
        pid = pid * 10 + (name.data[at] - '0');
    }
    return at < name.len && name.data[at] == '-' ? pid : 0;
}

/* Allocates nothing, so that the directory stream of the caller cannot be lost. */
static void sweep_one(void *user, const char *name) {
    const Sweep *sweep = user;
    const Sys *sys = sweep->s->sys;
    long pid = owner_of(str_from(name), sweep->prefix);
    char path[4096];
    size_t length = strlen(name);
    if (pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH ||
        sweep->dir.len + length >= sizeof path) {
        return;
    }
    if (sweep->dir.len) {
        memcpy(path, sweep->dir.data, sweep->dir.len);
    }
    memcpy(path + sweep->dir.len, name, length + 1);
    int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd >= 0) {
        if (sys->lock(fd) == 0) { /* on a shared disk the owner may run on another machine */
            sys->unlink(path);
        }
        sys->close(fd);
    }
}

static Str temp_prefix(Arena *arena, Str name) {
    return str_format(arena, ".%.*s.mor-", STR_ARG(str_slice(name, 0, NAME_KEPT)));
}

static Str temp_name(Arena *arena, PathParts place) {
    return str_format(arena, "%.*s%s%ld-%u.tmp", STR_ARG(place.dir),
                      temp_prefix(arena, place.name).data, (long)getpid(),
                      atomic_fetch_add(&temp_count, 1) + 1);
}

/* ---- opening */

static void close_output(Session *s, void *owner) {
    Output *out = owner;
    flusher_stop(&out->flusher);
    if (out->fd >= 0) {
        if (out->named) {
            s->sys->unlink(out->temp.data);
            out->named = false;
        }
        s->sys->close(out->fd);
        out->fd = -1;
    }
}

void output_discard(Output *out) {
    if (out) {
        session_forget(out->session, &out->cleanup);
        close_output(out->session, out);
    }
}

static bool open_temp(Output *out, PathParts place) {
    const Sys *sys = out->session->sys;
    const char *dir = dir_name(out->session->arena, place.dir);
    for (int tries = 0; tries < FILE_TRIES && out->fd < 0; tries++) {
        out->fd = sys->open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
        if (out->fd < 0 && errno != EINTR) {
            break;
        }
    }
    bool unsupported = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
    for (int tries = 0; tries < FILE_TRIES && out->fd < 0 && unsupported; tries++) {
        out->temp = temp_name(out->session->arena, place);
        out->fd = sys->open(out->temp.data, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
        out->named = out->fd >= 0;
        unsupported = errno == EINTR || errno == EEXIST;
    }
    return out->fd >= 0;
}

/* 0 or an errno value. Reserving also finds out whether the disk is full before the work begins. */
static int reserve(const Output *out) {
    const Sys *sys = out->session->sys;
    if (out->size == 0) {
        return 0;
    }
    if (out->size > INT64_MAX) {
        return EFBIG;
    }
    for (int tries = 0; tries < FILE_TRIES; tries++) {
        if (sys->allocate(out->fd, 0, (off_t)out->size) == 0) {
            return 0;
        }
        if (errno != EINTR) {
            break;
        }
    }
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
        return errno;
    }
    uint64_t space = 0;
    if (sys->free_space(out->fd, &space) == 0 && space < out->size) {
        return ENOSPC;
    }
    return sys->truncate(out->fd, (off_t)out->size) == 0 ? 0 : errno;
}

/* 0 or an errno value */
static int begin(Output *out) {
    Session *s = out->session;
    PathParts place = split(out->path);
    struct stat old;
    if (place.name.len == 0 || str_is(place.name, ".") || str_is(place.name, "..")) {
        return EISDIR;
    }
    if (s->sys->lstat(out->path.data, &old) == 0) {
        if (S_ISDIR(old.st_mode)) {
            return EISDIR;
        }
        out->mode = S_ISREG(old.st_mode) ? old.st_mode & 0777 : 0;
    }
    Sweep sweep = {s, place.dir, temp_prefix(s->arena, place.name)};
    s->sys->list(dir_name(s->arena, place.dir), sweep_one, &sweep); /* a failure shows below */
    if (!open_temp(out, place)) {
        return errno;
    }
    s->sys->lock(out->fd); /* only the sweepers of others care */
    return reserve(out);
}

Output *output_open(Session *s, Str path, uint64_t size) {
    Output *out = arena_new(s->arena, Output);
    out->session = s;
    out->path = out->opened_as = str_copy(s->arena, path);
    out->fd = -1;
    out->size = size;
    session_on_close(s, &out->cleanup, close_output, out);
    int error = memchr(path.data, 0, path.len) ? EINVAL : begin(out);
    if (error) {
        output_fail(out, error);
        output_discard(out);
        return NULL;
    }
    if (size >= FLUSHED) {
        flusher_start(&out->flusher, s->sys, out->fd);
    }
    return out;
}

bool output_exists(Session *s, Str path) {
    struct stat is;
    return s->sys->lstat(str_c(s->arena, path), &is) == 0;
}

/* ---- writing */

int output_write(const Output *out, uint64_t offset, const void *data, size_t size) {
    const char *from = data;
    for (int idle = 0; size > 0;) {
        ssize_t done = out->session->sys->pwrite(out->fd, from, size, (off_t)offset);
        if (done > 0) {
            from += done;
            offset += (uint64_t)done;
            size -= (size_t)done;
            idle = 0;
        } else if (done < 0 && errno != EINTR) {
            return errno;
        } else if (++idle > FILE_TRIES) {
            return EIO;
        }
    }
    return 0;
}

int output_read(const Output *out, uint64_t offset, void *data, size_t size) {
    char *to = data;
    for (int interrupted = 0; size > 0;) {
        ssize_t done = out->session->sys->pread(out->fd, to, size, (off_t)offset);
        if (done > 0) {
            to += done;
            offset += (uint64_t)done;
            size -= (size_t)done;
            interrupted = 0;
        } else if (done == 0) {
            return EIO;
        } else if (errno != EINTR || ++interrupted > FILE_TRIES) {
            return errno;
        }
    }
    return 0;
}

int output_copy(const Output *out, uint64_t offset, const Input *in, uint64_t in_offset,
                uint64_t size) {
    for (int idle = 0; size > 0;) {
        off_t from = (off_t)in_offset, to = (off_t)offset;
        ssize_t done = out->session->sys->copy_range(in->fd, &from, out->fd, &to, size);
        if (done > 0) {
            offset += (uint64_t)done;
            in_offset += (uint64_t)done;
            size -= (uint64_t)done;
            idle = 0;
        } else if (done < 0 && errno == EINTR && ++idle <= FILE_TRIES) {
            continue;
        } else { /* other file systems, old kernels, an input cut short: the mapping knows */
            return output_write(out, offset, in->data + in_offset, size);
        }
    }
    return 0;
}

/* ---- committing */

static int sync_fd(const Sys *sys, int fd) {
    for (int tries = 0; tries < FILE_TRIES; tries++) {
        if (sys->sync(fd) == 0) {
            return 0;
        }
        if (errno != EINTR) { /* a second fsync might "succeed": never ask twice */
            return errno;
        }
    }
    return EIO;
}

bool output_sync(Output *out) {
    flusher_stop(&out->flusher);
    if (!out->synced) {
        int error = sync_fd(out->session->sys, out->fd);
        if (error) {
            return output_fail(out, error);
        }
        out->synced = true;
    }
    return true;
}

static int link_temp(Output *out) {
    Session *s = out->session;
    for (int tries = 0; tries < FILE_TRIES && !out->named; tries++) {
        out->temp = temp_name(s->arena, split(out->opened_as));
        out->named = s->sys->link_fd(out->fd, out->temp.data) == 0;
        if (!out->named && errno != EEXIST && errno != EINTR) {
            return errno;
        }
    }
    return out->named ? 0 : EIO;
}

static int sync_directory(Session *s, Str dir) {
    int fd = s->sys->open(dir_name(s->arena, dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int error = sync_fd(s->sys, fd);
    s->sys->close(fd);
    return error == EINVAL ? 0 : error; /* a file system that cannot sync directories */
}

static int publish(Output *out) {
    Session *s = out->session;
    if (out->mode && s->sys->chmod(out->fd, out->mode) != 0) {
        return errno;
    }
    int error = link_temp(out);
    if (error) {
        return error;
    }
    if (s->sys->rename(out->temp.data, out->path.data) != 0) {
        return errno;
    }
    out->named = false;
    return sync_directory(s, split(out->path).dir);
}

bool output_commit(Output *out) {
    bool done = output_sync(out);
    if (done) {
        int error = publish(out);
        done = error == 0 || output_fail(out, error);
    }
    output_discard(out);
    return done;
}
