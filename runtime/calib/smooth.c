/* The estimate has two parts. The weight's: its Gram loss with the rounding that will be done. The
 * input's: each channel of x / s is off by some variance v_j once it is rounded, which meets the
 * column (W s)_j: tokens * sum_j v_j |(W s)_j|^2. v_j is that of a bell-shaped channel with the
 * mean square of G_jj, rounded by the format itself at 32 points of equal weight (and their
 * negatives), so integers, small floats and channels that vanish below half a step need no cases of
 * their own. Where magnitudes were counted, the values of each channel take the bell's place, and
 * the range is the one that will be chosen for x / s: clipping is a part of the error. */
#include "runtime/calib/smooth.h"
#include "runtime/calib/gram.h"
#include "runtime/calib/power.h"
#include "runtime/calib/stat_magnitudes.h"
#include <math.h>
#include <string.h>

/* Middles of 32 slices of equal weight of the positive half of the normal distribution. */
static const float bell[] = {
    0.019584f, 0.058783f, 0.098072f, 0.137513f, 0.177170f, 0.217107f, 0.257394f, 0.298102f,
    0.339312f, 0.381105f, 0.423576f, 0.466825f, 0.510966f, 0.556126f, 0.602449f, 0.650104f,
    0.699283f, 0.750215f, 0.803173f, 0.858484f, 0.916557f, 0.977898f, 1.043158f, 1.113194f,
    1.189164f, 1.272699f, 1.366204f, 1.473468f, 1.601009f, 1.761670f, 1.987428f, 2.417559f};
enum { POINTS = sizeof bell / sizeof *bell };
#define BELL_SQUARE 0.9803 /* mean square of the points */

void smooth_scale(const float *activation_amax, const float *weight_amax, int64_t k, double alpha,
                  float *s) {
    for (int64_t j = 0; j < k; j++) {
        const double a = activation_amax[j];
        const double w = weight_amax[j] > 1e-5f ? weight_amax[j] : 1e-5;
        s[j] = 1.0f;
        if (a > 0x1p-31 && a < (double)INFINITY && w < (double)INFINITY) {
            const double x = power_of(a, alpha) / power_of(w, 1 - alpha);
            const double kept = x < CHANNEL_SCALE_MOST ? x : CHANNEL_SCALE_MOST;
            s[j] = (float)(kept > CHANNEL_SCALE_LEAST ? kept : CHANNEL_SCALE_LEAST);
        }
    }
}

/* Codes under one scale. */
typedef struct Codes {
    const Format *format;
    float divisor, zero;
} Codes;

static double square_error(const Codes *c, float x) {
    const Format *f = c->format;
    const float q = x / c->divisor;
    const float v = f->decode(f->encode((f->asymmetric ? rintf(q) : q) + c->zero)) - c->zero;
    const double e = (double)(v * c->divisor) - x;
    return e * e;
}

/* Mean squared error of a channel with deviation sigma under a scale. */
static double channel_error(const Format *f, float divisor, float sigma) {
    const Codes codes = {f, divisor, f->asymmetric ? f->scale_max / 2 + 0.5f : 0.0f};
    double sum = 0;
    for (int i = 0; i < POINTS; i++) {
        sum += square_error(&codes, bell[i] * sigma);
    }
    return sum / POINTS;
}

/* The largest that a row, or the whole data, has of a channel; sigma: its deviation. */
static float reach(const Smooth *t, int64_t channel, double sigma) {
    const float typical = (float)(SMOOTH_TYPICAL_ROW * sigma), most = t->amax[channel];
    return t->rows && typical < most ? typical : most;
}

static double mean_square(const Smooth *t, int64_t channel) {
    const double mean = t->gram[channel * t->k + channel] / (double)t->tokens;
    return mean > 0 ? mean : 0;
}

/* Sum of the squared errors of a channel's values over its factor: two points of each bin. */
static double counted_error(const Stat *stat, int64_t channel, float inverse, const Codes *codes) {
    const uint32_t *counts = stat->magnitudes + channel * 2 * STAT_MAGNITUDE_BINS;
    double sum = 0;
    for (int b = 0; b < STAT_MAGNITUDE_BINS; b++) {
        const uint32_t above = counts[b], below = counts[STAT_MAGNITUDE_BINS + b];
        const bool same = !codes->format->asymmetric; /* of x and of -x */
        float low, high;
        if (above + (uint64_t)below == 0) {
            continue;
        }
        magnitudes_edges(stat, channel, b, &low, &high);
        for (int i = 1; i <= 3; i += 2) {
            const float x = (low + (high - low) * 0.25f * (float)i) * inverse;
            const double n = same ? (double)above + below : above;
            sum += n > 0 ? 0.5 * n * square_error(codes, x) : 0;
            sum += !same && below ? 0.5 * below * square_error(codes, -x) : 0;
        }
    }
    return sum;
}

/* With the clipping of the range that will be chosen. A value meets the columns of all taps of its
 * channel; of a convolution with a stride not all of them, so counts are those of the columns. */
