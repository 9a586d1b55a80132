/* The engine when the library is not what it should be, or fails: with tests/fake/fake_ort.c every
 * call with a status fails once, every allocation of ours, and nothing is left live. */
#include "runtime/base/alloc.h"
#include "runtime/engine/engine_parts.h"
#include "runtime/engine/ort_log.h"
#include "tests/fake/fake_ort.h"
#include "tests/unit/fakes.h"

static const FakeOrt *fake;
static const char *path = MORC_BINARY_DIR "/fake/ort/libonnxruntime.so";
static const char *asked; /* MORC_ORT */

static const char *get(const char *variable) {
    return strcmp(variable, "MORC_ORT") == 0 ? asked : NULL;
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) {
        fail_msg("`%s` is not in: %s", part, text);
    }
}

/* Opens; why not, on the heap, or NULL. Nothing is left. */
static char *refusal(EngineProvider provider) {
    const int64_t live = alloc_live();
    Session *s = session_open(&sys_real);
    const EngineWish wish = {.provider = provider, .get = get};
    Str why = {0};
    const bool opened = engine_open(s, &wish, &why) != NULL;
    char *text = opened ? NULL : strndup(why.data, why.len);
    session_close(s);
    assert_int_equal(fake->live(), 0);
    assert_int_equal(alloc_live(), live);
    return text;
}

/* `variable` has this value: the library is refused with a text that has `part`, the way to get a
 * better one, and the variable that names it. */
static void refused_with(const char *variable, const char *value, const char *part) {
    setenv(variable, value, 1);
    fake->reset();
    char *text = refusal(ENGINE_CPU);
    unsetenv(variable);
    if (!text) {
        fail_msg("%s=%s is accepted", variable, value);
    }
    assert_has(text, part);
    assert_has(text, path);
    assert_has(text, "pip install onnxruntime");
    assert_has(text, "MORC_ORT");
    free(text);
    fake->reset();
}

static void a_good_one_opens(void **state) {
    (void)state;
    fake->reset();
    assert_null(refusal(ENGINE_CPU));
    assert_null(refusal(ENGINE_CUDA)); /* which the fake has */
    assert_null(refusal(ENGINE_AUTO));
    char log[ORT_LOG_BYTES];
    ort_log_take(log);
    assert_string_equal(log, "a warning of the fake library"); /* kept, and printed by nobody */
}

static void old_ones_are_refused(void **state) {
    (void)state;
    refused_with("FAKE_ORT_VERSION", "1.17.3", "it is version 1.17.3; 1.18 is the oldest");
    refused_with("FAKE_ORT_VERSION", "0.99.0", "it is version 0.99.0");
    refused_with("FAKE_ORT_VERSION", "1", "it is version 1;");
    refused_with("FAKE_ORT_VERSION", "one\x1b[31m", "it is version one\\x1b[31m");
    setenv("FAKE_ORT_VERSION", "2.0.1", 1);
    fake->reset();
    assert_null(refusal(ENGINE_CPU));
    unsetenv("FAKE_ORT_VERSION");
}

/* Every slot that is used is needed. */
static void tables_are_checked(void **state) {
    (void)state;
    static const char *const names[] = {
#define X(index, name, result, arguments) #name,
        ORT_SLOTS(X)
#undef X
    };
    char table[100], part[100];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(part, sizeof part, "its table has no %s;", names[i]);
        snprintf(table, sizeof table, "hole:%s", names[i]);
        refused_with("FAKE_ORT_TABLE", table, part);
        snprintf(table, sizeof table, "stray:%s", names[i]);
        refused_with("FAKE_ORT_TABLE", table, part);
    }
    refused_with("FAKE_ORT_TABLE", "lie:GetErrorMessage", "it does not do what its interface says");
    refused_with("FAKE_ORT_TABLE", "lie:GetDimensions", "it does not do what its interface says");
    refused_with("FAKE_ORT_TABLE", "lie:KernelContext_ParallelFor",
                 "it does not do what its interface says");
    refused_with("FAKE_ORT_TABLE", "lie:Run", "a run that was stopped went on");
}

static void a_library_without_its_table(void *user) {
    (void)user;
    setenv("FAKE_ORT_TABLE", "none", 1);
    fake->reset();
    char *text = refusal(ENGINE_CPU);
    fputs(text ? text : "opened", stderr);
    free(text);
}

static void other_libraries_are_refused(void **state) {
    (void)state;
    char said[2000];
    assert_int_equal(unit_child(a_library_without_its_table, NULL, said, sizeof said), 0);
    assert_has(said, "it is version 1.21.0, but has no interface of version 18");
    asked = MORC_BINARY_DIR "/fake/odd/../libnvrtc.so.13";
    char *text = refusal(ENGINE_CPU);
    assert_has(text, "it is not ONNX Runtime: it has no OrtGetApiBase");
    free(text);
    asked = MORC_SOURCE_DIR "/README.md";
    text = refusal(ENGINE_CPU);
    assert_has(text, "README.md: "); /* the loader's words */
    assert_has(text, "pip install onnxruntime");
    free(text);
    asked = MORC_SOURCE_DIR "/docs";
    text = refusal(ENGINE_CPU);
    assert_has(text, "/docs, but no libonnxruntime.so is there");
    free(text);
    asked = path;
}

