/* nvrtc_log: the figures of ptxas as versions 12.0 to 13.0 print them; errors with their lines; any
 * bytes at all. */
#include "tests/unit/unit.h"
#include "runtime/device/nvrtc_log.h"
#include "runtime/base/sanitize.h"

static void equal(NvrtcUse use, int registers, int stack, int shared, int spills) {
    assert_int_equal(use.registers, registers);
    assert_int_equal(use.stack, stack);
    assert_int_equal(use.shared, shared);
    assert_int_equal(use.spills, spills);
}

static void figures_are_read(void **state) {
    (void)state;
    equal(nvrtc_log_use(STR("ptxas info    : 0 bytes gmem\n"
                            "ptxas info    : Compiling entry function 'quantize' for 'sm_90'\n"
                            "ptxas info    : Function properties for quantize\n"
                            "ptxas         .     0 bytes stack frame, 0 bytes spill stores, "
                            "0 bytes spill loads\n"
                            "ptxas info    : Used 28 registers, used 1 barriers, 128 bytes smem\n"
                            "ptxas info    : Compile time = 12.731 ms\n")),
          28, 0, 128, 0); /* 13.0 */
    equal(nvrtc_log_use(STR("ptxas         .     16 bytes stack frame, 12 bytes spill stores, "
                            "12 bytes spill loads\n"
                            "ptxas info    : Used 10 registers, 400 bytes smem, 360 bytes cmem[0]\n"
                            "ptxas         .     512 bytes stack frame, 1892 bytes spill stores, "
                            "1924 bytes spill loads\n"
                            "ptxas info    : Used 64 registers, 368 bytes cmem[0]")),
          64, 512, 400, 3816); /* 12.0, several functions */
    equal(nvrtc_log_use(STR("ptxas info : Used 9 registers")), 9, -1, 0, -1);
}

static void what_is_not_said_is_not_known(void **state) {
    (void)state;
    equal(nvrtc_log_use(STR("")), -1, -1, -1, -1);
    equal(nvrtc_log_use(STR("kernel.cu(3): warning: 7registers a7 registers 7 bytes")), -1, -1, -1,
          -1);
    equal(nvrtc_log_use(STR("Used 99999999999999999999 registers, 4294967295 bytes smem")),
          INT32_MAX, -1, INT32_MAX, -1);
    equal(nvrtc_log_use(STR("2147483647 bytes spill stores, 2147483647 bytes spill loads")), -1, -1,
          -1, INT32_MAX);
}

static const Str text = {"a1\nb2\nc3\nd4\ne5\nf6\ng7\nh8\ni9", 26};

static void the_place_is_shown(void **state) {
    (void)state;
    Arena *arena = arena_open();
    assert_str(nvrtc_log_explain(arena, text,
                                 STR("\nkernel.cu(1): warning #1-D: last line\n\n"
                                     "kernel.cu(5): error: identifier \"e5\" is undefined\n")),
               "kernel.cu(1): warning #1-D: last line\n"
               "kernel.cu(5): error: identifier \"e5\" is undefined\n"
               "     2 | b2\n"
               "     3 | c3\n"
               "     4 | d4\n"
               ">    5 | e5\n"
               "     6 | f6\n"
               "     7 | g7\n"
               "     8 | h8\n");
    assert_str(nvrtc_log_explain(arena, text, STR("kernel.cu(9): error: x")),
               "kernel.cu(9): error: x\n"
               "     6 | f6\n"
               "     7 | g7\n"
               "     8 | h8\n"
               ">    9 | i9\n");
    const Str header = nvrtc_log_explain(arena, text, STR("kernels/scale.h(2): error: y\n"));
    assert_non_null(strstr(header.data, ">    2 |  * a zero point;"));
    assert_str(nvrtc_log_explain(arena, text, STR("nothing has a place")), "nothing has a place\n");
    assert_str(nvrtc_log_explain(arena, text, STR("kernel.cu(4000000000): error: far")),
               "kernel.cu(4000000000): error: far\n");
    arena_close(arena);
}

static void what_is_shown_is_safe_and_short(void **state) {
    (void)state;
    Arena *arena = arena_open();
    Buf log = buf_on(arena);
    for (int i = 0; i < 1000; i++) {
        buf_printf(&log, "line %d \x1b[31m\xff\n", i);
    }
    buf_repeat(&log, 'x', 100000);
    Str shown = nvrtc_log_explain(arena, text, buf_view(&log));
    assert_true(shown.len < 3000);
    assert_int_equal(str_find(shown, '\x1b'), -1);
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) { /* bytes of this alphabet, in any order */
        static const char alphabet[] = "k(7)9: error\n\0\xff\x1b registers bytes";
        char noise[64];
        for (size_t i = 0; i < sizeof noise; i++) {
            seed = seed * 1664525u + 1013904223u;
            noise[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        const Str n = {noise, sizeof noise};
        const NvrtcUse use = nvrtc_log_use(n);
        assert_true(use.registers >= -1 && use.spills >= -1);
        const ArenaMark mark = arena_mark(arena);
        shown = nvrtc_log_explain(arena, n, n);
        for (size_t i = 0; i < shown.len; i++) {
            assert_true(shown.data[i] == '\n' || (unsigned char)shown.data[i] >= ' ');
        }
        arena_reset(arena, mark);
    }
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_read),
        cmocka_unit_test(what_is_not_said_is_not_known),
        cmocka_unit_test(the_place_is_shown),
        cmocka_unit_test(what_is_shown_is_safe_and_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
