/* products: what the matrix products and factors of runtime/calib/linear_algebra.h reach on one
 * thread, for each variant that this processor has: GFLOP/s, best of several. The shapes are those
 * of calibration: strips of 32 rows of a weight times a Gram matrix, whole and folded (which counts
 * as much and does half), a larger product, and the factors of gptq. */
#include "runtime/calib/product_lanes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of this thread: others may use the machine. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *numbers(int64_t n) {
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++) {
        x[i] = (float)(i * 7919 % 1000) / 500.0f - 1.0f;
    }
    return x;
}

static double rate(const ProductLanes *lanes, int64_t m, int64_t n, ProductShape shape) {
    float *a = numbers(m * n), *b = numbers(n * n), *c = numbers(m * n);
    const Product p = {.m = m,
                       .n = n,
                       .k = n,
                       .a = a,
                       .lda = n,
                       .b = b,
                       .ldb = n,
                       .shape = shape,
                       .c = c,
                       .ldc = n,
                       .alpha = 1};
    const double work = 2e-9 * (double)m * (double)n * (double)n;
    double best = 0;
    for (int round = 0; a && b && c && round < 5; round++) {
        int calls = 0;
        const double start = now();
        double took = 0;
        for (; took < 0.05; took = now() - start, calls++) {
            lanes->multiply(&p);
        }
        best = work * calls / took > best ? work * calls / took : best;
    }
    free(a);
    free(b);
    free(c);
    return best;
}

static void print_factors(int64_t n) {
    double *a = calloc((size_t)(n * n), sizeof *a);
    if (!a) {
        return;
    }
    for (int64_t i = 0; i < n * n; i++) {
        a[i] = (double)(i * 7919 % 1000) / 1000 + (i % (n + 1) == 0 ? (double)n : 0);
    }
    Arena *arena = arena_open();
    const double work = 1e-9 * (double)n * (double)n * (double)n / 3;
    bool positive;
    const double start = now();
    matrix_cholesky(a, n, &positive, NULL);
    const double middle = now();
    matrix_invert_lower(a, n, arena, NULL);
    const double end = now();
    printf("factor and inverse, %4lld  %6.1f  %6.1f\n", (long long)n, work / (middle - start),
           work / (end - middle));
    arena_close(arena);
    free(a);
}

int main(void) {
    static const int64_t sizes[][2] = {{32, 256},  {32, 768},   {32, 2048},
                                       {32, 4096}, {128, 1024}, {1024, 1024}};
    printf("GFLOP/s             ");
    for (int v = 0; v < product_lanes_count; v++) {
        printf("%8s  folded", product_lanes_all[v]->name);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        printf("\n%4lld x %4lld x %4lld  ", (long long)sizes[i][0], (long long)sizes[i][1],
               (long long)sizes[i][1]);
        for (int v = 0; v < product_lanes_count; v++) {
            const ProductLanes *lanes = product_lanes_all[v];
            if (!lanes->usable()) {
                printf("%8s %7s", "-", "-");
                continue;
            }
            printf("%8.1f %7.1f", rate(lanes, sizes[i][0], sizes[i][1], SHAPE_FULL),
                   rate(lanes, sizes[i][0], sizes[i][1], SHAPE_FOLDED));
            fflush(stdout);
        }
    }
    printf("\n");
    print_factors(1024);
    print_factors(4096);
    return 0;
}
