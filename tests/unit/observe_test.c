/* observe against the real ONNX Runtime: what an observer sees, that the model does not change for
 * it, memory that is handed on in place, and failures inside an observer. */
#include <stdatomic.h>
#include "runtime/base/alloc.h"
#include "tests/unit/real_engine.h"

enum { FLOAT = 1, INT64 = 7, FLOAT16 = 10, DOUBLE = 11, BFLOAT16 = 16, MANY = 1000 };

typedef struct Seen {
    int calls;
    int64_t slots[8];
    int types[8], ranks[8];
    int64_t dims[8][4];
    float first[8];
    const char *answer; /* of the next call */
    bool allocates, tasks_allocate;
    atomic_int tasks[MANY];
    bool spread;
} Seen;

static void count_task(void *user, size_t i) {
    Seen *seen = user;
    if (seen->tasks_allocate && i == MANY / 2) {
        alloc_failed(12345); /* what a task must never do */
    }
    atomic_fetch_add(&seen->tasks[i], 1);
}

static const char *see(void *user, int64_t slot, const EngineTensor *x, const Spread *spread) {
    Seen *seen = user;
    const int n = seen->calls++ % 8;
    seen->slots[n] = slot;
    seen->types[n] = x->type;
    seen->ranks[n] = x->rank;
    memcpy(seen->dims[n], x->dims, (size_t)x->rank * sizeof *x->dims);
    memcpy(&seen->first[n], x->data, x->size < 4 ? x->size : 4);
    if (seen->allocates) {
        alloc_failed(1 << 20);
    }
    seen->spread = spread_run(spread, count_task, seen, MANY);
    seen->spread = spread_run(spread, count_task, seen, 0) && seen->spread;
    return seen->answer;
}

static const char chain[] = "input x float 2 3\noutput y float 2 3\n"
                            "Observe x -> a @first domain=mor slot=7\nNeg a -> b\n"
                            "Observe b -> c @second domain=mor slot=-3\nAbs c -> y\n";

static void observers_see_what_flows(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        Session *s = session_open(&sys_real);
        REAL_ENGINE(s);
        Seen seen = {0};
        const EngineObserver observer = {&seen, see};
        EngineModel *m = load_text(s, e, chain, &observer, threads);
        float x[6] = {1.5F, 2, 3, 4, 5, 6};
        EngineTensor y;
        Str why = {0};
        assert_true(run_x(m, FLOAT, (int64_t[]){2, 3}, 2, x, sizeof x, &y, &why));
        assert_int_equal(seen.calls, 2);
        assert_true(seen.slots[0] == 7 && seen.slots[1] == -3);
        assert_true(seen.first[0] == 1.5F && seen.first[1] == -1.5F);
        assert_true(seen.ranks[1] == 2 && seen.dims[1][0] == 2 && seen.dims[1][1] == 3);
        assert_true(((float *)y.data)[0] == 1.5F && ((float *)y.data)[5] == 6);
        assert_true(seen.spread);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(atomic_load(&seen.tasks[i]), 2);
        }
        assert_int_equal(engine_counts(m).calls, 2);
        session_close(s);
    }
}

static void an_observer_ends_the_run(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    Seen seen = {.answer = observe_enough};
    const EngineObserver observer = {&seen, see};
    EngineModel *m = load_text(s, e, chain, &observer, 2);
    float x[6] = {1.5F, 2, 3, 4, 5, 6};
    EngineTensor y;
    Str why = {0};
    for (int run = 1; run <= 3; run++) { /* the one behind it is not called */
        assert_true(run_x(m, FLOAT, (int64_t[]){2, 3}, 2, x, sizeof x, &y, &why));
        assert_true(y.data == NULL && str_is(y.name, "y"));
        assert_int_equal(seen.calls, run);
        assert_int_equal(seen.slots[run - 1], 7);
    }
    seen.answer = NULL; /* the next run is a whole one */
    assert_true(run_x(m, FLOAT, (int64_t[]){2, 3}, 2, x, sizeof x, &y, &why));
    assert_true(((float *)y.data)[5] == 6 && seen.calls == 5);
    session_close(s);
}

static void memory_is_handed_on_in_place(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    EngineModel *m = load_text(s, e,
                               "input x float 256\noutput y float 256\nNeg x -> a\n"
                               "Observe a -> b domain=mor slot=0\nNeg b -> y",
                               NULL, 1); /* an observer that sees nothing */
    float x[256] = {5};
    EngineTensor y;
    Str why = {0};
    assert_true(run_x(m, FLOAT, (int64_t[]){256}, 1, x, sizeof x, &y, &why));
    assert_true(((float *)y.data)[0] == 5);
    assert_int_equal(engine_counts(m).aliased, sizeof x);
    assert_int_equal(engine_counts(m).copied, 0);
    /* the output of the graph is memory of its own: then it is a copy */
    m = load_text(s, e, "input x float 256\noutput y float 256\nObserve x -> y domain=mor slot=0",
                  NULL, 1);
    assert_true(run_x(m, FLOAT, (int64_t[]){256}, 1, x, sizeof x, &y, &why));
    assert_true(y.data != x && ((float *)y.data)[0] == 5);
    assert_int_equal(engine_counts(m).copied, sizeof x);
    session_close(s);
}

