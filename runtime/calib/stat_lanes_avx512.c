/* StatLanes for x86-64 with AVX-512 F, BW, DQ and VL (Skylake-SP and later, Zen 4 and later). */
#ifdef __x86_64__
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))),        \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
typedef __m512d Doubles;
#define LANES stat_lanes_avx512
#define STAT_LANES_NAME "avx512"
#define WIDTH 8
#define SPREAD(x) _mm512_set1_pd(x)
#define MULTIPLY_ADD(a, b, c) _mm512_fmadd_pd(a, b, c)
#define USABLE()                                                                                   \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&                    \
     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#include "runtime/calib/stat_lanes_body.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
