/* Cuts rows into strips for Lanes.compare (strips.h). */
#include "kernels/strips.h"
#include "kernels/scale.h"
#include <assert.h>
#include <string.h>

static void close_open(Strips *strips, const Lanes *lanes) {
    const int64_t missing = K_STRIP - strips->open;
    memset(strips->open_w + strips->open, 0, (size_t)missing * sizeof(float));
    memset(strips->open_q + strips->open, 0, (size_t)missing * sizeof(float));
    lanes->compare(K_FLOAT, strips->open_w, strips->open_q, NULL, NULL, K_STRIP, &strips->sums);
    strips->sums.zeros -= missing;
    strips->open = 0;
}

/* Returns how many of n elements the open strip took. */
static int64_t fill_open(Strips *strips, const Lanes *lanes, Row row, const float *v,
                         const float *s, const float *z, int64_t n) {
    const int64_t rest = K_STRIP - strips->open, taken = n < rest ? n : rest;
    float *const q = strips->open_q + strips->open;
    lanes->widen(row.type, row.e, taken, strips->open_w + strips->open);
    memcpy(q, v, (size_t)taken * sizeof *q);
    if (s != NULL) {
        lanes->restore(z != NULL, q, (Divisors){s, s, z != NULL ? z : s}, taken, 4);
    }
    strips->open += taken;
    if (strips->open == K_STRIP) {
        close_open(strips, lanes);
    }
    return taken;
}

void strips_add(Strips *strips, const Lanes *lanes, Row row, const float *v, const float *s,
                const float *z, int64_t n) {
    const int64_t size = source_size(row.type);
    int64_t at = 0;
    while (at < n) {
        const Row rest = {row.type, (const char *)row.e + at * size};
        const float *const rest_s = s != NULL ? s + at / 4 : NULL;
        const float *const rest_z = z != NULL ? z + at / 4 : NULL;
        const int64_t whole = (n - at) / K_STRIP * K_STRIP;
        if (strips->open > 0 || whole == 0) {
            at += fill_open(strips, lanes, rest, v + at, rest_s, rest_z, n - at);
        } else {
            lanes->compare(row.type, rest.e, v + at, rest_s, rest_z, whole, &strips->sums);
            at += whole;
        }
    }
}

void strips_end_row(Strips *strips, const Lanes *lanes) {
    if (strips->open > 0) {
        close_open(strips, lanes);
    }
}

void strips_close(Strips *strips, const Lanes *lanes, KernelMetrics *m) {
    lanes->close_strips(&strips->sums);
    metrics_from_sums(&strips->sums, m);
}

/* ---- metrics of a whole tensor */

static void count_nonfinite(const float *w, int64_t n, KernelMetrics *m) {
    m->count = n;
    for (int64_t i = 0; i < n; i++) {
        if (k_magnitude(w[i]) >= 0x7f800000u) {
            m->first_nonfinite = m->nonfinite == 0 ? i : m->first_nonfinite;
            m->nonfinite++;
        }
    }
}

void kernel_compare(const Kernel *k, const float *src, const float *stored,
                    KernelMetrics *metrics) {
    const Lanes *lanes = lanes_best();
    const Shape s = shape_of(k);
    const KernelView u = s.unit;
    assert(k->source == K_FLOAT);
    *metrics = (KernelMetrics){.first_nonfinite = -1};
    for (int64_t chunk = 0; chunk < s.chunks; chunk++) {
        const Box b = shape_chunk(&s, chunk);
        const bool run = u.inner == 1;
        const int64_t rows = run ? 1 : b.k1 - b.k0, n = run ? b.k1 - b.k0 : b.i1 - b.i0;
        KernelMetrics m = {.first_nonfinite = -1};
        Strips strips = {0};
        for (int64_t row = b.o0 * rows; row < b.o1 * rows; row++) {
            const int64_t first = run ? row * u.axis + b.k0
                                      : (row / rows * u.axis + b.k0 + row % rows) * u.inner + b.i0;
            strips_add(&strips, lanes, (Row){K_FLOAT, src + first}, stored + first, NULL, NULL, n);
            strips_end_row(&strips, lanes);
        }
        strips_close(&strips, lanes, &m);
        kernel_metrics_add(metrics, &m);
    }
    count_nonfinite(src, k->count, metrics);
}
