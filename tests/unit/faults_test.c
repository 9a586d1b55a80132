/* Whole runs of morc in which one system call, or one allocation, fails: at every place, once and
 * from then on. The output is the old one or the new one, whole; a run that says it worked did; the
 * input is untouched; nothing stays open, allocated or lying about; the exit code is one that a
 * machine's trouble may have. */
#include "tests/unit/unit.h"
#include "tests/unit/faulty_sys.h"
#include "tests/unit/tiny_model.h"
#include "compiler/morc.h"
#include "runtime/base/alloc.h"
#include <dirent.h>
#include <errno.h>

static const char model_text[] = "opset 21\n"
                                 "input x float 1 64\n"
                                 "output y float 1 64\n"
                                 "weight a float16 64 64\n"
                                 "weight b float 64 64\n"
                                 "MatMul x a -> h /l.0/up/MatMul\n"
                                 "MatMul h b -> y /l.0/down/MatMul\n";

static const char recipe_text[] = "mor 1\n"
                                  "on \"**.up\" {\n"
                                  "  quantize(weight = int4 per block(32))\n"
                                  "  expect matches >= 1\n"
                                  "}\n"
                                  "on \"**.down\" {\n"
                                  "  prune(2:4)\n"
                                  "  quantize(weight = fp8)\n"
                                  "}\n";

static const char external_text[] = "mor 1\n"
                                    "emit qdq(external = true)\n"
                                    "on linear { quantize(weight = int8 per channel) }\n";

static char *dir, recipe[4200], external[4200], model[4200], output[4200], page[4200];
static char where[200]; /* the fault at hand, for messages */
static Arena *arena;
static Str model_bytes;

static void in_dir(char path[4200], const char *name) {
    snprintf(path, 4200, "%s/%s", dir, name);
}

static int setup(void **state) {
    (void)state;
    dir = unit_memory_directory();
    in_dir(recipe, "r.mor");
    in_dir(external, "e.mor");
    in_dir(model, "model.onnx");
    in_dir(output, "out.onnx");
    in_dir(page, "report.html");
    arena = arena_open();
    model_bytes = tiny_model(arena, model_text);
    unit_write(model, model_bytes.data, model_bytes.len);
    unit_write(recipe, recipe_text, strlen(recipe_text));
    unit_write(external, external_text, strlen(external_text));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_close(arena);
    unit_remove(dir);
    return 0;
}

static const char *no_variable(const char *name) {
    (void)name;
    return NULL;
}

/* One run in this process; *said is malloc'ed and holds both streams. */
static int morc(char *const *words, char **said) {
    char *argv[16] = {"morc"};
    int argc = 1;
    for (; words[argc - 1]; argc++) {
        argv[argc] = words[argc - 1];
    }
    size_t size = 0;
    FILE *stream = open_memstream(said, &size);
    MorcEnv env = {.sys = &sys_faulty, .out = stream, .err = stream, .get = no_variable};
    const int code = morc_main(argc, argv, &env);
    fclose(stream);
    return code;
}

/* Files in the directory beside the three that were put there. */
static int others(bool temporaries) {
    int count = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        const bool temporary = strstr(e->d_name, ".tmp") != NULL;
        count += e->d_name[0] != '.' ? !temporaries : temporaries && temporary;
    }
    closedir(d);
    return temporaries ? count : count - 3;
}

static void remove_outputs(void) {
    char command[4300];
    snprintf(command, sizeof command, "cd '%s' && rm -f out.onnx report.html *.data*", dir);
    assert_int_equal(system(command), 0);
}

typedef struct Job {
    char *words[10];
    bool writes;
    char *expected; /* the output of a run without faults */
    size_t size;
} Job;

static Job job_of(char *const words[8], bool writes) {
    Job job = {.writes = writes};
    memcpy(job.words, words, 8 * sizeof *words);
    const int64_t live = alloc_live();
    char *said = NULL;
    faulty_set(0, 0, false);
    const int code = morc(job.words, &said);
    if (code != 0) {
        fail_msg("exit %d: %s", code, said);
    }
    free(said);
    assert_int_equal(alloc_live(), live);
    assert_int_equal(faulty_open_files(), 0);
    if (writes) {
        job.expected = unit_read(output, &job.size);
        assert_non_null(job.expected);
    }
    return job;
}

