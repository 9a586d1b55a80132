/* The new model against the float model, on data: both run batch by batch, their outputs become the
 * sums of compare_outputs.h. Memory is that of both models and of one batch of their outputs. The
 * engine rewrites nothing but by its basic, exact optimizations, and runs on the CPU: what is
 * measured is the model, not a library's fast forms of it. */
#ifndef COMPILER_EVALUATE_H
#define COMPILER_EVALUATE_H
#include "compiler/args.h"
#include "compiler/plan.h"
#include "runtime/base/file.h"
#include "runtime/calib/data.h"

typedef struct Evaluation {
    const Args *args;                         /* --data */
    const char *(*get)(const char *variable); /* environment */
    Dataset *data;                            /* open between the two calls */
    /* results */
    ModelResult result;
    const char *unused_labels; /* why there is no accuracy, though there are labels; NULL */
    Str engine;                /* "ONNX Runtime 1.32.0, CPU" */
    double seconds;
} Evaluation;

/* Before any work. Plan.evaluation has a step. Errors: E1108 no engine, E0702, E0704, E0705 data,
 * E0709 labels that are asked for and not there. */
bool evaluate_open(Session *s, const Plan *plan, Evaluation *e);
/* What was written and has no name yet: the model, and its data file (NULL: none) as it is called
 * in the model. Errors: E0707 a model that does not run, E0702 and E0709 as far as outputs tell. */
bool evaluate_run(Session *s, const Plan *plan, Evaluation *e, const Output *model,
                  const Output *data, Str data_name);

#endif
