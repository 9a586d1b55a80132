/* The frame of the page (report_html.h): facts, times, recipe, messages. */
#include "compiler/report_html.h"
#include <math.h>
#include "compiler/embedded.h"
#include "compiler/names.h"
#include "compiler/report_layers.h"
#include "runtime/base/sanitize.h"

static void put_embedded(const char *name, Buf *out) {
    for (const Embedded *file = embedded; file->name; file++) {
        if (strcmp(file->name, name) == 0) {
            buf_add(out, file->data, file->size);
        }
    }
}

/* Lines stay lines. */
static void put_lines(Str text, Buf *out) {
    for (size_t begin = 0; begin < text.len;) {
        const Str rest = str_slice(text, begin, text.len);
        const int64_t end = str_find(rest, '\n');
        const size_t length = end < 0 ? rest.len : (size_t)end;
        const bool cr = length > 0 && rest.data[length - 1] == '\r';
        buf_html(out, str_slice(rest, 0, length - cr));
        buf_char(out, '\n');
        begin += length + 1;
    }
}

static void put_fact(const char *name, Str value, Buf *out) {
    buf_printf(out, "<dt>%s</dt><dd>", name);
    buf_html(out, value);
    buf_str(out, STR("</dd>\n"));
}

static void put_seconds(const char *name, double seconds, Buf *out) {
    put_fact(name, str_format(out->arena, "%.3f s", seconds), out);
}

static uint64_t model_size(const Model *model) {
    uint64_t size = model->input->size;
    for (size_t i = 0; i < model->data_files.len; i++) {
        size += model->data_files.at[i]->size;
    }
    return size;
}

/* ---- parts */

static void put_tile(Str value, const char *what, Buf *out) {
    buf_str(out, STR("<div><b>"));
    buf_html(out, value);
    buf_printf(out, "</b>%s</div>\n", what);
}

static void put_tiles(const ReportPage *page, const ReportLayers *layers, Buf *out) {
    Arena *arena = out->arena;
    const Plan *plan = page->plan;
    const uint64_t before = model_size(plan->layers->model), after = page->run->output_size;
    buf_str(out, STR("<div class=\"tiles\">\n"));
    put_tile(str_format(arena, "%.*s to %.*s", STR_ARG(str_bytes(arena, before)),
                        STR_ARG(str_bytes(arena, after))),
             "files", out);
    put_tile(str_format(arena, "%.*s to %.*s", STR_ARG(str_bytes(arena, plan->size_before)),
                        STR_ARG(str_bytes(arena, plan->size_after))),
             "weights that the recipe changes", out);
    if (plan->bits > 0) {
        put_tile(str_format(arena, "%.2f", plan->bits), "bits a weight", out);
    }
    put_tile(str_format(arena, "%zu", layers->count), layers->count == 1 ? "layer" : "layers", out);
    double worst = INFINITY;
    for (size_t i = 0; i < layers->count; i++) {
        worst = fmin(worst, page->results[layers->indices[i]].sqnr);
    }
    if (isfinite(worst)) {
        put_tile(str_format(arena, "%.1f dB", worst), "least SQNR of a layer", out);
    }
    const Evaluation *e = page->evaluation;
    if (e && isfinite(e->result.scores.of[1][METRIC_PERPLEXITY])) {
        put_tile(str_format(arena, "%.4g to %.4g", e->result.scores.of[0][METRIC_PERPLEXITY],
                            e->result.scores.of[1][METRIC_PERPLEXITY]),
                 "perplexity", out);
    }
    put_tile(str_format(arena, "%.1f s", page->seconds), "the whole run", out);
    buf_str(out, STR("</div>\n"));
}

static Str data_text(const ReportPage *page, Arena *arena) {
    const Findings *found = page->found;
    return str_format(arena, "%.*s, %.*s", STR_ARG(found->data),
                      STR_ARG(plural(arena, (size_t)found->samples, "sample")));
}

static void put_facts(const ReportPage *page, Buf *out) {
    Arena *arena = out->arena;
    const Plan *plan = page->plan;
    const Model *model = plan->layers->model;
    buf_str(out, STR("<dl>\n"));
    put_fact("recipe", page->plan->recipe->source->name, out);
    put_fact("model", model->input->path, out);
    put_fact("output", page->written, out);
    if (page->run->data_file.len) {
        put_fact("weights in", page->run->data_file, out);
    }
    put_fact("opset", str_format(arena, "%lld", (long long)model->opset), out);
    if (plan->recipe->target) {
        put_fact("target", str_format(arena, "sm_%d", plan->recipe->target), out);
    }
    put_fact(
        "device",
        str_format(arena, "%.*s: %.*s", STR_ARG(page->device->name), STR_ARG(page->device->why)),
        out);
    if (page->found) {
        put_fact("engine",
                 page->found->engine.len ? page->found->engine : STR("none: statistics were kept"),
                 out);
        put_fact("data", data_text(page, arena), out);
    }
    put_fact("command", page->command, out);
    put_fact("morc", STR(MORC_VERSION), out);
    buf_str(out, STR("</dl>\n"));
}

