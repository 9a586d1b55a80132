/* What was found out on data, folded away by block: a card for each input that is stored in a
 * format or scaled, a line for each weight that gptq rounded. */
#include <math.h>
#include "compiler/report_layers.h"
#include "compiler/svg_plot.h"
#include "runtime/base/sanitize.h"

static void put_fact(const char *name, Str value, Buf *out) {
    buf_printf(out, "<dt>%s</dt><dd>", name);
    buf_html(out, value);
    buf_str(out, STR("</dd>\n"));
}

/* "a, b and 12 more" */
static Str names_of_some(const Plan *plan, const int *layers, size_t count, Arena *arena) {
    Buf b = buf_on(arena);
    const size_t shown = count > 8 ? 6 : count;
    for (size_t i = 0; i < shown; i++) {
        buf_printf(&b, "%s", i ? ", " : "");
        buf_str(&b, plan->layers_planned.at[layers[i]].layer->path);
    }
    if (shown < count) {
        buf_printf(&b, " and %zu more", count - shown);
    }
    return buf_view(&b);
}

/* "-37.1%" */
static Str change(double before, double after, Arena *arena) {
    return str_format(arena, "%.4g instead of %.4g (%+.1f%%)", after, before,
                      100.0 * (after / before - 1.0));
}

static void put_tie(const PlanTie *tie, const SolvedTie *solved, Buf *out) {
    Arena *arena = out->arena;
    const bool awq = strcmp(tie_name(tie), "awq") == 0;
    if (solved->choice < 0) {
        put_fact(tie_name(tie), STR("no factors are better than none"), out);
    } else {
        put_fact(tie_name(tie),
                 str_format(arena, "%s %.3g", awq ? "exponent" : "alpha", solved->choice), out);
    }
    float least = solved->s[0], most = solved->s[0];
    for (int64_t i = 1; i < tie->k; i++) {
        least = solved->s[i] < least ? solved->s[i] : least;
        most = solved->s[i] > most ? solved->s[i] : most;
    }
    Buf where = buf_on(arena);
    plan_tie_print(tie, &where);
    put_fact("factors",
             str_format(arena, "%.4g to %.4g, %.*s", (double)least, (double)most,
                        STR_ARG(buf_view(&where))),
             out);
    if (solved->before > 0) {
        put_fact("error", change(solved->before, solved->after, arena), out);
    }
}

/* Values beyond the range, of all: what the bars say. A bar that the range cuts counts in parts. */
static double share_cut(const FoundInput *input) {
    double all = 0, cut = 0;
    for (int i = 0; i < input->bars.count; i++) {
        const double from = (input->bars.first + i) * input->bars.width;
        const double to = from + input->bars.width, n = (double)input->bars.counts[i];
        const double inside = fmin(to, (double)input->hi) - fmax(from, (double)input->lo);
        all += n;
        cut += n * (1.0 - fmax(0.0, inside) / input->bars.width);
    }
    return all > 0 ? cut / all : 0.0;
}

static void put_range(const PlanStream *stream, const FoundInput *input, Buf *out) {
    Arena *arena = out->arena;
    Buf format = buf_on(arena);
    format_print(stream->written, &format);
    put_fact("format", buf_view(&format), out);
    put_fact("range by", input->method, out);
    put_fact("seen", str_format(arena, "%.6g to %.6g", (double)input->min, (double)input->max),
             out);
    put_fact("codes reach", str_format(arena, "%.6g to %.6g", (double)input->lo, (double)input->hi),
             out);
    put_fact("amax", str_format(arena, "%.6g", (double)input->amax), out);
    put_fact("scale",
             stream->element->asymmetric
                 ? str_format(arena, "%.6g, zero point %d", (double)input->scale, input->zero)
                 : str_format(arena, "%.6g", (double)input->scale),
             out);
    if (input->bars.count) {
        put_fact("cut off",
                 str_format(arena, "about %.2g%% of the values", 100.0 * share_cut(input)), out);
    }
}

static void put_histogram(const FoundInput *input, Buf *out) {
    const HistogramPlot plot = {.label = "how often which value was seen, logarithmic",
                                .count = input->bars.count,
                                .first = input->bars.first,
                                .width = input->bars.width,
                                .counts = input->bars.counts,
                                .low = (double)input->lo,
                                .high = (double)input->hi};
    buf_str(out, STR("<figure>"));
    svg_histogram(&plot, out);
    buf_str(out, STR("</figure>\n"));
}

static void open_card(Str title, const Plan *plan, const int *layers, size_t count, Buf *out) {
    buf_str(out, STR("<section><h3>"));
    buf_html(out, title);
    buf_str(out, STR("</h3>\n<dl>"));
    put_fact("for", names_of_some(plan, layers, count, out->arena), out);
}

