/* What a GPU has and the dialect lacks: threads, shared memory, shuffles, atomics, wide loads. With
 * NVRTC these are instructions. Otherwise they are functions that the includer supplies: the tests
 * run the very same texts on the host (tests/fake/simt.c), each thread a coroutine. Text that
 * includes this is C11 and CUDA C++ at once; a kernel is
 *
 *     K_KERNEL(name) { ... a.rows ... }       one GpuArgs, `a`, by value
 *
 * and runs in blocks of THREADS threads (a multiple of 32, defined by the emitted text; RESIDENT
 * is how many blocks a multiprocessor should hold at once, where it can hold as many threads). Functions marked "all lanes" must be
 * reached by all 32 lanes of a warp together, k_sync by all threads of the block. */
#ifndef KERNELS_GPU_THREADS_H
#define KERNELS_GPU_THREADS_H
#include "kernels/gpu/args.h"

#ifdef __CUDACC_RTC__
#define K_ARCH __CUDA_ARCH__
/* Threads that a multiprocessor holds (CUDA C++ Programming Guide, "Compute Capabilities"). */
#if K_ARCH == 750
#define K_HOLDS 1024
#elif K_ARCH == 860 || K_ARCH == 870 || K_ARCH == 880 || K_ARCH == 890 || K_ARCH >= 1100
#define K_HOLDS 1536
#else
#define K_HOLDS 2048
#endif
#define K_RESIDENT (RESIDENT * THREADS <= K_HOLDS ? RESIDENT : K_HOLDS / THREADS)
#define K_KERNEL(name)                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS, K_RESIDENT) name(                        \
        const __grid_constant__ GpuArgs a)
#define K_SHARED(type, name, count) __shared__ __align__(16) type name[count]
/* What is rarely called: small beats fast. */
#define K_COLD static __device__ __noinline__
#define K_UNROLL _Pragma("unroll")
#define K_ROLL _Pragma("unroll 1")

