/* Loops over arrays of weights, the only part of the host path where time goes. One text
 * (lanes_body.h) is compiled once for each instruction set; every variant gives the same bits,
 * which are the law's. Arrays are the caller's, do not overlap, need no alignment; n may be 0. */
#ifndef KERNELS_LANES_H
#define KERNELS_LANES_H
#include "kernels/metrics.h"

/* The range of some weights, as integers that order like the floats they stand for. Symmetric
 * formats use hi alone (the largest magnitude). Start: RANGE_EMPTY, which already holds 0. */
typedef struct Range {
    int32_t lo, hi;
} Range;
#define RANGE_EMPTY ((Range){0, 0})

typedef struct ScaleRule {
    int type; /* of the stored scale */
    float scale_max;
    bool asymmetric;
    float super; /* of the tensor, where the type is FLOAT8E4M3FN */
} ScaleRule;

/* Loops whose text depends on the element format. s and z: divisor and zero point of each weight.
 */
typedef struct FormatLanes {
    void (*encode)(const float *w, const float *s, const float *z, int64_t n, uint8_t *codes);
    void (*decode)(const uint8_t *codes, const float *s, const float *z, int64_t n, float *q);
    void (*error)(const float *w, const float *s, const float *z, const float *unit, int64_t n,
                  uint32_t *errors); /* of k_error */
} FormatLanes;

typedef struct Lanes {
    const char *name;
    bool (*usable)(void);       /* on this processor */
    const FormatLanes *formats; /* parallel to formats[] */

    /* Weights `index` to `index + n` of a source; returns the largest magnitude, as bits. */
    uint32_t (*widen)(int source, const void *src, int64_t index, int64_t n, float *w);
    void (*cut)(float *w, int64_t n, uint32_t threshold); /* smaller magnitudes become +0 */
    /* Keeps the `keep` largest of the `rows` weights of each column; drop: rows * columns bytes. */
    void (*prune_columns)(float *w, int64_t stride, int rows, int64_t columns, int keep,
                          uint8_t *drop);
    /* The same of each `group` of neighbours; drop: group bytes. */
    void (*prune_run)(float *w, int64_t n, int keep, int group, uint8_t *drop);

    /* Ranges of columns (widened by one row of n) and of runs of `length`, the last one short. */
    void (*range_columns)(bool asymmetric, const float *w, int64_t n, int32_t *lo, int32_t *hi);
    void (*range_runs)(bool asymmetric, const float *w, int64_t n, int64_t length, int32_t *lo,
                       int32_t *hi);
    /* Scales of n ranges: stored codes, divisors, zero points; units of k_error. */
    void (*scales)(const ScaleRule *rule, float ratio, const int32_t *lo, const int32_t *hi,
                   int64_t n, uint32_t *codes, float *s, float *z);
    void (*units)(const ScaleRule *rule, const int32_t *lo, const int32_t *hi, int64_t n,
                  float *unit);

    /* values[b] for each of the `length` elements of run b; n elements in all. */
    void (*spread)(const float *values, int64_t n, int64_t length, float *row);
    void (*add_columns)(const uint32_t *errors, int64_t n, uint64_t *sums);
    void (*add_runs)(const uint32_t *errors, int64_t n, int64_t length, uint64_t *sums);
    /* Adds n / K_STRIP strips of weights and stored values; close: nothing is held any more. */
    void (*compare)(const float *w, const float *q, int64_t n, StripSums *sums);
    void (*close_strips)(StripSums *sums);
    /* n codes of `bits` into whole bytes, low bits first; n * bits is a multiple of 8. */
    void (*pack)(int bits, const uint8_t *codes, int64_t n, uint8_t *dst);
    /* codes [rows][columns] to dst [columns][rows]. */
    void (*turn)(const uint8_t *codes, int64_t rows, int64_t columns, uint8_t *dst);
    /* n elements of `size` bytes (2, 4 or 8), zero where w is +0. */
    void (*mask)(int size, const void *src, const float *w, int64_t n, void *dst);
    int64_t (*count_equal)(const float *w, int64_t n, uint32_t magnitude);
} Lanes;

extern const Lanes lanes_base, lanes_avx2, lanes_avx512;
extern const Lanes *const lanes_all[]; /* slowest first; those this build has */
extern const int lanes_count;
const Lanes *lanes_best(void);        /* the last usable one */
void lanes_force(const Lanes *lanes); /* for tests: what lanes_best returns; NULL undoes */

float range_low(Range r); /* <= 0 */
float range_high(Range r);
#endif