static void put_stream(const ReportPage *page, size_t index, Buf *out) {
    const PlanStream *stream = &page->plan->streams.at[index];
    open_card(stream->value->name, page->plan, stream->layers.at, stream->layers.len, out);
    const FoundInput *input = &page->found->inputs[index];
    if (stream->dynamic) {
        Buf format = buf_on(out->arena);
        format_print(stream->written, &format);
        put_fact("format", buf_view(&format), out);
        put_fact("scales", STR("found at run time"), out);
    } else if (stream->element) {
        put_range(stream, input, out);
    }
    if (stream->scale != (int)index) {
        put_fact("scale shared with", page->plan->streams.at[stream->scale].value->name, out);
    }
    if (stream->tie >= 0) {
        put_tie(&page->plan->ties.at[stream->tie], &page->found->ties[stream->tie], out);
    }
    buf_str(out, STR("</dl>\n"));
    if (input->bars.count) {
        put_histogram(input, out);
    }
    buf_str(out, STR("</section>\n"));
}

static void put_lone_tie(const ReportPage *page, size_t index, Buf *out) {
    const PlanTie *tie = &page->plan->ties.at[index];
    open_card(tie->value->name, page->plan, tie->layers.at, tie->layers.len, out);
    put_tie(tie, &page->found->ties[index], out);
    buf_str(out, STR("</dl></section>\n"));
}

/* ---- one block */

static int block_of(const ReportPage *page, int layer) {
    return page->plan->layers_planned.at[layer].layer->block;
}

static bool in_a_stream(const Plan *plan, size_t tie) {
    bool found = false;
    for (size_t i = 0; i < plan->streams.len && !found; i++) {
        found = plan->streams.at[i].tie == (int)tie;
    }
    return found;
}

static void put_cards(const ReportPage *page, int block, Buf *out) {
    const Plan *plan = page->plan;
    buf_str(out, STR("<div class=\"cards\">\n"));
    for (size_t i = 0; i < plan->streams.len; i++) {
        if (block_of(page, plan->streams.at[i].layers.at[0]) == block) {
            put_stream(page, i, out);
        }
    }
    for (size_t i = 0; i < plan->ties.len; i++) {
        if (block_of(page, plan->ties.at[i].layers.at[0]) == block && !in_a_stream(plan, i)) {
            put_lone_tie(page, i, out);
        }
    }
    buf_str(out, STR("</div>\n"));
}

static void put_roundings(const ReportLayers *layers, int block, Buf *out) {
    const PlanLayer *planned = layers->page->plan->layers_planned.at;
    for (size_t i = 0; i < layers->count; i++) {
        const PlanLayer *layer = &planned[layers->indices[i]];
        const GptqReport *report = found_rounding(layers->page->found, layer);
        if (report && layer->layer->block == block) {
            buf_str(out, STR("<p>gptq <span class=\"mono\">"));
            buf_html(out, layer->layer->path);
            buf_printf(out, "</span>: error %.*s",
                       STR_ARG(change(report->nearest, report->loss, out->arena)));
            if (report->dead) {
                buf_printf(out, ", %lld columns always 0", (long long)report->dead);
            }
            buf_str(out, report->plain ? STR(", rounded to nearest</p>\n") : STR("</p>\n"));
        }
    }
}

static void put_summary(const ReportLayers *layers, int block, size_t count, Buf *out) {
    const PlanLayer *planned = layers->page->plan->layers_planned.at;
    uint64_t before = 0, after = 0;
    double worst = INFINITY;
    bool marked = false;
    for (size_t i = 0; i < layers->count; i++) {
        const PlanLayer *layer = &planned[layers->indices[i]];
        if (layer->layer->block == block) {
            before += layer->layer->bytes;
            after += layer->tensor >= 0 ? layer->stored : layer->layer->bytes;
            worst = fmin(worst, layers->page->results[layers->indices[i]].sqnr);
            marked = marked || layers->worst[i];
        }
    }
    if (block >= 0) {
        buf_printf(out, "<b>block %d</b>", block);
    } else {
        buf_str(out, STR("<b>outside of blocks</b>"));
    }
    buf_printf(out, ": %zu layer%s, %.*s to %.*s", count, count == 1 ? "" : "s",
               STR_ARG(str_bytes(out->arena, before)), STR_ARG(str_bytes(out->arena, after)));
    if (isfinite(worst)) {
        buf_printf(out, ", <span%s>least %.1f dB</span>", marked ? " class=\"failed\"" : "", worst);
    }
}

static void put_block(const ReportLayers *layers, int block, Buf *out) {
    const PlanLayer *planned = layers->page->plan->layers_planned.at;
    size_t count = 0;
    for (size_t i = 0; i < layers->count; i++) {
        count += planned[layers->indices[i]].layer->block == block;
    }
    if (count == 0) {
        return;
    }
    buf_str(out, STR("<details><summary>"));
    put_summary(layers, block, count, out);
    buf_str(out, STR("</summary>\n"));
    put_roundings(layers, block, out);
    put_cards(layers->page, block, out);
    buf_str(out, STR("</details>\n"));
}

void report_layers_blocks(const ReportLayers *layers, Buf *out) {
    if (!layers->page->found) {
        return;
    }
    buf_str(out, STR("<h2>What the data said</h2>\n<p class=\"soft\">Histograms count on a "
                     "logarithmic scale; values in the shaded parts are cut off. Errors are "
                     "estimates of what reaches the output of the layers.</p>\n"));
    for (int block = 0; block < layers->page->plan->layers->block_count; block++) {
        put_block(layers, block, out);
    }
    put_block(layers, -1, out);
}
