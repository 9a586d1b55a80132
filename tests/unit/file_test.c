/* file: what may be an input, what may not, external paths, truncation under the mapping. */
#include "tests/unit/unit.h"
#include "tests/unit/faulty_sys.h"
#include "runtime/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/time.h>

static Session *s;
static char *dir;

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_faulty);
    faulty_set(0, 0, false);
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

static void expect_error(const char *part) {
    const char *text = unit_diags(s);
    if (!strstr(text, part)) {
        fail_msg("expected \"%s\" in:\n%s", part, text);
    }
    assert_int_equal(s->diags.errors, 1);
    diags_clear(&s->diags);
}

static void files_are_mapped(void **state) {
    (void)state;
    unit_write(in_dir("a").data, "hello", 5);
    unit_write(in_dir("empty").data, "", 0);
    Input *a = input_open(s, in_dir("a")), *empty = input_open(s, in_dir("empty"));
    assert_non_null(a);
    assert_int_equal(a->size, 5);
    assert_memory_equal(a->data, "hello", 5);
    assert_true(input_unchanged(s, a));
    assert_non_null(empty);
    assert_null(empty->data);
    assert_true(input_unchanged(s, empty));
    input_close(s, a);
    input_close(s, NULL); /* `empty` is left to session_close */
}

static void what_is_no_file_is_refused(void **state) {
    (void)state;
    assert_null(input_open(s, in_dir("absent")));
    expect_error("E1101]: cannot read ");
    assert_null(input_open(s, str_from(dir)));
    expect_error("it is a directory");
    assert_int_equal(mkfifo(in_dir("fifo").data, 0600), 0);
    assert_null(input_open(s, in_dir("fifo")));
    expect_error("it is not a regular file");
    assert_null(input_open(s, STR("/dev/zero")));
    expect_error("it is not a regular file");
    assert_null(input_open(s, (Str){"a\0b", 3}));
    expect_error("contains a NUL");
}

static void changes_are_noticed(void **state) {
    (void)state;
    unit_write(in_dir("a").data, "hello", 5);
    Input *a = input_open(s, in_dir("a"));
    struct timeval times[2] = {{1, 0}, {1, 0}};
    assert_int_equal(utimes(in_dir("a").data, times), 0);
    assert_false(input_unchanged(s, a));
    expect_error("E1104]");
    /* replaced as a whole: what we hold is still what it was */
    unit_write(in_dir("b").data, "hello", 5);
    Input *b = input_open(s, in_dir("b"));
    unit_write(in_dir("c").data, "other", 5);
    assert_int_equal(rename(in_dir("c").data, in_dir("b").data), 0);
    assert_true(input_unchanged(s, b));
    assert_memory_equal(b->data, "hello", 5);
}

typedef struct Sum {
    const Input *in;
    uint64_t sum;
} Sum;

static void *sum_all(void *user) {
    Sum *sum = user;
    for (uint64_t i = 0; i < sum->in->size; i += 512) {
        sum->sum += ((const volatile uint8_t *)sum->in->data)[i];
    }
    return NULL;
}

static void truncation_is_an_error_not_a_crash(void **state) {
    (void)state;
    size_t size = 1 << 20;
    char *ones = malloc(size);
    memset(ones, 1, size);
    unit_write(in_dir("big").data, ones, size);
    free(ones);
    Input *in = input_open(s, in_dir("big"));
    assert_int_equal(truncate(in_dir("big").data, 5000), 0);
    Sum sums[3] = {{in, 0}, {in, 0}, {in, 0}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, sum_all, &sums[i]), 0);
    }
    sum_all(&sums[2]);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sums[i].sum, 10); /* 5000 bytes in steps of 512, then zeros */
    }
    assert_true(atomic_load(&in->torn));
    assert_false(input_unchanged(s, in));
    expect_error("changed while it was read");
}

