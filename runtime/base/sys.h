/* The table of system calls that touch files. morc calls the kernel through `sys` only, so that a
 * test can put in a table that fails, tears or records. Signatures and errno are POSIX's. */
#ifndef RUNTIME_BASE_SYS_H
#define RUNTIME_BASE_SYS_H
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct Sys {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*openat)(int dir, const char *name, int flags, mode_t mode);
    int (*openat_beneath)(int dir, const char *path); /* O_RDONLY, openat2 RESOLVE_BENEATH */
    int (*close)(int fd);
    int (*fstat)(int fd, struct stat *out);
    int (*stat)(const char *path, struct stat *out);  /* follows links */
    int (*lstat)(const char *path, struct stat *out); /* does not */
    int (*resolve)(const char *path, char *out);      /* realpath; out: PATH_MAX bytes */
    ssize_t (*read)(int fd, void *buffer, size_t size);
    ssize_t (*pread)(int fd, void *buffer, size_t size, off_t offset);
    ssize_t (*write)(int fd, const void *buffer, size_t size);
    ssize_t (*pwrite)(int fd, const void *buffer, size_t size, off_t offset);
    ssize_t (*copy_range)(int from, off_t *from_offset, int to, off_t *to_offset, size_t size);
    int (*allocate)(int fd, off_t offset, off_t size); /* fallocate: never emulated by writing */
    int (*free_space)(int fd, uint64_t *bytes);        /* of the file system that holds fd */
    int (*truncate)(int fd, off_t size);
    int (*start_writeback)(int fd, off_t offset, off_t size); /* does not wait; only a hint */
    int (*sync)(int fd);
    int (*chmod)(int fd, mode_t mode);
    int (*lock)(int fd);                      /* exclusive flock, does not wait */
    int (*link_fd)(int fd, const char *path); /* linkat of an O_TMPFILE descriptor */
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdirat)(int dir, const char *name, mode_t mode);
    int (*renameat)(int dir, const char *from, const char *to); /* both in dir */
    int (*unlinkat)(int dir, const char *name);
    int (*list)(const char *dir, void (*each)(void *user, const char *name), void *user);
    void *(*map)(int fd, size_t size, off_t offset); /* PROT_READ, MAP_PRIVATE; NULL on error */
    int (*unmap)(void *address, size_t size);
} Sys;

extern const Sys sys_real;

#endif