/* Each call once. Those that only give something back may fail without a word. */
static void every_status_is_taken(void **state) {
    (void)state;
    for (int provider = ENGINE_CPU; provider <= ENGINE_AUTO; provider++) {
        fake->reset();
        assert_null(refusal((EngineProvider)provider));
        const unsigned long calls = fake->calls("any");
        assert_true(calls > 60);
        unsigned long refusals = 0;
        for (unsigned long n = 1; n <= calls; n++) {
            char list[100];
            snprintf(list, sizeof list, "any:%lu:%d", n, ORT_FAIL);
            fake->failures(list);
            char *text = refusal((EngineProvider)provider);
            if (text) {
                assert_has(text, " failed, as FAKE_ORT asks");
                assert_null(strstr(text, "ONNXRuntimeError"));
                assert_null(strstr(strstr(text, "as FAKE_ORT asks") + 1, "as FAKE_ORT asks"));
                refusals++;
            }
            free(text);
        }
        assert_true(provider == ENGINE_AUTO || refusals + 2 >= calls);
    }
    fake->failures(NULL);
}

static const char *see(void *user, int64_t slot, const EngineTensor *x, const Spread *spread) {
    (void)slot;
    (void)x;
    (void)spread;
    return user;
}

static void old_ones_cannot_read_all_external_data(void **state) {
    (void)state;
    for (int minor = 20; minor <= 21; minor++) {
        char version[20];
        snprintf(version, sizeof version, "1.%d.1", minor);
        setenv("FAKE_ORT_VERSION", version, 1);
        fake->reset();
        unsetenv("FAKE_ORT_VERSION");
        Session *s = session_open(&sys_real);
        const EngineWish wish = {.get = get};
        Str why = {0};
        Engine *e = engine_open(s, &wish, &why);
        assert_non_null(e);
        fake->failures("CreateSessionFromArray:1:1,CreateSessionFromArray:2:1");
        EngineLoad load = {.bytes = ""};
        assert_null(engine_load(s, e, &load, &why));
        assert_null(strstr(str_c(s->arena, why), "external data"));
        load.folder = STR("here");
        assert_null(engine_load(s, e, &load, &why));
        assert_int_equal(strstr(str_c(s->arena, why), "1.21 or later is needed; this is 1.20.1)") !=
                             NULL,
                         minor == 20);
        session_close(s);
        assert_int_equal(fake->live(), 0);
    }
    fake->reset();
}

/* Everything, on a session that the caller closes. */
static bool use(Session *s) {
    const EngineWish wish = {.get = get};
    const EngineObserver observer = {NULL, see};
    const EngineFile file = {STR("data"), "", 0};
    const EngineLoad load = {
        .bytes = "", .folder = STR("here"), .file = &file, .observer = &observer};
    float x[3] = {1, 2, 3};
    const int64_t dims[] = {1, 3};
    const EngineTensor in = {STR("x"), 1, 2, dims, x, sizeof x};
    const Str name = STR("y");
    EngineTensor y;
    Str why;
    Engine *e = engine_open(s, &wish, &why);
    EngineModel *m = e ? engine_load(s, e, &load, &why) : NULL;
    return m && engine_run(m, &in, 1, &name, 1, &y, &why) && ((float *)y.data)[2] == 3 &&
           engine_run(m, &in, 1, &name, 1, &y, &why);
}

static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    fake->reset();
    const int64_t live = alloc_live();
    int64_t n = 0;
    bool done = false;
    while (!done) {
        Session *volatile s = NULL;
        AllocGuard guard;
        alloc_guard_push(&guard);
        if (!setjmp(guard.jump)) {
            s = session_open(&sys_real);
            alloc_fail_at(++n, true);
            done = use(s);
            /* one that fails inside the library's frames is a status, not a jump */
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&guard);
        session_close(s);
        assert_int_equal(fake->live(), 0);
        assert_int_equal(alloc_live(), live);
    }
    assert_true(n > 5);
}

static void the_need_is_reported(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    const EngineWish wish = {.get = get};
    fake->reset();
    assert_non_null(engine_need(s, &wish, NO_SPAN));
    assert_int_equal(s->diags.errors, 0);
    asked = MORC_SOURCE_DIR "/docs";
    Source *source = source_make(s->arena, STR("r.mor"), STR("on linear { gptq() }\n"), true);
    assert_null(engine_need(s, &wish, (Span){source, 12, 6}));
    asked = path;
    const char *text = unit_diags(s);
    assert_has(text, "error[E1108]: this needs an engine that runs the model\n");
    assert_has(text, "r.mor:1:13");
    assert_has(text, "no libonnxruntime.so is there; `pip install onnxruntime` brings");
    assert_int_equal(s->diags.errors, 1);
    atomic_int stop = 2; /* who stops morc wants to read nothing more */
    s->stop = &stop;
    assert_null(engine_need(s, &wish, NO_SPAN));
    assert_int_equal(s->diags.errors, 1);
    session_close(s);
}

static int set_up(void **state) {
    (void)state;
    asked = path;
    fake = dlsym(fake_load("ort/libonnxruntime.so"), FAKE_ORT_SYMBOL);
    assert_non_null(fake);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_one_opens),
        cmocka_unit_test(old_ones_are_refused),
        cmocka_unit_test(tables_are_checked),
        cmocka_unit_test(other_libraries_are_refused),
        cmocka_unit_test(every_status_is_taken),
        cmocka_unit_test(old_ones_cannot_read_all_external_data),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(the_need_is_reported),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
