/* Proves every row of formats.list over all 2^32 floats, without a tolerance:
 *   1. each finite code decodes to a value that encodes to that code again;
 *   2. at the midpoint of two neighbouring values the even code is taken, one float to either side
 *      the nearer one, beyond the ends the last one (saturation);
 *   3. encode is monotone over all finite floats of either sign, and nearest gives what its code
 *      decodes to, the sign of 0 included.
 * Between two midpoints monotony leaves no other choice, so the three say: nearest even,
 * everywhere. e8m0 is proven to round up instead. Builds without optimization sample the sweep of
 * 3; the project's own compile this file with -O3 and without sanitizers, whatever the preset. */
#include "kernels/kernels.h"
#include "kernels/dialect.h"
#include "kernels/formats.list"
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#ifdef __OPTIMIZE__
enum { SWEEP_STRIDE = 1 };
#else
enum { SWEEP_STRIDE = 61 };
#endif
enum { SWEEP_BLOCK = 4096 };

/* ---- the sweep: one function per format, so that encode and decode are inlined and vectorized */

typedef int64_t Sweep(uint32_t first, uint32_t sign); /* floats that break 3 */
#undef FORMAT
#define FORMAT(name, doc)                                                                          \
    static int64_t sweep_##name(uint32_t first, uint32_t sign) {                                   \
        float value[SWEEP_BLOCK + 1];                                                              \
        int bad = 0;                                                                               \
        for (uint32_t i = 0; i <= SWEEP_BLOCK; i++) {                                              \
            const float x = k_float((first + i) | sign);                                           \
            value[i] = name##_decode(name##_encode(x));                                            \
            bad += k_bits(value[i]) != k_bits(name##_nearest(x));                                  \
        }                                                                                          \
        for (uint32_t i = 0; i < SWEEP_BLOCK; i++) {                                               \
            bad += sign ? value[i + 1] > value[i] : value[i + 1] < value[i];                       \
        }                                                                                          \
        return bad;                                                                                \
    }
#include "kernels/formats.list"
#undef FORMAT
#define FORMAT(name, doc) sweep_##name,
static Sweep *const sweeps[] = {
#include "kernels/formats.list"
};

typedef struct Share {
    int format, part;
    int64_t bad, seen;
} Share;

static void *sweep_share(void *argument) {
    Share *share = argument;
    const uint32_t blocks = 0x7f800000u / SWEEP_BLOCK; /* the last value of one is infinity */
    const uint32_t sign = share->part ? 0x80000000u : 0;
    for (uint32_t b = 0; b < blocks; b += SWEEP_STRIDE) {
        share->bad += sweeps[share->format](b * SWEEP_BLOCK, sign);
        share->seen += SWEEP_BLOCK;
    }
    return NULL;
}

static void test_monotony(void **state) {
    (void)state;
    int64_t seen = 0;
    for (int f = 0; f < format_count; f++) {
        Share share[2] = {{f, 0, 0, 0}, {f, 1, 0, 0}};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, sweep_share, &share[0]), 0);
        if (!formats[f].scale_only) { /* it has no sign */
            sweep_share(&share[1]);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (share[0].bad + share[1].bad != 0) {
            fail_msg("%s is not monotone, or nearest differs", formats[f].name);
        }
        seen += share[0].seen + share[1].seen;
    }
    print_message("monotony: %lld floats of %d formats%s\n", (long long)seen, format_count,
                  SWEEP_STRIDE > 1 ? " (sampled: this build is not optimized)" : ", all there are");
}

/* ---- codes and midpoints */

typedef struct Code {
    float value;
    uint32_t code;
} Code;

