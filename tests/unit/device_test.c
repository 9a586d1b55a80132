/* device: chunks and globals together are the reference, and fit into what device_need says. */
#include "tests/unit/unit.h"
#include "tests/unit/sample_kernels.h"
#include "runtime/device/device.h"

static void put(uint8_t *whole[OUT_COUNT], const DeviceResult *result, const DeviceSpace *space,
                const DeviceNeed *need) {
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        const int64_t size = result->out[o].size;
        if (size > 0) {
            assert_true(result->out[o].data >= space->outputs);
            assert_true(result->out[o].data + size <= space->outputs + need->outputs);
            memcpy(whole[o] + result->out[o].offset, result->out[o].data, (size_t)size);
        }
    }
}

static void run_kernel(const Kernel *k, const void *source, uint8_t *whole[OUT_COUNT]) {
    DeviceNeed need = {0};
    device_need(k, &need);
    DeviceSpace space = {malloc(need.scratch + 1), malloc(need.state + 1), malloc(need.outputs + 1)};
    void *state = malloc(need.state + 1);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    DeviceResult result;
    const int passes = kernel_surveys(k);
    if (passes > 0) {
        kernel_state_init(k, state);
    }
    for (int pass = 0; pass < passes; pass++) {
        for (int64_t c = kernel_chunks(k); c-- > 0;) { /* backwards: the order does not matter */
            device_survey(k, pass, c, source, state, &lock, &space);
        }
        kernel_state_close(k, pass, state);
    }
    if (device_has_globals(k)) {
        device_globals(k, state, &space, &result);
        put(whole, &result, &space, &need);
    }
    for (int64_t c = kernel_chunks(k); c-- > 0;) {
        device_encode(k, c, source, state, &space, &result);
        put(whole, &result, &space, &need);
    }
    free(space.scratch);
    free(space.partial);
    free(space.outputs);
    free(state);
}

static void check_kernel(const Kernel *k, unsigned seed) {
    void *source = sample_weights(k, seed);
    uint8_t *expected[OUT_COUNT], *got[OUT_COUNT];
    void *outs[OUT_COUNT];
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        const size_t size = (size_t)kernel_output_size(k, o);
        outs[o] = expected[o] = malloc(size + 1);
        got[o] = malloc(size + 1);
        memset(got[o], 0x5A, size + 1);
    }
    kernel_reference(k, source, outs);
    run_kernel(k, source, got);
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        assert_memory_equal(got[o], expected[o], kernel_output_size(k, o));
        free(got[o]);
        free(expected[o]);
    }
    free(source);
}

static void chunks_and_globals_are_the_reference(void **state) {
    (void)state;
    for (int i = 0; i < SAMPLE_KERNELS; i++) {
        const Kernel tiny = sample_kernel(i, 32, 32), odd = sample_kernel(i, 96, 40);
        check_kernel(&tiny, 1);
        check_kernel(&odd, 2);
    }
    const Kernel large = sample_kernel(2, 1024, 1030), blocks = sample_kernel(3, 2048, 520);
    check_kernel(&large, 3);
    check_kernel(&blocks, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chunks_and_globals_are_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
