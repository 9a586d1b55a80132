/* 2^(p log2 x), each by a series in plain double operations; nothing is contracted
 * (-ffp-contract=off), so the bits are those of the text. */
#include "runtime/calib/power.h"
#include <assert.h>
#include <stdint.h>
#include <string.h>

#define LN_2 0.693147180559945309417232121458

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ln m = 2 atanh((m - 1) / (m + 1)), m in [sqrt(1/2), sqrt 2): |t| < 0.172, so t^24 is 5e-19. */
static double log2_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    double m = from_bits((bits & 0xfffffffffffffu) | UINT64_C(1023) << 52);
    if (m > 1.4142135623730951) {
        m = m * 0.5;
        exponent++;
    }
    const double t = (m - 1) / (m + 1), t2 = t * t;
    double sum = 0;
    for (int i = 23; i >= 1; i -= 2) {
        sum = sum * t2 + 1.0 / i;
    }
    return exponent + 2 * t * sum / LN_2;
}

/* 2^y = 2^n e^(f ln 2), |f| <= 1/2: the term of order 18 is 1e-24. */
static double exp2_of(double y) {
    if (y < -1000 || y > 1000) {
        y = y < 0 ? -1000 : 1000;
    }
    const int n = (int)(y < 0 ? y - 0.5 : y + 0.5);
    const double f = (y - n) * LN_2;
    double sum = 1;
    for (int i = 17; i >= 1; i--) {
        sum = 1 + sum * f / i;
    }
    return sum * from_bits((uint64_t)(n + 1023) << 52);
}

double power_of(double x, double p) {
    assert(x > 0 && p >= -16 && p <= 16);
    return exp2_of(p * log2_of(x));
}
