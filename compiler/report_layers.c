/* Plots and table (report_layers.h); what stands below the blocks is report_blocks.c. */
#include "compiler/report_layers.h"
#include <math.h>
#include "compiler/run_report.h"
#include "compiler/svg_plot.h"
#include "runtime/base/sanitize.h"

static void mark_worst(ReportLayers *layers) {
    const LayerResult *results = layers->page->results;
    for (int n = 0; n < WORST_SHOWN; n++) {
        size_t worst = layers->count;
        for (size_t i = 0; i < layers->count; i++) {
            const double sqnr = results[layers->indices[i]].sqnr;
            if (isfinite(sqnr) && !layers->worst[i] &&
                (worst == layers->count || sqnr < results[layers->indices[worst]].sqnr)) {
                worst = i;
            }
        }
        if (worst < layers->count) {
            layers->worst[worst] = true;
            layers->ranked[layers->ranked_count++] = worst;
        }
    }
}

ReportLayers report_layers(const ReportPage *page, Arena *arena) {
    const Plan *plan = page->plan;
    ReportLayers layers = {.page = page};
    layers.indices = arena_many(arena, size_t, plan->layers_planned.len + 1);
    layers.worst = arena_many(arena, bool, plan->layers_planned.len + 1);
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *planned = &plan->layers_planned.at[i];
        if (run_report_shows(planned)) {
            layers.indices[layers.count++] = i;
            layers.inputs = layers.inputs || planned->stream >= 0 || planned->tie >= 0;
        }
    }
    mark_worst(&layers);
    return layers;
}

/* ---- plots */

static void put_worst(const ReportLayers *layers, Buf *out) {
    const PlanLayer *planned = layers->page->plan->layers_planned.at;
    buf_str(out, layers->ranked_count ? STR("<p>Worst: ") : STR("<p>No layer has an error."));
    for (size_t i = 0; i < layers->ranked_count; i++) {
        const size_t at = layers->ranked[i], index = layers->indices[at];
        buf_printf(out, "%s<a href=\"#layer%zu\" class=\"mono\">", i ? ", " : "", at);
        buf_html(out, planned[index].layer->path);
        buf_printf(out, "</a> %.1f dB", layers->page->results[index].sqnr);
    }
    buf_str(out, STR("</p>\n"));
}

void report_layers_plots(const ReportLayers *layers, Buf *out) {
    const Plan *plan = layers->page->plan;
    const size_t n = layers->count;
    Str *names = arena_many(out->arena, Str, n + 1);
    int *groups = arena_many(out->arena, int, n + 1);
    double *sqnr = arena_many(out->arena, double, n + 1);
    double *angle = arena_many(out->arena, double, n + 1);
    for (size_t i = 0; i < n; i++) {
        const size_t index = layers->indices[i];
        names[i] = plan->layers_planned.at[index].layer->path;
        groups[i] = plan->layers_planned.at[index].layer->block;
        sqnr[i] = layers->page->results[index].sqnr;
        angle[i] = 1.0 - layers->page->results[index].cosine;
    }
    LayerPlot plot = {.label = "signal to noise of each layer's weight, in dB",
                      .unit = " dB",
                      .count = n,
                      .names = names,
                      .values = sqnr,
                      .worst = layers->worst,
                      .groups = groups};
    buf_str(out, STR("<h2>Error by layer</h2>\n"
                     "<figure><figcaption>Signal to noise of the weight, in dB: more is better. "
                     "Layers in the order of the graph, blocks below.</figcaption>\n"));
    svg_layers(&plot, out);
    buf_str(out, STR("</figure>\n<figure><figcaption>1 - cosine of the weight, logarithmic: less "
                     "is better.</figcaption>\n"));
    plot.label = "1 - cosine of each layer's weight, logarithmic";
    plot.unit = "";
    plot.values = angle;
    plot.logarithmic = true;
    svg_layers(&plot, out);
    buf_str(out, STR("</figure>\n"));
    put_worst(layers, out);
}

