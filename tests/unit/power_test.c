/* Powers against libm, over the exponents that scales of channels have. */
#include "unit.h"
#include "runtime/calib/power.h"
#include <math.h>

static void powers_are_near_libm(void **state) {
    (void)state;
    for (double x = 1e-30; x < 1e30; x *= 1.37) {
        for (double p = -2; p <= 2; p += 0.05) {
            const double found = power_of(x, p), expected = pow(x, p);
            assert_true(fabs(found - expected) <= 1e-13 * expected);
        }
    }
}

static void some_powers_are_exact(void **state) {
    (void)state;
    assert_true(power_of(123.456, 0) == 1);
    assert_true(power_of(1, 0.37) == 1);
    assert_true(power_of(4, 0.5) == 2);
    assert_true(power_of(0x1p-40, 0.25) == 0x1p-10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(powers_are_near_libm),
                                       cmocka_unit_test(some_powers_are_exact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