static void external_data_stays_beneath(void **state) {
    (void)state;
    char command[9000];
    snprintf(command, sizeof command,
             "cd '%s' && mkdir -p m/sub hub/snap hub/blobs && echo x >m/model && echo d >m/data &&"
             "echo d >m/sub/data && echo secret >secret && ln -s ../secret m/up && ln -s sub/data "
             "m/down && ln secret m/hard && mkfifo m/fifo && ln -s /dev/zero m/zero &&"
             "echo x >hub/blobs/1 && echo d >hub/blobs/2 && ln -s ../blobs/1 hub/snap/model &&"
             "ln -s ../blobs/2 hub/snap/data && ln -s ../../secret hub/snap/up && ln -s m/model link",
             dir);
    assert_int_equal(system(command), 0);
    Input *base = input_open(s, in_dir("m/model"));
    const char *good[] = {"data", "sub/data", "down", "./data", "sub/./data"};
    for (size_t i = 0; i < 5; i++) {
        Input *in = input_open_beneath(s, base, str_from(good[i]), STR("w"));
        assert_non_null(in);
        assert_memory_equal(in->data, "d\n", 2);
    }
    const char *bad[] = {"", "/etc/passwd", "../secret", "sub/../data", "..", "up", "hard", "fifo",
                         "zero", "sub", "/proc/self/fd/0", "."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(input_open_beneath(s, base, str_from(bad[i]), STR("w")));
        expect_error("error[E1003]: external data of `w` is refused");
    }
    assert_null(input_open_beneath(s, base, (Str){"data\0x", 6}, STR("w")));
    expect_error("E1003");
    assert_null(input_open_beneath(s, base, STR("absent"), STR("w\x1b")));
    expect_error("error[E1101]: cannot read external data of `w\\x1b`: absent: No such file");
    Input *linked = input_open(s, in_dir("link"));
    assert_non_null(input_open_beneath(s, linked, STR("data"), STR("w")));
    Input *hub = input_open(s, in_dir("hub/snap/model"));
    assert_non_null(input_open_beneath(s, hub, STR("data"), STR("w")));
    assert_null(input_open_beneath(s, hub, STR("up"), STR("w")));
    expect_error("leaves the model's directory");
}

static void texts_are_read_up_to_a_limit(void **state) {
    (void)state;
    char large[10000];
    memset(large, 'r', sizeof large);
    unit_write(in_dir("r.mor").data, large, sizeof large);
    Str text;
    assert_true(file_read_text(s, in_dir("r.mor"), 10000, &text));
    assert_int_equal(text.len, 10000);
    assert_false(file_read_text(s, in_dir("r.mor"), 9999, &text));
    expect_error("error[E0106]: ");
    assert_false(file_read_text(s, in_dir("r.mor"), 9999, &text));
    expect_error("r.mor is longer than 9.8 KiB");
    assert_false(file_read_text(s, str_from(dir), 9999, &text));
    expect_error("it is a directory");
    assert_false(file_read_text(s, STR("/dev/zero"), 9999, &text));
    expect_error("/dev/zero is longer than");
    assert_false(file_read_text(s, in_dir("absent"), 9999, &text));
    expect_error("No such file");
}

/* Every call of opening fails, once and for ever: one error or none, no file left open. */
static void faults_are_reported(void **state) {
    (void)state;
    unit_write(in_dir("model").data, "x", 1);
    unit_write(in_dir("data").data, "d", 1);
    const int errors[] = {EIO, EACCES, EMFILE, EINTR};
    for (size_t e = 0; e < 4; e++) {
        for (int persist = 0; persist < 2; persist++) {
            bool worked = false;
            for (int n = 1; !worked || n < 8; n++) {
                faulty_set(n, errors[e], persist);
                Str text;
                Input *in = input_open(s, in_dir("model")), *data = NULL;
                bool read = false;
                if (in) {
                    data = input_open_beneath(s, in, STR("data"), STR("w"));
                }
                if (data) {
                    read = file_read_text(s, in_dir("data"), 10, &text);
                }
                worked = read && input_unchanged(s, data);
                assert_int_equal(worked, s->diags.errors == 0);
                bool none_failed = faulty_calls() < n;
                faulty_set(0, 0, false);
                input_close(s, data);
                input_close(s, in);
                assert_int_equal(faulty_open_files(), 0);
                diags_clear(&s->diags);
                if (none_failed) {
                    break;
                }
                assert_true(n < 200);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_mapped, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_are_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(truncation_is_an_error_not_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(external_data_stays_beneath, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_are_read_up_to_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_are_reported, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
