/* Products and factors against plain loops. */
#include "unit.h"
#include "random_layer.h"
#include "runtime/calib/linear_algebra.h"

enum { N = 37 };

static void products_are_sums(void **state) {
    (void)state;
    float a[5 * 8], b[8 * 9], turned[9 * 8], c[5 * 9], d[5 * 9];
    for (int i = 0; i < 40; i++) {
        a[i] = (float)below(9) - 4;
    }
    for (int i = 0; i < 72; i++) {
        turned[i % 9 * 8 + i / 9] = b[i] = (float)below(9) - 4;
    }
    memset(c, 0, sizeof c);
    memset(d, 0, sizeof d);
    matrix_multiply(&(Product){
        .m = 5, .n = 9, .k = 8, .a = a, .lda = 8, .b = b, .ldb = 9, .c = c, .ldc = 9, .alpha = 2});
    matrix_multiply(&(Product){.m = 5,
                               .n = 9,
                               .k = 8,
                               .a = a,
                               .lda = 8,
                               .b = turned,
                               .ldb = 8,
                               .b_transposed = true,
                               .c = d,
                               .ldc = 9,
                               .alpha = 1,
                               .beta = 1});
    for (int i = 0; i < 45; i++) {
        float sum = 0;
        for (int j = 0; j < 8; j++) {
            sum += a[i / 9 * 8 + j] * b[j * 9 + i % 9];
        }
        assert_true(c[i] == 2 * sum && d[i] == sum); /* small integers: exact */
    }
}

static void factors_multiply_back(void **state) {
    (void)state;
    static double a[N * N], l[N * N], inverse[N * N];
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++) {
            a[i * N + j] = a[j * N + i] = i == j ? 2.0 * N : (double)below(100) / 100;
        }
    }
    memcpy(l, a, sizeof a);
    assert_true(matrix_cholesky(l, N));
    memcpy(inverse, l, sizeof l);
    assert_true(matrix_invert_lower(inverse, N));
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++) {
            double square = 0, one = 0;
            for (int m = 0; m <= j; m++) {
                square += l[i * N + m] * l[j * N + m];
            }
            for (int m = j; m <= i; m++) {
                one += l[i * N + m] * inverse[m * N + j];
            }
            assert_true(fabs(square - a[i * N + j]) < 1e-9);
            assert_true(fabs(one - (i == j)) < 1e-12);
        }
    }
}

static void what_has_no_factor_says_so(void **state) {
    (void)state;
    double indefinite[4] = {1, 2, 2, 1}, singular[4] = {1, 0, 3, 0};
    assert_false(matrix_cholesky(indefinite, 2));
    assert_false(matrix_invert_lower(singular, 2));
}

enum { SIDE = 160, CALLS = 4000 };

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_are_sums),
                                       cmocka_unit_test(factors_multiply_back),
                                       cmocka_unit_test(what_has_no_factor_says_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
