/* cuda_api: every entry is found under the driver's name; what is missing or too old is said. */
#include "runtime/device/cuda_api.h"
#include "tests/unit/fakes.h"

static void every_entry_is_found(void **state) {
    (void)state;
    fake_cuda_load();
    Arena *arena = arena_open();
    CudaApi api;
    Str why = {0};
    assert_true(cuda_api_open(&api, arena, &why));
    void *fields[sizeof api / sizeof(void *)];
    memcpy(fields, &api, sizeof api);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        assert_non_null(fields[i]);
        for (size_t k = 0; k < i; k++) {
            assert_ptr_not_equal(fields[i], fields[k]);
        }
    }
    /* ... and is the right one: calls that differ by what they answer */
    int version = 0, count = 0, major = 0, threads = 0;
    CudaDevice device = -1;
    char name[64];
    size_t bytes = 0, unused = 0;
    CudaContext context;
    assert_int_equal(api.driver_version(&version), 0);
    assert_int_equal(version, 13000);
    assert_int_equal(api.init(0), 0);
    assert_int_equal(api.device_count(&count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(api.device_get(&device, 0), 0);
    assert_int_equal(api.device_name(name, sizeof name, device), 0);
    assert_string_equal(name, "Fake GPU");
    assert_int_equal(api.device_attribute(&major, CUDA_DEVICE_MAJOR, device), 0);
    assert_int_equal(major, 9);
    assert_int_equal(api.device_attribute(&threads, 1, device), 0);
    assert_int_equal(threads, 1024);
    assert_int_equal(api.device_memory(&bytes, device), 0);
    assert_int_equal(bytes, 1 << 30);
    assert_int_equal(api.context_retain(&context, device), 0);
    assert_int_equal(api.context_use(context), 0);
    CudaAddress a;
    assert_int_equal(api.memory_alloc(&a, 1 << 20), 0);
    assert_int_equal(api.memory_info(&unused, &bytes), 0);
    assert_int_equal(unused, (1 << 30) - (1 << 20));
    assert_int_equal(api.fill(a, 7, 16, NULL), 0);
    unsigned char out[16];
    assert_int_equal(api.copy_out(out, a, 16, NULL), 0);
    assert_int_equal(out[15], 7);
    assert_int_equal(api.memory_free(a), 0);
    assert_int_equal(api.context_release(device), 0);
    cuda_api_close(&api);
    assert_null(api.library);
    cuda_api_close(&api);
    arena_close(arena);
}

static void statuses_have_texts(void **state) {
    (void)state;
    fake_cuda_load();
    Arena *arena = arena_open();
    CudaApi api;
    Str why = {0};
    assert_true(cuda_api_open(&api, arena, &why));
    assert_string_equal(cuda_status_text(&api, CUDA_OUT_OF_MEMORY, arena),
                        "out of memory (CUDA_ERROR_OUT_OF_MEMORY)");
    assert_string_equal(cuda_status_text(&api, 4711, arena), "CUDA error 4711");
    cuda_api_close(&api);
    assert_string_equal(cuda_status_text(&api, 2, arena), "CUDA error 2");
    arena_close(arena);
}

static void complaints(void **state) {
    (void)state;
    Arena *arena = arena_open();
    assert_int_equal(cuda_driver_complaint(arena, 12000).len, 0);
    assert_int_equal(cuda_driver_complaint(arena, 13020).len, 0);
    assert_str(cuda_driver_complaint(arena, 11080),
               "the NVIDIA driver is for CUDA 11.8; morc needs one for CUDA 12.0 or later (version "
               "525 or later)");
    arena_close(arena);
}

static void say_why_not(void *library) {
    if (library) {
        fake_load(library);
    }
    Arena *arena = arena_open();
    CudaApi api;
    Str why = {0};
    fputs(cuda_api_open(&api, arena, &why) ? "opened" : str_c(arena, why), stderr);
    assert_null(api.library);
    arena_close(arena);
}

/* In children, as this process has a driver by now. */
static void what_is_missing_is_said(void **state) {
    (void)state;
    char said[1000];
    setenv("FAKE_CUDA_VERSION", "10020", 1);
    assert_int_equal(unit_child(say_why_not, "old/libcuda.so.1", said, sizeof said), 0);
    assert_string_equal(said,
                        "the NVIDIA driver is for CUDA 10.2; morc needs one for CUDA 12.0 or later "
                        "(version 525 or later)");
    setenv("FAKE_CUDA_VERSION", "12040", 1);
    assert_int_equal(unit_child(say_why_not, "old/libcuda.so.1", said, sizeof said), 0);
    assert_string_equal(said, "libcuda.so.1 has no cuDeviceGet");
    unsetenv("FAKE_CUDA_VERSION");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_said), /* before a driver is loaded here */
        cmocka_unit_test(every_entry_is_found),
        cmocka_unit_test(statuses_have_texts),
        cmocka_unit_test(complaints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
