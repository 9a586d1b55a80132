/* A candidate costs a rounding and a product with G; the first of equal losses wins, so that s is 1
 * where nothing is gained. */
#include "runtime/calib/awq.h"
#include "runtime/calib/gram.h"
#include "runtime/calib/power.h"
#include <math.h>
#include <string.h>

static void candidate(const Awq *awq, double r, float *s) {
    double least = INFINITY, most = 0;
    for (int64_t j = 0; j < awq->k; j++) {
        const double x = awq->mean[j] >= 0x1p-120f ? power_of((double)awq->mean[j], r) : 0;
        if (x > 0) {
            least = x < least ? x : least;
            most = x > most ? x : most;
        }
        s[j] = (float)x;
    }
    const double middle = most > 0 ? sqrt(least) * sqrt(most) : 1;
    for (int64_t j = 0; j < awq->k; j++) {
        const float x = (float)(s[j] / middle);
        const float kept = x < CHANNEL_SCALE_MOST ? x : CHANNEL_SCALE_MOST;
        s[j] = s[j] > 0 ? (kept > CHANNEL_SCALE_LEAST ? kept : CHANNEL_SCALE_LEAST) : 1.0f;
    }
}

static double ratio_of(const Awq *awq, int64_t step) {
    return (double)step / (awq->steps > 0 ? awq->steps : 1);
}

bool awq_search(const Awq *awq, float *s, AwqReport *report, Arena *arena, const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    const int64_t k = awq->k, n = awq->steps + 1;
    const float *g = gram_narrow(arena, awq->gram, k);
    float *trials = arena_many(arena, float, (size_t)(n * k));
    double *losses = arena_many(arena, double, (size_t)n);
    for (int64_t step = 0; step < n; step++) {
        candidate(awq, ratio_of(awq, step), trials + step * k);
    }
    const bool done =
        channel_scale_losses(awq->weights, awq->count, k, g, trials, n, losses, arena, spread);
    int64_t best = 0;
    for (int64_t step = 0; step < n; step++) {
        best = losses[step] < losses[best] ? step : best;
    }
    *report = (AwqReport){ratio_of(awq, best), losses[0], losses[best]};
    memcpy(s, trials + best * k, (size_t)k * sizeof *s);
    arena_reset(arena, mark);
    return done;
}
