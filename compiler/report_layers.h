/* The parts of the report's page (report_html.h) that speak of layers: plots of their errors, the
 * table, and what was found out about inputs, block by block. */
#ifndef COMPILER_REPORT_LAYERS_H
#define COMPILER_REPORT_LAYERS_H
#include "compiler/report_html.h"

enum { WORST_SHOWN = 5 };

typedef struct ReportLayers {
    const ReportPage *page;
    size_t count;    /* layers that something was done to, in the graph's order: */
    size_t *indices; /* in Plan.layers_planned */
    bool *worst;     /* of them, those with the least sqnr, none that is exact: */
    size_t ranked[WORST_SHOWN], ranked_count; /* the worst first */
    bool inputs; /* one of them reads something else than a float as it is */
} ReportLayers;

ReportLayers report_layers(const ReportPage *page, Arena *arena);
void report_layers_plots(const ReportLayers *layers, Buf *out);
void report_layers_table(const ReportLayers *layers, Buf *out);
void report_layers_blocks(const ReportLayers *layers, Buf *out);

#endif
