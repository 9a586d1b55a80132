/* Products and factorizations of matrices. Matrices are row-major; ld is the distance of rows in
 * elements. The law is plain loops of single IEEE operations in one order, written at each call
 * below, and results have its bits on every processor and for any number of threads (where a NaN
 * comes out, it is a NaN). Calls may be made from several threads at once. */
#ifndef RUNTIME_CALIB_LINEAR_ALGEBRA_H
#define RUNTIME_CALIB_LINEAR_ALGEBRA_H
#include "runtime/base/arena.h"
#include "runtime/base/spread.h"
#include <stdbool.h>
#include <stdint.h>

/* How b is read. LOWER: what is above its diagonal counts as 0. FOLDED: what is above counts twice,
 * what is below as 0, so that (x b) x^T is x b x^T of a symmetric b, with half the products. What
 * meets these zeros is finite. */
typedef enum ProductShape { SHAPE_FULL, SHAPE_LOWER, SHAPE_FOLDED } ProductShape;

/* c[m][n] = a[m][k] b[k][n] alpha + c beta; transposed: b is stored as [n][k]. The law:
 *     c = beta == 0 ? 0 : c * beta, then for each k in its order: c = c + a * (b * alpha)
 * On the caller's thread. c overlaps neither a nor b. */
typedef struct Product {
    int64_t m, n, k;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    bool b_transposed;
    ProductShape shape;
    float *c;
    int64_t ldc;
    float alpha, beta;
} Product;
void matrix_multiply(const Product *p);

/* The same in float64. */
typedef struct WideProduct {
    int64_t m, n, k;
    const double *a;
    int64_t lda;
    const double *b;
    int64_t ldb;
    bool b_transposed;
    ProductShape shape;
    double *c;
    int64_t ldc;
    double alpha, beta;
} WideProduct;

/* The lower triangle of a symmetric positive definite a[n][n] becomes L, a = L L^T; what is above
 * the diagonal stays. The law:
 *     l[i][j] = (a[i][j] - l[i][0] * l[j][0] - l[i][1] * l[j][1] ...) / l[j][j]
 *     l[j][j] = sqrt(a[j][j] - l[j][0] * l[j][0] - ...)
 * *positive is false if a is not (numerically) positive definite; a is spoilt then. False if the
 * Spread failed. */
bool matrix_cholesky(double *a, int64_t n, bool *positive, const Spread *spread);

/* The lower triangle L of a[n][n], whose diagonal has no 0, becomes X = L^-1. The law:
 *     x[i][j] = (0 - l[i][j] * x[j][j] - l[i][j+1] * x[j+1][j] ...) / l[i][i]
 *     x[j][j] = 1 / l[j][j]
 * The arena lends a block of rows. False if the Spread failed. */
bool matrix_invert_lower(double *a, int64_t n, Arena *arena, const Spread *spread);

#endif
