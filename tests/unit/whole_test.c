/* device_whole, kernel_given and kernel_compare against the law: random kernels, whole; and scales
 * that the law has chosen, given back to it, give its bits again. */
#include "tests/unit/unit.h"
#include "runtime/device/whole.h"
#include "kernels/scale.h"
#include "tests/unit/law_runs.h"

static void *outputs_of(const Kernel *k, void *outs[OUT_COUNT]) {
    size_t total = 0, sizes[OUT_COUNT];
    for (int out = 0; out < OUT_COUNT; out++) {
        sizes[out] = ((size_t)kernel_output_size(k, (KernelOutput)out) + 63) / 64 * 64;
        total += sizes[out];
    }
    char *room = calloc(1, total + 1), *at = room;
    for (int out = 0; out < OUT_COUNT; out++) {
        outs[out] = at;
        at += sizes[out];
    }
    return room;
}

static Kernel any_kernel(void) {
    static const char *const names[] = {"int8", "uint8", "int4", "uint4", "e4m3", "e2m1", "e5m2"};
    const int64_t rows = 1 + below(20), columns = 1 + below(200);
    Kernel k = {.source = 1, .count = rows * columns, .format = format(names[below(7)])};
    k.granule = (KernelGranule)below(3);
    k.view = below(2) ? (KernelView){1, rows, columns} : (KernelView){rows, columns, 1};
    k.block = k.granule == GRANULE_BLOCK ? 1 + below(40) : 0;
    k.scale_type = k.granule == GRANULE_BLOCK && !k.format->asymmetric && below(3) == 0 ? 17
                   : below(2)                                                           ? 1
                                                                                        : 10;
    k.method = below(4) == 0 ? METHOD_MSE : METHOD_MAX;
    k.prune = below(4) == 0 ? PRUNE_RATIO : PRUNE_NONE;
    k.zeros = k.count / 3;
    k.prune_view = (KernelView){1, k.count, 1};
    k.metrics = true;
    return k;
}

static void assert_same(const Kernel *k, void *const a[OUT_COUNT], void *const b[OUT_COUNT]) {
    for (int out = 0; out < OUT_COUNT; out++) {
        assert_memory_equal(a[out], b[out], (size_t)kernel_output_size(k, (KernelOutput)out));
    }
}

/* The law's scales as numbers, for kernel_given. */
static KernelGiven given_of(const Kernel *k, void *const outs[OUT_COUNT], Arena *arena) {
    const int width = source_size(k->scale_type), bits = k->format->bits;
    const int64_t count = kernel_output_size(k, OUT_SCALES) / width;
    uint32_t *codes = arena_many(arena, uint32_t, (size_t)count);
    float *zeros = arena_many(arena, float, (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        memcpy(&codes[i], (const char *)outs[OUT_SCALES] + i * width, (size_t)width);
        if (k->format->asymmetric) {
            const uint8_t *bytes = outs[OUT_ZEROS];
            zeros[i] = (float)(bytes[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1));
        }
    }
    KernelGiven given = {codes, zeros, 1.0f};
    if (k->scale_type == 17) {
        memcpy(&given.super, outs[OUT_SUPER], 4);
    }
    return given;
}

/* What is decoded is what metrics compare the weights with. */
static void expect_decoded(const Kernel *k, const void *src, void *const outs[OUT_COUNT],
                           const KernelMetrics *metrics, Arena *arena) {
    float *w = arena_many(arena, float, (size_t)k->count);
    kernel_decode(k, outs, w);
    float worst = 0;
    int64_t zeros = 0;
    for (int64_t i = 0; i < k->count; i++) {
        float was;
        memcpy(&was, (const char *)src + i * (int64_t)sizeof was, sizeof was);
        const float error = fabsf(was - w[i]);
        worst = error > worst ? error : worst;
        zeros += w[i] == 0.0f;
    }
    assert_int_equal(zeros, metrics->zeros);
    assert_true(metrics->nonfinite > 0 || (double)worst == metrics->max_error);
}

static uint32_t bits_at(const uint8_t *bytes, int64_t bit, int bits) {
    return (uint32_t)(bytes[bit / 8] >> (bit % 8)) & (uint32_t)((1 << bits) - 1);
}

/* What element i reads back as. */
static float stored_value(const Kernel *k, const KernelGiven *given, void *const outs[OUT_COUNT],
                          int64_t i) {
    const KernelView *v = &k->view;
    int64_t scale = 0;
    if (k->granule == GRANULE_CHANNEL) {
        scale = i / v->inner % v->axis;
    } else if (k->granule == GRANULE_BLOCK) {
        const int64_t blocks = (v->axis + k->block - 1) / k->block;
        scale = (i / v->inner / v->axis * blocks + i / v->inner % v->axis / k->block) * v->inner +
                i % v->inner;
    }
    const float divisor = k_divisor(k->scale_type, given->codes[scale], given->super);
    const float zero = k->format->asymmetric ? given->zeros[scale] : 0.0f;
    const uint32_t code = bits_at(outs[OUT_CODES], i * k->format->bits, k->format->bits);
    return (k->format->decode(code) - zero) * divisor;
}

static void check_compare(const Kernel *k, const void *src, const KernelGiven *given,
                          void *const outs[OUT_COUNT], const KernelMetrics *expected) {
    float *stored = malloc((size_t)k->count * sizeof *stored);
    for (int64_t i = 0; i < k->count; i++) {
        stored[i] = stored_value(k, given, outs, i);
    }
    KernelMetrics metrics;
    float *aligned = malloc((size_t)k->count * sizeof *aligned); /* what kernel_compare wants */
    memcpy(aligned, src, (size_t)k->count * sizeof *aligned);
    kernel_compare(k, aligned, stored, &metrics);
    assert_memory_equal(&metrics, expected, sizeof metrics);
    free(aligned);
    free(stored);
}

static void random_kernels(void **state) {
    (void)state;
    Arena *arena = arena_open();
    for (int round = 0; round < 400; round++) {
        const Kernel k = any_kernel();
        void *base, *law[OUT_COUNT], *whole[OUT_COUNT], *given[OUT_COUNT];
        const void *src = random_tensor(1, k.count, &base);
        void *rooms[] = {outputs_of(&k, law), outputs_of(&k, whole), outputs_of(&k, given)};
        kernel_reference(&k, src, law);
        KernelMetrics metrics, expected;
        shape_force(below(3) * 64, below(2) * 64);
        device_whole(&k, src, whole, &metrics, arena);
        kernel_reference_metrics(&k, src, law, &expected);
        const KernelGiven scales = given_of(&k, law, arena);
        check_compare(&k, src, &scales, law, &expected);
        shape_force(0, 0);
        assert_same(&k, law, whole);
        assert_memory_equal(&metrics, &expected, sizeof metrics);
        expect_decoded(&k, src, law, &expected, arena);
        kernel_given(&k, src, &scales, given);
        assert_same(&k, law, given);
        for (int i = 0; i < 3; i++) {
            free(rooms[i]);
        }
        free(base);
    }
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
