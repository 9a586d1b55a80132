/* Plots as inline SVG for the report of a run. They have no colours of their own: classes (`bar`,
 * `worst`, `cut`, `grid` ...) are report.css's. All text is escaped; numbers that are not finite or
 * far out are kept inside of the picture. */
#ifndef COMPILER_SVG_PLOT_H
#define COMPILER_SVG_PLOT_H
#include "runtime/base/str.h"

/* One bar for each of `count` things, in their order. */
typedef struct LayerPlot {
    const char *label; /* what is plotted, for those who hear the page; plain words */
    const char *unit;  /* behind a value: " dB" */
    size_t count;
    const Str *names;     /* shown when one points at a bar */
    const double *values; /* infinite: has no error, drawn at full height in a way of its own */
    const bool *worst;
    const int *groups; /* a line where it changes, its number below; -1 has no number */
    bool logarithmic;  /* values > 0; others get no bar */
} LayerPlot;
void svg_layers(const LayerPlot *plot, Buf *out);

/* Counts of values, on a logarithmic scale, and the range outside of which they are cut off. */
typedef struct HistogramPlot {
    const char *label;
    int count, first; /* bar i: [first + i, first + i + 1) * width */
    double width;
    const uint64_t *counts;
    double low, high;
} HistogramPlot;
void svg_histogram(const HistogramPlot *plot, Buf *out);

#endif
