/* calibrate: one pass over the data; what is kept is taken, gone on with or measured anew, and
 * which of these is said; failing calls of engine, system and allocator end it cleanly. On the fake
 * engine, whose only observer sees slot 5 and the model's input, and on the real one. */
#include "compiler/calibrate.h"
#include <errno.h>
#include <sodium.h>
#include "runtime/base/alloc.h"
#include "runtime/calib/morstat.h"
#include "tests/fake/fake_ort.h"
#include "tests/unit/arrays_build.h"
#include "tests/unit/fakes.h"
#include "tests/unit/faulty_sys.h"
#include "tests/unit/real_engine.h"
#include "tests/unit/world.h"

enum { SAMPLES = 8, COLUMNS = 3, SLOT = 5 };

static const FakeOrt *fake;
static const char *engine = MORC_BINARY_DIR "/fake/ort/libonnxruntime.so";

static const char *get(const char *variable) {
    return strcmp(variable, "MORC_ORT") == 0 ? engine : NULL;
}

/* The engine's self-test is 2 of the runs. */
static int batches_run(void) {
    return (int)fake->calls("Run") - 2;
}

/* Six products, each of which reads a value of its own. */
static const char chain[] =
    "opset 21\ninput x float -1 3\noutput y float -1 3\nweight wa float 3 3\n"
    "weight wb float 3 3\nweight wc float 3 3\nweight wd float 3 3\nweight we float 3 3\n"
    "weight wf float 3 3\nMatMul x wa -> a /a/MatMul\nMatMul a wb -> b /b/MatMul\n"
    "MatMul b wc -> c /c/MatMul\nMatMul c wd -> d /d/MatMul\nMatMul d we -> e /e/MatMul\n"
    "MatMul e wf -> y /f/MatMul\n";

typedef struct Case {
    World w;
    Args args;
    Calibration c;
    atomic_int stop;
    int stop_at; /* number of batches; -1: never */
    float x[SAMPLES][COLUMNS];
} Case;

static void write_data(Case *t) {
    ZipBuild z = zip_begin(t->w.s->arena, 0);
    zip_add(&z, "x.npy", npy_bytes(t->w.s->arena, "<f4", false, "(8, 3)", t->x, sizeof t->x));
    const Str bytes = zip_end(&z);
    unit_write(str_format(t->w.s->arena, "%s/d.npz", t->w.directory).data, bytes.data, bytes.len);
}

static void bind_recipe(Case *t, int batch, const char *steps) {
    atomic_store(&t->stop, 0);
    const Str recipe = str_format(t->w.s->arena,
                                  "data d = npz(\"%s/d.npz\", batch = %d)\ncalibrate(data = d)\n"
                                  "on \"{a,b,c,d,e,f}\" { %s }\n",
                                  t->w.directory, batch, steps);
    if (!world_bind(&t->w, recipe.data)) {
        fail_msg("%s", unit_diags(t->w.s));
    }
}

#define INT8 "quantize(weight = int8, input = int8, place = exact)"

static Case *begin(const char *model) {
    Case *t = calloc(1, sizeof *t);
    t->w = world_text(model);
    t->args.device = STR("host");
    t->stop_at = -1;
    for (int i = 0; i < SAMPLES * COLUMNS; i++) {
        t->x[i / COLUMNS][i % COLUMNS] = (float)((i * 7) % 24 - 9) / 4.0f; /* -2.25 to 3.5 */
    }
    write_data(t);
    bind_recipe(t, 2, INT8);
    return t;
}

static void end(Case *t) {
    world_close(&t->w);
    free(t);
}

static Str path_in(const Case *t, const char *name) {
    return str_format(t->w.s->arena, "%s/%s", t->w.directory, name);
}

static void progress(void *user, const char *pass, uint64_t done, uint64_t total) {
    Case *t = user;
    assert_string_equal(pass, "calibrate");
    assert_true(done < total);
    if ((int)done == t->stop_at) {
        atomic_store(&t->stop, 2);
    }
}

