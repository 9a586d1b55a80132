/* The real system calls. Nothing is decided here: no retries, no fallbacks but where the kernel
 * offers one thing under two names. */
#include "runtime/base/sys.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static int real_open(const char *path, int flags, mode_t mode) {
    return open(path, flags, mode);
}

static int real_openat(int dir, const char *name, int flags, mode_t mode) {
    return openat(dir, name, flags, mode);
}

static int real_openat_beneath(int dir, const char *path) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static int real_stat(const char *path, struct stat *out) {
    return stat(path, out);
}

static int real_lstat(const char *path, struct stat *out) {
    return lstat(path, out);
}

static int real_fstat(int fd, struct stat *out) {
    return fstat(fd, out);
}

static int real_resolve(const char *path, char *out) {
    return realpath(path, out) ? 0 : -1;
}

static int real_allocate(int fd, off_t offset, off_t size) {
    return fallocate(fd, 0, offset, size);
}

static int real_free_space(int fd, uint64_t *bytes) {
    struct statvfs fs;
    if (fstatvfs(fd, &fs) != 0) {
        return -1;
    }
    if (__builtin_mul_overflow((uint64_t)fs.f_bavail, (uint64_t)fs.f_frsize, bytes)) {
        *bytes = UINT64_MAX;
    }
    return 0;
}

static ssize_t real_copy_range(int from, off_t *from_offset, int to, off_t *to_offset,
                               size_t size) {
    return copy_file_range(from, from_offset, to, to_offset, size, 0);
}

static int real_start_writeback(int fd, off_t offset, off_t size) {
    return sync_file_range(fd, offset, size, SYNC_FILE_RANGE_WRITE);
}

static int real_lock(int fd) {
    return flock(fd, LOCK_EX | LOCK_NB);
}

/* /proc is the documented way; AT_EMPTY_PATH needs a capability but no /proc. */
static int real_link_fd(int fd, const char *path) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int done = linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    if (done != 0 && errno == ENOENT) {
        done = linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH);
    }
    return done;
}

static int real_renameat(int dir, const char *from, const char *to) {
    return renameat(dir, from, dir, to);
}

static int real_unlinkat(int dir, const char *name) {
    return unlinkat(dir, name, 0);
}

static int real_list(const char *dir, void (*each)(void *user, const char *name), void *user) {
    DIR *stream = opendir(dir);
    if (!stream) {
        return -1;
    }
    for (const struct dirent *e = readdir(stream); e; e = readdir(stream)) {
        each(user, e->d_name);
    }
    return closedir(stream);
}

static void *real_map(int fd, size_t size, off_t offset) {
    void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, offset);
    return at == MAP_FAILED ? NULL : at;
}

const Sys sys_real = {
    .open = real_open,
    .openat = real_openat,
    .openat_beneath = real_openat_beneath,
    .close = close,
    .fstat = real_fstat,
    .stat = real_stat,
    .lstat = real_lstat,
    .resolve = real_resolve,
    .read = read,
    .pread = pread,
    .write = write,
    .pwrite = pwrite,
    .copy_range = real_copy_range,
    .allocate = real_allocate,
    .free_space = real_free_space,
    .truncate = ftruncate,
    .start_writeback = real_start_writeback,
    .sync = fsync,
    .chmod = fchmod,
    .lock = real_lock,
    .link_fd = real_link_fd,
    .rename = rename,
    .unlink = unlink,
    .mkdirat = mkdirat,
    .renameat = real_renameat,
    .unlinkat = real_unlinkat,
    .list = real_list,
    .map = real_map,
    .unmap = munmap,
};
