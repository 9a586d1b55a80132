/* Small files of the kernel, read whole (free_memory.h). */
#include "runtime/base/free_memory.h"
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include "runtime/base/str.h"

enum { TEXT = 4096 }; /* MemAvailable is the third line */

static Str read_file(const Sys *sys, const char *path, char text[TEXT]) {
    const int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return (Str){0};
    }
    const ssize_t size = sys->read(fd, text, TEXT);
    sys->close(fd);
    return (Str){text, size > 0 ? (size_t)size : 0};
}

/* The number that follows `key` and blanks. */
static bool number_behind(Str text, const char *key, uint64_t *out) {
    const size_t length = strlen(key);
    size_t at = 0;
    if (text.len == 0) {
        return false;
    }
    while (at + length <= text.len && memcmp(text.data + at, key, length) != 0) {
        at++;
    }
    for (at += length; at < text.len && text.data[at] == ' '; at++) {
    }
    return at < text.len && str_digits(str_slice(text, at, text.len), out) > 0;
}

static uint64_t of_machine(const Sys *sys) {
    char text[TEXT];
    uint64_t kib = 0;
    const Str file = read_file(sys, "/proc/meminfo", text);
    return number_behind(file, "MemAvailable:", &kib) && kib < UINT64_MAX >> 10 ? kib << 10 : 0;
}

/* Of a group whose files are these; 0: it has no limit ("max", or one past all memory). */
static uint64_t of_group(const Sys *sys, const char *limit_path, const char *used_path) {
    char text[TEXT];
    uint64_t limit = 0, used = 0;
    if (!number_behind(read_file(sys, limit_path, text), "", &limit) ||
        !number_behind(read_file(sys, used_path, text), "", &used)) {
        return 0;
    }
    return limit > used ? limit - used : 1;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

uint64_t free_memory(const Sys *sys) {
    const uint64_t second =
        of_group(sys, "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current");
    const uint64_t first = of_group(sys, "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                    "/sys/fs/cgroup/memory/memory.usage_in_bytes");
    return smaller(of_machine(sys), smaller(second, first));
}
