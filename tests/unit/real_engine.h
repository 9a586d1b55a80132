/* The ONNX Runtime of build/venv, or what MORC_ORT names, for tests in this process, and models
 * with observers from the text of tiny_model.h. Where there is none (no ./dev setup), tests say so
 * and are skipped; one that is there and does not open fails them. */
#ifndef TESTS_UNIT_REAL_ENGINE_H
#define TESTS_UNIT_REAL_ENGINE_H
#include "runtime/engine/observe.h"
#include "tests/unit/tiny_model.h"
#include "tests/unit/unit.h"

static inline const char *real_variable(const char *name) {
    return getenv(name);
}

/* NULL: there is none, said once a test. */
static inline Engine *real_engine_or_null(Session *s, EngineProvider provider, const char *test) {
    const EngineWish wish = {.provider = provider, .get = real_variable};
    Str why = {0};
    Engine *e = engine_open(s, &wish, &why);
    if (!e && !str_starts(why, STR("ONNX Runtime is not installed"))) {
        fail_msg("%.*s", STR_ARG(why));
    }
    if (!e) {
        print_message("skip %s: no ONNX Runtime in build/venv (./dev setup)\n", test);
    }
    return e;
}

/* Declares the engine `e`, or skips the test. */
#define REAL_ENGINE(s)                                                                             \
    Engine *e = real_engine_or_null(s, ENGINE_CPU, __func__);                                      \
    if (!e) {                                                                                      \
        session_close(s);                                                                          \
        skip();                                                                                    \
    }

/* tiny_model's bytes, with the domain of observers. */
static inline Str observed_model(Arena *arena, const char *text) {
    Buf b = buf_on(arena);
    buf_str(&b, tiny_model(arena, text));
    buf_str(&b, STR("\x42\x07\x0A\x03mor\x10\x01"));
    return buf_view(&b);
}

static inline EngineModel *load_text(Session *s, Engine *e, const char *text,
                                     const EngineObserver *observer, int threads) {
    const Str bytes = observed_model(s->arena, text);
    const EngineLoad load = {
        .bytes = bytes.data, .size = bytes.len, .observer = observer, .threads = threads};
    Str why = {0};
    EngineModel *m = engine_load(s, e, &load, &why);
    if (!m) {
        fail_msg("%.*s", STR_ARG(why));
    }
    return m;
}

/* Runs with one input x of `type`; false: `why`. */
static inline bool run_x(EngineModel *m, int type, const int64_t *dims, int rank, void *data,
                         size_t size, EngineTensor *y, Str *why) {
    const EngineTensor x = {STR("x"), type, rank, dims, data, size};
    const Str name = STR("y");
    return engine_run(m, &x, 1, &name, 1, y, why);
}

#endif
