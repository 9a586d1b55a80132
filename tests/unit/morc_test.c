/* compiler/morc.c: whole command lines, run in this process: what is printed where, what is
 * written, and the exit code of each family of errors. */
#include <cjson/cJSON.h>
#include "compiler/morc.h"
#include "tests/unit/tiny_model.h"
#include "tests/unit/unit.h"

typedef struct World {
    char *folder;
    char model[4096], out[4096];
} World;

typedef struct Result {
    int code;
    char *out, *err;
} Result;

static const char *no_variable(const char *name) {
    (void)name;
    return NULL;
}

static Result run(const char *const *words) {
    Result r = {0};
    size_t out_size, err_size;
    MorcEnv env = {.sys = &sys_real, .get = no_variable};
    env.out = open_memstream(&r.out, &out_size);
    env.err = open_memstream(&r.err, &err_size);
    int argc = 0;
    char *argv[20];
    for (; words[argc]; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc];
    }
    argv[argc] = NULL;
    r.code = morc_main(argc, argv, &env);
    fclose(env.out);
    fclose(env.err);
    return r;
}

#define MORC(...) run((const char *const[]){"morc", __VA_ARGS__, NULL})

static void done(Result *r) {
    free(r->out);
    free(r->err);
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) {
        fail_msg("`%s` is not in:\n%s", part, text);
    }
}

/* Runs, checks exit code and a part of stderr, and that no output file came to be. */
static void refused(const World *w, int code, const char *says, const char *const *words) {
    Result r = run(words);
    if (r.code != code) {
        fail_msg("exit %d instead of %d:\n%s", r.code, code, r.err);
    }
    assert_has(r.err, says);
    assert_int_equal(access(w->out, F_OK), -1);
    done(&r);
}

#define REFUSED(w, code, says, ...)                                                                \
    refused(w, code, says, (const char *const[]){"morc", __VA_ARGS__, NULL})

static int set_up(void **state) {
    World *w = calloc(1, sizeof *w);
    w->folder = unit_directory();
    snprintf(w->model, sizeof w->model, "%s/m.onnx", w->folder);
    snprintf(w->out, sizeof w->out, "%s/o.onnx", w->folder);
    tiny_model_write(w->model, "opset 21\n"
                               "input x float 1 32\n"
                               "output y float 1 16\n"
                               "weight w float 32 64\n"
                               "weight v float 64 16\n"
                               "MatMul x w -> h /block/up/MatMul\n"
                               "Relu h -> r /block/act/Relu\n"
                               "MatMul r v -> y /head/MatMul\n");
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    World *w = *state;
    unit_remove(w->folder);
    free(w);
    return 0;
}

static const char int8[] = "on linear { quantize(weight = int8 per channel) }";

static void a_run_writes_a_model_and_says_so(void **state) {
    World *w = *state;
    Result r = MORC("-e", int8, w->model, "-o", w->out);
    assert_int_equal(r.code, 0);
    assert_has(r.out, "block.up");
    assert_has(r.out, "2 layers");
    assert_has(r.out, "wrote ");
    assert_int_equal(access(w->out, F_OK), 0);
    done(&r);
    Result again = MORC("inspect", w->out);
    assert_int_equal(again.code, 0);
    assert_has(again.out, "block.up");
    done(&again);
}

static void the_output_is_not_replaced_unasked(void **state) {
    World *w = *state;
    unit_write(w->out, "mine", 4);
    Result r = MORC("-e", int8, w->model, "-o", w->out);
    assert_int_equal(r.code, 2);
    assert_has(r.err, "-f replaces it");
    char *text = unit_read(w->out, NULL);
    assert_string_equal(text, "mine");
    free(text);
    done(&r);
    Result forced = MORC("-e", int8, w->model, "-o", w->out, "-f");
    assert_int_equal(forced.code, 0);
    done(&forced);
    Result self = MORC("-e", int8, w->model, "-o", w->model, "-f");
    assert_int_equal(self.code, 2);
    assert_has(self.err, "is the input model");
    done(&self);
}

static void each_family_has_its_exit_code(void **state) {
    World *w = *state;
    REFUSED(w, 1, "E0301", "-e", "on \"**.haed\" { quantize(weight = int8) }", w->model, "-o",
            w->out);
    REFUSED(w, 1, "E0501", "-e", "on linear { quantize(weight = int4 per block(48)) }", w->model,
            "-o", w->out);
    REFUSED(w, 1, "E0104", "-e", "on linear { quantize( }", w->model, "-o", w->out);
    REFUSED(w, 1, "E0001", "-e", "on linear { rotate }", w->model, "-o", w->out);
    REFUSED(w, 2, "E1110", "-e", int8, w->model, "-o", w->out, "--treads", "2");
    REFUSED(w, 4, "E1106", "-e", int8, w->model, "-o", w->out, "--device", "cuda");
    REFUSED(w, 5, "E1101", "-e", int8, "/nowhere/m.onnx", "-o", w->out);
    REFUSED(w, 5, "E10", "-e", int8, MORC_SOURCE_DIR "/LICENSE", "-o", w->out);
    REFUSED(w, 3, "E0901", "-e", "on linear { quantize(weight = int8) }\nexpect bits <= 4",
            w->model, "-o", w->out);
}