/* ---- the table: cells of numbers carry in `data-v` what report.js sorts by */

static void put_words(const char *kind, Str text, Buf *out) {
    buf_printf(out, "<td class=\"%s\">", kind);
    buf_html(out, text);
    buf_str(out, STR("</td>"));
}

static void put_number(double value, Str text, Buf *out) {
    const double most = 1e300; /* of what has no error, too */
    buf_printf(out, "<td data-v=\"%.17g\">%.*s</td>", value < most ? value : most, STR_ARG(text));
}

static void put_integer(int64_t n, Buf *out) {
    put_number((double)n, str_format(out->arena, "%lld", (long long)n), out);
}

static void put_bytes(uint64_t n, Buf *out) {
    put_number((double)n, str_bytes(out->arena, n), out);
}

static void put_head(const ReportLayers *layers, Buf *out) {
    buf_str(out, STR("<thead><tr><th>#</th><th class=\"left\">layer</th><th class=\"left\">op</th>"
                     "<th>k</th><th>n</th><th class=\"left\">weight</th>"));
    if (layers->inputs) {
        buf_str(out, STR("<th class=\"left\">input</th>"));
    }
    buf_str(out, STR("<th>bits</th><th>before</th><th>after</th><th>zeros</th><th>cosine</th>"
                     "<th>SQNR</th></tr></thead>\n<tbody>\n"));
}

static void put_result(const PlanLayer *planned, const LayerResult *result, Buf *out) {
    Arena *arena = out->arena;
    const bool changed = planned->tensor >= 0;
    const uint64_t before = planned->layer->bytes, after = changed ? planned->stored : before;
    const double count = (double)planned->layer->params;
    const double bits = changed || count == 0 ? planned->bits : 8.0 * (double)before / count;
    put_number(bits, str_format(arena, "%.2f", bits), out);
    put_bytes(before, out);
    put_bytes(after, out);
    put_number(result->sparsity, str_format(arena, "%.1f%%", 100.0 * result->sparsity), out);
    put_number(result->cosine, str_format(arena, "%.6f", result->cosine), out);
    const Str sqnr = str_format(arena, "%.1f dB", result->sqnr);
    put_number(result->sqnr, isfinite(result->sqnr) ? sqnr : STR("exact"), out);
}

static void put_row(const ReportLayers *layers, size_t i, Buf *out) {
    const size_t index = layers->indices[i];
    const PlanLayer *planned = &layers->page->plan->layers_planned.at[index];
    const LayerResult *result = &layers->page->results[index];
    const Layer *layer = planned->layer;
    buf_printf(out, "<tr id=\"layer%zu\"%s>", i, layers->worst[i] ? " class=\"worst\"" : "");
    put_integer((int64_t)i + 1, out);
    put_words("name", layer->path, out);
    put_words("left", layer->node->op, out);
    put_integer(layer->k, out);
    put_integer(layer->n, out);
    Buf text = buf_on(out->arena);
    plan_format_print(planned, &text);
    put_words("left", buf_view(&text), out);
    if (layers->inputs) {
        text = buf_on(out->arena);
        found_input_print(layers->page->found, layers->page->plan, planned, &text);
        put_words("left", buf_view(&text), out);
    }
    put_result(planned, result, out);
    buf_str(out, STR("</tr>\n"));
}

void report_layers_table(const ReportLayers *layers, Buf *out) {
    buf_str(out, STR("<h2>Layers</h2>\n<p class=\"soft\">A click on the head of a column sorts by "
                     "it.</p>\n<div class=\"wide\"><table class=\"sort\">\n"));
    put_head(layers, out);
    for (size_t i = 0; i < layers->count; i++) {
        put_row(layers, i, out);
    }
    buf_str(out, STR("</tbody></table></div>\n"));
}
