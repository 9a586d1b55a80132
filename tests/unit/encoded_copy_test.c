/* encoded_copy: at each level, which weights are those that their codes stand for, which values go
 * through Q and DQ, and what stays as it was. */
#include "compiler/encoded_copy.h"
#include "compiler/compile.h"
#include "compiler/data_passes.h"
#include "kernels/scale.h"
#include "tests/unit/world.h"

/* Its weights are zeros: those that an encoding has made are told by other values. */
static const char model[] =
    "opset 21\ninput x float 4 32\noutput y float 4 32\noutput z float 4 32\n"
    "weight w0 float 32 32\nweight w1 float 32 32\nweight w2 float 32 32\n"
    "MatMul x w0 -> a /a/MatMul\nRelu a -> r /r/Relu\nMatMul r w1 -> b /b/MatMul\n"
    "MatMul b w2 -> y /c/MatMul\nMatMul r w2 -> z /d/MatMul\n";

#define RECIPE                                                                                     \
    "data d = random(samples = 2)\ncalibrate(data = d, observe = encoded)\n"                       \
    "on \"a\" | \"b\" | \"c\" { quantize(weight = int8 per channel, input = int8) }\n"

typedef struct Copied {
    World w;
    ObservationList seen;
    Compiled *compiled;
    Solve solve;
    Schedule schedule;
    EncodedCopy *copy;
    Arena *arena;
} Copied;

/* Solved as if every value had been seen with magnitudes up to 12.7. */
static Copied begin(void) {
    Copied c = {.w = world_text(model), .arena = arena_open()};
    Session *s = c.w.s;
    if (!world_bind(&c.w, RECIPE)) {
        fail_msg("%s", unit_diags(s));
    }
    assert_true(c.w.plan->encoded);
    c.seen = observations(c.w.plan, s->arena);
    const CompileOptions options = {.data_stem = STR("m.mor")};
    assert_true(compile(s, c.w.plan, &options, &c.compiled));
    const StatsIdentity id = {0};
    Stats *stats = stats_open(s, &id);
    const float x[32] = {12.7f};
    for (size_t i = 0; i < c.seen.len; i++) {
        Stat *stat = stats_add(stats, c.seen.at[i].name, c.seen.at[i].what);
        assert_null(stat_add(stat, 1, x, (StatView){1, 1, 32}, NULL));
    }
    c.solve = (Solve){.s = s,
                      .plan = c.w.plan,
                      .stats = stats,
                      .facts = compiled_facts(c.compiled),
                      .solved = compiled_solved(c.compiled)};
    return c;
}

static void end(Copied *c) {
    arena_close(c->arena);
    world_close(&c->w);
}

typedef struct Expected {
    int level;
    const char *ops;     /* of the copy, in order */
    const char *weights; /* that come from the copy: "w0 w2_encoded" */
} Expected;

static void expect_copy(Copied *c, const Expected *e) {
    Session *s = c->w.s;
    const Str path = str_format(s->arena, "%s/m.onnx", c->w.directory);
    Instrumented made;
    Arena *arena = arena_open();
    assert_true(instrument(s, arena, path, &c->seen, e->level, &c->copy->edits, &made));
    const char *to = str_format(s->arena, "%s/copy%d.onnx", c->w.directory, e->level).data;
    unit_write(to, made.bytes, made.size);
    Model *m = model_open(s, str_from(to));
    assert_non_null(m);
    Buf ops = buf_on(s->arena);
    for (size_t i = 0; i < m->main->nodes.len; i++) {
        buf_printf(&ops, "%s%.*s", i ? " " : "", STR_ARG(m->main->nodes.at[i]->op));
    }
    assert_string_equal(ops.data, e->ops);
    Buf weights = buf_on(s->arena);
    for (size_t i = 0; i < m->tensors.len; i++) {
        const Tensor *t = m->tensors.at[i];
        const uint8_t *bytes = tensor_bytes(s, t, s->arena);
        float first = 0; /* raw data need not be aligned */
        memcpy(&first, bytes, t->rank == 2 ? sizeof first : 0);
        if (first != 0.0f) {
            buf_printf(&weights, "%s%.*s", weights.len ? " " : "", STR_ARG(t->name));
        }
    }
    assert_string_equal(weights.len ? weights.data : "", e->weights);
    model_close(m);
    model_close(made.model);
    arena_close(arena);
}

