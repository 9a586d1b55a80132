/* What `morc bench` prints: where the time of a run went, part by part. */
#ifndef COMPILER_BENCH_REPORT_H
#define COMPILER_BENCH_REPORT_H
#include "compiler/compile.h"
#include "compiler/console.h"
#include "compiler/device_choice.h"

/* Seconds of the stages before the run. */
typedef struct BenchStages {
    double recipe, model, plan, compile, device;
} BenchStages;

void bench_report(Console *c, const BenchStages *stages, const DeviceChoice *device,
                  const RunReport *report);
#endif
