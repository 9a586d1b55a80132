/* The search of METHOD_MSE: for every format, scale type and instruction set, over runs of many
 * shapes, no bound is above the sum that it stands for (so that nothing is left out which could be
 * the least), and bounds are near enough to leave most ratios out. That the choice is the law's is
 * tested by kernels_test. */
#include "kernels/lanes.h"
#include "kernels/scale.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#ifdef __OPTIMIZE__
enum { LONGEST = 4096, LONG_ROW = 1 << 21 };
#else
enum { LONGEST = 4096, LONG_ROW = 1 << 13 };
#endif

static uint64_t seed = 7;
static float uniform(void) /* -1 to 1; splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (float)(int32_t)(z >> 32) * 0x1p-31f;
}

typedef enum Form {
    BELL,
    EVEN,
    OUTLIER,
    ON_GRID,
    ALIKE,
    SPARSE,
    POSITIVE,
    TINY,
    HUGE_,
    FORMS
} Form;

static void fill(float *w, int64_t n, Form form) {
    for (int64_t i = 0; i < n; i++) {
        const float bell = (uniform() + uniform() + uniform() + uniform()) / 4;
        w[i] = form == EVEN       ? uniform()
               : form == OUTLIER  ? (i == n / 2 ? 100.0f : bell)
               : form == ON_GRID  ? rintf(bell * 7) / 8
               : form == ALIKE    ? 0.375f
               : form == SPARSE   ? (i % 5 ? 0.0f : bell)
               : form == POSITIVE ? fabsf(bell) + 0.25f
               : form == TINY     ? bell * 0x1p-130f
               : form == HUGE_    ? bell * 0x1p126f
                                  : bell;
    }
}

/* As integers that order like floats, for Lanes.tries. */
static int32_t ordered(float x) {
    const int32_t bits = (int32_t)k_bits(x);
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

static int64_t tried, left_out;

static void check(const Lanes *lanes, const Format *f, int type, const float *w, int64_t n,
                  Form form) {
    float lo = 0, hi = 0;
    for (int64_t i = 0; i < n; i++) {
        lo = f->asymmetric ? fminf(lo, w[i]) : 0.0f;
        hi = fmaxf(hi, f->asymmetric ? w[i] : fabsf(w[i]));
    }
    const float super = type == K_E4M3 ? k_scale_super(f->scale_max, hi - lo) : 1.0f;
    const ScaleRule rule = {type, f->scale_max, f->asymmetric, super};
    Tries t;
    double bounds[TRIES];
    uint64_t sums[K_RATIOS] = {0}, least = UINT64_MAX;
    lanes->tries(&rule, ordered(lo), ordered(hi), &t);
    lanes->formats[f - formats].measure(w, n, &t);
    lanes->bounds(&t, n, bounds);
    for (int j = 0; j < K_RATIOS; j++) {
        const bool divides = k_divides(t.s[j]);
        const Divisors d = {&t.s[j], &t.r[j], &t.z[j]};
        (divides ? lanes : &lanes_base)->formats[f - formats].error(w, d, &t.unit, n, n, &sums[j]);
        least = sums[j] < least ? sums[j] : least;
        if (divides && bounds[j] > (double)sums[j]) {
            fail_msg("%s, %s, scale type %d, form %d, %lld weights, ratio %d: bound %.1f, sum %llu",
                     lanes->name, f->name, type, form, (long long)n, j, bounds[j],
                     (unsigned long long)sums[j]);
        }
    }
    for (int j = 0; j < K_RATIOS && form == BELL && type != K_E8M0; j++) {
        tried++;
        left_out += bounds[j] > (double)least;
    }
}

static void test_bounds(void **state) {
    (void)state;
    static const int types[] = {K_FLOAT, K_FLOAT16, K_BFLOAT16, K_E4M3, K_E8M0};
#ifdef __OPTIMIZE__
    static const int64_t lengths[] = {1, 7, 16, 32, 128, 1000, LONGEST};
#else
    static const int64_t lengths[] = {1, 7, 16, 128};
#endif
    static float w[LONGEST];
    for (int form = 0; form < FORMS; form++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            fill(w, lengths[l], (Form)form);
            for (int i = 0; i < format_count * 5; i++) {
                const Format *f = &formats[i / 5];
                for (int v = 0; v < lanes_count && !f->scale_only; v++) {
                    if (lanes_all[v]->usable()) {
                        check(lanes_all[v], f, types[i % 5], w, lengths[l], (Form)form);
                    }
                }
            }
        }
    }
    print_message("%lld of %lld ratios need no sum\n", (long long)left_out, (long long)tried);
    assert_true(left_out * 2 > tried);
}

/* A row can be one block, however long it is. Equal weights are the worst for sums in float32: each
 * is rounded to the same side. */
static void test_long_rows(void **state) {
    (void)state;
    static const char *const names[] = {"int4", "uint8", "e4m3"};
    static const Form forms[] = {ALIKE, EVEN, POSITIVE};
    const int64_t n = LONG_ROW;
    float *const w = malloc((size_t)n * sizeof *w);
    for (int i = 0; i < 9; i++) {
        const Format *const f = format_find(names[i / 3], strlen(names[i / 3]));
        fill(w, n, forms[i % 3]);
        for (int v = 0; v < lanes_count; v++) {
            if (lanes_all[v]->usable()) {
                check(lanes_all[v], f, K_FLOAT, w, n, forms[i % 3]);
            }
        }
    }
    free(w);
}

/* The measure is x^2.4 within 9e-5 for every float: its error repeats when x grows by 2^5, since
 * all its steps then grow by powers of two. */
static void test_power(void **state) {
    (void)state;
    double worst = 0;
#ifdef __OPTIMIZE__
    const uint32_t stride = 17;
#else
    const uint32_t stride = 1009;
#endif
    for (uint32_t u = k_bits(0x1p-5f); u < k_bits(1.0f); u += stride) {
        const double x = (double)k_float(u), want = pow(x, 2.4) * 0x1p31;
        const double error = fabs((double)k_error(k_float(u), 0, 1) - want) - 0.5;
        worst = error / want > worst ? error / want : worst;
    }
    print_message("x^2.4 is off by %.2g at most\n", worst);
    assert_true(worst < 1e-4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
