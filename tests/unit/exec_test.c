/* exec: what a schedule says is what the files hold, for any number of threads; faults, memory
 * caps, Ctrl-C and failing allocations end a run cleanly. */
#include "tests/unit/unit.h"
#include "tests/unit/faulty_sys.h"
#include "tests/unit/sample_kernels.h"
#include "runtime/base/alloc.h"
#include "runtime/exec/exec.h"
#include <dirent.h>
#include <errno.h>
#include <time.h>

static char *dir;
static int64_t live;

static int setup(void **state) {
    (void)state;
    faulty_set(0, 0, false);
    faulty_short_writes(false);
    live = alloc_live();
    dir = unit_directory();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unit_remove(dir);
    return faulty_open_files() == 0 && alloc_live() == live ? 0 : -1;
}

static Session *open_session(int threads) {
    Session *s = session_open(&sys_faulty);
    s->threads = threads;
    return s;
}

/* A schedule and the bytes that its files must hold. The sources are the test's own. */
typedef struct Sample {
    Schedule schedule;
    uint8_t *expected[2];
    void *sources[256];
    size_t source_count;
} Sample;

static ScheduleSegment *add(Session *s, Sample *t, int file, SegmentKind kind, uint64_t size) {
    ScheduleFile *f = &t->schedule.files.at[file];
    vec_push(s->arena, &t->schedule.segments,
             (ScheduleSegment){.kind = kind, .file = file, .offset = f->size, .size = size});
    t->expected[file] = realloc(t->expected[file], f->size + size + 1);
    f->size += size;
    return &vec_last(&t->schedule.segments);
}

static void add_memory(Session *s, Sample *t, int file, uint64_t size) {
    uint8_t *data = arena_alloc(s->arena, size);
    for (uint64_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(rand() >> 7);
    }
    ScheduleSegment *g = add(s, t, file, SEGMENT_MEMORY, size);
    g->data = data;
    memcpy(t->expected[file] + g->offset, data, size);
}

static void add_input(Session *s, Sample *t, int file, const Input *in, uint64_t size) {
    ScheduleSegment *g = add(s, t, file, SEGMENT_INPUT, size);
    g->input = in;
    g->input_offset = (uint64_t)rand() % (in->size - size + 1);
    memcpy(t->expected[file] + g->offset, in->data + g->input_offset, size);
}

static void add_job(Session *s, Sample *t, int file, Kernel k, unsigned seed) {
    void *source = sample_weights(&k, seed);
    const int job = (int)t->schedule.jobs.len;
    t->sources[t->source_count++] = source;
    vec_push(s->arena, &t->schedule.jobs, (ScheduleJob){.kernel = k, .source = source});
    void *outs[OUT_COUNT];
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        outs[o] = malloc((size_t)kernel_output_size(&k, o) + 1);
    }
    kernel_reference(&k, source, outs);
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        const uint64_t size = (uint64_t)kernel_output_size(&k, o);
        if (size > 0 || o == OUT_CODES) {
            const int to = o == OUT_CODES ? file : 0;
            ScheduleSegment *g = add(s, t, to, SEGMENT_KERNEL, size);
            g->job = job;
            g->out = o;
            memcpy(t->expected[to] + g->offset, outs[o], size);
        }
        free(outs[o]);
    }
}

static Sample sample_files(Session *s) {
    Sample t = {0};
    vec_push(s->arena, &t.schedule.files, (ScheduleFile){str_format(s->arena, "%s/model", dir), 0});
    vec_push(s->arena, &t.schedule.files, (ScheduleFile){str_format(s->arena, "%s/data", dir), 0});
    return t;
}

static void sample_free(Sample *t) {
    for (size_t i = 0; i < t->source_count; i++) {
        free(t->sources[i]);
    }
    free(t->expected[0]);
    free(t->expected[1]);
}

static Input *sample_input(Session *s) {
    char *path = malloc(strlen(dir) + 10), *data = malloc(900000);
    sprintf(path, "%s/input", dir);
    for (int i = 0; i < 900000; i++) {
        data[i] = (char)(i * 31 + i / 253);
    }
    unit_write(path, data, 900000);
    free(data);
    Input *in = input_open(s, str_from(path));
    free(path);
    return in;
}

/* Files are kept in order of segments: those of file 1 are moved behind those of file 0. */
static void order(Session *s, Sample *t) {
    Schedule sorted = {.files = t->schedule.files, .jobs = t->schedule.jobs};
    for (int file = 0; file < 2; file++) {
        for (size_t i = 0; i < t->schedule.segments.len; i++) {
            if (t->schedule.segments.at[i].file == file) {
                vec_push(s->arena, &sorted.segments, t->schedule.segments.at[i]);
            }
        }
    }
    t->schedule = sorted;
}

