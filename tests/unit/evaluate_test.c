/* evaluate: two small models on data whose answers are known, on the real engine; what cannot be
 * compared; what the plan takes an evaluation for (bind_evaluate). */
#include "compiler/evaluate.h"
#include <math.h>
#include "tests/unit/arrays_build.h"
#include "tests/unit/real_engine.h"
#include "tests/unit/world.h"

/* A language model of five words: the logits are one row of `table` a token. */
static const char language[] = "opset 21\ninput input_ids int64 2 4\noutput y float 2 4 5\n"
                               "output top int64 2 4\nweight table float 5 5\n"
                               "Gather table input_ids -> y /embed/Gather\n"
                               "ArgMax y -> top /top/ArgMax axis=2 keepdims=0\n";
static const char recipe[] = "data eval = npz(\"%s/eval.npz\")\n%s\non all? { skip }\n";

static const int64_t ids[4][4] = {{0, 1, 2, 3}, {4, 3, 2, 1}, {0, 0, 0, 0}, {2, 4, 1, 3}};

typedef struct Pair {
    World w;
    Evaluation e;
    Output *model, *data;
} Pair;

static void write_data(const World *w, const char *labels_descr, const char *shape,
                       const void *labels, size_t size) {
    ZipBuild z = zip_begin(w->s->arena, 0);
    zip_add(&z, "input_ids.npy", npy_bytes(w->s->arena, "<i8", false, "(4, 4)", ids, sizeof ids));
    if (shape) {
        zip_add(&z, "labels.npy", npy_bytes(w->s->arena, labels_descr, false, shape, labels, size));
    }
    const Str bytes = zip_end(&z);
    unit_write(str_format(w->s->arena, "%s/eval.npz", w->directory).data, bytes.data, bytes.len);
}

/* The file of `text` with `weights` (25 of them) in place of zeros. */
static Str with_weights(World *w, const char *text, const float *weights) {
    const char *path = str_format(w->s->arena, "%s/filled.onnx", w->directory).data;
    tiny_model_write(path, text);
    size_t size = 0;
    char *bytes = unit_read(path, &size);
    Model *m = model_open(w->s, str_from(path));
    assert_non_null(m);
    if (weights) {
        memcpy(bytes + m->tensors.at[0]->input_offset, weights, 25 * sizeof *weights);
    }
    const Str copy = str_copy(w->s->arena, (Str){bytes, size});
    model_close(m);
    free(bytes);
    return copy;
}

static Pair pair_of(const char *text, const float *old, const float *new, const char *statements) {
    Pair t = {.w = world_text(text)};
    Session *s = t.w.s;
    const Str before = with_weights(&t.w, text, old);
    const char *path = str_format(s->arena, "%s/m.onnx", t.w.directory).data;
    model_close(t.w.model);
    unit_write(path, before.data, before.len);
    t.w.model = model_open(s, str_from(path));
    t.w.layers = layers_index(s, t.w.model);
    const char *whole = str_format(s->arena, recipe, t.w.directory, statements).data;
    if (!world_bind(&t.w, whole)) {
        fail_msg("%s", unit_diags(s));
    }
    const Str after = with_weights(&t.w, text, new);
    t.model = output_open(s, str_format(s->arena, "%s/out.onnx", t.w.directory), after.len);
    assert_non_null(t.model);
    assert_int_equal(output_write(t.model, 0, after.data, after.len), 0);
    static const Args none;
    t.e = (Evaluation){.args = &none, .get = real_variable};
    return t;
}

static bool run(Pair *t) {
    return evaluate_open(t->w.s, t->w.plan, &t->e) &&
           evaluate_run(t->w.s, t->w.plan, &t->e, t->model, NULL, STR(""));
}

static void end(Pair *t) {
    output_discard(t->model);
    world_close(&t->w);
}

#define NEEDS_ENGINE                                                                               \
    do {                                                                                           \
        Session *probe = session_open(&sys_real);                                                  \
        REAL_ENGINE(probe);                                                                        \
        engine_close(probe, e);                                                                    \
        session_close(probe);                                                                      \
    } while (0)

/* Each word is followed by the next one with odds of e^2 to 1; the new model has mixed up word 4.
 */
