/* What a chunk reports: weights that are not finite and, with METRICS, the comparison of
 * kernels/compare.h. A block gathers in shared memory and adds to GpuReport once; everything added
 * is an integer, so nothing depends on who comes first. */
#ifndef KERNELS_GPU_REPORT_H
#define KERNELS_GPU_REPORT_H
#include "kernels/gpu/element.h"

/* Looks again, one by one, at `lines` times n weights of the chunk: the first is number `index` of
 * the box and `tensor` of the tensor, lines are apart by as much as their last arguments say. Best
 * called last, when no register is needed any more. */
K_COLD void report_nonfinite(const uint8_t *source, GpuReport *report, int64_t index,
                             int64_t tensor, int32_t n, int32_t lines, int64_t index_step,
                             int64_t tensor_step) {
    K_ROLL
    for (int32_t i = 0; i < n * lines; i++) {
        const int64_t line = i / n, at = i % n;
        if (k_magnitude(element(source, index + line * index_step + at)) >= 0x7f800000u) {
            k_atomic_add(&report->nonfinite, 1u);
            k_atomic_max_u64(&report->not_first, ~(uint64_t)(tensor + line * tensor_step + at));
        }
    }
}

#if METRICS
typedef struct Sums {
    float ww, qq, ee;
} Sums;

/* The first levels of the strip's tree, within a thread: n = 2, 4, 8 or 16 neighbours. w came in,
 * q is stored; zeros and largest error are folded into *zeros and *error. */
K_FN Sums compare(const float *w, const float *q, int32_t n, uint32_t *zeros, uint32_t *error) {
    float ww[16], qq[16], ee[16];
    K_UNROLL
    for (int32_t i = 0; i < n; i++) {
        float e = w[i] - q[i];
        uint32_t m = k_magnitude(e);
        ww[i] = w[i] * w[i];
        qq[i] = q[i] * q[i];
        ee[i] = e * e;
        *zeros += q[i] == 0.0f ? 1u : 0u;
        *error = m > *error ? m : *error;
    }
    K_UNROLL
    for (int32_t half = 1; half < n; half *= 2) {
        K_UNROLL
        for (int32_t i = 0; i < n; i += 2 * half) {
            ww[i] += ww[i + half];
            qq[i] += qq[i + half];
            ee[i] += ee[i + half];
        }
    }
    Sums sums = {ww[0], qq[0], ee[0]};
    return sums;
}

K_FN float add_lane(float x, uint32_t mask) {
    /* the lower lane's value first; addition commutes, so both lanes get the same */
    return x + k_float(k_xor(k_bits(x), mask));
}

/* All lanes: the rest of the tree, over `lanes` neighbouring lanes (a power of two). */
K_FN Sums join_lanes(Sums s, uint32_t lanes) {
    K_UNROLL
    for (uint32_t mask = 1u; mask < lanes; mask *= 2u) {
        s.ww = add_lane(s.ww, mask);
        s.qq = add_lane(s.qq, mask);
        s.ee = add_lane(s.ee, mask);
    }
    return s;
}

/* Strips are added here, one for a block of threads: limb i counts 2^(16 i - 149), since shared
 * memory adds 32 bits at once. A strip adds less than 2^16 to three neighbours; a block has far
 * fewer than 2^16 strips. */
#define SHORT_LIMBS (2 * K_LIMBS)
typedef struct Gathered {
    uint32_t ww[SHORT_LIMBS], qq[SHORT_LIMBS], ee[SHORT_LIMBS], zeros, max_error;
} Gathered;

/* All threads. */
K_FN void gather_begin(Gathered *g) {
    uint32_t *all = (uint32_t *)g;
    for (uint32_t i = k_thread(); i < sizeof(Gathered) / 4u; i += THREADS) {
        all[i] = 0u;
    }
    k_sync();
}
K_FN void add_limbs(uint32_t *limbs, float x) {
    uint32_t limb;
    uint64_t low, high;
    k_limb_parts(x, &limb, &low, &high); /* together 56 bits at most, where limb is even */
    limbs += 2u * limb;
    k_atomic_add_u32(limbs, (uint32_t)low & 0xffffu);
    k_atomic_add_u32(limbs + 1, (uint32_t)low >> 16);
    k_atomic_add_u32(limbs + 2, (uint32_t)high & 0xffffu);
    k_atomic_add_u32(limbs + 3, (uint32_t)high >> 16);
}
K_FN void gather_strip(Gathered *g, Sums s) {
    add_limbs(g->ww, s.ww);
    add_limbs(g->qq, s.qq);
    add_limbs(g->ee, s.ee);
}
/* All threads: what each has counted, and the block's strips, into the report. */
K_FN void gather_end(Gathered *g, uint32_t zeros, uint32_t error, GpuReport *report) {
    error = k_warp_max(error);
    K_UNROLL
    for (uint32_t mask = 1u; mask < 32u; mask *= 2u) {
        zeros += k_xor(zeros, mask);
    }
    if (k_thread() % 32u == 0u) {
        k_atomic_add_u32(&g->zeros, zeros);
        k_atomic_max_u32(&g->max_error, error);
    }
    k_sync();
    const uint32_t *from = (const uint32_t *)g;
    uint64_t *to = (uint64_t *)report;
    for (uint32_t i = k_thread(); i < 3u * K_LIMBS; i += THREADS) {
        const uint64_t sum = from[2u * i] + ((uint64_t)from[2u * i + 1u] << 16); /* below 2^49 */
        if (sum != 0u) {
            k_atomic_add(to + i, sum & 0xffffffffu);
            if (sum >> 32 != 0u) { /* the next limb is of the same sum: the top one stays small */
                k_atomic_add(to + i + 1, sum >> 32);
            }
        }
    }
    if (k_thread() == 0u) {
        k_atomic_add(&report->zeros, g->zeros);
        k_atomic_max_u32(&report->max_error, g->max_error);
    }
}
#endif
#endif
