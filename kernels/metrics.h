/* The sums of kernels/compare.h on their way to KernelMetrics: what the host's loops and a GPU's
 * report have in common, so that both end in the same doubles. Sums are exact integers; only
 * metrics_from_limbs rounds, once per chunk, in one order. */
#ifndef KERNELS_METRICS_H
#define KERNELS_METRICS_H
#include "kernels/compare.h"
#include "kernels/kernels.h"

enum { HELD_STRIPS = 64 }; /* whole vectors; more do not pay */

/* Of any number of strips; starts as zeros. */
typedef struct StripSums {
    uint64_t ww[K_LIMBS], qq[K_LIMBS], ee[K_LIMBS];
    int64_t zeros;      /* q that are 0 */
    uint32_t max_error; /* |w - q|, as the bits of a float */
    /* Sums of four neighbours, ww, qq and ee, of strips that are not in the limbs yet. */
    int64_t held;
    float parts[3][HELD_STRIPS * K_STRIP / 4];
} StripSums;

/* Adds x, or bits * 2^(shift - 149). Limbs that say the same in other ways give the same doubles.
 */
void limbs_add(uint64_t limbs[K_LIMBS], float x);
void limbs_add_bits(uint64_t limbs[K_LIMBS], uint32_t shift, uint64_t bits);

/* Fills in ww, qq, ee and wq. */
void metrics_from_limbs(const uint64_t ww[K_LIMBS], const uint64_t qq[K_LIMBS],
                        const uint64_t ee[K_LIMBS], KernelMetrics *m);
/* And max_error and zeros; nothing may be held. */
void metrics_from_sums(const StripSums *sums, KernelMetrics *m);
#endif
