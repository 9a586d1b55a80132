/* k_quotient against true division: every float16 and bfloat16 significand against every float32
 * one; float32 pairs, quotients at both ends of the range, and tiny ones, at random. Powers of two
 * change no significand as long as nothing leaves the range, which k_divides and the last two tests
 * are about. Compiled with -O3 and without sanitizers, whatever the preset; builds without
 * optimization sample. Processors without FMA never run k_quotient in a loop. */
#include "kernels/dialect.h"
#include "kernels/kernels.h"
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#ifdef __OPTIMIZE__
enum { STRIDE = 1 };
#else
enum { STRIDE = 61 };
#endif
enum { BLOCK = 4096 };

#ifdef __x86_64__
#define WITH_FMA __attribute__((target("avx2,fma")))
static bool has_fma(void) {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
}
#else
#define WITH_FMA
static bool has_fma(void) {
    return true; /* or libm's, which is slow and right */
}
#endif

static bool skipped(const char *name) {
    if (!has_fma()) {
        print_message("skip %s: no FMA\n", name);
    }
    return !has_fma();
}

/* ---- all pairs */

typedef struct Share {
    uint32_t part, parts;
    int bits; /* of the weight's significand, the leading one not counted */
    int64_t bad, seen;
} Share;

WITH_FMA static void *pairs(void *argument) {
    Share *const share = argument;
    for (uint32_t m = share->part * BLOCK; m < 1u << 23; m += share->parts * BLOCK * STRIDE) {
        float s[BLOCK], r[BLOCK];
        for (uint32_t i = 0; i < BLOCK; i++) {
            s[i] = k_float(0x3f800000u + m + i);
            r[i] = 1.0f / s[i];
        }
        for (uint32_t top = 0; top < 1u << share->bits; top++) {
            const float w = k_float(0x3f800000u + (top << (23 - share->bits)));
            int32_t bad = 0;
            for (uint32_t i = 0; i < BLOCK; i++) {
                bad += k_quotient(w, s[i], r[i]) != w / s[i];
            }
            share->bad += bad;
            share->seen += BLOCK;
        }
    }
    return NULL;
}

static void test_all_pairs(void **state) {
    (void)state;
    static const int bits[] = {7, 10}; /* bfloat16, float16 */
    for (int b = 0; b < 2 && !skipped("all pairs"); b++) {
        Share share[2] = {{0, 2, bits[b], 0, 0}, {1, 2, bits[b], 0, 0}};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, pairs, &share[0]), 0);
        pairs(&share[1]);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(share[0].bad + share[1].bad, 0);
        print_message("%lld pairs of significands of %d and 23 bits%s\n",
                      (long long)(share[0].seen + share[1].seen), bits[b],
                      STRIDE > 1 ? " (sampled: this build is not optimized)" : "");
    }
}

/* ---- at random */

static uint64_t seed = 1;
static uint32_t roll(void) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}
/* A float of either sign whose exponent is in [low, high]. */
static float any(int low, int high) {
    const uint32_t exponent = (uint32_t)(127 + low) + roll() % (uint32_t)(high - low + 1);
    return k_float((roll() & 0x807fffffu) | exponent << 23);
}
static float any_divisor(void) {
    return roll() % 16 == 0 ? k_float((uint32_t)(127 - 80 + (int)(roll() % 161)) << 23)
                            : k_abs(any(-80, 79));
}

WITH_FMA static bool same_bits(float w, float s) {
    return k_bits(k_quotient(w, s, 1.0f / s)) == k_bits(w / s);
}

/* Weights of any size whose quotient is 2^-18 or more and no overflow. */
static void test_random_pairs(void **state) {
    (void)state;
    int64_t seen = 0;
    for (int64_t i = 0; i < (1 << 26) / STRIDE && !skipped("random pairs"); i++) {
        const float s = any_divisor(), w = any(-98, 126), q = w / s;
        if (k_abs(q) >= 0x1p-18f && k_abs(q) < 0x1p127f) {
            seen++;
            if (!same_bits(w, s)) {
                fail_msg("%a / %a", (double)w, (double)s);
            }
        }
    }
    print_message("%lld random pairs\n", (long long)seen);
}

static void test_ends(void **state) {
    (void)state;
    assert_true(k_divides(0x1p-80f) && k_divides(0x1p80f) && k_divides(1.0f));
    assert_false(k_divides(0x1.fffffep-81f) || k_divides(0x1.000002p80f) || k_divides(0.0f));
    assert_false(k_divides(INFINITY) || k_divides(NAN) || k_divides(-1.0f));
    for (int i = 0; i < 1 << 20 && !skipped("ends"); i++) {
        const float s = roll() % 2 ? 0x1p-80f : 0x1p80f;
        const float near = k_float(k_bits(s) + (s < 1 ? roll() % 1024 : 0u - roll() % 1024));
        const float least = near * k_abs(any(-18, -17)), most = near * k_abs(any(0, 20));
        assert_true(k_divides(near));
        assert_true(same_bits(least, near) || k_abs(least / near) < 0x1p-18f);
        assert_true(same_bits(-most, near));
    }
    assert_true(skipped("ends") || (same_bits(0.0f, 0x1p-80f) && same_bits(-0.0f, 0x1p80f)));
}

/* Below 2^-18, down to subnormal weights, no format can tell the two apart. */
WITH_FMA static void test_tiny(void **state) {
    (void)state;
    for (int i = 0; i < (1 << 21) && !skipped("tiny quotients"); i++) {
        const float s = any_divisor();
        const float w = roll() % 4 == 0 ? k_float(roll() & 0x807fffffu) /* subnormal, or 0 */
                                        : any(-126, -19) * (roll() % 2 ? s : 1.0f);
        const float q = w / s, fast = k_quotient(w, s, 1.0f / s);
        if (k_abs(q) >= 0x1p-18f) {
            continue;
        }
        assert_true(k_abs(fast) <= 0x1p-18f && k_bits(fast) >> 31 == k_bits(q) >> 31);
        for (int f = 0; f < format_count; f++) {
            if (!formats[f].scale_only && formats[f].encode(fast) != formats[f].encode(q)) {
                fail_msg("%s of %a / %a", formats[f].name, (double)w, (double)s);
            }
        }
        assert_true(k_rint(fast) == k_rint(q));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pairs),
        cmocka_unit_test(test_random_pairs),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_tiny),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
