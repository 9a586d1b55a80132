/* output: the commit protocol keeps the old file or shows the new one, whole, whatever fails. */
#include "tests/unit/unit.h"
#include "tests/unit/faulty_sys.h"
#include "runtime/base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static Session *s;
static char *dir;

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_faulty);
    faulty_set(0, 0, false);
    faulty_short_writes(false);
    dir = unit_directory();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    unit_remove(dir);
    return faulty_open_files() == 0 ? 0 : -1;
}

static Str in_dir(const char *name) {
    return str_format(s->arena, "%s/%s", dir, name);
}

static void expect_file(const char *name, const char *content) {
    char *text = unit_read(in_dir(name).data, NULL);
    assert_non_null(text);
    assert_string_equal(text, content);
    free(text);
}

static int entries(void) {
    int count = 0;
    DIR *d = opendir(dir);
    while (readdir(d)) {
        count++;
    }
    closedir(d);
    return count - 2;
}

static void expect_error(const char *part) {
    const char *text = unit_diags(s);
    if (!strstr(text, part)) {
        fail_msg("expected \"%s\" in:\n%s", part, text);
    }
    assert_int_equal(s->diags.errors, 1);
    diags_clear(&s->diags);
}

static void nothing_shows_before_the_commit(void **state) {
    (void)state;
    unit_write(in_dir("out").data, "old", 3);
    chmod(in_dir("out").data, 0640);
    Output *out = output_open(s, in_dir("out"), 6);
    assert_non_null(out);
    assert_int_equal(output_write(out, 3, "new", 3), 0);
    assert_int_equal(output_write(out, 0, "the", 3), 0);
    expect_file("out", "old");
    assert_int_equal(entries(), 1);
    char back[8] = "";
    faulty_short_writes(true);
    assert_int_equal(output_read(out, 0, back, 6), 0);
    faulty_short_writes(false);
    assert_string_equal(back, "thenew");
    assert_int_equal(output_read(out, 1, back, 6), EIO);
    faulty_set(1, EINTR, false);
    assert_int_equal(output_read(out, 5, back, 1), 0);
    faulty_set(1, EINTR, true);
    assert_int_equal(output_read(out, 0, back, 6), EINTR);
    faulty_set(0, 0, false);
    assert_true(output_sync(out));
    assert_true(output_commit(out));
    expect_file("out", "thenew");
    assert_int_equal(entries(), 1);
    struct stat is;
    stat(in_dir("out").data, &is);
    assert_int_equal(is.st_mode & 0777, 0640);
    output_discard(out);
    expect_file("out", "thenew");
}

static void discarding_leaves_nothing(void **state) {
    (void)state;
    Output *out = output_open(s, in_dir("out"), 100);
    assert_int_equal(output_write(out, 0, "x", 1), 0);
    output_discard(out);
    output_discard(out);
    output_discard(NULL);
    assert_int_equal(entries(), 0);
    assert_false(output_exists(s, in_dir("out")));
    mode_t mask = umask(027);
    Output *other = output_open(s, in_dir("out"), 0);
    assert_true(output_commit(other));
    umask(mask);
    assert_true(output_exists(s, in_dir("out")));
    struct stat is;
    stat(in_dir("out").data, &is);
    assert_int_equal(is.st_size, 0);
    assert_int_equal(is.st_mode & 0777, 0640);
    output_open(s, in_dir("left"), 100); /* left to session_close */
}

static void bad_places_are_refused(void **state) {
    (void)state;
    assert_null(output_open(s, in_dir("absent/out"), 1));
    expect_error("E1102]: cannot write");
    assert_null(output_open(s, str_from(dir), 1));
    expect_error("Is a directory");
    assert_null(output_open(s, in_dir(""), 1));
    expect_error("Is a directory");
    assert_null(output_open(s, STR("/proc/out"), 1));
    expect_error("E1102]: cannot write /proc/out");
    assert_null(output_open(s, in_dir("out"), (uint64_t)1 << 60));
    expect_error("E1102");
    assert_null(output_open(s, in_dir("out"), UINT64_MAX));
    expect_error("E1102");
    assert_null(output_open(s, (Str){"a\0b", 3}, 1));
    expect_error("E1102");
    assert_int_equal(entries(), 0);
}

static void links_are_replaced_not_followed(void **state) {
    (void)state;
    unit_write(in_dir("target").data, "keep", 4);
    assert_int_equal(symlink("target", in_dir("out").data), 0);
    Output *out = output_open(s, in_dir("out"), 3);
    assert_int_equal(output_write(out, 0, "new", 3), 0);
    assert_true(output_commit(out));
    expect_file("target", "keep");
    expect_file("out", "new");
}

