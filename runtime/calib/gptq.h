/* GPTQ (Frantar et al. 2023, arXiv:2210.17323): codes are chosen column by column, and what a
 * column is off by is made good by the columns that follow, as far as the Gram matrix of the input
 * lets them. Scales are fixed beforehand, so any grid and any order will do. Coordinate descent
 * (runtime/calib/descent.h) then goes over the result.
 *
 * Beside what comes in and out it takes one k x k matrix of doubles, one rows x k of floats (or,
 * for fewer than 2048 rows, 2048 x k), and small change. A pruned weight stays 0, and its column
 * passes on what other columns would have had it make good. The result has the same bits for any
 * number of threads, and the Gram loss of no row is above that of rounding to nearest. */
#ifndef RUNTIME_CALIB_GPTQ_H
#define RUNTIME_CALIB_GPTQ_H
#include "runtime/calib/grid.h"

typedef enum GptqOrder {
    GPTQ_STATIC, /* columns with the largest G_jj first ("static" act-order), ties by index */
    GPTQ_NATURAL
} GptqOrder;

typedef struct Gptq {
    const Grid *grid;
    const float *w;      /* [rows][k]; NaN or infinite weights make their row round to nearest */
    const double *gram;  /* [k][k], symmetric */
    const uint8_t *zero; /* [rows][k]: 1 where the result is 0 (pruned); may be NULL */
    GptqOrder order;
    double damp;   /* share of the mean of diag G that is added to it */
    int64_t block; /* columns between two products: 128 */
    int sweeps;    /* of coordinate descent; 0: none */
    bool scales;   /* descent moves scales, too */
} Gptq;

typedef struct GptqReport {
    double nearest, loss; /* Gram loss of rounding to nearest, and of the result; 0 if plain */
    int64_t dead;         /* columns whose input is always 0: rounded to nearest */
    int raises;           /* times that damp was raised tenfold until the matrix had a factor */
    bool plain;           /* it never had: all is rounded to nearest */
} GptqReport;

/* damp: with the descent behind it 0.05 was better than 0.01 on two models and two texts each
 * (pylm-7m, INT4 block 128: perplexity 5.935 and 6.001, elsewhere 5.190 and 5.213); without descent
 * they are equal. Natural order is better on pylm-7m (5.88), static on pylm-1m. */
#define GPTQ_DEFAULTS .order = GPTQ_STATIC, .damp = 0.05, .block = 128, .sweeps = 4, .scales = true

/* q [rows][k]: values of the grid under `scales`. False if the Spread failed. */
bool gptq_round(const Gptq *gptq, Scales *scales, float *q, GptqReport *report, Arena *arena,
                const Spread *spread);

#endif
