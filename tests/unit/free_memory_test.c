/* free_memory: what the kernel's files say, of the machine and of both kinds of groups; files that
 * are absent, short or nonsense. */
#include "runtime/base/free_memory.h"
#include <errno.h>
#include "tests/unit/unit.h"

enum { FILES = 5, FIRST = 100 };
static const char *const paths[FILES] = {
    "/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"};
static const char *texts[FILES]; /* NULL: there is none */
static int open_files;

static int fake_open(const char *path, int flags, mode_t mode) {
    (void)flags;
    (void)mode;
    for (int i = 0; i < FILES; i++) {
        if (strcmp(path, paths[i]) == 0 && texts[i]) {
            open_files++;
            return FIRST + i;
        }
    }
    errno = ENOENT;
    return -1;
}

static int fake_close(int fd) {
    assert_in_range(fd, FIRST, FIRST + FILES - 1);
    open_files--;
    return 0;
}

static ssize_t fake_read(int fd, void *buffer, size_t size) {
    const size_t length = strlen(texts[fd - FIRST]), take = length < size ? length : size;
    memcpy(buffer, texts[fd - FIRST], take);
    return (ssize_t)take;
}

static const Sys fake = {.open = fake_open, .close = fake_close, .read = fake_read};

#define MEMINFO "MemTotal:  8000 kB\nMemFree:     100 kB\nMemAvailable:    2048 kB\nBuffers: 9 kB\n"

static void what_the_files_say(void **state) {
    (void)state;
    static const struct {
        const char *texts[FILES];
        uint64_t bytes;
    } rows[] = {
        {{NULL}, 0},
        {{MEMINFO}, 2048 << 10},
        {{"MemTotal: 8000 kB\n"}, 0},
        {{"MemAvailable:\n"}, 0},
        {{"MemAvailable: 99999999999999999999 kB\n"}, 0},
        {{MEMINFO, "max\n", "4096\n"}, 2048 << 10},
        {{MEMINFO, "1000000\n", "400000\n"}, 600000},
        {{MEMINFO, "1000000000\n", "400000\n"}, 2048 << 10},
        {{MEMINFO, "1000\n", "4000\n"}, 1}, /* past its limit: as little as there is */
        {{MEMINFO, "1000\n"}, 2048 << 10},  /* half of a pair says nothing */
        {{MEMINFO, NULL, NULL, "5000\n", "2000\n"}, 3000},
        {{MEMINFO, NULL, NULL, "9223372036854771712\n", "2000\n"}, 2048 << 10},
        {{NULL, "1000000\n", "400000\n"}, 600000},
        {{"", "", "", "", ""}, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memcpy(texts, rows[i].texts, sizeof texts);
        assert_int_equal(free_memory(&fake), rows[i].bytes);
        assert_int_equal(open_files, 0);
    }
}

static void this_machine(void **state) {
    (void)state;
    const uint64_t bytes = free_memory(&sys_real);
    assert_true(bytes > 0 && bytes < UINT64_C(1) << 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_files_say),
        cmocka_unit_test(this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
