/* Loops over arrays of weights, the only part of the host path where time goes. One text
 * (lanes_body.h and what it includes) is compiled once for each instruction set; every variant
 * gives the same bits, which are the law's. Arrays are the caller's, do not overlap unless a loop
 * says so, need no alignment; n may be 0.
 *
 * Weights come in two forms. Elements are as in a tile (tile.h): of type FLOAT16 or BFLOAT16
 * ("half", 2 bytes) or FLOAT; what is decided by magnitudes alone is decided there, since twice as
 * many halves fit a vector. Floats are what arithmetic is done on. */
#ifndef KERNELS_LANES_H
#define KERNELS_LANES_H
#include "kernels/metrics.h"

/* A float of any alignment: weights may lie in a mapped file. */
typedef float __attribute__((aligned(1), may_alias)) Single;

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

/* What weights are divided by: divisor, its reciprocal (lanes_base reads none), and zero point (of
 * asymmetric formats). Of n weights each run of `length` has its own, the last one may be short;
 * length 1 is what columns need. */
typedef struct Divisors {
    const float *s, *r, *z;
} Divisors;

/* What METHOD_MSE tries for the weights of one scale, a lane for each ratio. */
enum { TRIES = 32 }; /* whole vectors; those from K_RATIOS on count for nothing */
typedef struct Tries {
    float unit; /* of k_error */
    uint32_t codes[TRIES];
    float s[TRIES], r[TRIES], z[TRIES];
    double first[TRIES], second[TRIES]; /* sums of x and x * x, x = |w - q| * unit, about */
} Tries;
/* So many x are summed in float32; the sums of that in double, or long runs would lose too much. */
enum { MEASURED = 1024 };

/* Loops whose text depends on the element format. */
typedef struct FormatLanes {
    /* Codes of quotients, and what they decode to. */
    void (*encode)(const float *x, int64_t n, uint8_t *codes);
    void (*encode_values)(const float *x, int64_t n, uint8_t *codes, float *v);
    /* Adds k_error of each weight to its run's sum. */
    void (*error)(const Single *w, Divisors d, const float *unit, int64_t n, int64_t length,
                  uint64_t *sums);
    /* Adds n weights to the sums of all ratios. */
    void (*measure)(const Single *w, int64_t n, Tries *tries);
} FormatLanes;

typedef struct Lanes {
    const char *name;
    bool (*usable)(void);       /* on this processor */
    const FormatLanes *formats; /* parallel to formats[] */

    /* Elements of a tile. */
    uint32_t (*largest)(bool half, const void *e, int64_t n); /* magnitude, as bits */
    void (*cut)(bool half, void *e, int64_t n, int32_t last); /* magnitudes up to it become +0 */
    /* Keeps the `keep` largest of the `rows` weights of each column; drop: rows * columns bytes. */
    void (*prune_columns)(bool half, void *e, int64_t stride, int rows, int64_t columns, int keep,
                          uint8_t *drop);
    /* The same of each `group` of neighbours; drop: group bytes. */
    void (*prune_run)(bool half, void *e, int64_t n, int keep, int group, uint8_t *drop);
    /* Ranges of columns (widened by rows, `stride` apart) and of runs, the last one short. */
    void (*range_columns)(int type, bool asymmetric, const void *e, int64_t stride, int64_t rows,
                          int64_t columns, int32_t *lo, int32_t *hi);
    void (*range_runs)(int type, bool asymmetric, const void *e, int64_t n, int64_t length,
                       int32_t *lo, int32_t *hi);
    /* To floats; from DOUBLE, too. */
    void (*widen)(int type, const void *e, int64_t n, float *w);

    /* Scales of n ranges: stored codes, divisors, zero points (of asymmetric formats); units of
     * k_error. */
    void (*scales)(const ScaleRule *rule, float ratio, const int32_t *lo, const int32_t *hi,
                   int64_t n, uint32_t *codes, float *s, float *z);
    /* The scales of one range with every ratio; sums become 0. */
    void (*tries)(const ScaleRule *rule, int32_t lo, int32_t hi, Tries *tries);
    /* What no sum of k_error can be less than, for every ratio, from the sums of n weights. */
    void (*bounds)(const Tries *tries, int64_t n, double *bounds);
    /* Of divisors. False: some is outside k_divides, and lanes_base must divide. */
    bool (*reciprocals)(const float *s, int64_t n, float *r);
    void (*units)(const ScaleRule *rule, const int32_t *lo, const int32_t *hi, int64_t n,
                  float *unit);

    /* What formats encode: elements, divided, asymmetric ones rounded and moved by their zero
     * points; and the way back from decoded values, in place. */
    void (*divide)(int type, bool asymmetric, const void *e, Divisors d, int64_t n, int64_t length,
                   float *x);
    void (*restore)(bool asymmetric, float *v, Divisors d, int64_t n, int64_t length);

    /* One value of each run for each four of its n elements. */
    void (*spread_fours)(const float *from, int64_t n, int64_t length, float *to);
    /* Adds n / K_STRIP strips of elements of type FLOAT or BFLOAT16 and stored values, v; or, where
     * s is given, decoded values with a divisor (and zero point, if z is) for each four. close:
     * nothing is held any more. */
    void (*compare)(int type, const void *e, const float *v, const float *s, const float *z,
                    int64_t n, StripSums *sums);
    void (*close_strips)(StripSums *sums);
    /* n codes of `bits` into whole bytes, low bits first; n * bits is a multiple of 8. */
    void (*pack)(int bits, const uint8_t *codes, int64_t n, uint8_t *dst);
    /* codes [rows][columns] to dst [columns][rows]. */
    void (*turn)(const uint8_t *codes, int64_t rows, int64_t columns, uint8_t *dst);
    int64_t (*count_equal)(const float *w, int64_t n, uint32_t magnitude);
} Lanes;

extern const Lanes lanes_base, lanes_avx2, lanes_avx512;
extern const Lanes *const lanes_all[]; /* slowest first; those this build has */
extern const int lanes_count;
const Lanes *lanes_best(void);        /* the last usable one */
void lanes_force(const Lanes *lanes); /* for tests: what lanes_best returns; NULL undoes */

float range_low(Range r); /* <= 0 */
float range_high(Range r);
bool range_finite(Range r);
#endif