static Sample mixed(Session *s, const Input *in) {
    Sample t = sample_files(s);
    srand(7);
    for (int i = 0; i < SAMPLE_KERNELS; i++) {
        add_memory(s, &t, 0, (uint64_t)(rand() % 300));
        add_input(s, &t, 0, in, (uint64_t)(rand() % 500));
        add_job(s, &t, i % 2, sample_kernel(i, 64, 96), (unsigned)i);
        add_input(s, &t, i % 2, in, (uint64_t)(rand() % 200000));
        add_memory(s, &t, 1, 0);
    }
    add_job(s, &t, 0, sample_kernel(2, 1024, 2100), 50); /* several chunks, with a survey */
    add_job(s, &t, 1, sample_kernel(0, 2048, 1100), 51);
    order(s, &t);
    return t;
}

static void expect_files(const Sample *t) {
    for (int i = 0; i < 2; i++) {
        size_t size = 0;
        char *got = unit_read(t->schedule.files.at[i].path.data, &size);
        assert_non_null(got);
        assert_int_equal(size, t->schedule.files.at[i].size);
        assert_memory_equal(got, t->expected[i], size);
        free(got);
    }
}

static bool run_and_commit(Session *s, Schedule *schedule, ExecTimes *times) {
    Output *files[2];
    TRY(exec_run(s, schedule, NULL, files, times));
    TRY(output_commit(files[1]));
    return output_commit(files[0]);
}

static void thread_counts_change_nothing(void **state) {
    (void)state;
    const int threads[] = {1, 2, 3, 8};
    KernelMetrics metrics[20];
    for (size_t i = 0; i < 4; i++) {
        Session *s = open_session(threads[i]);
        Sample t = mixed(s, sample_input(s));
        ExecTimes times;
        if (!run_and_commit(s, &t.schedule, &times)) {
            fail_msg("%s", unit_diags(s));
        }
        expect_files(&t);
        assert_int_equal(times.threads, threads[i]);
        assert_true(times.bytes_copied > 0 && times.bytes_encoded > 0);
        assert_int_equal(times.bytes_copied + times.bytes_encoded,
                         t.schedule.files.at[0].size + t.schedule.files.at[1].size);
        for (size_t j = 0; j < t.schedule.jobs.len; j++) {
            const KernelMetrics *m = &t.schedule.jobs.at[j].metrics;
            assert_true(i == 0 || memcmp(m, &metrics[j], sizeof *m) == 0);
            metrics[j] = *m;
        }
        sample_free(&t);
        session_close(s);
    }
    assert_int_equal(metrics[0].count, 64 * 96);
    assert_true(metrics[0].ww > 0 && metrics[0].ee > 0 && metrics[0].max_error > 0);
    assert_int_equal(metrics[SAMPLE_KERNELS].count, 1024 * 2100);
}

static void small_pieces_are_gathered(void **state) {
    (void)state;
    Session *s = open_session(2);
    const Input *in = sample_input(s);
    Sample t = sample_files(s);
    srand(3);
    for (int i = 0; i < 3000; i++) {
        const uint64_t size = (uint64_t)(i % 50 == 0 ? rand() % 70000 : rand() % 200);
        if (rand() % 2) {
            add_memory(s, &t, 0, size);
        } else {
            add_input(s, &t, 0, in, size);
        }
    }
    faulty_set(0, 0, false);
    assert_true(run_and_commit(s, &t.schedule, NULL));
    assert_true(faulty_calls() < 600); /* 3,000 pieces */
    expect_files(&t);
    faulty_short_writes(true);
    assert_true(run_and_commit(s, &t.schedule, NULL));
    expect_files(&t);
    sample_free(&t);
    session_close(s);
}

static void empty_things_are_fine(void **state) {
    (void)state;
    Session *s = open_session(2);
    Sample t = sample_files(s);
    for (int i = 0; i < SAMPLE_KERNELS; i++) {
        Kernel k = sample_kernel(i, 0, 0);
        k.zeros = 0;
        add_job(s, &t, 0, k, 1);
        add_memory(s, &t, 1, 0);
    }
    add_memory(s, &t, 1, 1);
    order(s, &t);
    assert_true(run_and_commit(s, &t.schedule, NULL));
    expect_files(&t);
    Schedule none = {0};
    assert_true(exec_run(s, &none, NULL, NULL, NULL));
    sample_free(&t);
    session_close(s);
}