static void a_failed_expect_leaves_a_rejected_model(void **state) {
    World *w = *state;
    static const char recipe[] = "on linear { prune(2:4)\n expect .sparsity >= 0.9 }";
    char rejected[4200];
    snprintf(rejected, sizeof rejected, "%s/o.rejected.onnx", w->folder);
    /* the weights of the tiny model are zeros: all of them are pruned, so ask for the impossible */
    static const char impossible[] =
        "on linear { quantize(weight = int8)\n expect .max_error < 0 }";
    REFUSED(w, 3, "o.rejected.onnx", "-e", impossible, w->model, "-o", w->out);
    assert_int_equal(access(rejected, F_OK), 0);
    Result r = MORC("-e", impossible, w->model, "-o", w->out, "--keep-going");
    assert_int_equal(r.code, 3);
    assert_int_equal(access(w->out, F_OK), 0);
    done(&r);
    Result met = MORC("-e", recipe, w->model, "-o", w->out, "-f");
    assert_int_equal(met.code, 0);
    done(&met);
}

static void plan_and_dumps_write_nothing(void **state) {
    World *w = *state;
    static const char *const dumps[] = {"tokens", "ast", "recipe", "plan",
                                        "ir",     "qdq", "fuse",   "schedule"};
    for (size_t i = 0; i < sizeof dumps / sizeof *dumps; i++) {
        Result r = MORC("-e", int8, w->model, "-o", w->out, "-d", dumps[i]);
        assert_int_equal(r.code, 0);
        assert_true(strlen(r.out) > 10);
        done(&r);
    }
    Result plan = MORC("-n", "-e", int8, w->model);
    assert_int_equal(plan.code, 0);
    assert_has(plan.out, "linear");
    done(&plan);
    assert_int_equal(access(w->out, F_OK), -1);
}

/* Every line is one object; the last is the result. */
static void json_is_one_object_a_line(void **state) {
    World *w = *state;
    Result r = MORC("--json", "-e", int8, w->model, "-o", w->out);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, "");
    char *last = NULL;
    for (char *line = strtok(r.out, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *o = cJSON_Parse(line);
        assert_non_null(o);
        assert_true(cJSON_IsString(cJSON_GetObjectItem(o, "type")));
        cJSON_Delete(o);
        last = line;
    }
    assert_has(last, "\"type\":\"result\",\"ok\":true");
    done(&r);
    Result bad = MORC("--json", "check", "/nowhere.mor");
    assert_int_equal(bad.code, 5);
    assert_has(bad.out, "\"code\":\"E1101\"");
    assert_has(bad.out, "\"ok\":false,\"exit\":5");
    done(&bad);
}

static void fmt_checks_and_fixes(void **state) {
    World *w = *state;
    char recipe[4200];
    snprintf(recipe, sizeof recipe, "%s/r.mor", w->folder);
    unit_write(recipe, "on linear{skip}\n", 16);
    Result check = MORC("fmt", "--check", recipe);
    assert_int_equal(check.code, 1);
    done(&check);
    Result diff = MORC("fmt", "--diff", recipe);
    assert_int_equal(diff.code, 1);
    assert_has(diff.out, "+on linear {");
    done(&diff);
    Result fmt = MORC("fmt", recipe);
    assert_int_equal(fmt.code, 0);
    done(&fmt);
    char *text = unit_read(recipe, NULL);
    assert_string_equal(text, "on linear {\n  skip\n}\n");
    free(text);
    static const char wrong[] = "on linear {\n  quantize(weight = int8)\n  prune(2:4)\n}\n";
    unit_write(recipe, wrong, sizeof wrong - 1);
    Result fix = MORC("check", "--fix", recipe);
    assert_int_equal(fix.code, 0);
    done(&fix);
    text = unit_read(recipe, NULL);
    assert_string_equal(text, "on linear {\n  prune(2:4)\n  quantize(weight = int8)\n}\n");
    free(text);
}

static void words_are_explained(void **state) {
    World *w = *state;
    Result code = MORC("explain", "E0301");
    assert_int_equal(code.code, 0);
    assert_has(code.out, "# E0301");
    done(&code);
    REFUSED(w, 2, "did you mean W0302?", "explain", "W3002");
    Result layer = MORC("explain", "-e", int8, w->model, "block.up");
    assert_int_equal(layer.code, 0);
    assert_has(layer.out, "int8");
    done(&layer);
    Result help = MORC("--help"), version = MORC("--version"), limits = MORC("--limits");
    assert_has(help.out, "morc plan RECIPE MODEL");
    assert_has(version.out, "morc " MORC_VERSION);
    assert_has(limits.out, "MESSAGE_DEPTH");
    done(&help);
    done(&version);
    done(&limits);
}

static void a_signal_stops_the_run(void **state) {
    World *w = *state;
    char *out, *err;
    size_t n, m;
    MorcEnv env = {.sys = &sys_real, .get = no_variable};
    env.out = open_memstream(&out, &n);
    env.err = open_memstream(&err, &m);
    atomic_store(&env.stop, 2);
    char *argv[] = {"morc", "-e", (char *)(uintptr_t)int8, w->model, "-o", w->out, NULL};
    int code = morc_main(6, argv, &env);
    fclose(env.out);
    fclose(env.err);
    assert_int_equal(code, 130);
    assert_int_equal(access(w->out, F_OK), -1);
    free(out);
    free(err);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_run_writes_a_model_and_says_so),
        CASE(the_output_is_not_replaced_unasked),
        CASE(each_family_has_its_exit_code),
        CASE(a_failed_expect_leaves_a_rejected_model),
        CASE(plan_and_dumps_write_nothing),
        CASE(json_is_one_object_a_line),
        CASE(fmt_checks_and_fixes),
        CASE(words_are_explained),
        CASE(a_signal_stops_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