/* The statistics in `file`, as bytes, are what an earlier run has left there. */
static bool run(Case *t, const char *file) {
    Session *s = t->w.s;
    t->c = (Calibration){.args = &t->args,
                         .get = get,
                         .model_path = path_in(t, "m.onnx"),
                         .stats_path = *file ? path_in(t, file) : STR("")};
    atomic_store(&t->stop, 0);
    s->stop = &t->stop;
    s->progress = progress;
    s->progress_user = t;
    fake->failures(NULL);
    return calibrate_open(s, t->w.plan, &t->c) && calibrate(s, &t->c, NULL);
}

static void must(Case *t, const char *file) {
    if (!run(t, file)) {
        fail_msg("%s", unit_diags(t->w.s));
    }
}

static void stops(Case *t, const char *file, int batches) {
    t->stop_at = batches;
    assert_false(run(t, file));
    t->stop_at = -1;
    assert_int_equal(t->w.s->diags.errors, 0);
}

static Str contents(const Case *t, const char *file) {
    size_t size = 0;
    char *bytes = unit_read(path_in(t, file).data, &size);
    if (!bytes) {
        return (Str){0};
    }
    const Str copy = str_copy(t->w.s->arena, (Str){bytes, size});
    free(bytes);
    return copy;
}

static void said(Case *t, const char *code, const char *part) {
    world_diag(&t->w, code);
    assert_int_equal(t->w.s->diags.errors, 1);
    if (!strstr(unit_diags(t->w.s), part)) {
        fail_msg("\"%s\" is not in:\n%s", part, unit_diags(t->w.s));
    }
    diags_clear(&t->w.s->diags);
}

/* ---- a pass */

static void the_data_are_seen(void **state) {
    (void)state;
    Case *t = begin(chain);
    must(t, "s.morstat");
    assert_int_equal(batches_run(), 4);
    assert_int_equal(t->c.samples, SAMPLES);
    assert_int_equal(t->c.resumed, 0);
    assert_str(t->c.engine, "ONNX Runtime 1.21.0, CPU");
    assert_null(t->c.why_new);
    const Stats *stats = t->c.stats;
    assert_true(stats->complete);
    assert_int_equal(stats->batches, 4);
    assert_int_equal(stats->samples, SAMPLES);
    assert_str(stats->engine, "ONNX Runtime 1.21.0, CPU");
    assert_int_equal(stats->by_name.len, 6);
    const Stat *stat = stats_at(stats, SLOT);
    assert_true(stat->min == -2.25f && stat->max == 3.5f);
    assert_int_equal(stat->rows, SAMPLES * COLUMNS);
    assert_int_equal(fake->live(), 0); /* closed */
    assert_true(contents(t, "s.morstat").len > 0);
    end(t);
}

static void values_are_the_models(void **state) {
    (void)state;
    Session *probe = session_open(&sys_real);
    REAL_ENGINE(probe);
    const char *was = engine;
    engine = str_c(probe->arena, engine_path(e));
    Case *t = begin("opset 21\ninput x float -1 3\noutput y float -1 3\nweight w float 3 3\n"
                    "Relu x -> r\nMatMul r w -> y /a/MatMul\n");
    const Str recipe = str_format(t->w.s->arena,
                                  "data d = npz(\"%s/d.npz\", batch = 3)\ncalibrate(data = d, "
                                  "method = mse)\non linear { quantize(weight = int8, input = "
                                  "int8, place = exact, round = gptq) }\n",
                                  t->w.directory);
    assert_true(world_bind(&t->w, recipe.data));
    must(t, "");
    const Stat *stat = stats_find(t->c.stats, STR("r"));
    uint64_t above = 0;
    for (int64_t i = 0; i < stat->bins; i++) {
        above += stat->above[i];
        assert_int_equal(stat->below[i], 0);
    }
    assert_int_equal(above, SAMPLES * COLUMNS);
    assert_true(stat->min == 0 && stat->max == 3.5f);
    assert_int_equal(stat->batches, 3);
    const double *gram = stat_gram((Stat *)(uintptr_t)stat, 0);
    for (int i = 0; i < COLUMNS; i++) {
        for (int k = 0; k < COLUMNS; k++) {
            double sum = 0;
            for (int n = 0; n < SAMPLES; n++) {
                const float a = t->x[n][i], b = t->x[n][k];
                sum += a > 0 && b > 0 ? (double)a * (double)b : 0;
            }
            assert_true(gram[i * COLUMNS + k] == sum);
        }
    }
    assert_int_equal(contents(t, "s.morstat").len, 0); /* kept nowhere */
    end(t);
    engine = was;
    session_close(probe);
}

