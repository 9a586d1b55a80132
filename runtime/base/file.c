/* Opening, mapping and guarding of input files. Paths are opened once; every check is made on the
 * descriptor. The list of mappings and its lock are global because a signal handler needs them. */
#include "runtime/base/file.h"
#include "runtime/base/sanitize.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- SIGBUS guard */

static Input *mappings;                          /* under list_lock */
static atomic_flag list_lock = ATOMIC_FLAG_INIT; /* held without touching any mapping */
static struct sigaction older_action;

static void lock_list(void) {
    while (atomic_flag_test_and_set_explicit(&list_lock, memory_order_acquire)) {
    }
}

static void unlock_list(void) {
    atomic_flag_clear_explicit(&list_lock, memory_order_release);
}

/* Zeros from the page that faulted to the end of its mapping; false if it is none of ours.
 * mmap is a plain system call, so it may be made in a handler. */
static bool patch(uintptr_t address) {
    static const uintptr_t page = 4096; /* the faulting address is rounded down to it */
    lock_list();
    Input *in = mappings;
    while (in && !(address >= (uintptr_t)in->data && address - (uintptr_t)in->data < in->size)) {
        in = in->next;
    }
    bool found = in != NULL;
    if (in) {
        uintptr_t begin = address & ~(page - 1), end = (uintptr_t)in->data + in->size;
        atomic_store(&in->torn, true);
        found = mmap((void *)begin, end - begin, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                     -1, 0) != MAP_FAILED;
    }
    unlock_list();
    return found;
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
    int kept = errno;
    if (patch((uintptr_t)info->si_addr)) {
        errno = kept;
    } else if (older_action.sa_flags & SA_SIGINFO) {
        older_action.sa_sigaction(number, info, context);
    } else {
        sigaction(SIGBUS, &older_action, NULL); /* the fault repeats under the older action */
    }
}

/* Asked for at each mapping: who embeds morc may have put in a handler of their own meanwhile. */
static void install_guard(void) {
    struct sigaction now, ours;
    if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction != on_bus_error) {
        memset(&ours, 0, sizeof ours);
        ours.sa_sigaction = on_bus_error;
        ours.sa_flags = SA_SIGINFO | SA_RESTART;
        sigemptyset(&ours.sa_mask);
        older_action = now;
        sigaction(SIGBUS, &ours, NULL);
    }
}

static void guard_mapping(Input *in) {
    install_guard();
    lock_list();
    in->next = mappings;
    mappings = in;
    unlock_list();
}

static void unguard_mapping(Input *in) {
    lock_list();
    for (Input **at = &mappings; *at; at = &(*at)->next) {
        if (*at == in) {
            *at = in->next;
            break;
        }
    }
    unlock_list();
}

/* ---- opening */

static const char *name_of(Session *s, Str path) {
    return str_safe_c(s->arena, path);
}

static Input *cannot_read(Session *s, Str path, const char *why) {
    diag_error(s, "E1101", NO_SPAN, "cannot read %s: %s", name_of(s, path), why);
    return NULL;
}

static int open_path(const Session *s, const char *path) {
    int fd = -1;
    for (int tries = 0; tries < FILE_TRIES; tries++) {
        /* O_NONBLOCK: a FIFO in the place of a file must not hang us */
        fd = s->sys->open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
        if (fd >= 0 || errno != EINTR) {
            break;
        }
    }
    return fd;
}

static void close_input(Session *s, void *owner) {
    Input *in = owner;
    if (in->data) {
        unguard_mapping(in);
        s->sys->unmap((void *)in->data, in->size);
    }
    if (in->fd >= 0) {
        s->sys->close(in->fd);
    }
    in->data = NULL;
    in->fd = -1;
}

void input_close(Session *s, Input *input) {
    if (input) {
        session_forget(s, &input->cleanup);
        close_input(s, input);
    }
}

static Input *input_new(Session *s, Str path) {
    Input *in = arena_new(s->arena, Input);
    in->path = str_copy(s->arena, path);
    in->fd = -1;
    session_on_close(s, &in->cleanup, close_input, in);
    return in;
}

