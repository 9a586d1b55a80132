/* data_name: the hash covers every byte, however many threads take part; failures are told. */
#include "tests/unit/unit.h"
#include "compiler/data_name.h"
#include <errno.h>
#include <unistd.h>

enum { SIZE = (9 << 20) + 5 /* two whole pieces and a short one */ };

static char *dir;
static atomic_int reads_left; /* until pread fails; negative: never */

static ssize_t some_pread(int fd, void *buffer, size_t size, off_t offset) {
    if (reads_left >= 0 && atomic_fetch_sub(&reads_left, 1) <= 0) {
        reads_left = 0;
        errno = EIO;
        return -1;
    }
    return sys_real.pread(fd, buffer, size, offset);
}

/* The name of SIZE bytes that count up, of which the byte `changed` is another; NULL: failed. */
static char *name_of(int threads, long changed) {
    Sys sys = sys_real;
    sys.pread = some_pread;
    Session *s = session_open(&sys);
    s->threads = threads;
    Output *files[2] = {output_open(s, str_format(s->arena, "%s/model", dir), 3),
                        output_open(s, str_format(s->arena, "%s/data", dir), SIZE)};
    uint8_t *bytes = malloc(SIZE);
    for (long i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251) ^ (i == changed);
    }
    assert_int_equal(output_write(files[1], 0, bytes, SIZE), 0);
    free(bytes);
    Schedule schedule = {0};
    Str name;
    char *answer = NULL;
    if (data_name_settle(s, files, &schedule, data_name_placeholder(s->arena, STR("m")), &name)) {
        answer = strdup(str_c(s->arena, name));
    } else {
        assert_non_null(strstr(unit_diags(s), "E1102"));
    }
    session_close(s);
    return answer;
}

static int setup(void **state) {
    (void)state;
    dir = unit_directory();
    reads_left = -1;
    return 0;
}
static int teardown(void **state) {
    (void)state;
    unit_remove(dir);
    return 0;
}

static void names_do_not_depend_on_threads(void **state) {
    (void)state;
    char *want = name_of(1, -1);
    assert_non_null(want);
    assert_int_equal(strlen(want), strlen("m.data-0123456789abcdef"));
    for (int threads = 2; threads <= 5; threads++) {
        char *name = name_of(threads, -1);
        assert_string_equal(name, want);
        free(name);
    }
    free(want);
}

static void every_byte_counts(void **state) {
    (void)state;
    const long places[] = {0, 5000, (4 << 20) - 1, 4 << 20, (8 << 20) + 1, SIZE - 1};
    char *names[7] = {name_of(2, -1)};
    for (int i = 0; i < 6; i++) {
        names[i + 1] = name_of(2, places[i]);
        for (int j = 0; j <= i; j++) {
            assert_string_not_equal(names[j], names[i + 1]);
        }
    }
    for (int i = 0; i < 7; i++) {
        free(names[i]);
    }
}

static void failures_to_read_are_told(void **state) {
    (void)state;
    for (int after = 0; after < 40; after += 13) {
        for (int threads = 1; threads < 4; threads++) {
            reads_left = after; /* of the 37 that it takes */
            char *name = name_of(threads, -1);
            assert_true((name != NULL) == (after > 36));
            free(name);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_do_not_depend_on_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_to_read_are_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
