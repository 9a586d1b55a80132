/* A plan whose statistics come from rows that the test made: what the tests of solve share. The
 * model is text (tiny_model.h), its weights are set before bench_ready, values are fed behind it.
 * Numbers are sums of few multiples of 1/64, so that sums of their products are exact. */
#ifndef TESTS_UNIT_SOLVE_WORLD_H
#define TESTS_UNIT_SOLVE_WORLD_H
#include "compiler/compile.h"
#include "compiler/solve.h"
#include "tests/unit/world.h"

#define DATA "data d = random(seed = 0)\ncalibrate(data = d)\n"

typedef struct Bench {
    World w;
    ObservationList *seen;
    Compiled *compiled;
    Solve solve;
    uint32_t seed;
} Bench;

static inline Bench bench_open(const char *model, const char *recipe) {
    Bench b = {.w = world_text(model), .seed = 1};
    if (!world_bind(&b.w, recipe)) {
        fail_msg("%s\n%s", recipe, unit_diags(b.w.s));
    }
    return b;
}

/* One of 129 values from -1 to 1. */
static inline float bench_value(Bench *b) {
    b->seed = b->seed * 1664525u + 1013904223u;
    return (float)((int)(b->seed >> 16) % 129 - 64) / 64.0f;
}

static inline float *bench_values(Bench *b, int64_t count) {
    float *x = arena_many(b->w.s->arena, float, (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        x[i] = bench_value(b);
    }
    return x;
}

static inline Tensor *bench_tensor(const Bench *b, const char *name) {
    const ValueInfo *value = graph_value(b->w.model->main, str_from(name));
    assert_non_null(value->constant);
    return (Tensor *)(uintptr_t)value->constant;
}

/* The constant has these bytes. */
static inline void bench_set(const Bench *b, const char *name, const void *bytes) {
    bench_tensor(b, name)->data = bytes;
}

/* ... values of bench_value, which are handed out. */
static inline float *bench_set_random(Bench *b, const char *name) {
    Tensor *t = bench_tensor(b, name);
    assert_int_equal(t->type, 1);
    float *x = bench_values(b, t->count);
    t->data = (const void *)x;
    return x;
}

/* Compiled, and ready for statistics. */
static inline void bench_ready(Bench *b) {
    Session *s = b->w.s;
    static const StatsIdentity identity = {{0}, {0}, {0}};
    b->seen = arena_new(s->arena, ObservationList);
    *b->seen = observations(b->w.plan, s->arena);
    if (!compile(s, b->w.plan, &(CompileOptions){.data_stem = STR("m")}, &b->compiled)) {
        fail_msg("%s", unit_diags(s));
    }
    b->solve = (Solve){.s = s,
                       .plan = b->w.plan,
                       .seen = b->seen,
                       .stats = stats_open(s, &identity),
                       .facts = compiled_facts(b->compiled),
                       .solved = compiled_solved(b->compiled)};
    for (size_t i = 0; i < b->seen->len; i++) {
        stats_add(b->solve.stats, b->seen->at[i].name, b->seen->at[i].what);
    }
}

/* Rows of a value: [rows][channels], or numbers where channels do not count. */
static inline void bench_feed(const Bench *b, const char *name, const float *x, int64_t rows,
                              int64_t channels) {
    Stat *stat = stats_find(b->solve.stats, str_from(name));
    assert_non_null(stat);
    assert_null(stat_add(stat, 1, x, (StatView){rows, channels, 1}, NULL));
}

static inline void bench_solve(Bench *b) {
    if (!solve(&b->solve)) {
        fail_msg("%s", unit_diags(b->w.s));
    }
}

static inline void bench_close(Bench *b) {
    compiled_discard(b->compiled);
    world_close(&b->w);
}

static inline const Fact *bench_fact(const Bench *b, FactKind kind, int index) {
    for (size_t i = 0; i < b->solve.facts->all.len; i++) {
        const Fact *fact = &b->solve.facts->all.at[i];
        if (fact->kind == kind && fact->index == index) {
            return fact;
        }
    }
    fail_msg("there is no fact %d of %d", (int)kind, index);
    return NULL;
}

static inline const Solved *bench_solved(const Bench *b, const char *weight) {
    for (size_t i = 0; i < b->solve.solved->len; i++) {
        if (str_is(b->solve.solved->at[i].name, weight)) {
            return &b->solve.solved->at[i];
        }
    }
    fail_msg("%s is not solved", weight);
    return NULL;
}

/* sum over rows of d G d^T for d = w - q, [rows][k], and G of these inputs, [tokens][k]: what the
 * outputs are off by, squared */
static inline double bench_loss(const float *w, const float *q, int64_t rows, int64_t k,
                                const float *x, int64_t tokens) {
    double loss = 0;
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t r = 0; r < rows; r++) {
            double y = 0;
            for (int64_t i = 0; i < k; i++) {
                y += ((double)w[r * k + i] - (double)q[r * k + i]) * (double)x[t * k + i];
            }
            loss += y * y;
        }
    }
    return loss;
}

static inline void assert_near(double actual, double expected, double relative) {
    const double off = actual > expected ? actual - expected : expected - actual;
    const double size = expected < 0 ? -expected : expected;
    if (!(off <= relative * size)) {
        fail_msg("%.17g is not %.17g", actual, expected);
    }
}

#endif