/* ---- what is kept */

static void whole_statistics_are_taken(void **state) {
    (void)state;
    Case *t = begin(chain);
    must(t, "s.morstat");
    const Str first = contents(t, "s.morstat");
    engine = "/nowhere"; /* nothing is run, so nothing is needed */
    must(t, "s.morstat");
    engine = MORC_BINARY_DIR "/fake/ort/libonnxruntime.so";
    assert_int_equal(fake->calls("any"), 0);
    assert_true(t->c.resumed > 0 && !t->c.why_new);
    assert_int_equal(t->c.resumed, SAMPLES);
    assert_int_equal(t->c.samples, SAMPLES);
    assert_int_equal(t->c.engine.len, 0);
    assert_str(t->c.stats->engine, "ONNX Runtime 1.21.0, CPU"); /* for the receipt */
    assert_true(str_eq(contents(t, "s.morstat"), first));
    end(t);
}

static void a_stopped_pass_goes_on(void **state) {
    (void)state;
    Case *t = begin(chain);
    must(t, "whole.morstat");
    for (int batches = 0; batches < 4; batches++) {
        stops(t, "s.morstat", batches);
        assert_int_equal(batches_run(), batches);
        must(t, "s.morstat");
        assert_int_equal(batches_run(), 4 - batches);
        assert_int_equal(t->c.resumed, 2 * batches);
        assert_true(str_eq(contents(t, "s.morstat"), contents(t, "whole.morstat")));
        unlink(path_in(t, "s.morstat").data);
    }
    end(t);
}

/* Of 8 samples 2 are in; in batches of 4 none of them could be left out. */
static void other_batches_begin_anew(void **state) {
    (void)state;
    Case *t = begin(chain);
    stops(t, "s.morstat", 1);
    bind_recipe(t, 4, INT8);
    must(t, "s.morstat");
    assert_int_equal(batches_run(), 2);
    assert_int_equal(t->c.resumed, 0);
    assert_string_equal(t->c.why_new, "was begun with batches of another size");
    assert_int_equal(t->c.resumed, 0);
    assert_int_equal(stats_at(t->c.stats, SLOT)->rows, SAMPLES * COLUMNS);
    stops(t, "t.morstat", 1);
    bind_recipe(t, 1, INT8); /* one of ours ends behind 4 samples, but not behind one batch */
    must(t, "t.morstat");
    assert_int_equal(stats_at(t->c.stats, SLOT)->rows, SAMPLES * COLUMNS);
    bind_recipe(t, 2, INT8); /* what is complete has seen the same data */
    must(t, "t.morstat");
    assert_true(t->c.resumed > 0);
    end(t);
}

static void another_engine_begins_anew(void **state) {
    (void)state;
    Case *t = begin(chain);
    stops(t, "part.morstat", 2);
    must(t, "whole.morstat");
    setenv("FAKE_ORT_VERSION", "1.22.3", 1);
    fake->reset();
    must(t, "part.morstat");
    assert_string_equal(t->c.why_new, "was begun by another engine");
    assert_str(t->c.stats->engine, "ONNX Runtime 1.22.3, CPU");
    assert_int_equal(batches_run(), 4);
    must(t, "whole.morstat");
    assert_str(t->c.stats->engine, "ONNX Runtime 1.21.0, CPU");
    unsetenv("FAKE_ORT_VERSION");
    fake->reset();
    end(t);
}

