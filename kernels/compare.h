/* How what is stored is compared with what came in (KernelMetrics). The law, for host and GPU:
 *
 * The rows of the unit view (Shape.unit: `inner` neighbours, or `axis` where inner is 1) are cut
 * into strips of 64 from their start; what a last strip lacks counts as 0. Of each weight w and its
 * stored value q, e = w - q; the squares w*w, q*q, e*e are rounded to float32 and added within the
 * strip by a fixed tree: neighbours first (bit 0 of the position), then pairs (bit 1), up to the
 * halves (bit 5). Sums of strips are added exactly, as integers, so no order is left to decide.
 *
 * ww, qq and ee are all that is summed: w*q = (ww + qq - ee) / 2. Squares of |w| > 1.8e19 count as
 * 2^128, those of |w| < 1e-19 lose bits: metrics are read by people, codes do not depend on them.
 */
#ifndef KERNELS_COMPARE_H
#define KERNELS_COMPARE_H
#include "kernels/dialect.h"

#define K_STRIP 64
/* One exact sum: limb i counts 2^(32 i - 149). A strip adds less than 2^32 to two neighbouring
 * limbs, so 2^32 strips fit. */
#define K_LIMBS 9

/* limbs[*limb] += *low, limbs[*limb + 1] += *high add x; x >= 0, or infinite or NaN (some value).
 */
K_FN void k_limb_parts(float x, uint32_t *limb, uint64_t *low, uint64_t *high) {
    uint32_t u = k_bits(x) & 0x7fffffffu, exponent = u >> 23;
    uint32_t mantissa = (u & 0x7fffffu) | (exponent > 0u ? 0x800000u : 0u);
    uint32_t shift = exponent > 0u ? exponent - 1u : 0u;
    uint64_t bits = (uint64_t)mantissa << (shift & 31u);
    *limb = shift >> 5;
    *low = bits & 0xffffffffu;
    *high = bits >> 32;
}
#endif