K_FN uint32_t k_thread(void) {
    return threadIdx.x;
}
K_FN uint32_t k_block(void) {
    return blockIdx.x;
}
K_FN uint32_t k_blocks(void) {
    return gridDim.x;
}
K_FN void k_sync(void) {
    __syncthreads();
}
/* All lanes: the value of the lane whose number differs in `mask`. */
K_FN uint32_t k_xor(uint32_t v, uint32_t mask) {
    return __shfl_xor_sync(0xffffffffu, v, (int)mask);
}
/* All lanes: the value of lane `lane`. */
K_FN uint32_t k_lane(uint32_t v, uint32_t lane) {
    return __shfl_sync(0xffffffffu, v, (int)lane);
}
/* All lanes: the largest value of the warp. */
K_FN uint32_t k_warp_max(uint32_t v) {
#if K_ARCH >= 800
    return __reduce_max_sync(0xffffffffu, v);
#else
    for (uint32_t m = 16u; m > 0u; m >>= 1) {
        uint32_t other = k_xor(v, m);
        v = other > v ? other : v;
    }
    return v;
#endif
}
K_FN void k_atomic_max(int32_t *p, int32_t v) {
    atomicMax(p, v);
}
K_FN void k_atomic_min(int32_t *p, int32_t v) {
    atomicMin(p, v);
}
K_FN void k_atomic_max_u32(uint32_t *p, uint32_t v) {
    atomicMax(p, v);
}
K_FN void k_atomic_add_u32(uint32_t *p, uint32_t v) {
    atomicAdd(p, v);
}
K_FN void k_atomic_or(uint32_t *p, uint32_t v) {
    atomicOr(p, v);
}
K_FN void k_atomic_add(uint64_t *p, uint64_t v) {
    atomicAdd(p, v);
}
K_FN void k_atomic_max_u64(uint64_t *p, uint64_t v) {
    atomicMax(p, v);
}
/* 16 bytes that no kernel writes while this one runs, aligned to 16; nor does anything else. */
K_FN void k_load16(const void *p, uint32_t *w) {
    asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                 : "l"(p));
}
K_FN void k_store16(void *p, const uint32_t *w) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(w[0]), "r"(w[1]),
                 "r"(w[2]), "r"(w[3])
                 : "memory");
}
K_FN void k_store8(void *p, const uint32_t *w) {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(p), "r"(w[0]), "r"(w[1]) : "memory");
}
K_FN void k_store4(void *p, uint32_t w) {
    *(uint32_t *)p = w;
}
/* n floats of shared memory, a multiple of 4, aligned to 16 bytes. */
K_FN void k_load_floats(const float *p, int32_t n, float *x) {
    K_UNROLL
    for (int32_t i = 0; i < n; i += 4) {
        const float4 four = *(const float4 *)(p + i);
        x[i] = four.x;
        x[i + 1] = four.y;
        x[i + 2] = four.z;
        x[i + 3] = four.w;
    }
}
/* The bytes that the four nibbles of `selector` name, of b:a; bit 3: its sign bit, eight times. */
K_FN uint32_t k_bytes(uint32_t a, uint32_t b, uint32_t selector) {
    uint32_t d;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(selector));
    return d;
}
/* Maxima of two pairs of 16-bit integers. */
K_FN uint32_t k_max_halves(uint32_t a, uint32_t b) {
#if K_ARCH >= 900
    uint32_t d;
    asm("max.u16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
    return d;
#else
    return __vmaxu2(a, b);
#endif
}

#else /* supplied by the includer's program: see tests/fake/simt.h */
#define K_ARCH 0
/* The body, and an entry that takes what a launch passes. */
#define K_KERNEL(name)                                                                             \
    static void body_##name(const GpuArgs a);                                                      \
    void name(void **parameters);                                                                  \
    void name(void **parameters) {                                                                 \
        body_##name(*(const GpuArgs *)parameters[0]);                                              \
    }                                                                                              \
    static void body_##name(const GpuArgs a)
/* Blocks run one after the other, so what they share may be static. */
#define K_SHARED(type, name, count) static type name[count] __attribute__((aligned(16)))
#define K_COLD static __attribute__((noinline, unused))
#define K_UNROLL
#define K_ROLL

uint32_t k_thread(void);
uint32_t k_block(void);
uint32_t k_blocks(void);
void k_sync(void);
uint32_t k_xor(uint32_t v, uint32_t mask);
uint32_t k_lane(uint32_t v, uint32_t lane);
uint32_t k_warp_max(uint32_t v);

/* The rest needs no scheduler: threads of the host take turns, so nothing is interrupted. */
K_FN void k_atomic_max(int32_t *p, int32_t v) {
    *p = v > *p ? v : *p;
}
K_FN void k_atomic_min(int32_t *p, int32_t v) {
    *p = v < *p ? v : *p;
}
K_FN void k_atomic_max_u32(uint32_t *p, uint32_t v) {
    *p = v > *p ? v : *p;
}
K_FN void k_atomic_add_u32(uint32_t *p, uint32_t v) {
    *p += v;
}
K_FN void k_atomic_or(uint32_t *p, uint32_t v) {
    *p |= v;
}
K_FN void k_atomic_add(uint64_t *p, uint64_t v) {
    *p += v;
}
K_FN void k_atomic_max_u64(uint64_t *p, uint64_t v) {
    *p = v > *p ? v : *p;
}
/* n floats of shared memory, a multiple of 4, aligned to 16 bytes. */
K_FN void k_load_floats(const float *p, int32_t n, float *x) {
    memcpy(x, p, (uint32_t)n * 4u);
}
/* Alignment is checked here, since a GPU faults. */
K_FN void k_aligned(const void *p, uintptr_t size) {
    if ((uintptr_t)p % size != 0u) {
        __builtin_trap();
    }
}
K_FN void k_load16(const void *p, uint32_t *w) {
    k_aligned(p, 16);
    memcpy(w, p, 16);
}
K_FN void k_store16(void *p, const uint32_t *w) {
    k_aligned(p, 16);
    memcpy(p, w, 16);
}
K_FN void k_store8(void *p, const uint32_t *w) {
    k_aligned(p, 8);
    memcpy(p, w, 8);
}
K_FN void k_store4(void *p, uint32_t w) {
    k_aligned(p, 4);
    memcpy(p, &w, 4);
}
K_FN uint32_t k_bytes(uint32_t a, uint32_t b, uint32_t selector) {
    const uint64_t both = (uint64_t)b << 32 | a;
    uint32_t d = 0;
    for (uint32_t i = 0; i < 4u; i++, selector >>= 4) {
        uint32_t byte = (uint32_t)(both >> 8u * (selector & 7u)) & 0xffu;
        byte = (selector & 8u) != 0u ? ((byte & 0x80u) != 0u ? 0xffu : 0u) : byte;
        d |= byte << 8u * i;
    }
    return d;
}
K_FN uint32_t k_max_halves(uint32_t a, uint32_t b) {
    const uint32_t al = a & 0xffffu, bl = b & 0xffffu, ah = a >> 16, bh = b >> 16;
    return (ah > bh ? ah : bh) << 16 | (al > bl ? al : bl);
}
#endif
#endif
