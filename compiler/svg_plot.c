/* See svg_plot.h. Coordinates have one decimal: enough for the eye, and pages stay small. */
#include "compiler/svg_plot.h"
#include <math.h>
#include "runtime/base/sanitize.h"

/* ---- axes */

#define FAR 1e30 /* no linear axis goes further, or is shorter than 1 / FAR */

typedef struct Box { /* of a picture, and of the plot in it */
    double width, height, left, right, top, bottom;
} Box;

typedef struct Axis {
    double from, to; /* from < to; of a logarithmic one: exponents of ten */
    bool logarithmic;
} Axis;

static double clamp(double x, double low, double high) {
    return x > low ? x < high ? x : high : low; /* NaN: low */
}

/* 0 at the axis's beginning, 1 at its end */
static double along(const Axis *axis, double value) {
    const double x = axis->logarithmic ? value > 0 ? log10(value) : axis->from : value;
    return clamp((x - axis->from) / (axis->to - axis->from), 0.0, 1.0);
}

static double y_of(const Box *box, const Axis *axis, double value) {
    return box->bottom - along(axis, value) * (box->bottom - box->top);
}

static double x_of(const Box *box, const Axis *axis, double value) {
    return box->left + along(axis, value) * (box->right - box->left);
}

/* 1, 2 or 5 times a power of ten, so that at most `most` of them make `span`. */
static double nice_step(double span, int most) {
    static const double steps[] = {1, 2, 5};
    double power = pow(10.0, floor(log10(span / most)));
    for (;; power *= 10.0) {
        for (int i = 0; i < 3; i++) {
            if (span / (steps[i] * power) <= most) {
                return steps[i] * power;
            }
        }
    }
}

/* Around all finite values; a linear one begins at 0 or below. */
static Axis axis_of(const double *values, size_t count, bool logarithmic) {
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && (!logarithmic || values[i] > 0)) {
            least = fmin(least, values[i]);
            most = fmax(most, values[i]);
        }
    }
    Axis axis = {0, 1, logarithmic};
    if (!(least <= most)) {
        return axis;
    }
    if (logarithmic) {
        axis.from = floor(log10(least));
        axis.to = fmax(ceil(log10(most)), axis.from + 1);
        return axis;
    }
    axis.from = clamp(least, -FAR, 0.0);
    axis.to = clamp(most, axis.from, FAR);
    if (axis.to - axis.from < 1 / FAR) {
        axis.to = axis.from + fmax(1.0, fabs(axis.from));
    }
    return axis;
}

static void put_open(const Box *box, const char *label, Buf *out) {
    buf_printf(out, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"", box->width,
               box->height);
    buf_html(out, str_from(label));
    buf_str(out, STR("\">\n"));
}

static void put_text(double x, double y, const char *kind, const char *anchor, Str text, Buf *out) {
    buf_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", kind, x, y,
               anchor);
    buf_html(out, text);
    buf_str(out, STR("</text>\n"));
}

static void put_number(double x, double y, const char *anchor, double value, Buf *out) {
    put_text(x, y, "tick", anchor, str_format(out->arena, "%.4g", value), out);
}

/* ---- one bar a layer */

static void put_grid(const Box *box, const Axis *axis, Buf *out) {
    const double step =
        axis->logarithmic ? ceil((axis->to - axis->from) / 5) : nice_step(axis->to - axis->from, 5);
    const int lines = (int)floor((axis->to - axis->from) / step + 1e-9);
    for (int i = 0; i <= lines; i++) {
        const double at =
            (axis->logarithmic ? axis->from : ceil(axis->from / step) * step) + i * step;
        if (at > axis->to + step * 1e-9) {
            break;
        }
        const double value = axis->logarithmic ? pow(10.0, at) : at;
        const double y = y_of(box, axis, value);
        buf_printf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", box->left, y, box->right);
        put_number(box->left - 5, y + 4, "end", fabs(value) < step * 1e-9 ? 0.0 : value, out);
    }
}

static void put_groups(const LayerPlot *plot, const Box *box, Buf *out) {
    const double each = (box->right - box->left) / (double)plot->count;
    double labelled = -INFINITY; /* numbers that would touch the last one are left out */
    for (size_t i = 0, end; i < plot->count; i = end) {
        for (end = i + 1; end < plot->count && plot->groups[end] == plot->groups[i];) {
            end++;
        }
        const double from = box->left + (double)i * each, to = box->left + (double)end * each;
        if (i > 0) {
            buf_printf(out, "<path class=\"group\" d=\"M%.1f %.1fV%.1f\"/>\n", from, box->top,
                       box->bottom);
        }
        if (plot->groups[i] >= 0 && (from + to) / 2 - labelled >= 24) {
            labelled = (from + to) / 2;
            put_number(labelled, box->bottom + 14, "middle", plot->groups[i], out);
        }
    }
}

