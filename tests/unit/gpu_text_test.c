/* Every text that can be emitted, run thread by thread on the host, gives the bytes of the host's
 * kernels: formats, granules, pruning, sources, scale types, methods, layouts, odd and even shapes,
 * chunk by chunk, surveys too. Which skeleton takes which shape is asked as well, and that the fast
 * ones are really taken. TEXT_ROUNDS raises the number of random kernels. */
#include "tests/unit/unit.h"
#include "kernels/lanes.h"
#include "kernels/metrics.h"
#include "tests/unit/emulated_gpu.h"
#include "tests/unit/random_kernels.h"

static bool broken; /* the weights at hand hold values that are not finite: nothing else counts */

/* ---- one kernel, both ways */

static void *survey(const Kernel *k, const void *src, void *scratch, uint64_t seed) {
    const size_t size = kernel_state_size(k);
    void *host = malloc(size + 1), *gpu = malloc(size + 1), *part = malloc(size + 1);
    kernel_state_init(k, host);
    for (int pass = 0; pass < kernel_surveys(k); pass++) {
        memcpy(gpu, host, size);
        for (int64_t c = 0; c < kernel_chunks(k); c++) {
            kernel_state_fork(k, part, gpu);
            if (!emulated_survey(k, pass, c, src, part, seed)) {
                kernel_survey(k, pass, c, src, part, scratch);
            }
            kernel_state_merge(k, pass, gpu, part);
            kernel_state_fork(k, part, host);
            kernel_survey(k, pass, c, src, part, scratch);
            kernel_state_merge(k, pass, host, part);
        }
        kernel_state_close(k, pass, host);
        kernel_state_close(k, pass, gpu);
        const Shape s = shape_of(k);
        const StateArrays a = state_arrays(k, &s, host), b = state_arrays(k, &s, gpu);
        for (int64_t i = 0; state_has_scales(&s) && !broken && i < s.scales; i++) {
            if (memcmp(a.s + i, b.s + i, 4) != 0 || a.z[i] != b.z[i] || a.codes[i] != b.codes[i]) {
                fail_msg("pass %d, scale %lld: %a, host %a; %s", pass, (long long)i, b.s[i],
                         a.s[i], describe(k));
            }
        }
    }
    free(part);
    free(gpu);
    return host;
}

static void check_report(const Kernel *k, const GpuReport *r, const KernelMetrics *want) {
    KernelMetrics got = {0};
    assert_int_equal(r->nonfinite, want->nonfinite);
    assert_int_equal(r->nonfinite ? (int64_t)~r->not_first : -1, want->first_nonfinite);
    if (k->metrics && !broken) {
        metrics_from_limbs(r->ww, r->qq, r->ee, &got);
        if (got.ww != want->ww || got.qq != want->qq || got.ee != want->ee ||
            got.wq != want->wq || (double)k_float(r->max_error) != want->max_error ||
            (int64_t)r->zeros != want->zeros) {
            fail_msg("ww %a %a qq %a %a ee %a %a max %a %a zeros %lld %lld; %s", got.ww, want->ww,
                     got.qq, want->qq, got.ee, want->ee, (double)k_float(r->max_error),
                     want->max_error, (long long)r->zeros, (long long)want->zeros, describe(k));
        }
    }
}

static void check_chunk(const Kernel *k, int64_t chunk, const void *src, const void *state,
                        void *scratch, uint64_t seed) {
    void *outs[OUT_COUNT];
    KernelMetrics want;
    int64_t offset, size[OUT_COUNT];
    EmulatedChunk got;
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        kernel_extent(k, chunk, o, &offset, &size[o]);
        outs[o] = malloc((size_t)size[o] + 1);
    }
    kernel_encode(k, chunk, src, state, outs, &want, scratch);
    assert_true(emulated_encode(k, chunk, src, state, seed, &got));
    for (KernelOutput o = 0; o < OUT_COUNT; o++) {
        for (int64_t i = 0; !broken && i < size[o]; i++) {
            if (got.out[o].at[i] != ((uint8_t *)outs[o])[i]) {
                fail_msg("chunk %lld output %d byte %lld of %lld: %02x, host %02x; %s",
                         (long long)chunk, o, (long long)i, (long long)size[o], got.out[o].at[i],
                         ((uint8_t *)outs[o])[i], describe(k));
            }
        }
        free(outs[o]);
        free(got.out[o].at);
    }
    if (!got.whole) {
        fail_msg("written beyond a buffer; %s", describe(k));
    }
    check_report(k, &got.report, &want);
}