/* What the outputs say on data; cells are empty where nothing was measured. */
static void put_evaluation(const ReportPage *page, Buf *out) {
    Arena *arena = out->arena;
    const Evaluation *e = page->evaluation;
    if (!e) {
        return;
    }
    buf_str(out, STR("<h2>The whole model</h2>\n<p class=\"soft\">On "));
    buf_html(out, plural(arena, (size_t)e->result.samples, "sample"));
    buf_str(out, STR(" of <span class=\"mono\">"));
    buf_html(out, page->plan->evaluation.data->name);
    buf_str(out, page->plan->evaluation.held_out
                     ? STR("</span>, which calibration has not seen.</p>")
                     : STR("</span>.</p>"));
    buf_str(out, STR("\n<div class=\"wide\"><table class=\"small\">\n<thead><tr><th "
                     "class=\"left\">metric</th>"
                     "<th>float</th><th>compressed</th></tr></thead>\n<tbody>\n"));
    for (int m = 0; m < OUTPUT_METRICS; m++) {
        const double was = e->result.scores.of[0][m], is = e->result.scores.of[1][m];
        if (!isnan(is)) {
            buf_printf(out, "<tr><td class=\"left\">%s</td><td>%s</td><td>%.6g</td></tr>\n",
                       output_metric_name((OutputMetric)m),
                       isnan(was) ? "" : str_format(arena, "%.6g", was).data, is);
        }
    }
    buf_str(out, STR("</tbody></table></div>\n"));
}

static void put_messages(const ReportPage *page, Buf *out) {
    if (!page->met) {
        buf_str(out, STR("<p class=\"failed\">An expectation failed.</p>\n"));
    }
    if (page->messages->all.len) {
        Buf text = buf_on(out->arena);
        diags_render(page->messages, &text, false);
        buf_str(out, STR("<pre>"));
        put_lines(buf_view(&text), out);
        buf_str(out, STR("</pre>\n"));
    }
}

static void put_times(const ReportPage *page, Buf *out) {
    const BenchStages *stages = page->stages;
    buf_str(out, STR("<h2>Times</h2>\n<dl>\n"));
    put_seconds("recipe", stages->recipe, out);
    put_seconds("model", stages->model, out);
    put_seconds("plan", stages->plan, out);
    put_seconds("compile", stages->compile, out);
    if (page->found) {
        put_seconds("calibrate", page->found->seconds_calibrate, out);
        put_seconds("solve", page->found->seconds_solve, out);
    }
    put_seconds("device", stages->device, out);
    put_seconds("encode, write", page->run->exec.seconds_total, out);
    if (page->evaluation) {
        put_seconds("evaluate", page->evaluation->seconds, out);
    }
    put_seconds("sync", page->run->seconds_sync, out);
    put_seconds("read back", page->run->seconds_check, out);
    put_seconds("whole run", page->seconds, out);
    buf_str(out, STR("</dl>\n"));
}

static void put_recipe(const ReportPage *page, Buf *out) {
    buf_str(out, STR("<h2>Recipe</h2>\n<pre>"));
    put_lines(page->plan->recipe->source->text, out);
    buf_str(out, STR("</pre>\n"));
}

void report_html(const ReportPage *page, Buf *out) {
    const Str name = model_file_name(page->plan->layers->model);
    const ReportLayers layers = report_layers(page, out->arena);
    buf_str(out, STR("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n<title>"));
    buf_html(out, name);
    buf_str(out, STR(", compressed by morc</title>\n<style>\n"));
    put_embedded("compiler/report.css", out);
    buf_str(out, STR("</style>\n</head>\n<body>\n<h1>"));
    buf_html(out, name);
    buf_str(out, STR("</h1>\n"));
    put_messages(page, out);
    put_tiles(page, &layers, out);
    put_facts(page, out);
    put_evaluation(page, out);
    report_layers_plots(&layers, out);
    report_layers_table(&layers, out);
    report_layers_blocks(&layers, out);
    put_times(page, out);
    put_recipe(page, out);
    buf_str(out, STR("<script>\n"));
    put_embedded("compiler/report.js", out);
    buf_str(out, STR("</script>\n</body>\n</html>\n"));
}
