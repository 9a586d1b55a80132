/* sys: the real table is complete and does what its comments say where morc depends on it. */
#include "tests/unit/unit.h"
#include "tests/unit/faulty_sys.h"
#include <errno.h>
#include <fcntl.h>

static void no_entry_is_missing(void **state) {
    (void)state;
    const Sys *tables[] = {&sys_real, &sys_faulty};
    for (size_t t = 0; t < 2; t++) {
        void *entries[sizeof(Sys) / sizeof(void *)];
        memcpy(entries, tables[t], sizeof entries);
        for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
            assert_non_null(entries[i]);
        }
    }
}

static void beneath_means_beneath(void **state) {
    (void)state;
    char *dir = unit_directory(), path[4200];
    snprintf(path, sizeof path, "%s/inside", dir);
    unit_write(path, "x", 1);
    snprintf(path, sizeof path, "%s/out", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    int inside = sys_real.openat_beneath(fd, "inside");
    assert_true(inside >= 0);
    close(inside);
    assert_int_equal(sys_real.openat_beneath(fd, "out"), -1);
    assert_int_equal(errno, EXDEV);
    assert_int_equal(sys_real.openat_beneath(fd, "../inside"), -1);
    assert_int_equal(errno, EXDEV);
    close(fd);
    unit_remove(dir);
}

static void unnamed_files_can_be_linked(void **state) {
    (void)state;
    char *dir = unit_directory(), path[4200];
    int fd = sys_real.open(dir, O_TMPFILE | O_RDWR, 0600);
    assert_true(fd >= 0);
    assert_int_equal(sys_real.pwrite(fd, "abc", 3, 0), 3);
    snprintf(path, sizeof path, "%s/name", dir);
    assert_int_equal(sys_real.link_fd(fd, path), 0);
    assert_int_equal(sys_real.link_fd(fd, path), -1);
    assert_int_equal(errno, EEXIST);
    close(fd);
    char *text = unit_read(path, NULL);
    assert_string_equal(text, "abc");
    free(text);
    unit_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_entry_is_missing),
        cmocka_unit_test(beneath_means_beneath),
        cmocka_unit_test(unnamed_files_can_be_linked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
