/* The report's page: well-formed, of one piece, every name out of a file escaped; the worst layers
 * marked; what the plan has no data for is not spoken of. */
#include "compiler/report_html.h"
#include <math.h>
#include "tests/unit/markup.h"
#include "tests/unit/world.h"

/* Names are of every kind that a file can have; `|` and spaces are the tiny models' own. */
static const char model[] = "input x<b> float 4 64\noutput y float 4 32\n"
                            "weight w float 64 64\nweight v float 64 64\nweight h float 64 32\n"
                            "MatMul x<b> w -> a\"onload'x /l.0/<script>alert(1)</script>/MatMul\n"
                            "MatMul a\"onload'x v -> b&amp;'c /l.1/\"'&<img>/MatMul\n"
                            "MatMul b&amp;'c h -> y /head/MatMul\n";

static const char with_data[] = "data calib = random(seed = 0)\n"
                                "calibrate(data = calib, method = percentile(p = 99.5))\n"
                                "on linear - head { # </pre><script>1\n"
                                "  awq\n  quantize(weight = int8 per channel, input = int8)\n}\n";

typedef struct Bench {
    World w;
    ReportPage page;
    DeviceChoice device;
    BenchStages stages;
    RunReport run;
    Findings found;
    Buf out;
} Bench;

static void open_bench(Bench *b, const char *recipe) {
    *b = (Bench){.w = world_text(model)};
    if (!world_bind(&b->w, recipe)) {
        fail_msg("%s", unit_diags(b->w.s));
    }
    Session *s = b->w.s;
    const size_t n = b->w.plan->layers_planned.len;
    LayerResult *results = arena_many(s->arena, LayerResult, n + 1);
    for (size_t i = 0; i < n; i++) {
        results[i] =
            (LayerResult){.cosine = 0.999 - 0.001 * (double)i, .sqnr = 30.5 - 4.0 * (double)i};
    }
    b->device = (DeviceChoice){NULL, STR("host"), STR("a <reason>")};
    b->run.output_size = 12345;
    b->page = (ReportPage){.plan = b->w.plan,
                           .results = results,
                           .command = STR("morc '<r>.mor' m.onnx"),
                           .written = STR("o<ut>.onnx"),
                           .met = true,
                           .messages = &s->diags,
                           .device = &b->device,
                           .stages = &b->stages,
                           .run = &b->run,
                           .seconds = 1.5};
    b->out = buf_on(s->arena);
}

static void fake_findings(Bench *b) {
    Session *s = b->w.s;
    const Plan *plan = b->w.plan;
    static uint64_t counts[] = {1, 5, 90, 70, 3};
    FoundInput *inputs = arena_many(s->arena, FoundInput, plan->streams.len + 1);
    for (size_t i = 0; i < plan->streams.len; i++) {
        inputs[i] = (FoundInput){.tensor = plan->streams.at[i].value->name,
                                 .method = STR("percentile(p = 99.5)"),
                                 .min = -2,
                                 .max = 3,
                                 .lo = -1.5f,
                                 .hi = 1.5f,
                                 .amax = 1.5f,
                                 .scale = 1.5f / 127,
                                 .bars = {5, -2, 1.0, counts}};
    }
    SolvedTie *ties = arena_many(s->arena, SolvedTie, plan->ties.len + 1);
    for (size_t i = 0; i < plan->ties.len; i++) {
        float *factors = arena_many(s->arena, float, (size_t)plan->ties.at[i].k);
        factors[0] = 2;
        ties[i] = (SolvedTie){factors, i ? 0.35 : -1, 8, 6, NULL};
    }
    b->found = (Findings){.plan = plan,
                          .inputs = inputs,
                          .ties = ties,
                          .rounded = arena_many(s->arena, GptqReport, plan->layers_planned.len),
                          .engine = STR("ONNX Runtime 9, CPU"),
                          .data = STR("calib"),
                          .samples = 1};
    b->page.found = &b->found;
}

