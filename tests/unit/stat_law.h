/* The law of the statistics, in plain loops, and what their tests share: random activations of all
 * types, and a Spread that runs tasks on threads, last ones first. */
#ifndef TESTS_UNIT_STAT_LAW_H
#define TESTS_UNIT_STAT_LAW_H
#include "tests/unit/unit.h"
#include "kernels/scale.h"
#include "runtime/calib/stat_gram.h"
#include <math.h>
#include <pthread.h>

/* ---- a Spread on threads, which leaves tasks in an odd order */

typedef struct LawWork {
    SpreadTask *task;
    void *user;
    size_t first, step, count;
} LawWork;

static void *law_worker(void *argument) {
    const LawWork *work = argument;
    for (size_t i = work->first; i < work->count; i += work->step) {
        work->task(work->user, work->count - 1 - i);
    }
    return NULL;
}

static inline bool law_threads(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    LawWork work[THREADS];
    (void)spread;
    for (size_t i = 0; i < THREADS; i++) {
        work[i] = (LawWork){task, user, i, THREADS, count};
        assert_int_equal(pthread_create(&threads[i], NULL, law_worker, &work[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return true;
}

static inline bool law_refuses(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    (void)spread, (void)task, (void)user, (void)count;
    return false;
}

static const Spread law_spread __attribute__((unused)) = {law_threads, NULL};
static const Spread law_broken __attribute__((unused)) = {law_refuses, NULL};

/* ---- data */

static inline uint32_t law_random(void) {
    static uint64_t state = 88172645463325252u; /* xorshift64 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

/* About normal, with a few far out and some zeros of both signs. */
static inline float law_value(void) {
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += (float)(law_random() >> 8) * 0x1p-24f - 0.5f;
    }
    const uint32_t odd = law_random() % 64;
    return odd == 0 ? sum * 30.0f : odd == 1 ? 0.0f : odd == 2 ? -0.0f : sum;
}

/* n values of a type, and the floats that they are. Both malloc'ed. */
static inline void law_data(int type, int64_t n, float **values, void **stored) {
    *values = malloc((size_t)n * sizeof(float) + 1);
    *stored = malloc((size_t)n * 8 + 1);
    for (int64_t i = 0; i < n; i++) {
        float v = law_value();
        if (type == 10) {
            v = (float)((int)(v * 512.0f)) / 512.0f;
            uint32_t code = v == 0.0f ? k_bits(v) >> 16 : k_bits(v) >> 16 & 0x8000u;
            code |= v == 0.0f ? 0u : k_float16_encode(k_abs(v));
            ((uint16_t *)*stored)[i] = (uint16_t)code;
            v = k_float16_decode(code);
        } else if (type == 16) {
            ((uint16_t *)*stored)[i] = (uint16_t)(k_bits(v) >> 16);
            v = k_float(k_bits(v) & 0xffff0000u);
        } else if (type == 11) {
            const double d = (double)v * (1.0 + 1e-12);
            ((double *)*stored)[i] = d;
            v = (float)d;
        } else {
            ((float *)*stored)[i] = v;
        }
        (*values)[i] = v;
    }
}

/* ---- the law */

/* Of each channel: rows in order; a plane (inner > 1) by strips of 2048, each with eight sums that
 * are added in pairs. */
static inline void law_channels(const float *x, StatView v, float *amax, double *sum,
                                double *sum_abs) {
    for (int64_t o = 0; o < v.outer; o++) {
        for (int64_t c = 0; c < v.channels; c++) {
            const float *plane = x + (o * v.channels + c) * v.inner;
            for (int64_t first = 0; first < v.inner; first += 2048) {
                const int64_t end = first + 2048 < v.inner ? first + 2048 : v.inner;
                double s[8] = {0}, a[8] = {0};
                for (int64_t i = first; i < end; i++) {
                    amax[c] = fabsf(plane[i]) > amax[c] ? fabsf(plane[i]) : amax[c];
                    s[(i - first) % 8] += (double)plane[i];
                    a[(i - first) % 8] += (double)fabsf(plane[i]);
                }
                sum[c] += ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
                sum_abs[c] += ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
            }
        }
    }
}

/* Of all values at once, which know the largest of their channel. counts: [channels][2][bins] */
static inline void law_magnitudes(const float *x, StatView v, uint32_t *counts) {
    enum { BINS = STAT_MAGNITUDE_BINS, SHIFT = STAT_MAGNITUDE_SHIFT };
    for (int64_t c = 0; c < v.channels; c++) {
        uint32_t top = 0; /* magnitudes order as their bits do */
        for (int64_t i = 0; i < v.outer * v.inner; i++) {
            const float value = x[(i / v.inner * v.channels + c) * v.inner + i % v.inner];
            const uint32_t bits = k_bits(fabsf(value)) >> SHIFT;
            top = bits > top ? bits : top;
        }
        for (int64_t i = 0; i < v.outer * v.inner; i++) {
            const float value = x[(i / v.inner * v.channels + c) * v.inner + i % v.inner];
            const int64_t bin = (int64_t)(k_bits(fabsf(value)) >> SHIFT) - top + BINS - 1;
            counts[(c * 2 + (value < 0.0f)) * BINS + (bin > 0 ? bin : 0)]++;
        }
    }
}

/* Row `place` of group g's columns. */
static inline void law_row(const float *x, const StatConv *c, const int64_t *out, int64_t place,
                           int64_t group, double *row) {
    int64_t at[3] = {0}, taps = 1, plane = 1;
    for (int d = c->rank - 1; d >= 0; d--) {
        at[d] = place % out[d];
        place /= out[d];
        taps *= c->kernel[d];
        plane *= c->size[d];
    }
    for (int64_t ch = 0; ch < c->channels / c->groups; ch++) {
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t rest = tap, index = 0, weight = 1;
            bool inside = true;
            for (int d = c->rank - 1; d >= 0; d--) {
                const int64_t reach = rest % c->kernel[d] * c->dilation[d] - c->begin[d];
                int64_t i = at[d] * c->stride[d] + reach;
                if (c->transposed) { /* the place of the input that reaches this one, if any */
                    for (i = c->size[d] - 1; i >= 0 && i * c->stride[d] + reach != at[d];) {
                        i--;
                    }
                }
                rest /= c->kernel[d];
                inside = inside && i >= 0 && i < c->size[d];
                index += i * weight;
                weight *= c->size[d];
            }
            const int64_t channel = group * (c->channels / c->groups) + ch;
            const float *from = x + (place * c->channels + channel) * plane;
            row[ch * taps + tap] = inside ? (double)from[index] : 0.0;
        }
    }
}

/* Cells on and above the diagonal. */
static inline void law_gram(const float *x, const GramShape *s, double *gram) {
    double *row = malloc(sizeof(double) * (size_t)s->columns);
    for (int64_t place = 0; place < s->places; place++) {
        for (int64_t g = 0; g < s->groups; g++) {
            double *cells = gram + g * s->columns * s->columns;
            law_row(x, &s->conv, s->out, place, g, row);
            for (int64_t i = 0; i < s->columns; i++) {
                for (int64_t j = i; j < s->columns; j++) {
                    cells[i * s->columns + j] += row[i] * row[j];
                }
            }
        }
    }
    free(row);
}

static inline void law_upper(const double *a, const double *b, int64_t groups, int64_t n) {
    for (int64_t g = 0; g < groups; g++) {
        for (int64_t i = 0; i < n; i++) {
            assert_memory_equal(a + (g * n + i) * n + i, b + (g * n + i) * n + i,
                                sizeof(double) * (size_t)(n - i));
        }
    }
}

#endif
