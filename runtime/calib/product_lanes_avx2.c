/* ProductLanes for x86-64 with AVX2 (2013 and later). */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define LANES product_lanes_avx2
#define PRODUCT_LANES_NAME "avx2"
#define BYTES 32
#define HEIGHT 4
#define VECTORS 2
#define USABLE() (__builtin_cpu_supports("avx2") != 0)
#include "runtime/calib/product_lanes_types.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
