/* METHOD_MSE in registers: every ratio is tried on weights that are already here. Defined with
 * SEARCH. Errors are integers (k_error), so lanes may add them in any order. */
#ifndef KERNELS_GPU_SEARCH_H
#define KERNELS_GPU_SEARCH_H
#include "kernels/gpu/codes.h"

/* The n weights' errors under one scale. */
K_FN uint64_t errors_of(const float *w, int32_t n, Divisor d, float unit) {
    uint64_t sum = 0u;
    K_UNROLL
    for (int32_t i = 0; i < n; i++) {
        float x = w[i];
        bring_near(&x, 1, d);
        x = divide(x, d);
        uint32_t code = JOIN(ELEMENT, _encode)(ASYMMETRIC ? k_rint(x) + d.z : x);
        sum += k_error(w[i], decode_code(code, d.s, d.z), unit);
    }
    return sum;
}

/* All lanes: the sum over `lanes` neighbouring lanes, a power of two. */
K_FN uint64_t sum_lanes(uint64_t v, uint32_t lanes) {
    K_UNROLL
    for (uint32_t mask = 1u; mask < lanes; mask *= 2u) {
        uint64_t other = k_xor((uint32_t)(v >> 32), mask);
        v += other << 32 | k_xor((uint32_t)v, mask);
    }
    return v;
}

/* Which ratio a running search keeps: the first of least error. */
typedef struct Found {
    uint64_t least;
    int32_t ratio;
} Found;

K_FN void consider(Found *found, uint64_t errors, int32_t ratio) {
    if (errors < found->least) {
        found->least = errors;
        found->ratio = ratio;
    }
}
#endif