/* What is wrong with an open descriptor as an input, or NULL. Maps it if nothing is. */
static const char *adopt(Session *s, Input *in) {
    if (s->sys->fstat(in->fd, &in->identity) != 0) {
        return strerror(errno);
    }
    if (S_ISDIR(in->identity.st_mode)) {
        return "it is a directory";
    }
    if (!S_ISREG(in->identity.st_mode)) {
        return "it is not a regular file";
    }
    if (in->identity.st_size > 0) {
        size_t size = (size_t)in->identity.st_size;
        in->data = s->sys->map(in->fd, size, 0);
        if (!in->data) {
            return strerror(errno);
        }
        in->size = size;
        /* read ahead far, and let these pages be the first that the page cache gives up */
        madvise((void *)(uintptr_t)in->data, size, MADV_SEQUENTIAL);
        guard_mapping(in);
    }
    return NULL;
}

Input *input_open(Session *s, Str path) {
    if (memchr(path.data, 0, path.len)) {
        return cannot_read(s, path, "the path contains a NUL");
    }
    Input *in = input_new(s, path);
    in->fd = open_path(s, in->path.data);
    const char *why = in->fd < 0 ? strerror(errno) : adopt(s, in);
    if (why) {
        input_close(s, in);
        return cannot_read(s, path, why);
    }
    return in;
}

Input *input_from(Session *s, int fd, Str path) {
    Input *in = input_new(s, path);
    in->fd = fd;
    const char *why = adopt(s, in);
    in->fd = -1;
    if (why) {
        input_close(s, in);
        return cannot_read(s, path, why);
    }
    return in;
}

/* ---- opening beneath a directory */

static const char *refuse_text(Str relative) {
    if (relative.len == 0) {
        return "the path is empty";
    }
    if (memchr(relative.data, 0, relative.len)) {
        return "the path contains a NUL";
    }
    if (relative.data[0] == '/') {
        return "the path is absolute";
    }
    for (size_t at = 0; at <= relative.len;) {
        Str rest = str_slice(relative, at, relative.len);
        int64_t slash = str_find(rest, '/');
        Str part = str_slice(rest, 0, slash < 0 ? rest.len : (size_t)slash);
        if (str_is(part, "..")) {
            return "the path contains \"..\"";
        }
        at += part.len + 1;
    }
    return NULL;
}

/* "a/b/c" -> "a/b", "/c" -> "/", "c" -> "."; NUL-terminated. */
Str path_directory(Arena *arena, Str path) {
    size_t end = path.len;
    while (end > 0 && path.data[end - 1] != '/') {
        end--;
    }
    return end == 0 ? STR(".") : str_copy(arena, str_slice(path, 0, end > 1 ? end - 1 : 1));
}

static int open_in(const Session *s, const char *dir, const char *relative) {
    int parent = s->sys->open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (parent < 0) {
        return -1;
    }
    int fd = -1;
    for (int tries = 0; tries < FILE_TRIES; tries++) {
        fd = s->sys->openat_beneath(parent, relative);
        if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) { /* EAGAIN: raced with a rename */
            break;
        }
    }
    int error = errno;
    s->sys->close(parent);
    errno = error;
    return fd;
}

/* Second chance of a model behind a link (a hub's cache: DIR/m.onnx -> ../../blobs/HASH): its data
 * may lie, or be linked to, beneath the directory where the model really is. The path is only a
 * hint here; that the file is beneath the directory is checked by the kernel once more. */
static int open_beside_target(const Session *s, const Input *base, Str dir, const char *relative) {
    char real[PATH_MAX], target[PATH_MAX];
    if (s->sys->resolve(base->path.data, real) != 0) {
        return -1;
    }
    Str real_dir = path_directory(s->arena, str_from(real));
    Str link = str_format(s->arena, "%.*s/%s", STR_ARG(dir), relative);
    if (s->sys->resolve(link.data, target) == 0) {
        Str inside = str_format(s->arena, "%.*s/", STR_ARG(real_dir));
        if (!str_starts(str_from(target), inside)) {
            errno = EXDEV;
            return -1;
        }
        return open_in(s, real_dir.data, target + inside.len);
    }
    return open_in(s, real_dir.data, relative);
}

static Input *refuse(Session *s, Str what, Str relative, const char *why) {
    Diag *d = diag_error(s, "E1003", NO_SPAN, "external data of `%s` is refused: %s",
                         name_of(s, what), why);
    diag_note(d, "the model asks for %s", name_of(s, relative));
    diag_note(d, "external data must lie beneath the model's own directory");
    return NULL;
}