static void tables(float old[25], float new[25]) {
    for (int i = 0; i < 25; i++) {
        old[i] = new[i] = i % 5 == (i / 5 + 1) % 5 ? 2 : 0;
    }
    new[4 * 5 + 0] = 0;
    new[4 * 5 + 3] = 2;
}

static bool near(double x, double y) {
    return fabs(x - y) <= 1e-6 * fmax(1, fabs(y));
}

static void figures_are_those_of_the_models(void **state) {
    (void)state;
    NEEDS_ENGINE;
    float old[25], new[25];
    tables(old, new);
    const int64_t labels[4][4] = {{1, 2, 3, 4}, {0, 4, 3, -1}, {-1, -1, -1, 1}, {3, 3, 2, 4}};
    Pair t = pair_of(language, old, new, "evaluate(data = eval)\nexpect accuracy > 0");
    write_data(&t.w, "<i8", "(4, 4)", labels, sizeof labels);
    if (!run(&t)) {
        fail_msg("%s", unit_diags(t.w.s));
    }
    const ModelResult *r = &t.e.result;
    const double *is = r->scores.of[1], *was = r->scores.of[0], z = log(exp(2) + 4);
    assert_true(r->samples == 4 && r->compared == 1 && r->outputs == 2 && r->undefined == 0);
    /* the pairs (0 1) (1 2) (2 3) are as foreseen, (4 3) and (2 4) ... are not: 3 of 12 in the
     * float model; the new one foresees (4 3) as well */
    assert_true(near(was[METRIC_PERPLEXITY], exp((12 * z - 2 * 3) / 12)));
    assert_true(near(is[METRIC_PERPLEXITY], exp((12 * z - 2 * 4) / 12)));
    /* word 4 is 2 of 16 rows; labels: 12 of 16 known, of those all but (4 -> 3) as the float model
     */
    assert_true(near(is[METRIC_AGREEMENT], 14.0 / 16));
    assert_true(near(was[METRIC_ACCURACY], 11.0 / 12) && near(is[METRIC_ACCURACY], 11.0 / 12));
    const double kl = 2 * (exp(2) - 1) / (exp(2) + 4);
    assert_true(near(is[METRIC_KL], kl * 2 / 16));
    assert_true(near(is[METRIC_MSE], 2.0 * 8 / 80) && near(is[METRIC_MAX_ERROR], 2));
    assert_true(near(is[METRIC_COSINE], 14.0 / 16) && near(is[METRIC_SQNR], 10 * log10(4)));
    assert_true(str_starts(t.e.engine, STR("ONNX Runtime ")) && !t.e.unused_labels);
    assert_true(plan_check_results(t.w.s, t.w.plan, NULL, r));
    end(&t);
}

static void an_equal_model_is_exact(void **state) {
    (void)state;
    NEEDS_ENGINE;
    float old[25], new[25];
    tables(old, new);
    Pair t = pair_of(language, old, old,
                     "evaluate(data = eval)\nexpect cosine == 1 and kl == 0 and agreement == 1\n"
                     "expect mse > 0 or perplexity > 9, \"too good\"");
    write_data(&t.w, NULL, NULL, NULL, 0);
    assert_true(run(&t));
    assert_true(isinf(t.e.result.scores.of[1][METRIC_SQNR]));
    assert_true(isnan(t.e.result.scores.of[1][METRIC_ACCURACY]));
    static const LayerResult none[4];
    assert_false(plan_check_results(t.w.s, t.w.plan, none, &t.e.result));
    assert_int_equal(t.w.s->diags.errors, 1);
    const char *said = unit_diags(t.w.s);
    assert_non_null(strstr(said, "measured on 4 samples of `eval`"));
    assert_non_null(strstr(said, "perplexity of the float model is "));
    assert_non_null(strstr(said, "too good"));
    end(&t);
}

static void refused(Pair *t, const char *code, const char *saying) {
    assert_false(run(t));
    world_diag(&t->w, code);
    if (!strstr(unit_diags(t->w.s), saying)) {
        fail_msg("\"%s\" is not in:\n%s", saying, unit_diags(t->w.s));
    }
    end(t);
}