/* Both readers of a tensor get it, the one behind the observer and the other. */
static void a_tensor_may_have_other_readers(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    EngineModel *m = load_text(s, e,
                               "input x float 3\noutput y float 3\nNeg x -> a\n"
                               "Observe a -> b domain=mor slot=0\nNeg b -> c\nRelu a -> d\n"
                               "Add c d -> f\nMul b f -> y",
                               NULL, 1);
    float x[3] = {1, -2, 3};
    EngineTensor y;
    Str why = {0};
    assert_true(run_x(m, FLOAT, (int64_t[]){3}, 1, x, sizeof x, &y, &why));
    for (int i = 0; i < 3; i++) { /* a = b = -x; y = b * (-b + max(a, 0)) */
        const float a = -x[i];
        assert_true(((float *)y.data)[i] == a * (-a + (a > 0 ? a : 0)));
    }
    session_close(s);
}

static void floats_of_every_type(void **state) {
    (void)state;
    static const struct {
        int type;
        size_t size;
    } types[] = {{FLOAT, 4}, {FLOAT16, 2}, {BFLOAT16, 2}, {DOUBLE, 8}, {17, 1}};
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        Seen seen = {0};
        const EngineObserver observer = {&seen, see};
        Buf text = buf_on(s->arena);
        buf_printf(&text,
                   "input x float 2\noutput y float 2\nCast x -> a to=%d\n"
                   "Observe a -> b domain=mor slot=1\nCast b -> y to=1",
                   types[t].type);
        EngineModel *m = load_text(s, e, text.data, &observer, 1);
        float x[2] = {0.5F, -2};
        EngineTensor y;
        Str why = {0};
        if (!run_x(m, FLOAT, (int64_t[]){2}, 1, x, sizeof x, &y, &why)) {
            fail_msg("type %d: %.*s", types[t].type, STR_ARG(why));
        }
        assert_int_equal(seen.types[0], types[t].type);
        assert_true(((float *)y.data)[1] == -2);
        const EngineCounts counts = engine_counts(m);
        assert_int_equal(counts.aliased + counts.copied, 2 * types[t].size);
        engine_unload(s, m);
    }
    EngineModel *m = load_text(s, e,
                               "input x int64 2\noutput y int64 2\n"
                               "Observe x -> y @whole domain=mor slot=1",
                               NULL, 1);
    int64_t x[2] = {1, 2};
    EngineTensor y;
    Str why = {0};
    assert_false(run_x(m, INT64, (int64_t[]){2}, 1, x, sizeof x, &y, &why));
    assert_str(why, "whole: only tensors of floats can be observed");
    session_close(s);
}

static void failures_are_said_with_the_node(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    Seen seen = {.answer = "the tensor has a NaN"};
    const EngineObserver observer = {&seen, see};
    EngineModel *m = load_text(s, e, chain, &observer, 2);
    float x[6] = {1};
    EngineTensor y;
    Str why = {0};
    assert_false(run_x(m, FLOAT, (int64_t[]){2, 3}, 2, x, sizeof x, &y, &why));
    assert_str(why, "first: the tensor has a NaN");
    assert_int_equal(seen.calls, 1);
    seen.answer = NULL; /* the model is as good as before */
    assert_true(run_x(m, FLOAT, (int64_t[]){2, 3}, 2, x, sizeof x, &y, &why));
    assert_int_equal(seen.calls, 3);
    session_close(s);
}

static void allocations_that_fail_stay_inside(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    Seen seen = {.allocates = true};
    const EngineObserver observer = {&seen, see};
    EngineModel *m = load_text(s, e, chain, &observer, 2);
    float x[6] = {1};
    EngineTensor y;
    Str why = {0};
    assert_false(run_x(m, FLOAT, (int64_t[]){2, 3}, 2, x, sizeof x, &y, &why));
    assert_str(why, "first: out of memory");
    seen = (Seen){.tasks_allocate = true};
    assert_false(run_x(m, FLOAT, (int64_t[]){2, 3}, 2, x, sizeof x, &y, &why));
    assert_str(why, "first: out of memory");
    assert_false(seen.spread);
    session_close(s);
}

static void a_slot_is_needed(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    REAL_ENGINE(s);
    const Str bytes = observed_model(
        s->arena, "input x float 2\noutput y float 2\nObserve x -> y @bare domain=mor");
    const EngineLoad load = {.bytes = bytes.data, .size = bytes.len};
    Str why = {0};
    assert_null(engine_load(s, e, &load, &why));
    assert_true(strstr(str_c(s->arena, why), "slot") != NULL);
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_see_what_flows),
        cmocka_unit_test(an_observer_ends_the_run),
        cmocka_unit_test(memory_is_handed_on_in_place),
        cmocka_unit_test(a_tensor_may_have_other_readers),
        cmocka_unit_test(floats_of_every_type),
        cmocka_unit_test(failures_are_said_with_the_node),
        cmocka_unit_test(allocations_that_fail_stay_inside),
        cmocka_unit_test(a_slot_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
