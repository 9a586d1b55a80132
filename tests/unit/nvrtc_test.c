/* Kernel texts against the real NVRTC: each is compiled for every architecture that it knows, and
 * must fit into registers: at most 255 of them, and none spilled to memory. A text is one row. */
#include "tests/unit/unit.h"
#include "runtime/device/jit.h"

typedef struct Text {
    const char *name;
    int from;      /* oldest architecture that it is for */
    bool specific; /* compiled for sm_XXa */
    Str text;
} Text;

enum { REGISTERS = 255, OLDEST = 75 };

#define ROW(name, from, specific, text) {name, from, specific, {text, sizeof text - 1}}

/* Every element format: a weight is encoded, decoded and put beside its code. */
#define FORMAT_TEXT(format)                                                                        \
    ROW(#format, OLDEST, false,                                                                    \
        "#define THREADS 256\n"                                                                    \
        "#define RESIDENT 8\n"                                                                     \
        "#include \"kernels/gpu/threads.h\"\n"                                                     \
        "#include \"kernels/format/" #format ".h\"\n"                                              \
        "K_KERNEL(round_trip) {\n"                                                                 \
        "    for (int64_t u = k_block(); u < a.units; u += k_blocks()) {\n"                        \
        "        const int64_t i = u * THREADS + k_thread();\n"                                    \
        "        const float x = ((const float *)a.source)[i];\n"                                  \
        "        const uint32_t code = " #format "_encode(x);\n"                                   \
        "        a.codes[i] = (uint8_t)code;\n"                                                    \
        "        a.s[i] = " #format "_decode(code);\n"                                             \
        "    }\n"                                                                                  \
        "}\n")

/* Every stored type of scales, with the quotient by it. */
#define SCALE_TEXT(type)                                                                           \
    ROW("scale " #type, OLDEST, false,                                                             \
        "#define THREADS 128\n"                                                                    \
        "#define RESIDENT 8\n"                                                                     \
        "#include \"kernels/gpu/threads.h\"\n"                                                     \
        "#include \"kernels/scale.h\"\n"                                                           \
        "K_KERNEL(divide) {\n"                                                                     \
        "    for (int64_t u = k_block(); u < a.units; u += k_blocks()) {\n"                        \
        "        const int64_t i = u * THREADS + k_thread();\n"                                    \
        "        const float x = ((const float *)a.source)[i];\n"                                  \
        "        const uint32_t code = k_scale(" #type ", 7.0f, 0.0f, k_abs(x), 1.0f, a.super);\n" \
        "        const float d = k_divisor(" #type ", code, a.super);\n"                           \
        "        a.z[i] = k_zero_point(15.0f, x, 1.0f, d);\n"                                      \
        "        a.s[i] = k_divides(d) ? k_quotient(x, d, 1.0f / d) : x / d;\n"                    \
        "        k_atomic_add(&a.errors[0], k_error(x, d, k_error_unit(x, d)));\n"                 \
        "    }\n"                                                                                  \
        "}\n")

static const Text texts[] = {
    FORMAT_TEXT(int2),  FORMAT_TEXT(int4),  FORMAT_TEXT(int8), FORMAT_TEXT(uint2),
    FORMAT_TEXT(uint4), FORMAT_TEXT(uint8), FORMAT_TEXT(e2m1), FORMAT_TEXT(e2m3),
    FORMAT_TEXT(e3m2),  FORMAT_TEXT(e4m3),  FORMAT_TEXT(e5m2), FORMAT_TEXT(e8m0),
    SCALE_TEXT(K_FLOAT), SCALE_TEXT(K_FLOAT16), SCALE_TEXT(K_BFLOAT16), SCALE_TEXT(K_E4M3),
    SCALE_TEXT(K_E8M0),
};

/* Compiles the texts that are for this architecture; the largest number of registers. */
static int build_for(Session *s, Jit *jit, int arch, const Text *list, size_t count) {
    JitProgram *programs = arena_many(s->arena, JitProgram, count);
    const Text **rows = arena_many(s->arena, const Text *, count);
    size_t n = 0;
    int most = 0;
    for (size_t i = 0; i < count; i++) {
        if (arch >= list[i].from) {
            rows[n] = &list[i];
            programs[n++] = (JitProgram){.text = list[i].text, .specific = list[i].specific};
        }
    }
    Str why = {0};
    if (!jit_build(s, jit, arch, programs, n, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    for (size_t i = 0; i < n; i++) {
        const JitProgram *p = &programs[i];
        if (p->registers < 1 || p->registers > REGISTERS || p->spills != 0) {
            fail_msg("%s for sm_%d: %d registers, %d bytes spilled, %d bytes of stack",
                     rows[i]->name, arch, p->registers, p->spills, p->stack);
        }
        most = p->registers > most ? p->registers : most;
    }
    return most;
}

static void texts_fit_into_registers(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Str why = {0};
    Jit *jit = jit_open(s, &(JitOptions){.threads = s->threads}, &why);
    if (!jit || !jit_ready(s, jit, &why)) {
        print_message("skip texts_fit_into_registers: %.*s\n", STR_ARG(why));
        session_close(s);
        skip();
    }
    int count = 0, built = 0;
    const int *archs = jit_architectures(jit, &count);
    for (int i = 0; i < count; i++) {
        if (archs[i] >= OLDEST) {
            const int most = build_for(s, jit, archs[i], texts, sizeof texts / sizeof *texts);
            print_message("sm_%d: %zu texts, at most %d registers\n", archs[i],
                          sizeof texts / sizeof *texts, most);
            built++;
        }
    }
    assert_true(built >= 7);
    session_close(s);
}

/* The check itself: a kernel that cannot keep its values in the registers that it may have. */
static void a_spill_is_seen(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Str why = {0};
    Jit *jit = jit_open(s, &(JitOptions){.threads = 1}, &why);
    if (!jit || !jit_ready(s, jit, &why)) {
        print_message("skip a_spill_is_seen: %.*s\n", STR_ARG(why));
        session_close(s);
        skip();
    }
    JitProgram p = {
        .text = STR("extern \"C\" __global__ void __launch_bounds__(1024, 1) f(float *p) {\n"
                    "    float v[96];\n"
                    "    _Pragma(\"unroll\") for (int i = 0; i < 96; i++) v[i] = p[i];\n"
                    "    __syncthreads();\n"
                    "    _Pragma(\"unroll\") for (int i = 0; i < 96; i++)\n"
                    "        p[i] = v[95 - i] * v[i * 7 % 96];\n"
                    "}\n")};
    if (!jit_build(s, jit, 90, &p, 1, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    assert_int_equal(p.registers, 64);
    assert_true(p.spills > 0 && p.stack > 0);
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_fit_into_registers),
        cmocka_unit_test(a_spill_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
