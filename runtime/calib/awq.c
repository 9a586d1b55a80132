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

bool awq_search(const Awq *awq, float *s, AwqReport *report, Arena *arena, const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    const float *g = gram_narrow(arena, awq->gram, awq->k);
    float *trial = arena_many(arena, float, (size_t)awq->k);
    bool done = true;
    *report = (AwqReport){0};
    for (int step = 0; step <= awq->steps && done; step++) {
        const double r = (double)step / (awq->steps > 0 ? awq->steps : 1);
        double loss = 0;
        candidate(awq, r, trial);
        done = channel_scale_loss(awq->weights, awq->count, awq->k, g, trial, &loss, arena, spread);
        if (step == 0 || loss < report->loss) {
            report->loss = loss;
            report->ratio = r;
            memcpy(s, trial, (size_t)awq->k * sizeof *s);
        }
        report->before = step == 0 ? loss : report->before;
    }
    arena_reset(arena, mark);
    return done;
}
