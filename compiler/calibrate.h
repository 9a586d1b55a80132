/* Passes over the data: what the plan needs to see of the model's values, as statistics. The engine
 * runs an instrumented copy of the model as far as a pass needs it; memory does not grow with the
 * data, and Gram matrices are those of one pass. What is seen is kept in a .morstat now and then,
 * when the run is stopped, and at the end of a pass: a run of the same recipe, model and data goes
 * on from it, or takes it as it is. */
#ifndef COMPILER_CALIBRATE_H
#define COMPILER_CALIBRATE_H
#include "compiler/args.h"
#include "compiler/instrument.h"
#include "compiler/kept_stats.h"

typedef struct Calibration {
    const Args *args;                         /* --data */
    const char *(*get)(const char *variable); /* environment */
    Str model_path;
    Str stats_path; /* of the .morstat; empty: kept nowhere */
    /* results */
    ObservationList seen;
    DataPasses passes;
    int pass;                 /* the next one; passes.all.len: all are over */
    Stats *stats;             /* of the passes so far; closed with the session */
    Str engine;               /* "ONNX Runtime 1.32.0, CPU"; empty: nothing was run */
    Str why_cpu;              /* the engine has no CUDA, or it does not work: the reason */
    int kept_passes;          /* of those that are over: that a .morstat had whole */
    const char *why_new;      /* a .morstat that was there was not taken: continues "the file " */
    int64_t samples, resumed; /* of the data; so many of them are in the .morstat already, of the
                               * pass that was measured last */
    bool saved;               /* a stopped run has left something to go on from */
    double seconds;
    struct CalibrationRun *run; /* while it is open */
} Calibration;

/* Everything that can be refused before any work: opens the data, finds statistics that were kept,
 * opens the engine if it has to run; Calibration.stats then has its identity. Plan.data is there.
 * Errors: E1108 no engine, E0702, E0704, E0705 data, E10xx the model, E0707 a
 * run that fails. False also when stopped: what was seen by then is kept. */
bool calibrate_open(Session *s, const Plan *plan, Calibration *calibration);
/* The next pass: runs what is left of it; closes behind the last. Calibration.stats has what all of
 * them have measured; Gram matrices of earlier passes are the caller's to free.
 * edits: what is encoded in the model by then; NULL: it is the float one. */
bool calibrate(Session *s, Calibration *calibration, const InstrumentEdits *edits);
bool calibrate_over(const Calibration *calibration);        /* all passes are */
void calibrate_close(Session *s, Calibration *calibration); /* no harm when it is closed */

#endif
