/* One pass over the data: what the plan needs to see of the model's values, as statistics. The
 * engine runs an instrumented copy of the model; memory does not grow with the data. What is seen
 * is kept in a .morstat now and then, when the run is stopped, and at the end: a run of the same
 * recipe, model and data goes on from it, or takes it as it is. */
#ifndef COMPILER_CALIBRATE_H
#define COMPILER_CALIBRATE_H
#include "compiler/args.h"
#include "compiler/observations.h"

/* First bytes of StatsIdentity.data of what `morc stats merge` joined. */
#define CALIBRATE_MERGED "merged:"

typedef struct Calibration {
    const Args *args;                         /* --data */
    const char *(*get)(const char *variable); /* environment */
    Str model_path;
    Str stats_path; /* of the .morstat; empty: kept nowhere */
    /* results */
    ObservationList seen;
    Stats *stats;             /* closed with the session */
    Str engine;               /* "ONNX Runtime 1.32.0, CPU"; empty: nothing was run */
    Str why_cpu;              /* the engine has no CUDA, or it does not work: the reason */
    bool kept;                /* the .morstat was taken, whole or as far as it goes */
    const char *why_new;      /* a .morstat that was there was not: continues "the file " */
    int64_t samples, resumed; /* of the data; so many of them are in the .morstat already */
    double seconds;
    struct CalibrationPass *pass; /* while it is open */
} Calibration;

/* Everything that can be refused before any work: opens the data, takes statistics that were kept,
 * opens the engine if it has to run; Calibration.stats then has its identity. Plan.data is there.
 * Errors: E1108 no engine, E0702, E0704, E0705 data, E10xx the model, E0707 a
 * run that fails. False also when stopped: what was seen by then is kept. */
bool calibrate_open(Session *s, const Plan *plan, Calibration *calibration);
/* Runs what is left of the data, and closes. */
bool calibrate(Session *s, Calibration *calibration);
void calibrate_close(Session *s, Calibration *calibration); /* no harm when it is closed */

#endif
