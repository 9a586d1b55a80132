/* See cubin_cache.h. Everything happens relative to one descriptor of the folder, so nobody can
 * swap the folder after it was checked. Scratch memory is the cache's own arena, emptied at each
 * act; what is open while something may run out of memory is known to the cleanup. */
#include "runtime/device/cubin_cache.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "runtime/base/file.h"
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"
#include "runtime/device/cubin_entry.h"
#include "runtime/device/cubin_tidy.h"

struct CubinCache {
    Str folder;      /* CACHE/kernels, for people and for listing */
    int root, dir;   /* descriptors; -1: closed */
    int file;        /* an entry being read */
    bool tidied;     /* in this session */
    unsigned stored; /* entries, makes temporary names differ */
    Arena *scratch;
    Cleanup cleanup;
};

enum { OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static void close_fd(Session *s, int *fd) {
    if (*fd >= 0) {
        s->sys->close(*fd);
        *fd = -1;
    }
}

static void close_cache(Session *s, void *owner) {
    CubinCache *cache = owner;
    close_fd(s, &cache->file);
    close_fd(s, &cache->dir);
    close_fd(s, &cache->root);
    arena_close(cache->scratch);
}

/* ---- opening */

/* Makes root and its missing parents. Failures show when root is opened. */
static void make_folders(Session *s, const char *root) {
    char path[4096];
    const size_t length = strlen(root);
    if (length >= sizeof path) {
        return;
    }
    for (size_t i = 1; i <= length; i++) {
        if (root[i] == '/' || root[i] == 0) {
            memcpy(path, root, i);
            path[i] = 0;
            s->sys->mkdirat(AT_FDCWD, path, 0700);
        }
    }
}

/* A folder that only its owner writes, and the owner is us; otherwise -1 and why. `path` is what
 * messages call it. */
static int open_ours(Session *s, int at, const char *name, const char *path, Str *why) {
    Arena *arena = s->arena;
    const char *shown = str_safe_c(arena, str_from(path));
    int fd = s->sys->openat(at, name, OPEN_FOLDER, 0);
    if (fd < 0) {
        const int error = errno;
        *why = error == ENOTDIR || error == ELOOP
                   ? str_format(arena, "%s is not a folder (links are not followed)", shown)
                   : str_format(arena, "cannot open %s: %s", shown, strerror(error));
        return -1;
    }
    struct stat is;
    const char *problem = NULL;
    if (s->sys->fstat(fd, &is) != 0) {
        problem = strerror(errno);
    } else if (is.st_uid != geteuid()) {
        problem = "it belongs to another user";
    } else if (is.st_mode & (S_IWGRP | S_IWOTH)) {
        problem = "others may write to it (chmod go-w)";
    }
    if (problem) {
        s->sys->close(fd);
        *why = str_format(arena, "cannot trust %s: %s", shown, problem);
        return -1;
    }
    return fd;
}

static bool open_folders(Session *s, CubinCache *cache, const char *root, Str *why) {
    struct stat is;
    if (s->sys->stat(root, &is) != 0 && errno == ENOENT) {
        make_folders(s, root);
    }
    cache->root = open_ours(s, AT_FDCWD, root, root, why);
    if (cache->root < 0) {
        return false;
    }
    s->sys->mkdirat(cache->root, "kernels", 0700);
    cache->dir = open_ours(s, cache->root, "kernels", cache->folder.data, why);
    close_fd(s, &cache->root);
    return cache->dir >= 0;
}

CubinCache *cubin_cache_open(Session *s, Str root, Str *why) {
    while (root.len > 1 && root.data[root.len - 1] == '/') {
        root.len--; /* with it, a link would be followed */
    }
    if (root.len == 0 || memchr(root.data, 0, root.len)) {
        *why = root.len ? STR("the name of its folder holds a NUL")
                        : STR("no folder for it is known (HOME is not set)");
        return NULL;
    }
    CubinCache *cache = arena_new(s->arena, CubinCache);
    const char *path = str_c(s->arena, root);
    cache->folder = str_format(s->arena, "%s/kernels", path);
    cache->root = cache->dir = cache->file = -1;
    session_on_close(s, &cache->cleanup, close_cache, cache);
    cache->scratch = arena_open();
    if (!open_folders(s, cache, path, why)) {
        session_forget(s, &cache->cleanup);
        close_cache(s, cache);
        return NULL;
    }
    return cache;
}

Str cubin_cache_folder(const CubinCache *cache) {
    return cache->folder;
}

/* ---- entries */

static Str begin(CubinCache *cache, const CubinKey *key, char name[CUBIN_NAME_SIZE]) {
    arena_reset(cache->scratch, (ArenaMark){0});
    Buf text = buf_on(cache->scratch);
    cubin_key_text(key, &text);
    cubin_key_name(buf_view(&text), name);
    return buf_view(&text);
}

/* Exactly `size` bytes and no more. */
static bool read_exactly(Session *s, int fd, char *to, size_t size) {
    size_t done = 0;
    for (int idle = 0; done < size;) {
        const ssize_t got = s->sys->pread(fd, to + done, size - done, (off_t)done);
        if (got == 0 || (got < 0 && (errno != EINTR || ++idle > FILE_TRIES))) {
            return false;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* The whole file, if it can be an entry. */
static bool read_entry(Session *s, CubinCache *cache, Str *bytes) {
    struct stat is;
    if (s->sys->fstat(cache->file, &is) != 0 || !S_ISREG(is.st_mode) || is.st_uid != geteuid() ||
        (is.st_mode & (S_IWGRP | S_IWOTH)) || is.st_size < 1 || is.st_size > LIMIT_KERNEL_BYTES) {
        return false;
    }
    const size_t size = (size_t)is.st_size;
    char *data = arena_alloc(cache->scratch, size);
    *bytes = (Str){data, size};
    return read_exactly(s, cache->file, data, size);
}

bool cubin_cache_load(Session *s, CubinCache *cache, const CubinKey *key, Str *cubin) {
    char name[CUBIN_NAME_SIZE];
    const Str text = begin(cache, key, name);
    /* not blocking: a pipe that lies there must not hold us up before it is refused */
    cache->file = s->sys->openat(cache->dir, name,
                                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (cache->file < 0) {
        return false;
    }
    Str bytes, payload;
    const bool whole = read_entry(s, cache, &bytes) && cubin_entry_read(bytes, text, &payload);
    close_fd(s, &cache->file);
    if (whole) {
        *cubin = str_copy(s->arena, payload);
    }
    return whole;
}

static bool write_all(Session *s, int fd, Str bytes) {
    for (int idle = 0; bytes.len > 0;) {
        const ssize_t done = s->sys->write(fd, bytes.data, bytes.len);
        if (done > 0) {
            bytes = str_slice(bytes, (size_t)done, bytes.len);
            idle = 0;
        } else if ((done < 0 && errno != EINTR) || ++idle > FILE_TRIES) {
            return false;
        }
    }
    return true;
}

/* A file of a name that nobody else uses; -1 if there can be none. */
static int open_temp(Session *s, CubinCache *cache, char name[CUBIN_TEMP_SIZE]) {
    int fd = -1;
    for (int tries = 0; tries < FILE_TRIES && fd < 0; tries++) {
        cubin_temp_name(name, getpid(), ++cache->stored);
        fd = s->sys->openat(cache->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                            0600);
        if (fd < 0 && errno != EEXIST && errno != EINTR) {
            break;
        }
    }
    return fd;
}

void cubin_cache_store(Session *s, CubinCache *cache, const CubinKey *key, Str cubin) {
    char name[CUBIN_NAME_SIZE], temp[CUBIN_TEMP_SIZE];
    if (!cache->tidied) {
        cache->tidied = true;
        arena_reset(cache->scratch, (ArenaMark){0});
        cubin_tidy(s->sys, cache->dir, cache->folder.data, CUBIN_CACHE_BYTES, time(NULL),
                   cache->scratch);
    }
    const Str text = begin(cache, key, name);
    if (cubin.len + text.len > LIMIT_KERNEL_BYTES) {
        return;
    }
    Buf entry = buf_on(cache->scratch);
    cubin_entry_write(text, cubin, &entry);
    if (entry.len > LIMIT_KERNEL_BYTES) {
        return;
    }
    const int fd = open_temp(s, cache, temp); /* nothing allocates until it is closed */
    if (fd < 0) {
        return;
    }
    const bool written = write_all(s, fd, buf_view(&entry));
    const bool closed = s->sys->close(fd) == 0;
    if (!written || !closed || s->sys->renameat(cache->dir, temp, name) != 0) {
        s->sys->unlinkat(cache->dir, temp);
    }
}

/* ---- where */

static Str beneath(Session *s, const char *folder, const char *name) {
    return folder && folder[0] == '/' ? str_format(s->arena, "%s/%s", folder, name) : (Str){0};
}

Str cubin_cache_root(Session *s, Str flag, const char *(*get)(const char *variable)) {
    if (flag.len > 0) {
        return flag;
    }
    const char *own = get("MORC_CACHE");
    if (own && *own) {
        return str_from(own);
    }
    const Str xdg = beneath(s, get("XDG_CACHE_HOME"), "morc");
    return xdg.len > 0 ? xdg : beneath(s, get("HOME"), ".cache/morc");
}
