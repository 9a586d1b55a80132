/* Every variant against the law of runtime/calib/linear_algebra.h, bit for bit. */
#include "unit.h"
#include "random_layer.h"
#include "runtime/calib/product_lanes.h"

/* About 1, of both signs, with all bits in use. */
static double number(void) {
    return ((double)below(1 << 20) - (1 << 19)) / (1 << 18) + (double)below(1 << 20) * 0x1p-43;
}

/* Shape, distances and factors of a product of either type. */
typedef struct Case {
    int64_t m, n, k, lda, ldb, ldc;
    bool turned;
    ProductShape shape;
    double alpha, beta;
} Case;

static Case any_case(void) {
    static const double alphas[] = {1, -1, 0.3}, betas[] = {0, 1, 0.7};
    const bool wide = below(2) == 0; /* several panels, or the edge of one */
    Case c = {.m = 1 + below(wide ? 10 : 150), .n = 1 + below(wide ? 300 : 70)};
    c.k = below(wide ? 300 : 150);
    c.turned = below(2) == 0;
    c.shape = (ProductShape)below(3);
    c.lda = c.k + below(3);
    c.ldb = (c.turned ? c.k : c.n) + below(3);
    c.ldc = c.n + below(3);
    c.alpha = alphas[below(3)];
    c.beta = betas[below(3)];
    return c;
}

static int factor(const Case *t, int64_t k, int64_t j) {
    const int below = t->shape == SHAPE_FOLDED ? 0 : 1;
    const int above = t->shape == SHAPE_FOLDED ? 2 : t->shape == SHAPE_LOWER ? 0 : 1;
    return k > j ? below : k < j ? above : 1;
}

/* One test of both types. A zero that is not there by the shape takes part: it changes nothing. */
#define LAW(Real, Type, multiply)                                                                  \
    static void law_of_##multiply(const Type *p, const Case *t) {                                  \
        for (int64_t i = 0; i < p->m; i++) {                                                       \
            for (int64_t j = 0; j < p->n; j++) {                                                   \
                Real *c = &p->c[i * p->ldc + j];                                                   \
                *c = p->beta == 0 ? 0 : *c * p->beta;                                              \
                for (int64_t k = 0; k < p->k; k++) {                                               \
                    const Real b = t->turned ? p->b[j * p->ldb + k] : p->b[k * p->ldb + j];        \
                    const Real scaled = b * (Real)factor(t, k, j) * p->alpha;                      \
                    const Real product = p->a[i * p->lda + k] * scaled;                            \
                    *c = *c + product;                                                             \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void check_##multiply(const ProductLanes *lanes, const Case *t) {                       \
        const int64_t sizes[] = {t->m * t->lda, (t->turned ? t->n : t->k) * t->ldb,                \
                                 t->m * t->ldc};                                                   \
        Real *parts[4];                                                                            \
        for (int i = 0; i < 4; i++) {                                                              \
            parts[i] = calloc((size_t)sizes[i < 3 ? i : 2] + 1, sizeof(Real));                     \
            for (int64_t n = 0; i < 3 && n < sizes[i]; n++) {                                      \
                parts[i][n] = (Real)number();                                                      \
            }                                                                                      \
        }                                                                                          \
        memcpy(parts[3], parts[2], (size_t)sizes[2] * sizeof(Real));                               \
        Type p = {t->m,      t->n,     t->k,     parts[0], t->lda,         parts[1],     t->ldb,   \
                  t->turned, t->shape, parts[2], t->ldc,   (Real)t->alpha, (Real)t->beta};         \
        lanes->multiply(&p);                                                                       \
        p.c = parts[3];                                                                            \
        law_of_##multiply(&p, t);                                                                  \
        assert_memory_equal(parts[2], parts[3], (size_t)sizes[2] * sizeof(Real));                  \
        for (int i = 0; i < 4; i++) {                                                              \
            free(parts[i]);                                                                        \
        }                                                                                          \
    }
LAW(float, Product, multiply)
LAW(double, WideProduct, multiply_wide)

static void products_have_the_bits_of_the_law(void **state) {
    (void)state;
    for (int v = 0; v < product_lanes_count; v++) {
        if (!product_lanes_all[v]->usable()) {
            print_message("skip %s: not on this processor\n", product_lanes_all[v]->name);
            continue;
        }
        for (int i = 0; i < 150; i++) {
            const Case t = any_case();
            check_multiply(product_lanes_all[v], &t);
            check_multiply_wide(product_lanes_all[v], &t);
        }
    }
}

enum { LD = 70, ROWS = 90 };

static void check_solves(const ProductLanes *lanes, int64_t n, int64_t rows) {
    static double l[LD * LD], right[ROWS * LD], left[LD * ROWS], x[ROWS * LD], y[LD * ROWS];
    for (int i = 0; i < LD * LD; i++) {
        l[i] = number() + (i % (LD + 1) == 0 ? 20 : 0);
    }
    for (int i = 0; i < ROWS * LD; i++) {
        x[i] = right[i] = number();
        y[i] = left[i] = number();
    }
    lanes->solve_right(l, LD, n, right, LD, rows);
    lanes->solve_left(l, LD, n, left, ROWS, rows);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j++) {
            for (int64_t m = 0; m < j; m++) {
                x[i * LD + j] -= x[i * LD + m] * l[j * LD + m];
                y[j * ROWS + i] -= l[j * LD + m] * y[m * ROWS + i];
            }
            x[i * LD + j] /= l[j * LD + j];
            y[j * ROWS + i] /= l[j * LD + j];
        }
    }
    assert_memory_equal(x, right, sizeof x);
    assert_memory_equal(y, left, sizeof y);
}

static void solves_have_the_bits_of_the_law(void **state) {
    (void)state;
    for (int v = 0; v < product_lanes_count; v++) {
        for (int i = 0; product_lanes_all[v]->usable() && i < 40; i++) {
            check_solves(product_lanes_all[v], 1 + below(FACTOR_BLOCK), 1 + below(ROWS));
        }
    }
}

static void the_best_is_usable(void **state) {
    (void)state;
    assert_true(product_lanes_best()->usable());
    assert_true(product_lanes_all[0]->usable());
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_have_the_bits_of_the_law),
                                       cmocka_unit_test(solves_have_the_bits_of_the_law),
                                       cmocka_unit_test(the_best_is_usable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
