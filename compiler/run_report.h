/* What a run says about its layers: the table, the summary, one JSON object a layer; what
 * it says of the whole model. */
#ifndef COMPILER_RUN_REPORT_H
#define COMPILER_RUN_REPORT_H
#include "compiler/compile.h"
#include "compiler/console.h"
#include "compiler/evaluate.h"

/* results: one for each of the plan's layers. */
void run_report_layers_json(Console *c, const Plan *plan, const LayerResult *results);
void run_report_table(Console *c, const Plan *plan, const LayerResult *results);
/* Of the whole model, where the plan evaluates it. */
void run_report_evaluates(Console *c, const Plan *plan, const Evaluation *e); /* before it */
void run_report_model(Console *c, const Plan *plan, const Evaluation *e);
/* written: where the model went; seconds: of the whole run. */
void run_report_summary(Console *c, const Plan *plan, Str written, const RunReport *report,
                        double seconds);
#endif