static void check_page(const Bench *b) {
    markup_check(b->out.data);
    assert_true(strncmp(b->out.data, "<!DOCTYPE html>\n", 16) == 0);
    static const char *const never[] = {"<script src", "http",    "<img",    "<link",
                                        "<b>\"",       "@import", "url(",    "alert(1)</script>",
                                        "onload'x",    "<iframe", "<reason>"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        if (strstr(b->out.data, never[i])) {
            fail_msg("%s in the page", never[i]);
        }
    }
    assert_int_equal(markup_count(b->out.data, "<script>"), 1);
    assert_int_equal(markup_count(b->out.data, "<style>"), 1);
}

static void has(const Bench *b, const char *part) {
    if (!strstr(b->out.data, part)) {
        fail_msg("no %s in:\n%s", part, b->out.data);
    }
}

static void a_page_without_data(void **state) {
    (void)state;
    Bench b;
    open_bench(&b,
               "on linear - head { # </pre><script>1\n  quantize(weight = int4 per block(32))\n}\n"
               "on head { prune(2:4) }\n");
    report_html(&b.page, &b.out);
    check_page(&b);
    has(&b, "<title>m.onnx, compressed by morc</title>");
    has(&b, "<td class=\"name\">l.0.&lt;script&gt;alert(1)&lt;");
    has(&b, "on linear - head { # &lt;/pre&gt;&lt;script&gt;1\n");
    has(&b, "host: a &lt;reason&gt;");
    has(&b, "o&lt;ut&gt;.onnx");
    has(&b, "<td data-v=\"22.5\">22.5 dB</td>");
    has(&b, "<td class=\"left\">2:4 float32</td>");
    /* three bars in each of two plots, all among the worst five */
    assert_int_equal(markup_count(b.out.data, "<rect class=\"worst\""), 6);
    assert_int_equal(markup_count(b.out.data, "<tr id=\"layer"), 3);
    has(&b, "<p>Worst: <a href=\"#layer2\"");
    assert_null(strstr(b.out.data, "<th class=\"left\">input</th>"));
    assert_null(strstr(b.out.data, "What the data said"));
    assert_null(strstr(b.out.data, "An expectation failed"));
    world_close(&b.w);
}

static void a_page_of_calibration(void **state) {
    (void)state;
    Bench b;
    open_bench(&b, with_data);
    fake_findings(&b);
    b.page.met = false;
    diag_error(b.w.s, "E0901", NO_SPAN, "expectation failed: <b>");
    Evaluation evaluation = {.result = {.samples = 9}, .seconds = 0.25};
    for (int m = 0; m < OUTPUT_METRICS; m++) {
        evaluation.result.scores.of[0][m] = evaluation.result.scores.of[1][m] = (double)NAN;
    }
    evaluation.result.scores.of[0][METRIC_PERPLEXITY] = 7.15;
    evaluation.result.scores.of[1][METRIC_PERPLEXITY] = 7.375;
    evaluation.result.scores.of[1][METRIC_KL] = 0.028;
    b.w.plan->evaluation.data = b.w.plan->data;
    b.page.evaluation = &evaluation;
    report_html(&b.page, &b.out);
    check_page(&b);
    has(&b, "An expectation failed");
    has(&b, "<div><b>7.15 to 7.375</b>perplexity</div>");
    has(&b, "perplexity</td><td>7.15</td><td>7.375</td></tr>");
    has(&b, "kl</td><td></td><td>0.028</td></tr>");
    has(&b, "On 9 samples of <span class=\"mono\">calib</span>.");
    has(&b, "<dt>evaluate</dt><dd>0.250 s</dd>");
    assert_null(strstr(b.out.data, "nan"));
    has(&b, "error[E0901]: expectation failed: &lt;b&gt;\n");
    has(&b, "<th class=\"left\">input</th>");
    has(&b, "<td class=\"left\">int8 to 1.5, awq none</td>");
    has(&b, "<td class=\"left\">int8 to 1.5, awq 0.35</td>");
    has(&b, "<dt>engine</dt><dd>ONNX Runtime 9, CPU</dd>");
    has(&b, "<dd>calib, 1 sample</dd>");
    has(&b, "<h3>x&lt;b&gt;</h3>");
    has(&b, "<h3>a&quot;onload&#39;x</h3>");
    has(&b, "<dt>awq</dt><dd>no factors are better than none</dd>");
    has(&b, "<dt>awq</dt><dd>exponent 0.35</dd>");
    has(&b, "<dd>0 to 2, by a Mul: nothing in the graph computes it</dd>");
    has(&b, "<dd>0 to 2, in l.0.&lt;script&gt;alert(1)&lt;");
    has(&b, "<dd>6 instead of 8 (-25.0%)</dd>");
    has(&b, "<dd>percentile(p = 99.5)</dd>");
    /* bars of 1 from -2 on, cut at -1.5 and 1.5: half of 1, half of 70, all of 3, of 169 */
    has(&b, "<dt>cut off</dt><dd>about 23% of the values</dd>");
    assert_int_equal(markup_count(b.out.data, "class=\"cut\""), 4);
    assert_int_equal(markup_count(b.out.data, "<section>"), 2);
    world_close(&b.w);
}

