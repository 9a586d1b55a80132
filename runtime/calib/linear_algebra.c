/* The one file that knows OpenBLAS. Debian has three builds of it under one name; CMakeLists.txt
 * links the serial one by its path, since the others start threads as they are loaded: before
 * morc forks its child (docs/decisions/005), and beside the threads that morc runs itself. That
 * build is not safe to call from several threads, spin locks or not: 8 of them got one wrong
 * product in 72,000 (0.3.21), so one call runs at a time. Its LAPACK calls are Fortran's, declared
 * here: LAPACKE would only copy matrices to turn them. */
#include "runtime/calib/linear_algebra.h"
#include <assert.h>
#include <cblas.h>
#include <pthread.h>

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
extern void dtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *lda,
                    int *info);

/* Of the process, as the library's buffers are. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

static int narrow(int64_t n) {
    assert(n >= 0 && n <= INT32_MAX);
    return (int)n;
}

void matrix_multiply(const Product *p) {
    if (p->m == 0 || p->n == 0) {
        return;
    }
    pthread_mutex_lock(&library);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, p->b_transposed ? CblasTrans : CblasNoTrans,
                narrow(p->m), narrow(p->n), narrow(p->k), p->alpha, p->a, narrow(p->lda), p->b,
                narrow(p->ldb), p->beta, p->c, narrow(p->ldc));
    pthread_mutex_unlock(&library);
}

/* Fortran's matrices lie by columns: our lower triangle is its upper one. */
bool matrix_cholesky(double *a, int64_t n) {
    const int order = narrow(n);
    int info = 0;
    pthread_mutex_lock(&library);
    dpotrf_("U", &order, a, &order, &info);
    pthread_mutex_unlock(&library);
    return info == 0;
}

bool matrix_invert_lower(double *a, int64_t n) {
    const int order = narrow(n);
    int info = 0;
    pthread_mutex_lock(&library);
    dtrtri_("U", "N", &order, a, &order, &info);
    pthread_mutex_unlock(&library);
    return info == 0;
}
