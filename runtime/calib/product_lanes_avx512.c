/* ProductLanes for x86-64 with AVX-512 F, BW, DQ and VL (Skylake-SP and later, Zen 4 and later). A
 * factor takes a slot of the vector units there, so that a row of four vectors shares it. */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))),        \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
#define LANES product_lanes_avx512
#define PRODUCT_LANES_NAME "avx512"
#define BYTES 64
#define HEIGHT 4
#define VECTORS 4
#define USABLE()                                                                                   \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&                    \
     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#include "runtime/calib/product_lanes_types.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
