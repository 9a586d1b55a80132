/* engine against the real ONNX Runtime: opening, models and their ports, runs in place, errors,
 * stopping. What it does when the library fails: engine_faults_test. */
#include <signal.h>
#include "tests/unit/onnx_build.h"
#include "tests/unit/real_engine.h"

#define HAS(text, part)                                                                            \
    do {                                                                                           \
        Str has_ = (text);                                                                         \
        if (!strstr(strndupa(has_.data, has_.len), part)) {                                        \
            fail_msg("`%s` is not in: %.*s", part, STR_ARG(has_));                                 \
        }                                                                                          \
    } while (0)

enum { FLOAT = 1, INT64 = 7, STRING = 8 };

static void it_says_what_it_is(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    HAS(engine_version(e), "1.");
    HAS(engine_path(e), "/libonnxruntime.so");
    HAS(engine_providers(e), "CPU");
    assert_int_equal(engine_provider(e), ENGINE_CPU);
    assert_int_equal(engine_why_cpu(e).len, 0);
    session_close(s);
}

static void a_gpu_that_is_not_there_is_said(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Engine *e = real_engine_or_null(s, ENGINE_AUTO, __func__);
    if (!e) {
        session_close(s);
        skip();
    }
    if (engine_provider(e) == ENGINE_CPU) { /* this machine, or this build of it, has none */
        HAS(engine_why_cpu(e), "CUDA");
        Str why = {0};
        const EngineWish cuda = {.provider = ENGINE_CUDA, .get = real_variable};
        assert_null(engine_open(s, &cuda, &why));
        HAS(why, "CUDA");
    }
    session_close(s);
}

static void many_are_opened_and_closed(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        Session *s = session_open(&sys_real);
        REAL_ENGINE(s);
        Engine *other = real_engine_or_null(s, ENGINE_CPU, __func__);
        EngineModel *m =
            load_text(s, other, "input x float 4\noutput y float 4\nNeg x -> y", NULL, 1);
        load_text(s, e, "input x float 4\noutput y float 4\nNeg x -> y", NULL, 2);
        engine_close(s, e); /* with its model */
        float x[4] = {1, 2, 3, 4};
        EngineTensor y;
        Str why;
        assert_true(run_x(m, FLOAT, (int64_t[]){4}, 1, x, sizeof x, &y, &why));
        assert_true(((float *)y.data)[2] == -3);
        session_close(s); /* with the other, its model and its outputs */
    }
}

static void ports_are_described(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    EngineModel *m = load_text(s, e,
                               "input a float 2 3\ninput b int64\noutput c float 2 3\n"
                               "Neg a -> c\nNeg b -> unused",
                               NULL, 1);
    const EnginePort *in, *out;
    assert_int_equal(engine_inputs(m, &in), 2);
    assert_int_equal(engine_outputs(m, &out), 1);
    assert_str(in[0].name, "a");
    assert_int_equal(in[0].type, FLOAT);
    assert_int_equal(in[0].rank, 2);
    assert_int_equal(in[0].dims[1], 3);
    assert_int_equal(in[0].symbols[1].len, 0);
    assert_str(in[1].name, "b");
    assert_int_equal(in[1].type, INT64);
    assert_int_equal(in[1].rank, 0);
    assert_str(out[0].name, "c");
    session_close(s);
}

static void runs_read_and_give_tensors_in_place(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    EngineModel *m = load_text(
        s, e, "input x float 2 2\noutput y float 2 2\noutput n int64 1\nNeg x -> y\nSize x -> n",
        NULL, 1);
    float x[4] = {1, 2, 3, 4};
    const int64_t dims[] = {2, 2};
    const EngineTensor in = {STR("x"), FLOAT, 2, dims, x, sizeof x};
    const Str names[] = {STR("n"), STR("y")};
    EngineTensor out[2];
    Str why = {0};
    size_t bytes = 0;
    for (int i = 0; i < 50; i++) {
        x[3] = (float)i;
        assert_true(engine_run(m, &in, 1, names, 2, out, &why));
        assert_str(out[0].name, "n");
        assert_int_equal(out[0].type, INT64);
        assert_int_equal(out[0].rank, 0);
        assert_int_equal(out[0].size, 8);
        assert_int_equal(*(int64_t *)out[0].data, 4);
        assert_int_equal(out[1].rank, 2);
        assert_int_equal(out[1].dims[1], 2);
        assert_int_equal(out[1].size, 16);
        assert_true(((float *)out[1].data)[3] == -(float)i);
        bytes = bytes ? bytes : arena_bytes(s->arena);
        assert_int_equal(arena_bytes(s->arena), bytes); /* whatever the number of runs */
    }
    engine_release_outputs(m);
    engine_release_outputs(m);
    session_close(s);
}