/* Passes by level, and a copy whose weights would all be `mark`. */
static void begin_copy(Copied *c, float mark) {
    DataPasses passes = {.budget = 1 << 20};
    for (size_t i = 0; i < c->seen.len; i++) {
        c->seen.at[i].pass = -1;
    }
    data_passes(&passes, &c->seen, true, c->w.s->arena);
    assert_int_equal(passes.all.len, 3);
    c->solve.seen = &c->seen;
    solve_begin(&c->solve);
    c->schedule = *compiled_schedule(c->compiled);
    float *weights = arena_many(c->arena, float, 32 * 32);
    for (int i = 0; i < 32 * 32; i++) {
        weights[i] = mark;
    }
    assert_int_equal(c->schedule.jobs.len, 3);
    for (size_t i = 0; i < c->schedule.jobs.len; i++) {
        c->schedule.jobs.at[i].source = weights;
    }
    c->copy = encoded_copy(&c->solve, &c->schedule, c->arena);
}

static void level_by_level(void **state) {
    (void)state;
    static const Expected rows[] = {
        {0, "Observe MatMul Relu MatMul MatMul MatMul", ""},
        {1, "QuantizeLinear DequantizeLinear MatMul Relu Observe MatMul MatMul MatMul", "w0"},
        {2,
         "QuantizeLinear DequantizeLinear MatMul Relu QuantizeLinear DequantizeLinear MatMul "
         "Observe MatMul MatMul",
         "w0 w1"},
        {3,
         "QuantizeLinear DequantizeLinear MatMul Relu QuantizeLinear DequantizeLinear MatMul "
         "QuantizeLinear DequantizeLinear MatMul MatMul",
         "w0 w1 w2_encoded"}, /* w2 itself is read by a layer that is not planned */
    };
    Copied c = begin();
    begin_copy(&c, 1.27f);
    for (int level = 0; level <= 3; level++) {
        expect_copy(&c, &rows[level]);
        assert_true(level == 3 || solve_pass(&c.solve, level));
    }
    for (int i = 0; i < 3; i++) { /* decoded: the one magnitude is 127 steps */
        assert_true(((float *)c.copy->weights[i])[7] == 127 * (1.27f / 127));
    }
    end(&c);
}

/* A shared scale waits for the last of its values, and the layers behind it wait as well. */
static void scales_that_are_shared(void **state) {
    (void)state;
    static const Expected rows[] = {
        {1, "MatMul Relu Observe MatMul MatMul MatMul", ""},
        {2, "MatMul Relu QuantizeLinear DequantizeLinear MatMul Observe MatMul MatMul", "w1"},
        {3,
         "QuantizeLinear DequantizeLinear MatMul Relu QuantizeLinear DequantizeLinear MatMul "
         "QuantizeLinear DequantizeLinear MatMul MatMul",
         "w0 w1 w2_encoded"},
    };
    Copied c = begin();
    assert_int_equal(c.w.plan->streams.len, 3);
    c.w.plan->streams.at[2].scale = 0; /* b's is that of x */
    begin_copy(&c, 1.0f);
    assert_true(solve_pass(&c.solve, 0) && !c.solve.ranged[0]);
    expect_copy(&c, &rows[0]);
    assert_true(solve_pass(&c.solve, 1) && c.solve.ranged[1]);
    expect_copy(&c, &rows[1]);
    assert_true(solve_pass(&c.solve, 2) && c.solve.ranged[0] && c.solve.ranged[2]);
    expect_copy(&c, &rows[2]);
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_by_level),
        cmocka_unit_test(scales_that_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