void svg_layers(const LayerPlot *plot, Buf *out) {
    const Box box = {960, 190, 52, 952, 10, 168};
    const Axis axis = axis_of(plot->values, plot->count, plot->logarithmic);
    put_open(&box, plot->label, out);
    put_grid(&box, &axis, out);
    if (plot->count) {
        put_groups(plot, &box, out);
    }
    const double each = (box.right - box.left) / (double)(plot->count ? plot->count : 1);
    const double wide = fmin(fmax(each * 0.8, 0.5), 24.0);
    const double base = axis.logarithmic ? box.bottom : y_of(&box, &axis, 0.0);
    for (size_t i = 0; i < plot->count; i++) {
        const double value = plot->values[i];
        const bool exact = isinf(value) && value > 0;
        if (!exact && (!isfinite(value) || (plot->logarithmic && value <= 0))) {
            continue;
        }
        const double y = exact ? box.top : y_of(&box, &axis, value);
        const double high = fmax(y, base), low = fmin(y, base);
        buf_printf(
            out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
            exact            ? "exact"
            : plot->worst[i] ? "worst"
                             : "bar",
            box.left + ((double)i + 0.5) * each - wide / 2, low, wide, fmax(high - low, 0.5));
        buf_html(out, plot->names[i]);
        if (exact) {
            buf_str(out, STR(": exact</title></rect>\n"));
        } else {
            buf_printf(out, ": %.4g%s</title></rect>\n", value, plot->unit);
        }
    }
    buf_str(out, STR("</svg>\n"));
}

/* ---- a histogram */

static double height_of(const HistogramPlot *plot, int bar, double most) {
    return most > 0 ? log1p((double)plot->counts[bar]) / log1p(most) : 0.0;
}

/* One outline for all bars. */
static void put_bars(const HistogramPlot *plot, const Box *box, const Axis *axis, Buf *out) {
    double most = 0;
    for (int i = 0; i < plot->count; i++) {
        most = fmax(most, (double)plot->counts[i]);
    }
    buf_printf(out, "<path class=\"bar\" d=\"M%.1f %.1f",
               x_of(box, axis, plot->first * plot->width), box->bottom);
    for (int i = 0; i < plot->count; i++) {
        const double top = box->bottom - height_of(plot, i, most) * (box->bottom - box->top);
        buf_printf(out, "V%.1fH%.1f", top, x_of(box, axis, (plot->first + i + 1) * plot->width));
    }
    buf_printf(out, "V%.1fZ\"/>\n", box->bottom);
}

static void put_cut(const Box *box, double from, double to, double at, Buf *out) {
    if (to - from >= 0.05) {
        buf_printf(out,
                   "<rect class=\"cut\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                   from, box->top, to - from, box->bottom - box->top);
    }
    buf_printf(out, "<path class=\"clip\" d=\"M%.1f %.1fV%.1f\"/>\n", at, box->top - 4,
               box->bottom);
}

void svg_histogram(const HistogramPlot *plot, Buf *out) {
    const Box box = {420, 130, 8, 412, 18, 112};
    const double first = plot->first * plot->width,
                 last = (plot->first + plot->count) * plot->width;
    const double range_low = isfinite(plot->low) ? plot->low : first;
    const double range_high = isfinite(plot->high) ? plot->high : last;
    Axis axis = {fmin(first, range_low), fmax(last, range_high), false};
    if (!(axis.to - axis.from > 0) || !isfinite(axis.to - axis.from)) {
        axis = (Axis){0, 1, false};
    }
    put_open(&box, plot->label, out);
    put_bars(plot, &box, &axis, out);
    const double low = x_of(&box, &axis, range_low), high = x_of(&box, &axis, range_high);
    put_cut(&box, box.left, low, low, out);
    put_cut(&box, high, box.right, high, out);
    buf_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", box.left, box.bottom,
               box.right);
    put_number(box.left, box.height - 4, "start", axis.from, out);
    put_number(box.right, box.height - 4, "end", axis.to, out);
    const double zero = x_of(&box, &axis, 0.0);
    if (zero > box.left + 40 && zero < box.right - 40) {
        put_number(zero, box.height - 4, "middle", 0.0, out);
    }
    if (low > box.left + 1) {
        put_number(low, box.top - 6, low > box.left + 40 ? "middle" : "start", range_low, out);
    }
    put_number(high, box.top - 6, high < box.right - 40 ? "middle" : "end", range_high, out);
    buf_str(out, STR("</svg>\n"));
}
