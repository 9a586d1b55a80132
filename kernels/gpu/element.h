/* Weights as GPU kernels read them. The emitted text has defined
 *     SOURCE   K_FLOAT, K_FLOAT16 or K_BFLOAT16 (doubles are rounded to float32 on their way in)
 * VECTOR weights are a load of 16 bytes. */
#ifndef KERNELS_GPU_ELEMENT_H
#define KERNELS_GPU_ELEMENT_H
#include "kernels/gpu/threads.h"
#include "kernels/scale.h"

#define HALF (SOURCE != K_FLOAT)
#define VECTOR (HALF ? 8 : 4)
#define ELEMENT_BYTES (HALF ? 2 : 4)

/* The low 16 bits of h. */
K_FN float half_decode(uint32_t h) {
#if SOURCE == K_BFLOAT16
    return k_float(h << 16);
#elif defined __CUDACC_RTC__
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"((uint16_t)h));
    return x;
#else
    return k_float16_decode(h & 0xffffu);
#endif
}
K_FN float high_half_decode(uint32_t word) {
#if SOURCE == K_BFLOAT16
    return k_float(word & 0xffff0000u);
#else
    return half_decode(word >> 16);
#endif
}

/* Weight `i` of the chunk. */
K_FN float element(const uint8_t *source, int64_t i) {
#if HALF
    return half_decode(((const uint16_t *)source)[i]);
#else
    return ((const float *)source)[i];
#endif
}

/* n weights out of the words that hold them; n is a constant. */
K_FN void unpack(const uint32_t *w, int32_t n, float *x) {
    K_UNROLL
    for (int32_t i = 0; i < n; i++) {
#if HALF
        x[i] = (i & 1) != 0 ? high_half_decode(w[i / 2]) : half_decode(w[i / 2] & 0xffffu);
#else
        x[i] = k_float(w[i]);
#endif
    }
}

/* Magnitudes while they are still packed: as integers they order like the weights, two at a time in
 * 16-bit sources. What is not finite comes out on top. */
K_FN uint32_t packed_max(const uint32_t *w, int32_t words, uint32_t m) {
    K_UNROLL
    for (int32_t i = 0; i < words; i++) {
#if HALF
        m = k_max_halves(m, w[i] & 0x7fff7fffu);
#else
        uint32_t other = w[i] & 0x7fffffffu;
        m = other > m ? other : m;
#endif
    }
    return m;
}
K_FN uint32_t packed_max_of(uint32_t a, uint32_t b) {
#if HALF
    return k_max_halves(a, b);
#else
    return a > b ? a : b;
#endif
}
/* The magnitude that came out of all that. */
K_FN float packed_value(uint32_t m) {
#if HALF
    uint32_t low = m & 0xffffu, high = m >> 16;
    return half_decode(low > high ? low : high);
#else
    return k_float(m);
#endif
}
K_FN bool packed_finite(uint32_t m) {
#if SOURCE == K_BFLOAT16
    return (m & 0xffffu) < 0x7f80u && (m >> 16) < 0x7f80u;
#elif SOURCE == K_FLOAT16
    return (m & 0xffffu) < 0x7c00u && (m >> 16) < 0x7c00u;
#else
    return m < 0x7f800000u;
#endif
}
#endif