static int64_t cases, taken[8];
static const char *const skeletons[] = {"rows", "row", "columns", "plain"};

static void check(const Kernel *k) {
    GpuText about;
    if (k->format == NULL && k->source == 11) {
        assert_false(gpu_text(k, GPU_ENCODE, &about, NULL));
        return;
    }
    void *src = random_weights(k, &broken), *scratch = malloc(kernel_scratch_size(k));
    const uint64_t seed = below(3) == 0 ? roll() : 0;
    void *state = survey(k, src, scratch, seed);
    for (int64_t c = 0; c < kernel_chunks(k); c++) {
        check_chunk(k, c, src, state, scratch, seed);
    }
    assert_true(gpu_text(k, GPU_ENCODE, &about, NULL));
    for (int i = 0; i < 4; i++) {
        taken[i] += strcmp(about.skeleton, skeletons[i]) == 0;
    }
    cases++;
    free(state);
    free(scratch);
    free(src);
}

/* The ones that people use most, on shapes that take the fast texts. */
static void common_kernels(void **state) {
    (void)state;
    static const struct {
        const char *format;
        KernelGranule granule;
        int64_t block;
        int scale, source;
        bool nm, metrics, nbits;
    } rows[] = {
        {"int4", GRANULE_BLOCK, 128, 16, 16, false, false, false},
        {"int4", GRANULE_BLOCK, 128, 10, 10, false, true, false},
        {"int4", GRANULE_BLOCK, 128, 16, 16, true, false, false},
        {"int4", GRANULE_BLOCK, 32, 1, 1, false, true, true},
        {"e2m1", GRANULE_BLOCK, 16, 17, 16, false, false, false},
        {"e2m1", GRANULE_BLOCK, 32, 24, 16, false, false, false},
        {"int8", GRANULE_CHANNEL, 0, 16, 16, false, false, false},
        {"e4m3", GRANULE_CHANNEL, 0, 1, 1, false, true, false},
        {"e4m3", GRANULE_CHANNEL, 0, 16, 16, true, false, false},
        {"uint4", GRANULE_BLOCK, 64, 10, 10, false, true, true},
        {"int8", GRANULE_TENSOR, 0, 16, 16, false, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int l = 0; l < LAYERS; l++) {
            const bool rows_too = l >= 12 && rows[i].granule == GRANULE_CHANNEL;
            if (l >= 4 && !rows_too) {
                continue;
            }
            Kernel k = kernel_for(&layers[l], format(rows[i].format), rows[i].granule,
                                  rows[i].block);
            k.scale_type = rows[i].scale;
            k.source = rows[i].source;
            k.prune = rows[i].nm ? PRUNE_NM : PRUNE_NONE;
            k.metrics = rows[i].metrics;
            GpuText about;
            assert_true(gpu_text(&k, GPU_ENCODE, &about, NULL));
            assert_string_not_equal(about.skeleton, "plain");
            check(&k);
            if (rows[i].nbits) {
                k.layout = LAYOUT_NBITS;
                check(&k);
            }
        }
    }
}

static int rounds(int usual) {
    const char *asked = getenv("TEXT_ROUNDS");
    return asked ? atoi(asked) : usual;
}

static void random_kernels(void **state) {
    (void)state;
    const int many = rounds(40);
    for (int i = 0; i < many; i++) {
        const Kernel k = random_kernel();
        check(&k);
    }
    print_message("%lld kernels: %lld rows, %lld row, %lld columns, %lld plain\n",
                  (long long)cases, (long long)taken[0], (long long)taken[1],
                  (long long)taken[2], (long long)taken[3]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_kernels),
        cmocka_unit_test(random_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
