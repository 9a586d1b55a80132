/* N:M pruning of weights that lie in registers: of each GROUP the KEEP largest magnitudes stay, of
 * equals the one with the lower index; the others become +0. Missing weights of a last, short group
 * are given as 0: they beat nobody. */
#ifndef KERNELS_GPU_PRUNE_H
#define KERNELS_GPU_PRUNE_H
#include "kernels/gpu/element.h"

#ifdef GROUP
/* Two weights of 16 bits in each of four words, pruned 2:4 across the words where they stand. */
#define PAIRS (SOURCE != K_FLOAT && GROUP == 4 && KEEP == 2)
#if PAIRS
/* The top bit of each half: (magnitude + top) - other magnitude keeps it if ours is not smaller. */
K_FN uint32_t not_smaller(uint32_t a, uint32_t b) {
    return (a | 0x80008000u) - (b & 0x7fff7fffu);
}
K_FN uint32_t majority(uint32_t a, uint32_t b, uint32_t c) {
    return (a & b) | (a & c) | (b & c);
}
/* All bits of each half where its top bit is set. */
K_FN uint32_t whole_halves(uint32_t tops) {
    return k_bytes(tops, tops, 0xbb99u);
}
/* A weight stays when it wins at least two of its three comparisons. */
K_FN void prune_pairs(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d) {
    uint32_t ab = not_smaller(*a, *b), ac = not_smaller(*a, *c), ad = not_smaller(*a, *d);
    uint32_t bc = not_smaller(*b, *c), bd = not_smaller(*b, *d), cd = not_smaller(*c, *d);
    *a &= whole_halves(majority(ab, ac, ad));
    *b &= whole_halves(majority(~ab, bc, bd));
    *c &= whole_halves(majority(~ac, ~bc, cd));
    *d &= whole_halves(majority(~ad, ~bd, ~cd));
}
#endif

#if GROUP == 4 && KEEP == 2
/* A weight goes when it loses at least two of its three comparisons. */
K_FN bool two_of(bool a, bool b, bool c) {
    return (a && b) || (a && c) || (b && c);
}
K_FN void prune_group(float *x, int32_t stride) {
    uint32_t a = k_magnitude(x[0]), b = k_magnitude(x[stride]);
    uint32_t c = k_magnitude(x[2 * stride]), d = k_magnitude(x[3 * stride]);
    bool ab = a >= b, ac = a >= c, ad = a >= d, bc = b >= c, bd = b >= d, cd = c >= d;
    x[0] = two_of(!ab, !ac, !ad) ? 0.0f : x[0];
    x[stride] = two_of(ab, !bc, !bd) ? 0.0f : x[stride];
    x[2 * stride] = two_of(ac, bc, !cd) ? 0.0f : x[2 * stride];
    x[3 * stride] = two_of(ad, bd, cd) ? 0.0f : x[3 * stride];
}
#else
K_FN void prune_group(float *x, int32_t stride) {
    bool goes[GROUP];
    K_UNROLL
    for (int32_t i = 0; i < GROUP; i++) {
        uint32_t mine = k_magnitude(x[i * stride]);
        int32_t larger = 0;
        K_UNROLL
        for (int32_t j = 0; j < GROUP; j++) {
            uint32_t other = k_magnitude(x[j * stride]);
            larger += j != i && (j < i ? other >= mine : other > mine) ? 1 : 0;
        }
        goes[i] = larger >= KEEP;
    }
    K_UNROLL
    for (int32_t i = 0; i < GROUP; i++) {
        x[i * stride] = goes[i] ? 0.0f : x[i * stride];
    }
}
#endif

/* n weights that are neighbours, whole groups, out of the words that hold them. */
K_FN void unpack_pruned(const uint32_t *w, int32_t n, float *x) {
#if PAIRS
    K_UNROLL
    for (int32_t i = 0; i < n; i += 8) { /* two groups side by side, one in each half */
        const uint32_t *v = w + i / 2;
        uint32_t q[4];
        q[0] = k_bytes(v[0], v[2], 0x5410u);
        q[1] = k_bytes(v[0], v[2], 0x7632u);
        q[2] = k_bytes(v[1], v[3], 0x5410u);
        q[3] = k_bytes(v[1], v[3], 0x7632u);
        prune_pairs(&q[0], &q[1], &q[2], &q[3]);
        K_UNROLL
        for (int32_t j = 0; j < 4; j++) {
            x[i + j] = half_decode(q[j] & 0xffffu);
            x[i + 4 + j] = high_half_decode(q[j]);
        }
    }
#else
    unpack(w, n, x);
    K_UNROLL
    for (int32_t i = 0; i < n; i += GROUP) {
        prune_group(x + i, 1);
    }
#endif
}
#else
K_FN void unpack_pruned(const uint32_t *w, int32_t n, float *x) {
    unpack(w, n, x);
}
#endif
#endif
