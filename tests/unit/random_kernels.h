/* Kernels and weights by dice, for tests that compare what runs them: every format, granule, pruning,
 * source, scale type, method and layout, on shapes that fast paths take and on odd ones. */
#ifndef TESTS_UNIT_RANDOM_KERNELS_H
#define TESTS_UNIT_RANDOM_KERNELS_H
#include "kernels/kernels.h"
#include "kernels/scale.h"
#include "kernels/shape.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t dice = 1;
static uint32_t roll(void) {
    uint64_t z = (dice += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}
static uint32_t below(uint32_t n) {
    return roll() % n;
}

/* ---- weights: bell-shaped, with zeros of both signs, ties, tiny and huge values, empty stretches
 */

static float any_weight(void) {
    const float bell = ((float)below(1000) + (float)below(1000) + (float)below(1000) - 1500) / 4e4f;
    switch (below(40)) {
    case 0:
        return 0.0f;
    case 1:
        return -0.0f;
    case 2:
        return 0.0625f;
    case 3:
        return -0.0625f;
    case 4:
        return bell * 1e-4f;
    case 5:
        return bell * 30;
    default:
        return bell;
    }
}

/* malloc'ed; *broken: some are not finite. */
static inline void *random_weights(const Kernel *k, bool *broken) {
    uint8_t *src = malloc((size_t)(k->count * source_size(k->source)) + 1);
    const float unit = below(6) == 0 ? 1e30f : below(6) == 0 ? 1e-36f : 1.0f;
    *broken = below(10) == 0;
    int64_t empty = 0;
    for (int64_t i = 0; i < k->count; i++) {
        empty = empty > 0 ? empty - 1 : below(500) == 0 ? below(300) : 0;
        const float w = *broken && below(1000) == 0 ? below(2) ? INFINITY : NAN
                        : empty > 0                ? 0.0f
                                                   : any_weight() * unit;
        const float a = fabsf(w) > 65504 ? 65504.0f : fabsf(w);
        uint32_t h = isnan(w)         ? 0x7e00u
                     : isinf(w)       ? 0x7c00u
                     : a >= 0x1p-14f ? k_float16_encode(a)
                                     : (uint32_t)(a * 0x1p24f);
        h |= k_bits(w) >> 31 << 15;
        const uint16_t half = (uint16_t)(k->source == 10 ? h : k_bits(w) >> 16);
        const double wide = (double)w * (1 + below(3) * 1e-9);
        const size_t size = (size_t)source_size(k->source);
        memcpy(src + size * (size_t)i,
               k->source == 11  ? (const void *)&wide
               : k->source == 1 ? (const void *)&w
                                : (const void *)&half,
               size);
    }
    return src;
}

static inline const char *describe(const Kernel *k) {
    static char text[512];
    snprintf(text, sizeof text,
             "source %d, prune %d (%d:%d, %lld zeros, [%lld %lld %lld]), %s granule %d [%lld %lld "
             "%lld] block %lld scale %d method %d layout %d metrics %d",
             k->source, k->prune, k->keep, k->group, (long long)k->zeros,
             (long long)k->prune_view.outer, (long long)k->prune_view.axis,
             (long long)k->prune_view.inner, k->format ? k->format->name : "none", k->granule,
             (long long)k->view.outer, (long long)k->view.axis, (long long)k->view.inner,
             (long long)k->block, k->scale_type, k->method, k->layout, k->metrics);
    return text;
}

/* ---- kernels to check */

typedef struct Layer {
    int64_t outer, reduce, inner; /* weights as [outer, reduce, inner] of the reduction axis */
    KernelView channel;           /* as seen from the output channels */
} Layer;

static const Layer layers[] = {
    {1, 256, 192, {256, 192, 1}}, {1, 160, 136, {160, 136, 1}}, /* MatMul [K, N]; with a tail */
    {40, 256, 1, {1, 40, 256}},   {9, 272, 1, {1, 9, 272}},     /* Gemm, transposed [N, K] */
    {12, 32, 9, {1, 12, 288}},    {7, 24, 9, {1, 7, 216}},      /* Conv [O, I, 3, 3] */
    {1, 24, 72, {24, 8, 9}},                                    /* ConvTranspose [I, O, 3, 3] */
    {3, 64, 24, {192, 24, 1}},                                  /* MatMul [B, K, N] */
    {1, 130, 33, {130, 33, 1}},   {31, 75, 1, {1, 31, 75}},     /* odd sizes */
    {1, 5, 1, {1, 1, 5}},         {1, 1, 1, {1, 1, 1}},         /* almost nothing */
    {3, 2048, 1, {1, 3, 2048}},   {2, 3008, 1, {1, 2, 3008}},   /* long rows */
    {19, 576, 1, {1, 19, 576}},                                 /* rows for warps */
};
enum { LAYERS = sizeof layers / sizeof *layers };
static const int scale_types[] = {1, 10, 16, 17, 24};

static inline const Format *format(const char *name) {
    return format_find(name, strlen(name));
}

static Kernel kernel_for(const Layer *l, const Format *f, KernelGranule granule, int64_t block) {
    Kernel k = {.source = 16, .count = l->outer * l->reduce * l->inner, .format = f};
    k.prune_view = (KernelView){l->outer, l->reduce, l->inner};
    k.keep = 2;
    k.group = 4;
    k.zeros = k.count / 2;
    k.granule = granule;
    k.scale_type = 1;
    k.view = granule == GRANULE_TENSOR    ? (KernelView){1, 1, k.count}
             : granule == GRANULE_CHANNEL ? l->channel
                                          : k.prune_view;
    k.block = granule == GRANULE_BLOCK ? block : 0;
    return k;
}

static void vary(Kernel *k) {
    static const int sources[] = {1, 10, 16, 11};
    static const int groups[][2] = {{2, 4}, {1, 4}, {4, 8}, {1, 2}, {2, 3}, {5, 16}};
    static const int64_t blocks[] = {16, 32, 64, 128, 256, 512, 1000, 24, 7};
    const int g = (int)below(6), p = (int)below(5);
    k->source = sources[below(4)];
    k->prune = p == 0 ? PRUNE_RATIO : p == 1 ? PRUNE_NM : PRUNE_NONE;
    k->keep = groups[g][0];
    k->group = groups[g][1];
    k->zeros = (int64_t)below((uint32_t)k->count + 1);
    k->scale_type = scale_types[below(5)];
    k->method = below(5) == 0 ? METHOD_MSE : METHOD_MAX;
    k->metrics = below(2) == 0;
    if (k->granule == GRANULE_BLOCK) {
        k->block = blocks[below(9)];
    }
}

static bool fits_nbits(const Kernel *k) {
    return k->format && k->format->integer && k->granule == GRANULE_BLOCK && k->block % 16 == 0 &&
           (k->view.outer == 1 || k->view.inner == 1) && k->scale_type != 17;
}

static inline Kernel random_kernel(void) {
    const Format *f = &formats[below((uint32_t)format_count)];
    Kernel k = kernel_for(&layers[below(LAYERS)], f->scale_only ? NULL : f,
                          (KernelGranule)below(3), 16);
    vary(&k);
    if (k.format == NULL && k.prune == PRUNE_NONE) {
        k.prune = PRUNE_NM;
    }
    k.layout = fits_nbits(&k) && below(2) ? LAYOUT_NBITS : LAYOUT_ONNX;
    return k;
}
#endif