static void what_is_about_others_is_measured_anew(void **state) {
    (void)state;
    static const char about[] = "is about another model, other data, or other statistics";
    Case *t = begin(chain);
    must(t, "s.morstat");
    bind_recipe(t, 2, "smooth(alpha = 0.5)\nquantize(weight = int8)");
    must(t, "s.morstat");
    assert_string_equal(t->c.why_new, about);
    must(t, "s.morstat");
    assert_true(t->c.resumed > 0);
    t->x[7][2] = 9;
    write_data(t);
    must(t, "s.morstat");
    assert_string_equal(t->c.why_new, about);
    Tensor *w = (Tensor *)(uintptr_t)graph_value(t->w.model->main, STR("wa"))->constant;
    static const float ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    w->data = (const void *)ones;
    must(t, "s.morstat");
    assert_string_equal(t->c.why_new, about);
    /* a file of another layout is statistics all the same */
    const Str now = contents(t, "s.morstat");
    ((char *)(uintptr_t)now.data)[8] = 1;
    unit_write(path_in(t, "s.morstat").data, now.data, now.len);
    must(t, "s.morstat");
    assert_string_equal(t->c.why_new, MORSTAT_OTHER_VERSION);
    end(t);
}

static void merged_ones_are_taken_by_name(void **state) {
    (void)state;
    Case *t = begin(chain);
    must(t, "s.morstat");
    const Str now = contents(t, "s.morstat");
    uint8_t *bytes = (uint8_t *)(uintptr_t)now.data;
    memcpy(bytes + 24 + 32, STATS_MERGED, strlen(STATS_MERGED)); /* identity.data */
    bytes[136] = 20;                                             /* samples */
    crypto_hash_sha256(bytes + now.len - 32, bytes, now.len - 32);
    unit_write(path_in(t, "s.morstat").data, bytes, now.len);
    t->args.stats = path_in(t, "s.morstat");
    must(t, "s.morstat");
    assert_true(t->c.resumed > 0);
    assert_int_equal(t->c.samples, 20);
    assert_int_equal(fake->calls("any"), 0);
    t->args.stats = STR(""); /* by its place it is not asked for */
    must(t, "s.morstat");
    assert_int_equal(t->c.resumed, 0);
    end(t);
}

static void nothing_else_is_replaced(void **state) {
    (void)state;
    Case *t = begin(chain);
    must(t, "good.morstat");
    const Str good = contents(t, "good.morstat");
    ((char *)(uintptr_t)good.data)[200] ^= 1;
    const Str files[] = {STR("notes"), good};
    static const char *const parts[] = {"is no .morstat file", "is damaged"};
    for (int i = 0; i < 2; i++) {
        unit_write(path_in(t, "s.morstat").data, files[i].data, files[i].len);
        assert_false(run(t, "s.morstat"));
        said(t, "E1103", parts[i]);
        assert_true(str_eq(contents(t, "s.morstat"), files[i]));
    }
    end(t);
}

/* ---- what fails */

static void without_an_engine_nothing_is_done(void **state) {
    (void)state;
    Case *t = begin(chain);
    engine = "/nowhere";
    assert_false(run(t, "s.morstat"));
    engine = MORC_BINARY_DIR "/fake/ort/libonnxruntime.so";
    said(t, "E1108", "/nowhere");
    assert_int_equal(contents(t, "s.morstat").len, 0);
    end(t);
}

static void data_that_change_are_refused(void **state) {
    (void)state;
    Case *t = begin(chain);
    t->c = (Calibration){.args = &t->args,
                         .get = get,
                         .model_path = path_in(t, "m.onnx"),
                         .stats_path = path_in(t, "s.morstat")};
    assert_true(calibrate_open(t->w.s, t->w.plan, &t->c));
    t->x[0][0] = 1;
    write_data(t);
    assert_false(calibrate(t->w.s, &t->c, NULL));
    said(t, "E1104", "d.npz");
    assert_int_equal(contents(t, "s.morstat").len, 0);
    end(t);
}

