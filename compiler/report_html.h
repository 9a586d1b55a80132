/* The page of `--report`: a run's facts as one HTML file that needs nothing else. Style, script and
 * plots are inside; names come from files and are escaped wherever they stand. With hundreds of
 * layers it stays of use: one table that can be sorted, the rest folded away by block. */
#ifndef COMPILER_REPORT_HTML_H
#define COMPILER_REPORT_HTML_H
#include "compiler/bench_report.h"
#include "compiler/evaluate.h"
#include "compiler/findings.h"

typedef struct ReportPage {
    const Plan *plan;
    const LayerResult *results;   /* one for each of the plan's layers */
    const Findings *found;        /* NULL: the plan needed no data */
    const Evaluation *evaluation; /* NULL: the plan evaluates nothing */
    Str command;                  /* the command line */
    Str written;                  /* where the model went */
    bool met;                     /* all expects */
    const Diags *messages;
    const DeviceChoice *device;
    const BenchStages *stages;
    const RunReport *run;
    double seconds; /* of the whole run */
} ReportPage;

void report_html(const ReportPage *page, Buf *out);

#endif
