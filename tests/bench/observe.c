/* observe ROWS CHANNELS: what one batch of float32 [ROWS, CHANNELS] costs each statistic on one
 * thread: best of several, in milliseconds, one line each. tests/bench/observers.py puts it beside
 * the matrix product that such a batch goes into. */
#include "runtime/calib/stats.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Roughly normal; one in a thousand is far out, as activations have them. */
static float *activations(int64_t n) {
    float *x = malloc((size_t)n * sizeof *x);
    uint32_t state = 1;
    for (int64_t i = 0; x && i < n; i++) {
        float sum = -2.0f;
        for (int k = 0; k < 4; k++) {
            state = state * 1664525u + 1013904223u;
            sum += (float)(state >> 8) * 0x1p-24f;
        }
        x[i] = i % 997 == 0 ? sum * 8.0f : sum;
    }
    return x;
}

static double measure(Session *s, unsigned what, const float *x, StatView view) {
    static const StatsIdentity none;
    Stats *set = stats_open(s, &none);
    Stat *stat = stats_add(set, STR("x"), what);
    double best = 0.0, all = 0.0;
    for (int i = 0; i < 20 && (i < 3 || all < 2000.0); i++) {
        const double start = now();
        const char *wrong = stat_add(stat, 1, x, view, NULL);
        const double took = now() - start;
        if (wrong) {
            fprintf(stderr, "observe: the tensor %s\n", wrong);
            exit(1);
        }
        best = i == 0 || took < best ? took : best;
        all += took;
    }
    stats_close(set);
    return best;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        unsigned what;
    } rows[] = {{"range", STAT_RANGE},
                {"histogram", STAT_HISTOGRAM},
                {"channels", STAT_CHANNELS},
                {"magnitudes", STAT_CHANNELS | STAT_MAGNITUDES},
                {"all three", STAT_RANGE | STAT_HISTOGRAM | STAT_CHANNELS},
                {"gram", STAT_GRAM}};
    const StatView view = {argc == 3 ? atoll(argv[1]) : 0, argc == 3 ? atoll(argv[2]) : 0, 1};
    if (view.outer < 1 || view.channels < 1 || view.outer > 1 << 20 || view.channels > 1 << 14) {
        fputs("usage: observe ROWS CHANNELS\n", stderr);
        return 2;
    }
    Session *s = session_open(&sys_real);
    float *x = activations(view.outer * view.channels);
    for (size_t i = 0; x && i < sizeof rows / sizeof *rows; i++) {
        printf("%s\t%.3f\n", rows[i].name, measure(s, rows[i].what, x, view));
    }
    free(x);
    session_close(s);
    return x ? 0 : 1;
}
