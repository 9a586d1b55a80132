/* Lanes for x86-64 with AVX-512 F, BW, DQ and VL (Skylake-SP and later, Zen 4 and later). */
#ifdef __x86_64__
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))),        \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
#define LANES lanes_avx512
#define USABLE()                                                                                   \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&                    \
     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#define LANES_F16 16
#define WIDEN_F16(from, to)                                                                        \
    _mm512_storeu_ps(to, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(from))))
#include "kernels/lanes_body.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