/* What must hold after any run. */
static void check_state(const Job *job, int code, const char *said) {
    size_t size = 0;
    char *now = unit_read(model, &size);
    assert_int_equal(size, model_bytes.len);
    assert_memory_equal(now, model_bytes.data, size);
    free(now);
    if (code != 0 && code != 1 && code != 4 && code != 5) {
        fail_msg("%s: exit %d: %s", where, code, said);
    }
    assert_true(code == 0 || strstr(said, "error[E") || strstr(said, "\"code\":\"E"));
    if (faulty_open_files() != 0) {
        fail_msg("%s: exit %d, %d files left open: %s", where, code, (int)faulty_open_files(), said);
    }
    if (job->writes) {
        now = unit_read(output, &size);
        const bool old = now && size == 3 && memcmp(now, "old", 3) == 0;
        const bool new = now && size == job->size && memcmp(now, job->expected, size) == 0;
        if (!(new || (old && code != 0))) {
            fail_msg("%s: exit %d, output %s: %s", where, code, now ? "torn" : "gone", said);
        }
        free(now);
    }
    assert_int_equal(others(true), 0);
}

/* Makes call number n fail for n = 1, 2, ... until a run has fewer calls than that. */
static int sweep_calls(const Job *job, int error, bool persist) {
    for (int n = 1;; n++) {
        remove_outputs();
        unit_write(output, "old", 3);
        const int64_t live = alloc_live();
        char *said = NULL;
        faulty_set(n, error, persist);
        const int code = morc(job->words, &said);
        const bool all_ran = faulty_calls() < n;
        faulty_set(0, 0, false);
        snprintf(where, sizeof where, "call %d: %s%s", n, strerror(error), persist ? " for ever" : "");
        check_state(job, code, said);
        assert_int_equal(alloc_live(), live);
        assert_true(!all_ran || code == 0);
        free(said);
        if (all_ran) {
            return n;
        }
        assert_true(n < 5000);
    }
}

/* The first 40 allocations, then one in `stride`: debug builds allocate each object singly. */
static int sweep_allocations(const Job *job, int stride) {
    int runs = 0;
    for (int n = 1;; n += n < 40 ? 1 : stride, runs++) {
        remove_outputs();
        unit_write(output, "old", 3);
        const int64_t live = alloc_live(), before = alloc_count();
        char *said = NULL;
        alloc_fail_at(n, n % 2);
        const int code = morc(job->words, &said);
        alloc_fail_at(0, false);
        const bool all_ran = alloc_count() - before < n;
        snprintf(where, sizeof where, "allocation %d", n);
        assert_int_equal(code, all_ran ? 0 : 4);
        check_state(job, code, said);
        assert_int_equal(alloc_live(), live);
        free(said);
        if (all_ran) {
            return runs;
        }
    }
}

static void sweep_all(char *const words[8], bool writes) {
    Job job = job_of(words, writes);
    static const int errors[] = {EIO, ENOSPC, EACCES, EINTR};
    int runs = 0;
    for (size_t e = 0; e < 4; e++) {
        runs += sweep_calls(&job, errors[e], false);
        runs += sweep_calls(&job, errors[e], true);
    }
    faulty_short_writes(true);
    runs += sweep_calls(&job, EIO, false);
    faulty_short_writes(false);
    const int64_t before = alloc_count();
    char *said = NULL;
    morc(job.words, &said);
    free(said);
    const int64_t allocations = alloc_count() - before;
    const int stride = allocations > 400 ? (int)(allocations / 200) : 1;
    const int more = sweep_allocations(&job, stride);
    print_message("%.7s: %d runs with failing calls, %d with failing allocations (of %lld)\n",
                  writes ? "run" : words[0], runs, more, (long long)allocations);
    free(job.expected);
}

static void a_run_is_whole_or_not_at_all(void **state) {
    (void)state;
    char *const words[8] = {recipe, model, "-f", "-o", output, "--threads", "2", NULL};
    sweep_all(words, true);
}

/* Two files: the data's name tells its content, so a new one beside the old model harms nobody. */
static void a_run_with_a_data_file_is_whole_or_not_at_all(void **state) {
    (void)state;
    char *const words[8] = {external, model, "-f", "-o", output, "--threads", "1", NULL};
    sweep_all(words, true);
}

static void a_run_with_a_report_is_whole_or_not_at_all(void **state) {
    (void)state;
    char *const words[8] = {recipe, model, "-f", "-o", output, "--report", page, NULL};
    sweep_all(words, true);
}

static void looking_does_no_harm(void **state) {
    (void)state;
    char *const check[8] = {"check", recipe, NULL};
    sweep_all(check, false);
    char *const inspect[8] = {"inspect", model, "--json", NULL};
    sweep_all(inspect, false);
    char *const plan[8] = {"plan", recipe, model, NULL};
    sweep_all(plan, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_whole_or_not_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_with_a_data_file_is_whole_or_not_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_with_a_report_is_whole_or_not_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(looking_does_no_harm, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
