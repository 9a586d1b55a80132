/* See data_random.h. */
#include "runtime/calib/data_random.h"
#include <math.h>
#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
enum { ROUNDS = 8 };

uint64_t data_random_mix(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t data_random_bits(uint64_t seed, uint64_t stream, uint64_t index) {
    return data_random_mix(data_random_mix(seed + (stream + 1) * GOLDEN) + (index + 1) * GOLDEN);
}

/* The high 64 bits of the product of 64-bit numbers. */
uint64_t data_random_below(uint64_t bits, uint64_t limit) {
    const uint64_t a = bits >> 32, b = bits & UINT32_MAX, c = limit >> 32, d = limit & UINT32_MAX;
    const uint64_t low = b * d, middle = a * d + (low >> 32), other = b * c + (middle & UINT32_MAX);
    return a * c + (middle >> 32) + (other >> 32);
}

/* Natural logarithm of a normal positive double: x = 2^e * m, m in [sqrt(1/2), sqrt(2)), and
 * log m = 2 artanh((m - 1) / (m + 1)), whose series is cut below 2^-55. */
static double logarithm(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int e = (int)(bits >> 52) - 1023;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    const double z = (m - 1) / (m + 1), square = z * z;
    double sum = 0;
    for (int k = 23; k >= 1; k -= 2) {
        sum = sum * square + 1.0 / k;
    }
    return e * 0.69314718055994531 + 2 * z * sum;
}

/* Below the quantile `tail`, mirrored above 1 - tail. */
static double normal_tail(double p) {
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    const double q = sqrt(-2 * logarithm(p)); /* IEEE: correctly rounded everywhere */
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
}

double data_random_normal(uint64_t bits) {
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01};
    static const double tail = 0.02425;
    const double p = ((double)(bits >> 11) + 0.5) / 9007199254740992.0;
    if (p < tail) {
        return normal_tail(p);
    }
    if (p > 1 - tail) {
        return -normal_tail(1 - p);
    }
    const double q = p - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

uint64_t data_random_place(uint64_t seed, uint64_t count, uint64_t index) {
    int half = 1;
    while (half < 32 && UINT64_C(1) << 2 * half < count) {
        half++;
    }
    const uint64_t mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = index >> half, right = index & mask;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            const uint64_t next = left ^ (data_random_bits(seed, round, right) & mask);
            left = right;
            right = next;
        }
        index = left << half | right;
    } while (index >= count);
    return index;
}