static void empty_tensors_are_tensors(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    EngineModel *m = load_text(s, e, "input x float 0 4\noutput y float 0 4\nNeg x -> y", NULL, 1);
    EngineTensor y;
    Str why = {0};
    if (!run_x(m, FLOAT, (int64_t[]){0, 4}, 2, NULL, 0, &y, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    assert_int_equal(y.size, 0);
    assert_int_equal(y.dims[0], 0);
    session_close(s);
}

static void refuses_a_model(Session *s, Engine *e, Str bytes, const char *part) {
    const EngineLoad load = {.bytes = bytes.data, .size = bytes.len};
    Str why = {0};
    assert_null(engine_load(s, e, &load, &why));
    HAS(why, part);
    HAS(why, "loading the model: ");
    assert_false(memchr(why.data, '\n', why.len) || memchr(why.data, '\x1b', why.len));
}

static void errors_are_said_once_and_leave_it_usable(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    refuses_a_model(s, e, STR("rubbish"), "rotobuf");
    refuses_a_model(s, e, tiny_model(s->arena, "input x float 1\noutput y float 1\nNope x -> y"),
                    "Nope");
    refuses_a_model(s, e,
                    tiny_model(s->arena, "input x float 1\noutput y float 1\nN\x1b[31m x -> y"),
                    "\\x1b[31m");
    EngineModel *m = load_text(s, e, "input x float 4\noutput y float 4\nNeg x -> y", NULL, 1);
    float x[4] = {1, 2, 3, 4};
    EngineTensor y;
    Str why = {0};
    const EngineTensor in[] = {{STR("x"), FLOAT, 1, (int64_t[]){4}, x, sizeof x},
                               {STR("z"), FLOAT, 1, (int64_t[]){4}, x, sizeof x},
                               {STR("x"), FLOAT, 1, (int64_t[]){5}, x, sizeof x},
                               {STR("x"), INT64, 1, (int64_t[]){2}, x, sizeof x}};
    const Str names[] = {STR("y"), STR("w")};
    assert_false(engine_run(m, &in[1], 1, names, 1, &y, &why));
    HAS(why, "z");
    assert_false(engine_run(m, &in[2], 1, names, 1, &y, &why)); /* more than it has bytes */
    HAS(why, "x: ");
    assert_false(engine_run(m, &in[3], 1, names, 1, &y, &why));
    HAS(why, "int64");
    assert_false(engine_run(m, &in[0], 1, names + 1, 1, &y, &why));
    HAS(why, "w");
    assert_true(engine_run(m, &in[0], 1, names, 1, &y, &why));
    assert_int_equal(s->diags.errors, 0); /* the caller reports */
    session_close(s);
}

/* A tensor whose bytes lie in "data.bin": in a folder, or in memory under that name. */
static void external_data_is_read_from_where_it_is(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    const float w[4] = {10, 20, 30, 40};
    unit_write(path_of("data.bin").data, w, sizeof w);
    const Str entry = F(13, J(T(1, "location"), T(2, "data.bin")));
    const Str weight = F(5, J(I(1, 4), I(2, 1), T(8, "w"), entry, I(14, 1)));
    const Str graph =
        J(N("Add", "x w", "y"), T(2, "g"), weight, value(11, "x", 1), value(12, "y", 1));
    const Str bytes = model_bytes(graph);
    EngineLoad load = {.bytes = bytes.data, .size = bytes.len, .folder = str_from(DIR_)};
    Str why = {0};
    EngineModel *m = engine_load(s, e, &load, &why);
    if (!m) {
        fail_msg("%.*s", STR_ARG(why));
    }
    float x[4] = {1, 2, 3, 4};
    EngineTensor y;
    assert_true(run_x(m, FLOAT, (int64_t[]){4}, 1, x, sizeof x, &y, &why));
    assert_true(((float *)y.data)[3] == 44);
    load.folder = STR("/nonexistent");
    assert_null(engine_load(s, e, &load, &why));
    HAS(why, "loading the model: ");
    const float other[4] = {1, 2, 3, 40};
    EngineFile file = {STR("data.bin"), other, sizeof other};
    load.folder = STR("");
    load.file = &file;
    assert_true((m = engine_load(s, e, &load, &why)) != NULL);
    assert_true(run_x(m, FLOAT, (int64_t[]){4}, 1, x, sizeof x, &y, &why));
    assert_true(((float *)y.data)[2] == 6 && ((float *)y.data)[3] == 44);
    file.size = 8;
    assert_null(engine_load(s, e, &load, &why));
    session_close(s);
}

/* What calibration's promise of equal bytes rests on; true of the versions from 1.20 to 1.32, each
 * for itself. The order within a product is the library's, so a newer one may say otherwise. */
static void threads_and_batches_change_no_bit(void **state) {
    (void)state;
    enum { SEQUENCES = 4, LENGTH = 32, MOST = SEQUENCES * LENGTH * 4096 };
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    size_t size = 0;
    char *model = unit_read(MORC_SOURCE_DIR "/build/models/pylm-1m/model.onnx", &size);
    if (!model) {
        print_message("skip %s: no build/models/pylm-1m (./dev setup)\n", __func__);
        session_close(s);
        skip();
    }
    int64_t ids[SEQUENCES * LENGTH];
    for (int i = 0; i < SEQUENCES * LENGTH; i++) {
        ids[i] = i * 7 % 1000;
    }
    float *first = NULL, *logits = malloc(MOST * sizeof *logits);
    size_t filled = 0;
    for (int run = 0; run < 6; run++) {
        const int threads = 1 + run % 3, batch = run < 3 ? SEQUENCES : 1;
        const EngineLoad load = {.bytes = model, .size = size, .threads = threads};
        Str why = {0};
        EngineModel *m = engine_load(s, e, &load, &why);
        assert_non_null(m);
        filled = 0;
        for (int i = 0; i < SEQUENCES; i += batch) {
            const EngineTensor in = {STR("input_ids"),
                                     INT64,
                                     2,
                                     (int64_t[]){batch, LENGTH},
                                     ids + i * LENGTH,
                                     (size_t)batch * LENGTH * sizeof *ids};
            const Str name = STR("logits");
            EngineTensor out;
            assert_true(engine_run(m, &in, 1, &name, 1, &out, &why));
            assert_true(filled + out.size <= MOST * sizeof *logits);
            memcpy((char *)logits + filled, out.data, out.size);
            filled += out.size;
        }
        engine_unload(s, m);
        if (!first) {
            first = malloc(filled);
            memcpy(first, logits, filled);
        }
        assert_memory_equal(first, logits, filled);
    }
    assert_true(filled > 0);
    free(first);
    free(logits);
    free(model);
    session_close(s);
}

/* Stops the session in the middle of the first observer, and waits until that is noticed. */
typedef struct Stopping {
    atomic_int stop;
    int calls;
} Stopping;

static const char *stop_here(void *user, int64_t slot, const EngineTensor *x,
                             const Spread *spread) {
    (void)slot;
    (void)x;
    (void)spread;
    Stopping *stopping = user;
    stopping->calls++;
    atomic_store(&stopping->stop, SIGINT);
    usleep(200 * 1000); /* ten times as long as it takes */
    return NULL;
}

static void a_stopped_session_ends_a_run(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    Stopping stopping = {0};
    s->stop = &stopping.stop;
    const EngineObserver observer = {&stopping, stop_here};
    EngineModel *m =
        load_text(s, e,
                  "input x float 4\noutput y float 4\nObserve x -> a domain=mor slot=0\n"
                  "Neg a -> b\nObserve b -> c domain=mor slot=1\nNeg c -> y",
                  &observer, 1);
    float x[4] = {1, 2, 3, 4};
    EngineTensor y;
    Str why = {0};
    assert_false(run_x(m, FLOAT, (int64_t[]){4}, 1, x, sizeof x, &y, &why));
    assert_str(why, "interrupted");
    assert_int_equal(stopping.calls, 1);
    assert_false(run_x(m, FLOAT, (int64_t[]){4}, 1, x, sizeof x, &y, &why)); /* nor begins */
    assert_str(why, "interrupted");
    assert_int_equal(stopping.calls, 1);
    session_close(s);
}

static void types_have_sizes(void **state) {
    (void)state;
    static const struct {
        int type;
        uint64_t count;
        size_t bytes;
    } rows[] = {{FLOAT, 3, 12}, {INT64, 3, 24}, {10, 3, 6}, {16, 3, 6},  {11, 3, 24}, {9, 3, 3},
                {15, 1, 16},    {17, 5, 5},     {22, 3, 2}, {21, 4, 2},  {23, 1, 1},  {25, 5, 2},
                {2, 0, 0},      {4, 2, 4},      {12, 2, 8}, {14, 2, 16}, {6, 2, 8},   {13, 2, 16}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t bytes = 99;
        assert_true(engine_type_bytes(rows[i].type, rows[i].count, &bytes));
        assert_int_equal(bytes, rows[i].bytes);
    }
    size_t bytes;
    assert_false(engine_type_bytes(0, 1, &bytes));
    assert_false(engine_type_bytes(STRING, 1, &bytes));
    assert_false(engine_type_bytes(-1, 1, &bytes));
    assert_false(engine_type_bytes(1000, 1, &bytes));
    assert_false(engine_type_bytes(FLOAT, UINT64_MAX / 16, &bytes));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_it_is),
        cmocka_unit_test(a_gpu_that_is_not_there_is_said),
        cmocka_unit_test(many_are_opened_and_closed),
        cmocka_unit_test(ports_are_described),
        cmocka_unit_test(runs_read_and_give_tensors_in_place),
        cmocka_unit_test(empty_tensors_are_tensors),
        cmocka_unit_test(errors_are_said_once_and_leave_it_usable),
        TEST(external_data_is_read_from_where_it_is),
        cmocka_unit_test(threads_and_batches_change_no_bit),
        cmocka_unit_test(a_stopped_session_ends_a_run),
        cmocka_unit_test(types_have_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
