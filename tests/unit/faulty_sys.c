/* See faulty_sys.h. Thread-safe: workers write through the same table. */
#include "tests/unit/faulty_sys.h"
#include <errno.h>
#include <stddef.h>

static atomic_llong calls, fail_at, open_files;
static atomic_int fail_with;
static atomic_bool fail_on, short_writes;

void faulty_set(int64_t n, int error, bool persist) {
    atomic_store(&calls, 0);
    atomic_store(&fail_at, n);
    atomic_store(&fail_with, error);
    atomic_store(&fail_on, persist);
}

void faulty_short_writes(bool on) {
    atomic_store(&short_writes, on);
}

int64_t faulty_calls(void) {
    return atomic_load(&calls);
}

int64_t faulty_open_files(void) {
    return atomic_load(&open_files);
}

static bool fails(void) {
    int64_t n = atomic_fetch_add(&calls, 1) + 1, at = atomic_load(&fail_at);
    if (at == 0 || (atomic_load(&fail_on) ? n < at : n != at)) {
        return false;
    }
    errno = atomic_load(&fail_with);
    return true;
}

static int opened(int fd) {
    if (fd >= 0) {
        atomic_fetch_add(&open_files, 1);
    }
    return fd;
}

static size_t shorter(size_t size) {
    return atomic_load(&short_writes) && size > 1 ? size / 2 : size;
}

static int f_open(const char *path, int flags, mode_t mode) {
    return fails() ? -1 : opened(sys_real.open(path, flags, mode));
}

static int f_openat(int dir, const char *name, int flags, mode_t mode) {
    return fails() ? -1 : opened(sys_real.openat(dir, name, flags, mode));
}

static int f_openat_beneath(int dir, const char *path) {
    return fails() ? -1 : opened(sys_real.openat_beneath(dir, path));
}

static int f_close(int fd) {
    atomic_fetch_sub(&open_files, 1);
    int done = sys_real.close(fd);
    return fails() ? -1 : done;
}

static int f_fstat(int fd, struct stat *out) {
    return fails() ? -1 : sys_real.fstat(fd, out);
}

static int f_stat(const char *path, struct stat *out) {
    return fails() ? -1 : sys_real.stat(path, out);
}

static int f_lstat(const char *path, struct stat *out) {
    return fails() ? -1 : sys_real.lstat(path, out);
}

static int f_resolve(const char *path, char *out) {
    return fails() ? -1 : sys_real.resolve(path, out);
}

static ssize_t f_read(int fd, void *buffer, size_t size) {
    return fails() ? -1 : sys_real.read(fd, buffer, shorter(size));
}

static ssize_t f_pread(int fd, void *buffer, size_t size, off_t offset) {
    return fails() ? -1 : sys_real.pread(fd, buffer, shorter(size), offset);
}

static ssize_t f_write(int fd, const void *buffer, size_t size) {
    return fails() ? -1 : sys_real.write(fd, buffer, shorter(size));
}

static ssize_t f_pwrite(int fd, const void *buffer, size_t size, off_t offset) {
    return fails() ? -1 : sys_real.pwrite(fd, buffer, shorter(size), offset);
}

static ssize_t f_copy_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t size) {
    return fails() ? -1 : sys_real.copy_range(from, from_offset, to, to_offset, shorter(size));
}

static int f_allocate(int fd, off_t offset, off_t size) {
    return fails() ? -1 : sys_real.allocate(fd, offset, size);
}

static int f_free_space(int fd, uint64_t *bytes) {
    return fails() ? -1 : sys_real.free_space(fd, bytes);
}

static int f_truncate(int fd, off_t size) {
    return fails() ? -1 : sys_real.truncate(fd, size);
}

static int f_start_writeback(int fd, off_t offset, off_t size) {
    return fails() ? -1 : sys_real.start_writeback(fd, offset, size);
}

static int f_sync(int fd) {
    return fails() ? -1 : sys_real.sync(fd);
}

static int f_chmod(int fd, mode_t mode) {
    return fails() ? -1 : sys_real.chmod(fd, mode);
}

static int f_lock(int fd) {
    return fails() ? -1 : sys_real.lock(fd);
}

static int f_link_fd(int fd, const char *path) {
    return fails() ? -1 : sys_real.link_fd(fd, path);
}

static int f_rename(const char *from, const char *to) {
    return fails() ? -1 : sys_real.rename(from, to);
}

static int f_unlink(const char *path) {
    int done = sys_real.unlink(path);
    return fails() ? -1 : done;
}

static int f_mkdirat(int dir, const char *name, mode_t mode) {
    return fails() ? -1 : sys_real.mkdirat(dir, name, mode);
}

static int f_renameat(int dir, const char *from, const char *to) {
    return fails() ? -1 : sys_real.renameat(dir, from, to);
}

static int f_unlinkat(int dir, const char *name) {
    int done = sys_real.unlinkat(dir, name);
    return fails() ? -1 : done;
}

static int f_list(const char *dir, void (*each)(void *user, const char *name), void *user) {
    return fails() ? -1 : sys_real.list(dir, each, user);
}

static void *f_map(int fd, size_t size, off_t offset) {
    return fails() ? NULL : sys_real.map(fd, size, offset);
}

static int f_unmap(void *address, size_t size) {
    int done = sys_real.unmap(address, size);
    return fails() ? -1 : done;
}

const Sys sys_faulty = {
    .open = f_open, .openat = f_openat, .openat_beneath = f_openat_beneath, .close = f_close,
    .fstat = f_fstat, .mkdirat = f_mkdirat, .renameat = f_renameat, .unlinkat = f_unlinkat,
    .stat = f_stat, .lstat = f_lstat, .resolve = f_resolve, .read = f_read, .pread = f_pread,
    .write = f_write, .pwrite = f_pwrite, .copy_range = f_copy_range, .allocate = f_allocate,
    .free_space = f_free_space, .truncate = f_truncate, .start_writeback = f_start_writeback,
    .sync = f_sync, .chmod = f_chmod, .lock = f_lock, .link_fd = f_link_fd, .rename = f_rename,
    .unlink = f_unlink, .list = f_list, .map = f_map, .unmap = f_unmap,
};