static int by_value(const void *a, const void *b) {
    const Code *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

/* All finite codes but -0, in the order of their values. */
static int finite_codes(const Format *f, Code *codes) {
    int n = 0;
    for (uint32_t c = 0; c < 1u << f->bits; c++) {
        const float v = f->decode(c);
        if (isfinite(v) && !(v == 0.0f && signbit(v))) {
            codes[n++] = (Code){v, c};
        }
    }
    qsort(codes, (size_t)n, sizeof *codes, by_value);
    return n;
}

static void test_round_trip(void **state) {
    (void)state;
    for (int i = 0; i < format_count; i++) {
        const Format *f = &formats[i];
        float largest = 0;
        for (uint32_t c = 0; c < 1u << f->bits; c++) {
            const float v = f->decode(c);
            if (!isfinite(v)) {
                continue;
            }
            largest = fabsf(v) > largest ? fabsf(v) : largest;
            if (f->encode(v) != c) {
                fail_msg("%s: code %u is %a, which encodes to %u", f->name, c, (double)v,
                         f->encode(v));
            }
        }
        assert_true(largest == f->max_abs);
        assert_ptr_equal(format_find(f->name, strlen(f->name)), f);
        assert_null(format_find(f->name, strlen(f->name) - 1));
    }
    assert_null(format_find("int88", 5));
}

static void expect_code(const Format *f, float x, uint32_t code) {
    if (f->encode(x) != code) {
        fail_msg("%s: %a encodes to %u, not %u", f->name, (double)x, f->encode(x), code);
    }
}

static void test_midpoints(void **state) {
    (void)state;
    Code codes[256];
    int64_t points = 0;
    for (int i = 0; i < format_count; i++) {
        const Format *f = &formats[i];
        if (f->scale_only) {
            continue;
        }
        const int n = finite_codes(f, codes);
        for (int c = 0; c + 1 < n; c++, points++) {
            const Code low = codes[c], high = codes[c + 1];
            const float middle = (low.value + high.value) / 2;
            /* exact, so it is a tie, and its neighbours are strictly nearer to one side */
            assert_true((double)middle == ((double)low.value + (double)high.value) / 2);
            const uint32_t below = f->encode(nextafterf(middle, low.value));
            const uint32_t above = f->encode(nextafterf(middle, high.value));
            const uint32_t tie = f->encode(middle);
            assert_true(f->decode(below) == low.value);
            assert_true(f->decode(above) == high.value);
            assert_true(f->decode(tie) == (low.code % 2 == 0 ? low.value : high.value));
            assert_int_equal(tie % 2, 0);
        }
        expect_code(f, nextafterf(codes[n - 1].value, INFINITY), codes[n - 1].code);
        expect_code(f, nextafterf(codes[0].value, -INFINITY), codes[0].code);
        expect_code(f, 3.4e38f, codes[n - 1].code);
        expect_code(f, -3.4e38f, codes[0].code);
        expect_code(f, INFINITY, codes[n - 1].code);
        expect_code(f, -INFINITY, codes[0].code);
    }
    print_message("midpoints: %lld, each with both neighbours\n", (long long)points);
}

static void test_round_up(void **state) {
    (void)state;
    const Format *f = format_find("e8m0", 4);
    for (uint32_t c = 0; c < 254; c++) {
        expect_code(f, ldexpf(1.0f, (int)c - 127), c);
        expect_code(f, nextafterf(ldexpf(1.0f, (int)c - 127), INFINITY), c + 1);
        assert_true(f->decode(c) == ldexpf(1.0f, (int)c - 127));
    }
    expect_code(f, INFINITY, 254);
    expect_code(f, nextafterf(0.0f, 1.0f), 0);
    assert_true(isnan(f->decode(255)));
}

static void test_special(void **state) {
    (void)state;
    for (int i = 0; i < format_count; i++) {
        const Format *f = &formats[i];
        const uint32_t mask = (uint32_t)((1ull << f->bits) - 1);
        const float odd[] = {NAN,   -NAN,      INFINITY,   -INFINITY,
                             -0.0f, 0x1p-149f, -0x1p-149f, 0x1p-126f};
        for (size_t j = 0; j < sizeof odd / sizeof *odd; j++) {
            assert_true((f->encode(odd[j]) & ~mask) == 0); /* nothing above the code's bits */
        }
        if (!f->scale_only) {
            expect_code(f, 0.0f, 0);
            expect_code(f, -0.0f, f->integer ? 0 : 1u << (f->bits - 1));
            expect_code(f, 0x1p-149f, 0);
            expect_code(f, -0x1p-149f, f->integer ? 0 : 1u << (f->bits - 1));
        }
    }
    assert_true(isnan(format_find("e4m3", 4)->decode(format_find("e4m3", 4)->encode(NAN))));
    assert_true(isnan(format_find("e5m2", 4)->decode(format_find("e5m2", 4)->encode(NAN))));
}

static void test_constants(void **state) {
    (void)state;
    static const struct {
        const char *name;
        float scale_max;
        int bits, onnx, opset;
    } want[] = {
        {"int8", 127, 8, 3, 10},  {"uint8", 255, 8, 2, 10},   {"int4", 7, 4, 22, 21},
        {"uint4", 15, 4, 21, 21}, {"int2", 1, 2, 26, 25},     {"uint2", 3, 2, 25, 25},
        {"e4m3", 448, 8, 17, 19}, {"e5m2", 57344, 8, 19, 19}, {"e2m1", 6, 4, 23, 23},
        {"e3m2", 28, 6, 28, 28},  {"e2m3", 7.5f, 6, 27, 28},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const Format *f = format_find(want[i].name, strlen(want[i].name));
        assert_non_null(f);
        assert_true(f->scale_max == want[i].scale_max);
        assert_int_equal(f->bits, want[i].bits);
        assert_int_equal(f->onnx_type, want[i].onnx);
        assert_int_equal(f->onnx_opset, want[i].opset);
        assert_int_equal(f->asymmetric, want[i].name[0] == 'u');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_midpoints), cmocka_unit_test(test_round_up),
        cmocka_unit_test(test_special),   cmocka_unit_test(test_monotony),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
