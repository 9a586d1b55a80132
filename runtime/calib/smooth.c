/* The estimate has two parts. The weight's: its Gram loss with the rounding that will be done. The
 * input's: each channel of x / s is off by some variance v_j once it is rounded, which meets the
 * column (W s)_j: tokens * sum_j v_j |(W s)_j|^2. v_j is that of a bell-shaped channel with the
 * mean square of G_jj, rounded by the format itself at 32 points of equal weight (and their
 * negatives), so integers, small floats and channels that vanish below half a step need no cases of
 * their own. */
#include "runtime/calib/smooth.h"
#include "runtime/calib/gram.h"
#include "runtime/calib/power.h"
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

/* |column j|^2, over all siblings */
static void add_column_squares(const Smooth *t, double *squares) {
    for (size_t i = 0; i < t->count; i++) {
        const float *w = t->weights[i].w;
        for (int64_t row = 0; row < t->weights[i].rows; row++) {
            for (int64_t j = 0; j < t->k; j++) {
                squares[j] += (double)w[row * t->k + j] * w[row * t->k + j];
            }
        }
    }
}

/* Mean squared error of a channel with deviation sigma under a scale. */
static double channel_error(const Format *f, float divisor, float sigma) {
    const float zero = f->asymmetric ? f->scale_max / 2 + 0.5f : 0.0f;
    double sum = 0;
    for (int i = 0; i < POINTS; i++) {
        const float x = bell[i] * sigma;
        const float q = x / divisor;
        const float v = f->decode(f->encode((f->asymmetric ? rintf(q) : q) + zero)) - zero;
        const double e = (double)(v * divisor) - x;
        sum += e * e;
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

static double activation_error(const Smooth *t, const double *squares, const float *s) {
    if (!t->activation) {
        return 0;
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
    add_column_squares(t, squares);
    ScaledWeight *rounded = arena_many(arena, ScaledWeight, t->count + 1);
    size_t rounded_count = 0;
    for (size_t i = 0; i < t->count; i++) {
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
        const double activation = activation_error(t, squares, trial);
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
