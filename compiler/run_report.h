/* What a run says about its layers: the table, the summary, one JSON object a layer. */
#ifndef COMPILER_RUN_REPORT_H
#define COMPILER_RUN_REPORT_H
#include "compiler/compile.h"
#include "compiler/console.h"

/* results: one for each of the plan's layers. */
void run_report_layers_json(Console *c, const Plan *plan, const LayerResult *results);
void run_report_table(Console *c, const Plan *plan, const LayerResult *results);
/* written: where the model went; seconds: of the whole run. */
void run_report_summary(Console *c, const Plan *plan, Str written, const RunReport *report,
                        double seconds);
#endif
