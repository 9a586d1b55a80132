/* What must hold for every float, asked of the GPU at hand.
 *
 *     codes       ELEMENT's encode of all floats whose bits are first, first + 1, ...: one sum for
 *                 each `rows` of them into errors[], so that a host can compare; and that packed
 *                 encoding gives the same codes for finite ones. units: floats.
 *     reciprocals of all floats first, first + 1, ... in k_divides: reciprocal(s) is 1 / s.
 *     quotients   of significand `first` + block * `run` and all 2^23 divisors in [1, 2):
 *                 k_quotient is w / s. A block of threads does one numerator.
 *
 * Disagreements are counted in GpuReport.nonfinite. The text defines SOURCE (K_FLOAT), ELEMENT,
 * SCALE, THREADS, RESIDENT. */
#include "kernels/gpu/codes.h"

#define RUN 16 /* neighbours of a thread */

K_FN void count_wrong(const GpuArgs *a, uint32_t wrong) {
    if (wrong != 0u) {
        k_atomic_add(&a->report->nonfinite, wrong);
    }
}

/* Of a code and its place: sums of these do not depend on any order. */
K_FN uint64_t proof_mix(uint32_t bits, uint32_t code) {
    uint64_t z = ((uint64_t)bits << 8 | code) * 0x9e3779b97f4a7c15u;
    return (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
}

K_KERNEL(codes) {
    const uint64_t thread = (uint64_t)k_block() * THREADS + k_thread();
    float x[RUN];
    uint32_t packed[WORDS_OF(RUN)], wrong = 0u;
    uint64_t sum = 0u;
    if (thread * RUN >= (uint64_t)a.units) {
        return;
    }
    K_UNROLL
    for (uint32_t i = 0u; i < RUN; i++) {
        x[i] = k_float((uint32_t)a.first + (uint32_t)thread * RUN + i);
    }
    encode_codes(x, RUN, packed);
    K_UNROLL
    for (uint32_t i = 0u; i < RUN; i++) {
        const uint32_t code = JOIN(ELEMENT, _encode)(x[i]);
        const bool finite = k_magnitude(x[i]) < 0x7f800000u;
        wrong += finite && code_at(packed, (int32_t)i) != code ? 1u : 0u;
        sum += proof_mix(k_bits(x[i]), code);
    }
    k_atomic_add(a.errors + thread * RUN / (uint64_t)a.rows, sum);
    count_wrong(&a, wrong);
}

K_KERNEL(reciprocals) {
    const uint64_t thread = (uint64_t)k_block() * THREADS + k_thread();
    const float s = k_float((uint32_t)(a.first + (int64_t)thread));
    if (thread < (uint64_t)a.units && k_divides(s)) {
        count_wrong(&a, k_bits(reciprocal(s)) != k_bits(1.0f / s) ? 1u : 0u);
    }
}

K_KERNEL(quotients) {
    const float w = k_float(0x3f800000u + (uint32_t)a.first + k_block() * (uint32_t)a.run);
    uint32_t wrong = 0u;
    K_ROLL
    for (uint32_t i = k_thread(); i < 1u << 23; i += THREADS) {
        const float s = k_float(0x3f800000u + i);
        wrong += k_bits(k_quotient(w, s, reciprocal(s))) != k_bits(w / s) ? 1u : 0u;
    }
    count_wrong(&a, wrong);
}
