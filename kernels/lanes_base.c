/* Lanes for any processor, and the choice between the variants. */
#define LANES lanes_base
#define USABLE() true
#include "kernels/lanes_body.h"

const Lanes *const lanes_all[] = {
    &lanes_base,
#ifdef __x86_64__
    &lanes_avx2,
    &lanes_avx512,
#endif
};
const int lanes_count = sizeof lanes_all / sizeof *lanes_all;

static const Lanes *forced; /* by a test */

void lanes_force(const Lanes *lanes) {
    forced = lanes;
}

const Lanes *lanes_best(void) {
    if (forced != NULL) {
        return forced;
    }
    int i = lanes_count - 1;
    while (!lanes_all[i]->usable()) {
        i--;
    }
    return lanes_all[i];
}

float range_low(Range r) {
    return low_of(true, r.lo);
}
float range_high(Range r) {
    return k_float((uint32_t)r.hi);
}
