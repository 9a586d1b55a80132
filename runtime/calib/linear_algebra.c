/* The one file that knows OpenBLAS. Debian has three builds of it under one name; CMakeLists.txt
 * links the serial one by its path, since the others start threads as they are loaded: before
 * morc forks its child (docs/decisions/005), and beside the threads that morc runs itself. That
 * build is made with USE_LOCKING, so calls from several threads are safe. Its LAPACK calls are
 * Fortran's, declared here: LAPACKE would only copy matrices to turn them. */
#include "runtime/calib/linear_algebra.h"
#include <assert.h>
#include <cblas.h>

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *lda,
                    int *info);

static int narrow(int64_t n) {
    assert(n >= 0 && n <= INT32_MAX);
    return (int)n;
}

void matrix_multiply(const Product *p) {
    if (p->m == 0 || p->n == 0) {
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, p->b_transposed ? CblasTrans : CblasNoTrans,
                narrow(p->m), narrow(p->n), narrow(p->k), p->alpha, p->a, narrow(p->lda), p->b,
                narrow(p->ldb), p->beta, p->c, narrow(p->ldc));
}

/* Fortran's matrices lie by columns: our lower triangle is its upper one. */
bool matrix_cholesky(double *a, int64_t n) {
    const int order = narrow(n);
    int info = 0;
    dpotrf_("U", &order, a, &order, &info);
    return info == 0;
}

bool matrix_invert_lower(double *a, int64_t n) {
    const int order = narrow(n);
    int info = 0;
    dtrtri_("U", "N", &order, a, &order, &info);
    return info == 0;
}