static double clipped_error(const Smooth *t, const double *squares, const float *s, Arena *arena) {
    const ArenaMark mark = arena_mark(arena);
    const int64_t taps = t->taps > 1 ? t->taps : 1, channels = t->k / taps;
    double *weight = arena_many(arena, double, (size_t)channels);
    float *factor = arena_many(arena, float, (size_t)channels);
    for (int64_t j = 0; j < t->k; j++) {
        weight[j / taps] += squares[j];
        factor[j / taps] = s[j];
    }
    const bool weighs = t->calibrator->weighs;
    const Stat *scaled = magnitudes_scaled(arena, t->magnitudes, factor, weighs ? weight : NULL);
    const CalibTarget target = {t->activation};
    CalibRange range;
    const char *why = calibrator_range(t->calibrator, scaled, &target, &t->args, &range);
    const float size = why ? 0 : t->activation->asymmetric ? range.hi - range.lo : range.amax;
    double sum = why ? INFINITY : 0; /* no memory: whoever wants the range itself will say so */
    if (size > 0) {
        const float divisor = size / t->activation->scale_max;
        const Codes codes = {t->activation, divisor,
                             t->activation->asymmetric ? rintf(-range.lo / divisor) : 0.0f};
        for (int64_t c = 0; c < channels; c++) {
            const double error = counted_error(t->magnitudes, c, 1.0f / factor[c], &codes);
            sum += error * weight[c] * factor[c] * factor[c];
        }
        sum *= (double)t->tokens / (double)t->magnitudes->rows;
    }
    arena_reset(arena, mark);
    return sum;
}

static double activation_error(const Smooth *t, const double *squares, const float *s,
                               Arena *arena) {
    if (!t->activation) {
        return 0;
    }
    if (t->magnitudes) {
        return clipped_error(t, squares, s, arena);
    }
    float amax = 0;
    for (int64_t j = 0; j < t->k; j++) {
        const float a = reach(t, j, sqrt(mean_square(t, j))) / s[j];
        amax = a > amax ? a : amax;
    }
    if (!(amax > 0)) {
        return 0;
    }
    const float range = t->activation->asymmetric ? 2 * amax : amax;
    const float divisor = range / t->activation->scale_max;
    double sum = 0;
    for (int64_t j = 0; j < t->k; j++) {
        const float sigma = (float)(sqrt(mean_square(t, j) / BELL_SQUARE) / s[j]);
        sum += channel_error(t->activation, divisor, sigma) * squares[j] * s[j] * s[j];
    }
    return sum * (double)t->tokens;
}

/* Columns of one channel get the largest of all of them. */
static void join_taps(float *amax, int64_t k, int64_t taps) {
    for (int64_t j = 0; taps > 1 && j < k; j += taps) {
        float most = 0;
        for (int64_t i = j; i < j + taps; i++) {
            most = amax[i] > most ? amax[i] : most;
        }
        for (int64_t i = j; i < j + taps; i++) {
            amax[i] = most;
        }
    }
}

bool smooth_search(const Smooth *t, float *s, SmoothReport *report, Arena *arena,
                   const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    const int64_t k = t->k;
    const float *g = gram_narrow(arena, t->gram, k);
    float *trial = arena_many(arena, float, (size_t)k);
    float *weight_amax = arena_many(arena, float, (size_t)k);
    double *squares = arena_many(arena, double, (size_t)k);
    ScaledWeight *rounded = arena_many(arena, ScaledWeight, t->count + 1);
    size_t rounded_count = 0;
    for (size_t i = 0; i < t->count; i++) {
        channel_squares(t->weights[i].w, t->weights[i].rows, k, squares);
        channel_widen(t->weights[i].w, t->weights[i].rows, k, weight_amax);
        if (t->weights[i].grid->format) {
            rounded[rounded_count++] = t->weights[i];
        }
    }
    join_taps(weight_amax, k, t->taps);
    bool done = true;
    double least = INFINITY;
    *report = (SmoothReport){.alpha = -1};
    for (int step = -1; step <= SMOOTH_MOST_ALPHA * t->steps && done; step++) { /* -1: s = 1 */
        const double alpha = (double)step / (t->steps > 0 ? t->steps : 1);
        for (int64_t j = 0; j < k; j++) {
            trial[j] = 1.0f;
        }
        if (step >= 0) {
            smooth_scale(t->amax, weight_amax, k, alpha, trial);
        }
        double weight = 0;
        done = channel_scale_loss(rounded, rounded_count, k, g, trial, &weight, arena, spread);
        const double activation = activation_error(t, squares, trial, arena);
        if (step < 0 || weight + activation < least) {
            least = weight + activation;
            report->alpha = step < 0 ? -1 : alpha;
            report->weight = weight;
            report->activation = activation;
            memcpy(s, trial, (size_t)k * sizeof *s);
        }
        report->before = step < 0 ? least : report->before;
    }
    arena_reset(arena, mark);
    return done;
}
