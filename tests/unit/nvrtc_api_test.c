/* nvrtc_api: a library that is too old, lacks entries or lies is refused with the reason; one that
 * is missing is told from one that is wrong; the real one, where there is one, is complete. */
#include "tests/unit/unit.h"
#include "runtime/device/nvrtc_api.h"

static Arena *arena;

static int setup(void **state) {
    (void)state;
    arena = arena_open();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_close(arena);
    return 0;
}

static void refused(const char *name, const char *because, bool missing) {
    NvrtcApi api;
    Str why = {0};
    bool is_missing = !missing;
    assert_false(nvrtc_api_try(&api, name, arena, &why, &is_missing));
    assert_int_equal(is_missing, missing);
    if (!strstr(str_c(arena, why), because)) {
        fail_msg("'%.*s' does not say '%s'", STR_ARG(why), because);
    }
    assert_null(api.library);
}

static void odd_libraries_are_refused(void **state) {
    (void)state;
    refused(ODD_DIR "/libodd_old.so", "it is version 11.8; 12.0 is the oldest", false);
    refused(ODD_DIR "/libodd_silent.so", "does not tell its version", false);
    refused(ODD_DIR "/libodd_unsorted.so", "does not tell its architectures", false);
    refused(ODD_DIR "/libodd_greedy.so", "does not tell its architectures", false);
    refused("libm.so.6", "libm.so.6: it has no nvrtcVersion", false);
    refused("libnvrtc.so.999", "No such file", true);
    refused(MORC_SOURCE_DIR "/README.md", "README.md", false);
}

static void a_plain_one_is_taken(void **state) {
    (void)state;
    NvrtcApi api;
    Str why = {0};
    bool missing = true;
    assert_true(nvrtc_api_try(&api, ODD_DIR "/libodd_plain.so", arena, &why, &missing));
    assert_false(missing);
    assert_int_equal(api.version, 12030);
    assert_int_equal(api.architectures, 3);
    assert_int_equal(api.at[2], 100);
    assert_string_equal(api.error_text(1), "bad");
    assert_str(nvrtc_api_path(&api, arena), ODD_DIR "/libodd_plain.so");
    nvrtc_api_close(&api);
    nvrtc_api_close(&api);
}

static void the_real_one_is_found(void **state) {
    (void)state;
    NvrtcApi api;
    Str why = {0};
    if (!nvrtc_api_open(&api, &sys_real, arena, &why)) {
        print_message("skip the_real_one_is_found: %.*s\n", STR_ARG(why));
        skip();
    }
    assert_true(api.version >= NVRTC_OLDEST);
    assert_true(api.at[0] >= 50 && api.at[api.architectures - 1] >= 90);
    const Str path = nvrtc_api_path(&api, arena);
    assert_true(str_find(path, '/') >= 0);
    print_message("NVRTC %d.%d, %d architectures: %.*s\n", api.version / 1000,
                  api.version % 1000 / 10, api.architectures, STR_ARG(path));
    NvrtcProgram program = NULL;
    assert_int_equal(api.create(&program, "", "k.cu", 0, NULL, NULL), 0);
    assert_int_equal(api.destroy(&program), 0);
    /* stays open: closed, it loses the memory that its C++ library set aside for exceptions */
}

static void the_options_end(void **state) {
    (void)state;
    for (int i = 0; i < NVRTC_OPTIONS; i++) {
        assert_non_null(nvrtc_options[i].text);
    }
    assert_null(nvrtc_options[NVRTC_OPTIONS].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(odd_libraries_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plain_one_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(the_real_one_is_found, setup, teardown),
        cmocka_unit_test(the_options_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