static void labels_must_be_answers(void **state) {
    (void)state;
    NEEDS_ENGINE;
    const int64_t few[4] = {0, 1, 2, 3}, high[16] = {[7] = 5};
    const float real[16] = {0};
    const struct {
        const char *descr, *shape;
        const void *labels;
        size_t size;
        const char *saying;
    } rows[] = {{"<i8", "(4,)", few, sizeof few, "there is not one label for each row"},
                {"<i8", "(4, 4)", high, sizeof high, "a label is above the width of the output"},
                {"<f4", "(4, 4)", real, sizeof real, "labels are no whole numbers"}};
    for (int i = 0; i < 3; i++) {
        Pair t = pair_of(language, NULL, NULL, "evaluate(data = eval)\nexpect accuracy > 0");
        write_data(&t.w, rows[i].descr, rows[i].shape, rows[i].labels, rows[i].size);
        refused(&t, "E0702", rows[i].saying);
        t = pair_of(language, NULL, NULL, "evaluate(data = eval)\nexpect agreement > 0");
        write_data(&t.w, rows[i].descr, rows[i].shape, rows[i].labels, rows[i].size);
        assert_true(run(&t) && isnan(t.e.result.scores.of[1][METRIC_ACCURACY]));
        assert_non_null(strstr(t.e.unused_labels, rows[i].saying));
        end(&t);
    }
    Pair t = pair_of(language, NULL, NULL, "evaluate(data = eval)\nexpect accuracy > 0");
    write_data(&t.w, NULL, NULL, NULL, 0);
    refused(&t, "E0709", "`eval` has no array `labels`");
    const int64_t unknown[16] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    t = pair_of(language, NULL, NULL, "evaluate(data = eval)\nexpect accuracy > 0");
    write_data(&t.w, "<i8", "(4, 4)", unknown, sizeof unknown);
    refused(&t, "E0709", "`eval` has no values for it");
}

static void what_does_not_run(void **state) {
    (void)state;
    NEEDS_ENGINE;
    Pair t = pair_of(language, NULL, NULL, "evaluate(data = eval)");
    write_data(&t.w, NULL, NULL, NULL, 0);
    assert_int_equal(output_write(t.model, 0, "\xff\xff\xff\xff\xff\xff", 6), 0);
    refused(&t, "E0707", "the engine does not take the new model");
    float broken[25];
    for (int i = 0; i < 25; i++) {
        broken[i] = (float)NAN;
    }
    t = pair_of(language, NULL, broken, "evaluate(data = eval)\nexpect not (mse < 1e30)");
    write_data(&t.w, NULL, NULL, NULL, 0);
    assert_true(run(&t) && isinf(t.e.result.scores.of[1][METRIC_MSE]));
    assert_true(plan_check_results(t.w.s, t.w.plan, NULL, &t.e.result));
    end(&t);

    static const char small[] = "opset 21\ninput input_ids int64 2 4\noutput y float 2 4 5\n"
                                "weight table float 2 5\nGather table input_ids -> y /e/Gather\n";
    t = pair_of(small, NULL, NULL, "evaluate(data = eval)");
    write_data(&t.w, NULL, NULL, NULL, 0);
    refused(&t, "E0707", "the engine cannot run the float model on the data");

    static const char turned[] = "opset 21\ninput input_ids int64 2 4\noutput y float 2 5 4\n"
                                 "weight table float 5 5\nGather table input_ids -> g /e/Gather\n"
                                 "Transpose g -> y /t/Transpose perm=0,2,1\n";
    t = pair_of(turned, NULL, NULL, "evaluate(data = eval)\nexpect perplexity < 6");
    write_data(&t.w, NULL, NULL, NULL, 0);
    refused(&t, "E0709", "its first output of floats has no logits for every token");
    t = pair_of(turned, NULL, NULL, "evaluate(data = eval)");
    write_data(&t.w, NULL, NULL, NULL, 0);
    assert_true(run(&t) && isnan(t.e.result.scores.of[1][METRIC_PERPLEXITY]));
    end(&t);
    static const char narrow[] = "opset 21\ninput input_ids int64 2 4\noutput y float 2 4 1\n"
                                 "weight table float 5 1\nGather table input_ids -> y /e/Gather\n";
    t = pair_of(narrow, NULL, NULL, "evaluate(data = eval)\nexpect perplexity < 6");
    write_data(&t.w, NULL, NULL, NULL, 0);
    refused(&t, "E0702", "a token number is above the vocabulary");
}