static void memory_is_capped(void **state) {
    (void)state;
    Session *s = open_session(8);
    Sample t = mixed(s, sample_input(s));
    ExecTimes free_run, capped;
    assert_true(run_and_commit(s, &t.schedule, &free_run));
    assert_true(free_run.memory < (size_t)8 * (8 << 20));
    s->memory = free_run.memory / 3;
    assert_true(run_and_commit(s, &t.schedule, &capped));
    expect_files(&t);
    assert_true(capped.threads < 8 && capped.threads >= 1);
    assert_true(capped.memory <= s->memory);
    s->memory = 1000;
    assert_false(run_and_commit(s, &t.schedule, NULL));
    assert_non_null(strstr(unit_diags(s), "error[E1105]: 1000 B of memory are too few"));
    sample_free(&t);
    session_close(s);
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

static Sample brief(Session *s, const Input *in) {
    Sample t = sample_files(s);
    srand(5);
    add_memory(s, &t, 0, 100);
    add_job(s, &t, 1, sample_kernel(0, 32, 32), 1);
    add_input(s, &t, 0, in, 100000);
    add_job(s, &t, 0, sample_kernel(2, 64, 32), 2);
    add_memory(s, &t, 1, 40000);
    order(s, &t);
    return t;
}

/* Every call from the opening of the outputs to the commit fails, once and for ever. */
static void faults_end_a_run_cleanly(void **state) {
    (void)state;
    const int errors[] = {EIO, ENOSPC, EINTR};
    for (size_t e = 0; e < 3; e++) {
        for (int persist = 0; persist < 2; persist++) {
            for (int n = 1;; n++) {
                Session *s = open_session(2);
                Sample t = brief(s, sample_input(s));
                unit_write(t.schedule.files.at[0].path.data, "old", 3);
                faulty_set(n, errors[e], persist);
                const bool done = run_and_commit(s, &t.schedule, NULL);
                const bool all_ran = faulty_calls() < n;
                faulty_set(0, 0, false);
                assert_int_equal(done, s->diags.errors == 0);
                char *text = unit_read(t.schedule.files.at[0].path.data, NULL);
                assert_true(done || strcmp(text, "old") == 0 ||
                            memcmp(text, t.expected[0], t.schedule.files.at[0].size) == 0);
                free(text);
                if (done) {
                    expect_files(&t);
                }
                sample_free(&t);
                session_close(s);
                assert_int_equal(faulty_open_files(), 0);
                assert_true(entries() <= 3); /* input, model, perhaps data */
                if (all_ran) {
                    break;
                }
                assert_true(n < 3000);
            }
        }
    }
}

static void failing_allocations_end_a_run_cleanly(void **state) {
    (void)state;
    for (volatile int n = 1;; n++) {
        Session *s = open_session(2);
        Sample t = brief(s, sample_input(s));
        const int64_t before = alloc_count();
        AllocGuard g;
        alloc_guard_push(&g);
        volatile bool failed = true;
        if (setjmp(g.jump) == 0) {
            alloc_fail_at(n, true);
            assert_true(run_and_commit(s, &t.schedule, NULL));
            failed = false;
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&g);
        assert_true(!failed || alloc_count() - before >= n);
        sample_free(&t);
        session_close(s);
        assert_int_equal(faulty_open_files(), 0);
        assert_int_equal(alloc_live(), live);
        if (!failed) {
            assert_true(n > 1); /* release builds take few, large blocks */
            break;
        }
        assert_true(n < 3000);
    }
}

static atomic_int stop;
static uint64_t last_done, last_total;

static ssize_t slow_pwrite(int fd, const void *data, size_t size, off_t offset) {
    usleep(20000);
    return sys_faulty.pwrite(fd, data, size, offset);
}

static void stop_at_first_sight(void *user, const char *pass, uint64_t done, uint64_t total) {
    (void)user;
    assert_string_equal(pass, "encode");
    assert_true(done <= total && done >= last_done);
    last_done = done;
    last_total = total;
    atomic_store(&stop, 2);
}

static void stopping_is_quick_and_silent(void **state) {
    (void)state;
    Session *s = open_session(2);
    Sys slow = sys_faulty;
    slow.pwrite = slow_pwrite;
    Sample t = sample_files(s);
    for (int i = 0; i < 200; i++) { /* four seconds of writing */
        add_job(s, &t, 0, sample_kernel(6, 32, 32), 1);
    }
    s->sys = &slow;
    s->stop = &stop;
    s->progress = stop_at_first_sight;
    last_done = 0;
    atomic_store(&stop, 0);
    Output *files[2];
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_false(exec_run(s, &t.schedule, NULL, files, NULL));
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9 < 1.0);
    assert_int_equal(s->diags.errors, 0);
    assert_null(files[0]);
    assert_null(files[1]);
    assert_int_equal(entries(), 0);
    assert_true(last_done < last_total);
    atomic_store(&stop, 0);
    s->sys = &sys_faulty;
    s->progress = NULL;
    assert_true(run_and_commit(s, &t.schedule, NULL));
    expect_files(&t);
    sample_free(&t);
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thread_counts_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(small_pieces_are_gathered, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_things_are_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_capped, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_end_a_run_cleanly, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_end_a_run_cleanly, setup, teardown),
        cmocka_unit_test_setup_teardown(stopping_is_quick_and_silent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
