/* Products and factorizations of matrices, by OpenBLAS (its serial build: see the .c). Matrices are
 * row-major; ld is the distance of rows in elements. Every call runs on the caller's thread, one at
 * a time, and may be made from several threads at once. Results have the same bits for any number
 * of threads on one machine; another processor may have other kernels, which sum in another order.
 */
#ifndef RUNTIME_CALIB_LINEAR_ALGEBRA_H
#define RUNTIME_CALIB_LINEAR_ALGEBRA_H
#include <stdbool.h>
#include <stdint.h>

/* One dimension of a matrix is at most this: OpenBLAS counts in int. */
#define LINEAR_ALGEBRA_MAX INT64_C(1000000)

/* c[m][n] = alpha * a[m][k] b[k][n] + beta * c; transposed: b is stored as [n][k] */
typedef struct Product {
    int64_t m, n, k;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    bool b_transposed;
    float *c;
    int64_t ldc;
    float alpha, beta;
} Product;
void matrix_multiply(const Product *p);

/* The lower triangle of a symmetric positive definite a[n][n] becomes L, a = L L^T; what is above
 * the diagonal stays. False if a is not (numerically) positive definite; a is spoilt then. */
bool matrix_cholesky(double *a, int64_t n);

/* The lower triangle L of a[n][n] becomes L^-1. False if a diagonal element is 0. */
bool matrix_invert_lower(double *a, int64_t n);

#endif