static void copies_come_from_the_file_or_the_mapping(void **state) {
    (void)state;
    size_t size = 300000;
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++) {
        data[i] = (char)(i * 7 + i / 251);
    }
    unit_write(in_dir("in").data, data, size);
    Input *in = input_open(s, in_dir("in"));
    for (int error = 0; error < 2; error++) {
        faulty_short_writes(error == 1);
        Output *out = output_open(s, in_dir("out"), size);
        faulty_set(error, EXDEV, false); /* the first call from here on is copy_range */
        assert_int_equal(output_copy(out, 100, in, 1000, size - 1000), 0);
        assert_int_equal(output_copy(out, 0, in, 900, 100), 0);
        assert_int_equal(output_write(out, size - 900, "", 0), 0);
        assert_true(output_commit(out));
        size_t got = 0;
        char *written = unit_read(in_dir("out").data, &got);
        assert_int_equal(got, size);
        assert_memory_equal(written, data + 900, size - 900);
        free(written);
    }
    free(data);
}

static bool write_and_commit(void) {
    Output *out = output_open(s, in_dir("out"), 6);
    if (!out) {
        return false;
    }
    int error = output_write(out, 0, "the", 3);
    error = error ? error : output_write(out, 3, "new", 3);
    if (error) {
        output_fail(out, error);
        output_discard(out);
        return false;
    }
    return output_commit(out);
}

static int no_tmpfile(const char *path, int flags, mode_t mode) {
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return sys_faulty.open(path, flags, mode);
}

static int no_allocate(int fd, off_t offset, off_t size) {
    (void)fd;
    (void)offset;
    (void)size;
    errno = EOPNOTSUPP;
    return -1;
}

static void sweep_faults(int error, bool persist) {
    for (int n = 1;; n++) {
        faulty_set(0, 0, false);
        unit_write(in_dir("out").data, "old", 3);
        faulty_set(n, error, persist);
        bool done = write_and_commit();
        bool all_ran = faulty_calls() < n;
        faulty_set(0, 0, false);
        assert_int_equal(done, s->diags.errors == 0);
        char *text = unit_read(in_dir("out").data, NULL);
        bool new = strcmp(text, "thenew") == 0;
        assert_true(new || strcmp(text, "old") == 0);
        assert_true(new || !done);
        free(text);
        assert_int_equal(entries(), 1);
        assert_int_equal(faulty_open_files(), 0);
        diags_clear(&s->diags);
        if (all_ran) {
            break;
        }
        assert_true(n < 2000);
    }
}

/* Every call fails, once and for ever, with and without O_TMPFILE and fallocate. */
static void any_fault_leaves_old_or_new(void **state) {
    (void)state;
    Sys plain = sys_faulty;
    plain.open = no_tmpfile;
    plain.allocate = no_allocate;
    const Sys *tables[] = {&sys_faulty, &plain};
    const int errors[] = {EIO, ENOSPC, EDQUOT, EROFS, EACCES, EMFILE};
    for (size_t t = 0; t < 2; t++) {
        s->sys = tables[t];
        for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
            sweep_faults(errors[e], false);
            sweep_faults(errors[e], true);
        }
        sweep_faults(EINTR, false);
        sweep_faults(EINTR, true);
        faulty_short_writes(true);
        sweep_faults(EIO, false);
        faulty_short_writes(false);
    }
    s->sys = &sys_faulty;
}

static void interruptions_are_survived(void **state) {
    (void)state;
    const Sys *table = &sys_faulty;
    s->sys = table;
    faulty_short_writes(true);
    unit_write(in_dir("out").data, "old", 3);
    assert_true(write_and_commit());
    expect_file("out", "thenew");
}

/* A process killed with its temporary in the directory: the next run removes it, but not the one
 * of a process that lives, and no other file. */
static void leftovers_of_dead_runs_go(void **state) {
    (void)state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        Sys plain = sys_real;
        plain.open = no_tmpfile;
        Session *mine = session_open(&plain);
        Output *out = output_open(mine, in_dir("out"), 3);
        (void)!write(ready[1], out ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    assert_int_equal(entries(), 1);
    output_discard(output_open(s, in_dir("out"), 3));
    assert_int_equal(entries(), 1); /* its owner lives */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    unit_write(in_dir(".out.mor-x-1.tmp").data, "", 0);
    unit_write(in_dir(".other.mor-999999-1.tmp").data, "", 0);
    assert_int_equal(entries(), 3);
    output_discard(output_open(s, in_dir("out"), 3));
    assert_int_equal(entries(), 2);
    close(ready[0]);
    close(ready[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_shows_before_the_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(discarding_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_places_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_replaced_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(copies_come_from_the_file_or_the_mapping, setup, teardown),
        cmocka_unit_test_setup_teardown(any_fault_leaves_old_or_new, setup, teardown),
        cmocka_unit_test_setup_teardown(interruptions_are_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(leftovers_of_dead_runs_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
