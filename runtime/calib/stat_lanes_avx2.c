/* StatLanes for x86-64 with AVX2 and FMA (2013 and later). */
#ifdef __x86_64__
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
typedef __m256d Doubles;
#define LANES stat_lanes_avx2
#define STAT_LANES_NAME "avx2"
#define WIDTH 4
#define SPREAD(x) _mm256_set1_pd(x)
#define MULTIPLY_ADD(a, b, c) _mm256_fmadd_pd(a, b, c)
#define USABLE() (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
#include "runtime/calib/stat_lanes_body.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
