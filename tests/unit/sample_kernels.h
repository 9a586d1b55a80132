/* Kernels of every kind over random weights, for tests of what runs kernels. */
#ifndef TESTS_UNIT_SAMPLE_KERNELS_H
#define TESTS_UNIT_SAMPLE_KERNELS_H
#include "kernels/kernels.h"
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_KERNELS = 12 };

/* Sample number i over a [rows, columns] weight; rows is a multiple of 32 when it matters. */
static inline Kernel sample_kernel(int i, int64_t rows, int64_t columns) {
    const KernelView down = {1, rows, columns}, along = {rows, columns, 1};
    Kernel k = {.source = 10, .count = rows * columns, .granule = GRANULE_BLOCK, .view = down,
                .block = 32, .scale_type = 10, .metrics = true};
    const char *name = "int4";
    switch (i) {
    case 0: break;
    case 1: name = "int8"; k.granule = GRANULE_CHANNEL; k.view = (KernelView){rows, columns, 1}; break;
    case 2: name = "e4m3"; k.granule = GRANULE_TENSOR; break;
    case 3: name = "e2m1"; k.block = 16; k.scale_type = 17; break;
    case 4: name = "uint4"; k.view = along; break;
    case 5: name = "int8"; k.prune = PRUNE_RATIO; k.zeros = k.count / 3; k.granule = GRANULE_TENSOR; break;
    case 6: name = NULL; k.prune = PRUNE_NM; k.keep = 2; k.group = 4; k.prune_view = down; break;
    case 7: k.method = METHOD_MSE; k.view = along; break;
    case 8: name = "e2m1"; k.scale_type = 24; break;
    case 9: k.layout = LAYOUT_NBITS; k.source = 1; k.scale_type = 1; break;
    case 10: name = "uint8"; k.granule = GRANULE_TENSOR; k.metrics = false; break;
    default: name = "int4"; k.prune = PRUNE_NM; k.keep = 2; k.group = 4; k.prune_view = down; break;
    }
    k.format = name ? format_find(name, strlen(name)) : NULL;
    return k;
}

/* Finite values of the source type; malloc'ed. */
static inline void *sample_weights(const Kernel *k, unsigned seed) {
    srand(seed);
    if (k->source == 1) {
        float *w = malloc((size_t)k->count * 4 + 1);
        for (int64_t i = 0; i < k->count; i++) {
            w[i] = (float)(rand() % 20001 - 10000) / 3000.0f;
        }
        return w;
    }
    uint16_t *w = malloc((size_t)k->count * 2 + 1);
    for (int64_t i = 0; i < k->count; i++) {
        w[i] = (uint16_t)(rand() & 0xBFFF); /* |w| < 2 */
    }
    return w;
}

#endif