/* Each call of the engine once. */
static void a_failing_engine_is_reported(void **state) {
    (void)state;
    Case *t = begin(chain);
    must(t, "");
    const unsigned long calls = fake->calls("any");
    unsigned long refused = 0;
    for (unsigned long n = 1; n <= calls; n++) {
        char list[100];
        Session *s = t->w.s;
        snprintf(list, sizeof list, "any:%lu:1", n);
        t->c = (Calibration){.args = &t->args, .get = get, .model_path = path_in(t, "m.onnx")};
        fake->failures(list);
        const bool ok = calibrate_open(s, t->w.plan, &t->c) && calibrate(s, &t->c, NULL);
        assert_int_equal(s->diags.errors, !ok);
        if (!ok) {
            const Str code = s->diags.all.at[s->diags.all.len - 1]->code;
            assert_true(str_is(code, "E1108") || str_is(code, "E0707"));
            assert_non_null(strstr(unit_diags(s), "as FAKE_ORT asks"));
        }
        refused += !ok;
        diags_clear(&s->diags);
        assert_int_equal(fake->live(), 0);
        stats_close(t->c.stats);
    }
    assert_true(refused > 60 && refused + 20 > calls);
    end(t);
}

static void failing_system_calls_leave_nothing(void **state) {
    (void)state;
    Case *t = begin(chain);
    int failed = 0;
    t->w.s->sys = &sys_faulty;
    for (int64_t n = 1;; n++) {
        faulty_set(n, EIO, false);
        const bool ok = run(t, "s.morstat");
        const bool last = faulty_calls() < n;
        faulty_set(0, 0, false);
        assert_int_equal(faulty_open_files(), 0);
        assert_int_equal(fake->live(), 0);
        assert_int_equal(ok, t->w.s->diags.errors == 0);
        failed += !ok;
        diags_clear(&t->w.s->diags);
        unlink(path_in(t, "s.morstat").data);
        if (last) {
            assert_true(ok);
            break;
        }
    }
    print_message("%d runs with a failing call\n", failed);
    assert_true(failed > 10);
    end(t);
}

static void failing_allocations_unwind(void **state) {
    (void)state;
    volatile int failed = 0;
    for (volatile int n = 1;; n++) {
        const int64_t live = alloc_live();
        Case *volatile t = begin(chain);
        volatile bool out = true;
        AllocGuard guard;
        alloc_guard_push(&guard);
        if (setjmp(guard.jump) == 0) {
            alloc_fail_at(n, false);
            out = !run(t, "s.morstat");
            assert_true(!out || t->w.s->diags.errors > 0); /* inside the engine's frames */
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&guard);
        end(t);
        assert_int_equal(alloc_live(), live);
        assert_int_equal(fake->live(), 0);
        if (!out) {
            break;
        }
        failed++;
    }
    print_message("%d runs out of memory\n", failed);
    assert_true(failed > 5);
}

static int set_up(void **state) {
    (void)state;
    fake = dlsym(fake_load("ort/libonnxruntime.so"), FAKE_ORT_SYMBOL);
    assert_non_null(fake);
    fake->reset();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_data_are_seen),
        cmocka_unit_test(values_are_the_models),
        cmocka_unit_test(whole_statistics_are_taken),
        cmocka_unit_test(a_stopped_pass_goes_on),
        cmocka_unit_test(other_batches_begin_anew),
        cmocka_unit_test(another_engine_begins_anew),
        cmocka_unit_test(what_is_about_others_is_measured_anew),
        cmocka_unit_test(merged_ones_are_taken_by_name),
        cmocka_unit_test(nothing_else_is_replaced),
        cmocka_unit_test(without_an_engine_nothing_is_done),
        cmocka_unit_test(data_that_change_are_refused),
        cmocka_unit_test(a_failing_engine_is_reported),
        cmocka_unit_test(failing_system_calls_leave_nothing),
        cmocka_unit_test(failing_allocations_unwind),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