static void exact_layers_and_none(void **state) {
    (void)state;
    Bench b;
    open_bench(&b, "on linear { prune(0.5) }\n");
    for (size_t i = 0; i < 3; i++) {
        ((LayerResult *)b.page.results)[i] = (LayerResult){.cosine = 1, .sqnr = (double)INFINITY};
    }
    report_html(&b.page, &b.out);
    check_page(&b);
    has(&b, "No layer has an error.");
    has(&b, ">exact</td>");
    has(&b, "class=\"exact\"");
    assert_int_equal(markup_count(b.out.data, "\"worst\""), 0);
    world_close(&b.w);
    open_bench(&b, "on linear { skip }\n");
    report_html(&b.page, &b.out);
    check_page(&b);
    assert_int_equal(markup_count(b.out.data, "<tr id="), 0);
    world_close(&b.w);
}

/* A thousand layers: the page grows by little for each. */
static void many_layers(void **state) {
    (void)state;
    Arena *arena = arena_open();
    Buf text = buf_on(arena);
    buf_printf(&text, "input x0 float 4 16\noutput x1000 float 4 16\n");
    for (int i = 0; i < 1000; i++) {
        buf_printf(&text, "weight w%d float 16 16\nMatMul x%d w%d -> x%d /layers.%d/q/MatMul\n", i,
                   i, i, i + 1, i / 10);
    }
    Bench b = {.w = world_text(text.data)};
    assert_true(world_bind(&b.w, "on linear { quantize(weight = int8) }\n"));
    LayerResult *results = arena_many(arena, LayerResult, 1000);
    for (int i = 0; i < 1000; i++) {
        results[i] = (LayerResult){.cosine = 0.99, .sqnr = 20 + i % 7};
    }
    b.device = (DeviceChoice){NULL, STR("host"), STR("")};
    b.page = (ReportPage){.plan = b.w.plan,
                          .results = results,
                          .met = true,
                          .messages = &b.w.s->diags,
                          .device = &b.device,
                          .stages = &b.stages,
                          .run = &b.run};
    b.out = buf_on(arena);
    report_html(&b.page, &b.out);
    check_page(&b);
    assert_int_equal(markup_count(b.out.data, "<tr id=\"layer"), 1000);
    assert_int_equal(markup_count(b.out.data, "<rect class=\"worst\""), 10);
    assert_true(b.out.len < 1000 * 1000);
    world_close(&b.w);
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_without_data),
        cmocka_unit_test(a_page_of_calibration),
        cmocka_unit_test(exact_layers_and_none),
        cmocka_unit_test(many_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
