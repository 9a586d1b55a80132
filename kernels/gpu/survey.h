/* Largest magnitudes, per tensor or per column, for scales that need the whole tensor first.
 * Symmetric formats without pruning by ratio (N:M never takes the largest). The box is one run
 * (columns is 1: GpuArgs.units vectors) or, with COLUMNS, [outer * rows][columns] with a channel a
 * column (GpuArgs.units tiles, one for a block of threads).
 *
 * The text defines SOURCE, THREADS (256), RESIDENT and as wanted COLUMNS. */
#include "kernels/gpu/element.h"

#define LOADS 8 /* of 16 bytes, of a thread, all on their way before the first is used */

#ifdef COLUMNS
#define ACROSS 16
#define TILE_COLUMNS (ACROSS * VECTOR)
#define TILE_ROWS (THREADS / ACROSS * LOADS)

K_KERNEL(ranges) {
    K_SHARED(uint32_t, packed, THREADS * 4);
    const uint32_t across = ((uint32_t)a.columns + TILE_COLUMNS - 1u) / TILE_COLUMNS;
    const uint32_t mine = k_thread() % ACROSS * VECTOR;
    const uint32_t column = k_block() % across * TILE_COLUMNS + mine;
    const uint32_t row = k_block() / across * TILE_ROWS + k_thread() / ACROSS;
    const uint32_t rows = (uint32_t)(a.outer * a.rows);
    uint32_t w[LOADS][4], m[4];
    K_UNROLL
    for (uint32_t i = 0u; i < LOADS; i++) {
        const uint32_t at = row + i * (THREADS / ACROSS);
        w[i][0] = w[i][1] = w[i][2] = w[i][3] = 0u;
        if (at < rows && column < (uint32_t)a.columns) {
            k_load16(a.source + ((int64_t)at * a.columns + column) * ELEMENT_BYTES, w[i]);
        }
    }
    K_UNROLL
    for (uint32_t j = 0u; j < 4u; j++) {
        m[j] = 0u;
        K_UNROLL
        for (uint32_t i = 0u; i < LOADS; i++) {
            m[j] = packed_max(w[i] + j, 1, m[j]);
        }
        packed[k_thread() * 4u + j] = m[j];
    }
    k_sync();
    if (k_thread() < TILE_COLUMNS) { /* this thread's column, over all rows of threads */
        uint32_t most = 0u;
        K_UNROLL
        for (uint32_t i = 0u; i < THREADS / ACROSS; i++) {
            const uint32_t at = i * TILE_COLUMNS + k_thread();
#if HALF
            const uint32_t other = ((const uint16_t *)packed)[at];
#else
            const uint32_t other = packed[at];
#endif
            most = other > most ? other : most;
        }
        const uint32_t channel = k_block() % across * TILE_COLUMNS + k_thread();
        if (channel < (uint32_t)a.columns) {
            k_atomic_max(a.hi + channel, (int32_t)k_bits(packed_value(most)));
        }
    }
}

#else
K_KERNEL(ranges) {
    K_SHARED(uint32_t, parts, THREADS / 32);
    const int64_t first = (int64_t)k_block() * (THREADS * LOADS) + k_thread();
    uint32_t w[LOADS][4], m = 0u;
    K_UNROLL
    for (uint32_t i = 0u; i < LOADS; i++) {
        w[i][0] = w[i][1] = w[i][2] = w[i][3] = 0u;
        if (first + i * THREADS < a.units) {
            k_load16(a.source + (first + i * THREADS) * 16, w[i]);
        }
    }
    K_UNROLL
    for (uint32_t i = 0u; i < LOADS; i++) {
        m = packed_max(w[i], 4, m);
    }
    m = k_warp_max(k_bits(packed_value(m)));
    if (k_thread() % 32u == 0u) {
        parts[k_thread() / 32u] = m;
    }
    k_sync();
    if (k_thread() == 0u) {
        K_UNROLL
        for (uint32_t i = 0u; i < THREADS / 32; i++) {
            m = parts[i] > m ? parts[i] : m;
        }
        k_atomic_max(a.hi, (int32_t)m);
    }
}
#endif
