/* Lanes for x86-64 with AVX2 and F16C (2013 and later). No FMA: the bits are the law's. */
#ifdef __x86_64__
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,f16c")
#endif
#define LANES lanes_avx2
/* F16C support is a bit of its own, but every processor with AVX2 has it. */
#define USABLE() (__builtin_cpu_supports("avx2") != 0)
#define LANES_F16 8
#define WIDEN_F16(from, to)                                                                        \
    _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(from))))
#include "kernels/lanes_body.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
