/* Factors and inverses against the law of the header, bit for bit, and against what they are for.
 */
#include "unit.h"
#include "random_layer.h"
#include "stat_law.h"
#include "runtime/calib/linear_algebra.h"

enum { MOST = 300 };

static void products_take_the_best_variant(void **state) {
    (void)state;
    float a[5 * 8], b[8 * 9], c[5 * 9];
    for (int i = 0; i < 72; i++) {
        a[i % 40] = (float)below(9) - 4;
        b[i] = (float)below(9) - 4;
        c[i % 45] = 1;
    }
    matrix_multiply(&(Product){.m = 5,
                               .n = 9,
                               .k = 8,
                               .a = a,
                               .lda = 8,
                               .b = b,
                               .ldb = 9,
                               .c = c,
                               .ldc = 9,
                               .alpha = 2,
                               .beta = 3});
    for (int i = 0; i < 45; i++) {
        float sum = 0;
        for (int j = 0; j < 8; j++) {
            sum += a[i / 9 * 8 + j] * b[j * 9 + i % 9];
        }
        assert_true(c[i] == 2 * sum + 3); /* small integers: exact */
    }
}

/* A matrix with a factor; what is above the diagonal must neither be read nor written. */
static void fill(double *a, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            a[i * n + j] = j > i ? (double)NAN : (double)below(1 << 20) * 0x1p-20;
        }
        a[i * n + i] += (double)n;
    }
}

static void law_of_cholesky(double *a, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (int64_t m = 0; m < j; m++) {
                sum -= a[i * n + m] * a[j * n + m];
            }
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    }
}

static void law_of_inverse(const double *l, double *x, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        x[j * n + j] = 1 / l[j * n + j];
        for (int64_t i = j + 1; i < n; i++) {
            double sum = 0;
            for (int64_t m = j; m < i; m++) {
                sum -= l[i * n + m] * x[m * n + j];
            }
            x[i * n + j] = sum / l[i * n + i];
        }
    }
}

static void check_factor(int64_t n, const Spread *spread) {
    static double first[MOST * MOST], a[MOST * MOST], l[MOST * MOST], x[MOST * MOST];
    const size_t size = (size_t)(n * n) * sizeof *a;
    Arena *arena = arena_open();
    fill(first, n);
    memcpy(a, first, size);
    memcpy(l, first, size);
    bool positive = false;
    assert_true(matrix_cholesky(a, n, &positive, spread) && positive);
    law_of_cholesky(l, n);
    assert_memory_equal(a, l, size);
    memcpy(x, l, size);
    assert_true(matrix_invert_lower(a, n, arena, spread));
    law_of_inverse(l, x, n);
    assert_memory_equal(a, x, size);
    arena_close(arena);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double square = 0, one = 0;
            for (int64_t m = 0; m <= j; m++) {
                square += l[i * n + m] * l[j * n + m];
            }
            for (int64_t m = j; m <= i; m++) {
                one += l[i * n + m] * x[m * n + j];
            }
            assert_true(fabs(square - first[i * n + j]) < 1e-9);
            assert_true(fabs(one - (i == j)) < 1e-12);
        }
    }
}

static void factors_have_the_bits_of_the_law(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 2, 63, 64, 65, 128, 193, MOST};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_factor(sizes[i], NULL);
        check_factor(sizes[i], &law_spread);
    }
}

static void what_has_no_factor_says_so(void **state) {
    (void)state;
    static double late[MOST * MOST];
    double indefinite[4] = {1, 2, 2, 1}, nan[1] = {(double)NAN};
    bool positive = true;
    assert_true(matrix_cholesky(indefinite, 2, &positive, NULL));
    assert_false(positive);
    assert_true(matrix_cholesky(nan, 1, &positive, NULL));
    assert_false(positive);
    fill(late, MOST);
    late[MOST * MOST - 1] = -1;
    assert_true(matrix_cholesky(late, MOST, &positive, &law_spread));
    assert_false(positive);
}

static void a_spread_that_fails_is_passed_on(void **state) {
    (void)state;
    static double a[MOST * MOST];
    bool positive;
    Arena *arena = arena_open();
    fill(a, MOST);
    assert_false(matrix_cholesky(a, MOST, &positive, &law_broken));
    fill(a, MOST);
    assert_false(matrix_invert_lower(a, MOST, arena, &law_broken));
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_take_the_best_variant),
                                       cmocka_unit_test(factors_have_the_bits_of_the_law),
                                       cmocka_unit_test(what_has_no_factor_says_so),
                                       cmocka_unit_test(a_spread_that_fails_is_passed_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
