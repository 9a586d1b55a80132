/* Where a report may go: to no file that the run reads or writes, however its path is spelled; over
 * another file with -f only; the file of before stays whole when writing fails. */
#include "compiler/report_file.h"
#include <errno.h>
#include "tests/unit/faulty_sys.h"
#include "tests/unit/world.h"

static const char model[] = "input x float 4 64\noutput y float 4 64\nweight w float 64 64\n"
                            "MatMul x w -> y /l/q/MatMul\n";

static const char recipe[] = "data calib = npz(\"calib.npz\")\ncalibrate(data = calib)\n"
                             "on linear { quantize(weight = int8, input = int8) }\n";

typedef struct Bench {
    World w;
    Args args;
    ReportFiles files;
} Bench;

static Str in(const Bench *b, const char *name) {
    return str_format(b->w.s->arena, "%s/%s", b->w.directory, name);
}

static void open_bench(Bench *b) {
    *b = (Bench){.w = world_text(model)};
    Session *s = b->w.s;
    const Str path = in(b, "r.mor");
    unit_write(path.data, recipe, strlen(recipe));
    const Source *source = source_make(s->arena, path, str_from(recipe), true);
    ResolveOptions options = {
        .vocabulary = &morc_vocabulary, .elements = morc_elements, .ops = world_ops};
    Ast *ast = NULL;
    assert_true(parse_file(s, source, &ast) && resolve(s, ast, &options, &b->w.recipe));
    assert_true(bind_plan(s, b->w.recipe, b->w.layers, &b->w.plan));
    b->files = (ReportFiles){.args = &b->args,
                             .plan = b->w.plan,
                             .output = in(b, "out.onnx"),
                             .rejected = in(b, "out.rejected.onnx"),
                             .stats = in(b, "out.morstat")};
}

/* NULL: it may go there. */
static const char *refusal(Bench *b, Str path) {
    Session *s = b->w.s;
    Output *out = NULL;
    b->args.report = path;
    diags_clear(&s->diags);
    const bool ok = report_open(s, &b->files, &out);
    assert_int_equal(ok, s->diags.errors == 0);
    output_discard(out);
    return ok ? NULL : str_c(s->arena, s->diags.all.at[0]->message);
}

static void refused(Bench *b, Str path, const char *why) {
    const char *said = refusal(b, path);
    if (!said || !strstr(said, why)) {
        fail_msg("%.*s: not \"%s\" but %s", STR_ARG(path), why, said ? said : "taken");
    }
}

static void no_file_of_the_run(void **state) {
    (void)state;
    Bench b;
    open_bench(&b);
    for (int force = 0; force < 2; force++) {
        b.args.force = force;
        refused(&b, in(&b, "m.onnx"), "is the input model");
        assert_null(refusal(&b, in(&b, "../m.onnx"))); /* of another folder */
        refused(&b, in(&b, "./m.onnx"), "is the input model");
        refused(&b, in(&b, "r.mor"), "is the recipe");
        refused(&b, in(&b, "calib.npz"), "is data of the recipe"); /* not there yet */
        refused(&b, in(&b, ".//calib.npz"), "is data of the recipe");
        refused(&b, in(&b, "./out.onnx"), "is the output");
        refused(&b, in(&b, "out.rejected.onnx"), "is where a rejected output goes");
        refused(&b, in(&b, "out.morstat"), "is where statistics go");
        refused(&b, in(&b, "absent/report.html"), "cannot write");
        refused(&b, str_from(b.w.directory), force ? "cannot write" : "exists");
        assert_null(refusal(&b, in(&b, "report.html")));
    }
    const Str link = in(&b, "link.html");
    assert_int_equal(symlink("m.onnx", link.data), 0);
    refused(&b, link, "is the input model");
    world_close(&b.w);
}

static void what_exists_needs_force(void **state) {
    (void)state;
    Bench b;
    open_bench(&b);
    const Str path = in(&b, "old.html");
    unit_write(path.data, "old", 3);
    refused(&b, path, "exists");
    b.args.force = true;
    assert_null(refusal(&b, path));
    size_t size;
    char *kept = unit_read(path.data, &size);
    assert_string_equal(kept, "old"); /* nothing was committed */
    free(kept);
    world_close(&b.w);
}

static void failures_leave_the_old_one(void **state) {
    (void)state;
    bool all_ran = false;
    for (int n = 1; !all_ran; n++) {
        Bench b;
        open_bench(&b);
        Session *s = b.w.s;
        const Str path = in(&b, "old.html");
        unit_write(path.data, "old", 3);
        b.args.force = true;
        b.args.report = path;
        Output *out = NULL;
        assert_true(report_open(s, &b.files, &out));
        LayerResult results[1] = {{.cosine = 1}};
        const DeviceChoice device = {NULL, STR("host"), STR("")};
        const BenchStages stages = {0};
        const RunReport run = {0};
        const ReportPage page = {.plan = b.w.plan,
                                 .results = results,
                                 .written = STR("out.onnx"),
                                 .met = true,
                                 .messages = &s->diags,
                                 .device = &device,
                                 .stages = &stages,
                                 .run = &run};
        s->sys = &sys_faulty;
        faulty_set(n, EIO, false);
        const bool done = report_write(s, out, &page);
        all_ran = faulty_calls() < n;
        s->sys = &sys_real;
        char *now = unit_read(path.data, NULL);
        const bool old = strcmp(now, "old") == 0;
        assert_true(old || strncmp(now, "<!DOCTYPE html>", 15) == 0);
        free(now);
        assert_true(done ? !old : s->diags.errors == 1);
        assert_true(!all_ran || done);
        if (!done) {
            assert_non_null(strstr(unit_diags(s), "the model was written to out.onnx"));
        }
        assert_true(n < 100);
        world_close(&b.w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_of_the_run),
        cmocka_unit_test(what_exists_needs_force),
        cmocka_unit_test(failures_leave_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
