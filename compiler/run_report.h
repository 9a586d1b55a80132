/* What a run says about its layers: the table, the summary, one JSON object a layer; what
 * it says of the whole model. */
#ifndef COMPILER_RUN_REPORT_H
#define COMPILER_RUN_REPORT_H
#include "compiler/calibrate.h"
#include "compiler/compile.h"
#include "compiler/console.h"
#include "compiler/device_choice.h"
#include "compiler/evaluate.h"
#include "compiler/findings.h"

/* Something is done to the layer's weight or to what it reads. */
bool run_report_shows(const PlanLayer *planned);
/* results: one for each of the plan's layers; found: NULL if the plan needs no data. */
void run_report_layers_json(Console *c, const Plan *plan, const LayerResult *results,
                            const Findings *found);
void run_report_table(Console *c, const Plan *plan, const LayerResult *results,
                      const Findings *found);
/* How the statistics came about. done: false if the pass was ended. */
void run_report_calibration(Console *c, const Calibration *calibration, bool done);
/* A run that was stopped: where statistics are, if any were kept. */
void run_report_kept(Console *c, const Calibration *calibration);
void run_report_device(Console *c, const DeviceChoice *device);
/* Of the whole model, where the plan evaluates it. */
void run_report_evaluates(Console *c, const Plan *plan, const Evaluation *e); /* before it */
void run_report_model(Console *c, const Plan *plan, const Evaluation *e);
/* Weights that gptq had to round to nearest; nothing if there are none. */
void run_report_rounding(Console *c, const Plan *plan, const Findings *found);
/* written: where the model went; seconds: of the whole run. */
void run_report_summary(Console *c, const Plan *plan, Str written, const RunReport *report,
                        double seconds);
#endif
