/* Cuts rows into strips for Lanes.compare (strips.h). */
#include "kernels/strips.h"
#include "kernels/scale.h"
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
