/* The loops of linear_algebra.h, where all of its time goes. One text (product_lanes_body.h) is
 * compiled once for each instruction set and type; every variant gives the bits of the law: an
 * element takes its products one after the other, each rounded, then added. Nothing is fused: the
 * base variant has no fused multiply-add, and processors that add and multiply at once lose little
 * (docs/decisions/009). */
#ifndef RUNTIME_CALIB_PRODUCT_LANES_H
#define RUNTIME_CALIB_PRODUCT_LANES_H
#include "runtime/calib/linear_algebra.h"

enum { FACTOR_BLOCK = 64 }; /* the most rows of an L below */

typedef struct ProductLanes {
    const char *name;
    bool (*usable)(void); /* on this processor */
    void (*multiply)(const Product *p);
    void (*multiply_wide)(const WideProduct *p);
    /* x becomes the y of y L^T = x, and of L y = x: x[rows][n] and x[n][columns], L[n][n] lower.
     * Of each element products are subtracted in the order of L's columns, then it is divided. */
    void (*solve_right)(const double *l, int64_t ldl, int64_t n, double *x, int64_t ldx,
                        int64_t rows);
    void (*solve_left)(const double *l, int64_t ldl, int64_t n, double *x, int64_t ldx,
                       int64_t columns);
} ProductLanes;

extern const ProductLanes product_lanes_base, product_lanes_avx2, product_lanes_avx512;
extern const ProductLanes *const product_lanes_all[]; /* slowest first; those this build has */
extern const int product_lanes_count;
const ProductLanes *product_lanes_best(void); /* the last usable one */

#endif
