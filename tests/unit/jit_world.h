/* What the tests of the JIT share: a kernel, an empty folder, the way to a child and its end. */
#ifndef TESTS_UNIT_JIT_WORLD_H
#define TESTS_UNIT_JIT_WORLD_H
#include "tests/unit/unit.h"
#include "runtime/device/jit.h"
#include <errno.h>
#include <sys/wait.h>
#include <time.h>

static char *dir; /* empty at the start of each test */

/* A kernel of the kind that morc emits: scale by block maximum, divide, encode, pack. */
static const char kernel[] =
    "#define THREADS 256\n"
    "#define RESIDENT 4\n"
    "#include \"kernels/gpu/threads.h\"\n"
    "#include \"kernels/scale.h\"\n"
    "#include \"kernels/format/int4.h\"\n"
    "K_KERNEL(quantize) {\n"
    "    K_SHARED(uint32_t, best, 8);\n"
    "    for (int64_t u = k_block(); u < a.units; u += k_blocks()) {\n"
    "        uint32_t w[4], m = 0u;\n"
    "        k_load16(a.source + (u * THREADS + k_thread()) * 16, w);\n"
    "        for (int i = 0; i < 4; i++) {\n"
    "            uint32_t x = k_magnitude(k_float(w[i]));\n"
    "            m = x > m ? x : m;\n"
    "        }\n"
    "        m = k_warp_max(m);\n"
    "        if (k_thread() % 32u == 0u) {\n"
    "            best[k_thread() / 32u] = m;\n"
    "        }\n"
    "        k_sync();\n"
    "        for (uint32_t i = 0; i < 8u; i++) {\n"
    "            m = best[i] > m ? best[i] : m;\n"
    "        }\n"
    "        uint32_t code = k_scale(K_FLOAT16, 7.0f, 0.0f, k_float(m), 1.0f, 1.0f);\n"
    "        float d = k_divisor(K_FLOAT16, code, 1.0f);\n"
    "        uint32_t out = 0u;\n"
    "        for (int i = 0; i < 4; i++) {\n"
    "            out |= (int4_encode(k_float(w[i]) / d) & 15u) << 4 * i;\n"
    "        }\n"
    "        ((uint16_t *)a.codes)[u * THREADS + k_thread()] = (uint16_t)out;\n"
    "        k_sync();\n"
    "    }\n"
    "}\n";

static inline int setup(void **state) {
    (void)state;
    dir = unit_memory_directory();
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    unit_remove(dir);
    int status = 0;
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1); /* no child, not even a dead one */
    assert_int_equal(errno, ECHILD);
    return 0;
}

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline bool have_nvrtc(const char *test) {
    static int have = -1;
    static char reason[200];
    if (have < 0) {
        Session *s = session_open(&sys_real);
        Str why = {0};
        Jit *jit = jit_open(s, &(JitOptions){.threads = 1}, &why);
        have = jit && jit_ready(s, jit, &why);
        snprintf(reason, sizeof reason, "%.*s", STR_ARG(why));
        session_close(s);
    }
    if (!have) {
        print_message("skip %s: %s\n", test, reason);
    }
    return have;
}

#define NEEDS_NVRTC()                                                                              \
    if (!have_nvrtc(__func__)) {                                                                   \
        skip();                                                                                    \
    }

static inline Jit *opened(Session *s, JitOptions options) {
    Str why = {0};
    Jit *jit = jit_open(s, &options, &why);
    if (!jit) {
        fail_msg("no child: %.*s", STR_ARG(why));
    }
    return jit;
}

static inline void build(Session *s, Jit *jit, int arch, JitProgram *programs, size_t count) {
    Str why = {0};
    if (!jit_build(s, jit, arch, programs, count, &why)) {
        fail_msg("sm_%d: %.*s", arch, STR_ARG(why));
    }
}

static inline CubinCache *cache_in(Session *s) {
    Str why = {0};
    CubinCache *cache = cubin_cache_open(s, str_from(dir), &why);
    assert_non_null(cache);
    return cache;
}

#endif