static const char *no_library(const char *variable) {
    return strcmp(variable, "MORC_ORT") == 0 ? "/nonexistent" : NULL;
}

static void no_engine_is_said_before_any_work(void **state) {
    (void)state;
    Pair t = pair_of(language, NULL, NULL, "evaluate(data = eval)");
    write_data(&t.w, NULL, NULL, NULL, 0);
    t.e.get = no_library;
    assert_false(evaluate_open(t.w.s, t.w.plan, &t.e));
    world_diag(&t.w, "E1108");
    end(&t);
}

static void a_stop_ends_it(void **state) {
    (void)state;
    NEEDS_ENGINE;
    Pair t = pair_of(language, NULL, NULL, "evaluate(data = eval)");
    write_data(&t.w, NULL, NULL, NULL, 0);
    atomic_int stop = 0;
    t.w.s->stop = &stop;
    assert_true(evaluate_open(t.w.s, t.w.plan, &t.e));
    stop = 2;
    assert_false(evaluate_run(t.w.s, t.w.plan, &t.e, t.model, NULL, STR("")));
    assert_int_equal(t.w.s->diags.errors, 0);
    t.w.s->stop = NULL;
    end(&t);
}

/* ---- what the plan says */

static const PlanEvaluation *planned(World *w, const char *text) {
    if (!world_bind(w, text)) {
        fail_msg("%s", unit_diags(w->s));
    }
    return &w->plan->evaluation;
}

static void plans_know_on_what(void **state) {
    (void)state;
    World w = world_text(language);
    const PlanEvaluation *e = planned(&w, "on all { skip }\nexpect bits < 9\n");
    assert_true(!e->step && !e->held_out);
    e = planned(&w, "data a = npz(\"a\")\ncalibrate(data = a)\non all { skip }\n");
    assert_null(e->step);
    e = planned(&w, "data a = npz(\"a\")\ncalibrate(data = a)\non all { skip }\n"
                    "expect bits < 9 and not (kl > 1)\nexpect kl < 2\n");
    assert_true(e->held_out && e->asked[METRIC_KL]->span.offset > 0 && !e->asked[METRIC_COSINE]);
    assert_str(e->data->name, "a");
    assert_int_equal(e->tokens, 0);
    e = planned(&w, "data a = npz(\"a\")\ndata b = npz(\"b\")\ncalibrate(data = a)\n"
                    "evaluate(data = b)\non all { skip }\nexpect perplexity < 2\n");
    assert_false(e->held_out);
    assert_str(e->data->name, "b");
    world_close(&w);

    w = world_text("opset 21\ninput a int64 2 4\ninput b int32 2 4\noutput y float 2 4 5\n"
                   "weight t float 5 5\nGather t a -> x\nGather t b -> z\nAdd x z -> y\n");
    e = planned(&w, "data a = npz(\"a\")\nevaluate(data = a)\non all { skip }\n");
    assert_int_equal(e->tokens, -1); /* either may be it */
    assert_false(world_bind(&w, "data a = npz(\"a\")\nevaluate(data = a)\non all { skip }\n"
                                "expect perplexity < 2\n"));
    world_diag(&w, "E0709");
    world_close(&w);
    w = world_text("opset 21\ninput x float 2 4\noutput y int64 2 1\nArgMax x -> y axis=1\n");
    assert_false(world_bind(&w, "data a = npz(\"a\")\nevaluate(data = a)\non all { skip }\n"));
    world_diag(&w, "E0709");
    assert_non_null(strstr(unit_diags(w.s), "it has no output of floats"));
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_models),
        cmocka_unit_test(an_equal_model_is_exact),
        cmocka_unit_test(labels_must_be_answers),
        cmocka_unit_test(what_does_not_run),
        cmocka_unit_test(no_engine_is_said_before_any_work),
        cmocka_unit_test(a_stop_ends_it),
        cmocka_unit_test(plans_know_on_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