Input *input_open_beneath(Session *s, const Input *base, Str relative, Str what) {
    const char *why = refuse_text(relative);
    if (why) {
        return refuse(s, what, relative, why);
    }
    Str dir = path_directory(s->arena, base->path);
    Input *in = input_new(s, str_format(s->arena, "%.*s/%.*s", STR_ARG(dir), STR_ARG(relative)));
    const char *name = str_c(s->arena, relative);
    in->fd = open_in(s, dir.data, name);
    if (in->fd < 0 && (errno == EXDEV || errno == ENOENT)) {
        int first = errno;
        in->fd = open_beside_target(s, base, dir, name);
        errno = in->fd < 0 && first == EXDEV ? EXDEV : errno;
    }
    if (in->fd < 0) {
        int error = errno;
        input_close(s, in);
        if (error == EXDEV || error == ELOOP) {
            return refuse(s, what, relative, "the path leaves the model's directory");
        }
        diag_error(s, "E1101", NO_SPAN, "cannot read external data of `%s`: %s: %s",
                   name_of(s, what), name_of(s, relative), strerror(error));
        return NULL;
    }
    why = adopt(s, in);
    if (!why && in->identity.st_nlink > 1) {
        why = "it is a hard link, so it may be any file of this disk";
    }
    if (why) {
        input_close(s, in);
        return refuse(s, what, relative, why);
    }
    return in;
}

bool input_unchanged(Session *s, const Input *input) {
    struct stat now;
    const struct stat *then = &input->identity;
    bool same = s->sys->fstat(input->fd, &now) == 0 && !atomic_load(&input->torn) &&
                now.st_size == then->st_size && now.st_ino == then->st_ino &&
                now.st_dev == then->st_dev && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == then->st_mtim.tv_nsec;
    if (!same) {
        Diag *d = diag_error(s, "E1104", NO_SPAN, "%s changed while it was read",
                             name_of(s, input->path));
        diag_help(d, "run again when nothing else writes to it");
    }
    return same;
}

/* ---- small texts */

/* Reads up to `limit` + 1 bytes; false with errno on a failure. */
static bool read_all(const Session *s, int fd, size_t limit, Buf *text) {
    char piece[4096];
    for (int interrupted = 0; text->len <= limit;) {
        ssize_t got = s->sys->read(fd, piece, sizeof piece);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            buf_add(text, piece, (size_t)got);
        } else if (errno != EINTR || ++interrupted > FILE_TRIES) {
            return false;
        }
    }
    return true;
}

static const char *cannot_be_text(const Session *s, int fd) {
    struct stat is;
    if (fd < 0 || s->sys->fstat(fd, &is) != 0) {
        return strerror(errno);
    }
    if (S_ISDIR(is.st_mode)) {
        return "it is a directory";
    }
    if (!S_ISREG(is.st_mode)) { /* a pipe or a terminal: now we may wait */
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    }
    return NULL;
}

/* An open text, so that its descriptor outlives no allocation failure. */
typedef struct Text {
    int fd;
    Cleanup cleanup;
} Text;

static void close_text(Session *s, void *owner) {
    const Text *text = owner;
    if (text->fd > STDIN_FILENO) {
        s->sys->close(text->fd);
    }
}

bool file_read_text(Session *s, Str path, size_t limit, Str *text) {
    const bool standard = str_is(path, "-");
    if (memchr(path.data, 0, path.len)) {
        return cannot_read(s, path, "the path contains a NUL") != NULL;
    }
    const char *name = str_c(s->arena, path);
    Text *file = arena_new(s->arena, Text);
    Buf b = buf_on(s->arena);
    file->fd = standard ? STDIN_FILENO : open_path(s, name);
    session_on_close(s, &file->cleanup, close_text, file);
    const char *why = standard ? NULL : cannot_be_text(s, file->fd);
    if (!why && !read_all(s, file->fd, limit, &b)) {
        why = strerror(errno);
    }
    session_forget(s, &file->cleanup);
    close_text(s, file);
    const Str shown = standard ? STR("the standard input") : path;
    if (why) {
        cannot_read(s, shown, why);
        return false;
    }
    if (b.len > limit) {
        diag_error(s, "E0106", NO_SPAN, "%s is longer than %s", name_of(s, shown),
                   str_bytes(s->arena, limit).data);
        return false;
    }
    *text = buf_view(&b);
    return true;
}
