/* x^p for scales of channels, with the same bits on every machine: libm's pow differs between
 * versions and processors, and these scales become bytes of the output. */
#ifndef RUNTIME_CALIB_POWER_H
#define RUNTIME_CALIB_POWER_H

/* x > 0, finite and normal, |p| <= 16: within 1e-13 of the true value, relatively. x^0 is 1. */
double power_of(double x, double p);

#endif
