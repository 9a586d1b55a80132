/* What a run says about its layers: the table, the summary, one JSON object a layer. */
#ifndef COMPILER_RUN_REPORT_H
#define COMPILER_RUN_REPORT_H
#include "compiler/compile.h"
#include "compiler/console.h"
#include "compiler/findings.h"

/* Something is done to the layer's weight or to what it reads. */
bool run_report_shows(const PlanLayer *planned);
/* results: one for each of the plan's layers; found: NULL if the plan needs no data. */
void run_report_layers_json(Console *c, const Plan *plan, const LayerResult *results,
                            const Findings *found);
void run_report_table(Console *c, const Plan *plan, const LayerResult *results,
                      const Findings *found);
/* written: where the model went; seconds: of the whole run. */
void run_report_summary(Console *c, const Plan *plan, Str written, const RunReport *report,
                        double seconds);
#endif
