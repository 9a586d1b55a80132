/* Outputs of a compressed model against those of the float model it came from: sums over batches,
 * then metrics. Memory is a few words, whatever the data's size; nothing is allocated. Sums are
 * float64, in an order that shapes alone decide, so any number of threads gives the same bits (exp
 * and log are libm's: the last digits of what is made of them are those of its version).
 *
 * A value that is the same infinity, or NaN, on both sides is right and left out of the sums. One
 * that is not finite on one side only makes the error infinite, whatever the others are. */
#ifndef RUNTIME_CALIB_COMPARE_OUTPUTS_H
#define RUNTIME_CALIB_COMPARE_OUTPUTS_H
#include <stdint.h>
#include "runtime/base/spread.h"

typedef enum OutputMetric {
    METRIC_PERPLEXITY, /* exp of the mean of -ln p(answer) */
    METRIC_ACCURACY,   /* share of rows whose largest value is at the label */
    METRIC_AGREEMENT,  /* share of rows whose largest value is where the float model's is */
    METRIC_KL,     /* mean over rows of sum p ln(p / q), nats; p: softmax of the float model's */
    METRIC_COSINE, /* of all values as one vector */
    METRIC_SQNR,   /* dB: energy of the float model's values over that of the error */
    METRIC_MSE,
    METRIC_MAX_ERROR,
    OUTPUT_METRICS
} OutputMetric;

const char *output_metric_name(OutputMetric metric); /* as recipes write it */

/* One output in one batch: row-major, of one shape and one type on both sides. */
typedef struct OutputPair {
    int type;            /* TensorProto.DataType: FLOAT, FLOAT16, BFLOAT16, DOUBLE */
    int64_t rows, width; /* width: of the last dimension; rows: product of the others */
    const void *reference, *model;
    /* For each row the right place in it, below width; negative: none is known. NULL: of no row. */
    const int64_t *next, *labels;
} OutputPair;

/* Of both models: [0] the float model, [1] the compressed one. */
typedef struct OutputSums {
    int64_t values, broken; /* finite on both sides; on one only, or two different infinities */
    double aa, bb, ab, ee, max_error;
    int64_t rows, undefined, agreed; /* undefined: no distribution in the float model, left out */
    double kl;
    int64_t predicted, labelled, right[2];
    double surprise[2]; /* sum of -ln p(next) */
} OutputSums;

/* Zero is where sums begin. False: not all could run (spread.h), the sums are of no use. */
bool outputs_add_values(OutputSums *sums, const OutputPair *pair, const Spread *spread);
bool outputs_add_rows(OutputSums *sums, const OutputPair *pair, const Spread *spread);
bool output_type_known(int type);

/* Metrics by OutputMetric; NaN: nothing was measured. Metrics that need no other model are in both,
 * the others in [1] only. */
typedef struct OutputScores {
    double of[2][OUTPUT_METRICS];
} OutputScores;
OutputScores output_scores(const OutputSums *sums);

#endif
