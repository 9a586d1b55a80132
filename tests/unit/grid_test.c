/* The grid against the law: scales and values bit for bit, over every format, granule, scale type
 * and method, with and without threads; values that come back to their codes. */
#include "unit.h"
#include "law_runs.h"
#include "many_threads.h"
#include "runtime/calib/cut.h"
#include "runtime/calib/grid.h"

static uint32_t bits_at(const void *src, int64_t bit, int bits) {
    uint32_t code = 0;
    for (int i = 0; i < bits; i++, bit++) {
        code |= (uint32_t)(((const uint8_t *)src)[bit / 8] >> (bit % 8) & 1) << i;
    }
    return code;
}

/* What the law makes of the whole weight. */
typedef struct Lawful {
    Kernel k;
    void *outs[OUT_COUNT];
    float super;
} Lawful;

static Lawful lawful(Arena *arena, const Grid *g, const float *w, int64_t rows, int64_t k) {
    Lawful l = {.super = 1.0f};
    l.k = (Kernel){.source = K_FLOAT,
                   .count = rows * k,
                   .format = g->format,
                   .granule = g->granule,
                   .view = {rows, k, 1},
                   .block = g->block,
                   .scale_type = g->scale_type,
                   .method = g->method};
    if (g->granule == GRANULE_CHANNEL) {
        l.k.view = (KernelView){1, rows, k};
    }
    for (int out = 0; out < OUT_COUNT; out++) {
        l.outs[out] = arena_alloc(arena, (size_t)kernel_output_size(&l.k, (KernelOutput)out) + 8);
    }
    kernel_reference(&l.k, w, l.outs);
    if (g->scale_type == K_E4M3) {
        memcpy(&l.super, l.outs[OUT_SUPER], 4);
    }
    return l;
}

static float lawful_value(const Lawful *l, const Scales *s, int64_t i) {
    const Format *f = l->k.format;
    const int64_t at = scale_index(s, i / s->k, i % s->k);
    const int width = 8 * source_size(l->k.scale_type);
    const float d =
        k_divisor(l->k.scale_type, bits_at(l->outs[OUT_SCALES], at * width, width), l->super);
    const float z =
        f->asymmetric ? (float)bits_at(l->outs[OUT_ZEROS], at * f->bits, f->bits) : 0.0f;
    return (f->decode(bits_at(l->outs[OUT_CODES], i * f->bits, f->bits)) - z) * d;
}

static void compare(const Grid *g, int64_t rows, int64_t k, const Spread *spread) {
    Arena *arena = arena_open();
    const size_t n = (size_t)(rows * k);
    float *w = arena_many(arena, float, n), *out = arena_many(arena, float, n);
    for (size_t i = 0; i < n; i++) {
        w[i] = any_weight();
    }
    const Lawful l = lawful(arena, g, w, rows, k);
    Scales s = scales_new(arena, g, rows, k);
    assert_true(grid_scales(g, w, &s, arena, spread));
    assert_int_equal(s.count * source_size(g->scale_type), kernel_output_size(&l.k, OUT_SCALES));
    assert_int_equal(k_bits(s.super), k_bits(l.super));
    grid_round_rows(g, &s, 0, rows, w, out);
    for (int64_t i = 0; i < rows * k; i++) {
        const int64_t at = scale_index(&s, i / k, i % k);
        const float d = s.divisors[at], z = s.zeros[at];
        assert_int_equal(k_bits(out[i]), k_bits(lawful_value(&l, &s, i)));
        assert_int_equal(k_bits(out[i]), k_bits(grid_nearest(g, d, z, w[i])));
        const uint32_t code = bits_at(l.outs[OUT_CODES], i * g->format->bits, g->format->bits);
        assert_int_equal(grid_code(g, d, z, w[i]), code);
        assert_int_equal(grid_code(g, d, z, out[i]), code); /* a value comes back to its code */
    }
    arena_close(arena);
}

static void every_grid_is_the_law(void **state) {
    (void)state;
    static const int types[] = {K_FLOAT, K_FLOAT16, K_BFLOAT16, K_E8M0, K_E4M3};
    static const int64_t shapes[][2] = {{1, 1}, {1, 300}, {5, 96}, {9, 130}};
    const Spread threads = many_threads(3);
    for (int f = 0; f < format_count; f++) {
        for (size_t t = 0; t < sizeof types / sizeof *types && !formats[f].scale_only; t++) {
            for (int granule = 0; granule < 3; granule++) {
                for (size_t i = 0; i < 2 * sizeof shapes / sizeof *shapes; i++) {
                    const Grid g = {&formats[f], (KernelGranule)granule,
                                    granule == GRANULE_BLOCK ? (i % 3 == 0 ? 32 : 16) : 0, types[t],
                                    i % 2 == 0 ? METHOD_MAX : METHOD_MSE};
                    compare(&g, shapes[i / 2][0], shapes[i / 2][1], i % 4 < 2 ? NULL : &threads);
                }
            }
        }
    }
}

/* More weights than a chunk of a two-level kernel has, and more rows than there are tasks. */
static void a_large_weight_is_cut(void **state) {
    (void)state;
    const Spread threads = many_threads(4);
    const Grid two_levels = {format("e2m1"), GRANULE_BLOCK, 16, K_E4M3, METHOD_MAX};
    const Grid channels = {format("int8"), GRANULE_CHANNEL, 0, K_FLOAT16, METHOD_MAX};
    shape_force(1 << 12, 1 << 9);
    compare(&two_levels, 70, 1000, &threads);
    shape_force(0, 0);
    compare(&channels, 300, 130, &threads);
    compare(&channels, 3, CUT_WEIGHTS + 1, &threads);
}

static void scales_can_be_set(void **state) {
    (void)state;
    Arena *arena = arena_open();
    const Grid g = {format("uint4"), GRANULE_BLOCK, 4, K_FLOAT16, METHOD_MAX};
    Scales s = scales_new(arena, &g, 2, 8), t = scales_new(arena, &g, 2, 8);
    const float w[16] = {-1, 2, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, -7, -8, 0, 0};
    assert_true(grid_scales(&g, w, &s, arena, NULL));
    const float lo[] = {-1, 0, 0, -8}, hi[] = {2, 3, 0, 0};
    for (int i = 0; i < 4; i++) {
        grid_set_scale(&g, &t, i, lo[i], hi[i], 1.0f);
        assert_int_equal(s.codes[i], t.codes[i]);
        assert_float_equal(s.zeros[i], t.zeros[i], 0);
        grid_set_divisor(&g, &t, i, s.divisors[i]);
        assert_int_equal(s.codes[i], t.codes[i]);
    }
    scales_copy(&t, &s);
    assert_memory_equal(t.divisors, s.divisors, 4 * sizeof(float));
    arena_close(arena);
}

/* What a Spread could not run is not used. */
static bool refuse(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    (void)spread, (void)task, (void)user, (void)count;
    return false;
}
static void a_failed_spread_is_passed_on(void **state) {
    (void)state;
    Arena *arena = arena_open();
    const Grid g = {format("int8"), GRANULE_CHANNEL, 0, K_FLOAT, METHOD_MAX};
    const Spread broken = {refuse, NULL};
    const float w[4] = {1, 2, 3, 4};
    Scales s = scales_new(arena, &g, 2, 2);
    assert_false(grid_scales(&g, w, &s, arena, &broken));
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grid_is_the_law),
        cmocka_unit_test(a_large_weight_is_cut),
        cmocka_unit_test(scales_can_be_set),
        cmocka_unit_test(a_failed_spread_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
