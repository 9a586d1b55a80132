/* Exact sums to doubles, and chunks to tensors (metrics.h). */
#include "kernels/metrics.h"

void limbs_add(uint64_t limbs[K_LIMBS], float x) {
    uint32_t limb;
    uint64_t low, high;
    k_limb_parts(x, &limb, &low, &high);
    limbs[limb] += low;
    limbs[limb + 1] += high;
}

void limbs_add_bits(uint64_t limbs[K_LIMBS], uint32_t shift, uint64_t bits) {
    const uint32_t limb = shift / 32, up = shift % 32;
    const uint64_t low = (bits & 0xffffffffu) << up, high = (bits >> 32) << up;
    limbs[limb] += low & 0xffffffffu;
    limbs[limb + 1] += (low >> 32) + (high & 0xffffffffu);
    if (high >> 32 > 0) {
        limbs[limb + 2] += high >> 32;
    }
}

/* Carries first, so that only the sum counts, not the parts it came in; then from the small limbs
 * to the large ones. Products are exact, as the units are powers of two. */
static double sum_of(const uint64_t limbs[K_LIMBS]) {
    double sum = 0, unit = 0x1p-149;
    uint64_t carry = 0;
    for (int i = 0; i < K_LIMBS; i++) {
        const uint64_t limb = limbs[i] + carry, kept = i + 1 < K_LIMBS ? limb & 0xffffffffu : limb;
        carry = limb >> 32;
        sum += (double)kept * unit;
        unit *= 0x1p32;
    }
    return sum;
}

void metrics_from_limbs(const uint64_t ww[K_LIMBS], const uint64_t qq[K_LIMBS],
                        const uint64_t ee[K_LIMBS], KernelMetrics *m) {
    m->ww = sum_of(ww);
    m->qq = sum_of(qq);
    m->ee = sum_of(ee);
    m->wq = (m->ww + m->qq - m->ee) / 2;
}

void metrics_from_sums(const StripSums *sums, KernelMetrics *m) {
    metrics_from_limbs(sums->ww, sums->qq, sums->ee, m);
    m->max_error = (double)k_float(sums->max_error);
    m->zeros = sums->zeros;
}

void kernel_metrics_add(KernelMetrics *sum, const KernelMetrics *part) {
    if (part->nonfinite > 0 &&
        (sum->nonfinite == 0 || part->first_nonfinite < sum->first_nonfinite)) {
        sum->first_nonfinite = part->first_nonfinite;
    }
    sum->ww += part->ww;
    sum->wq += part->wq;
    sum->qq += part->qq;
    sum->ee += part->ee;
    sum->max_error = part->max_error > sum->max_error ? part->max_error : sum->max_error;
    sum->zeros += part->zeros;
    sum->count += part->count;
    sum->nonfinite += part->nonfinite;
}
