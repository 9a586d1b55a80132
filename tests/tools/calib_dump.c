/* calib_dump FORMAT PERCENTILE BATCH < floats: adds the floats, BATCH at a time, to the statistics
 * of one tensor, and prints them with what every calibrator makes of them, as text: the histogram
 * ("histogram WIDTH BINS", then BINS lines "ABOVE BELOW"), then "NAME LO HI AMAX". Floats are "%a".
 * Exit 2 for other words, 1 when something is wrong with the floats. */
#include "runtime/calib/calibrator.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_all(const Stat *stat, const CalibTarget *target, const CalibArgs *args) {
    printf("histogram %a %lld\n", (double)stat->width, (long long)stat->bins);
    for (int64_t b = 0; b < stat->bins; b++) {
        printf("%llu %llu\n", (unsigned long long)stat->above[b],
               (unsigned long long)stat->below[b]);
    }
    for (int i = 0; i < calibrator_count; i++) {
        CalibRange r;
        const char *wrong = calibrator_range(calibrators[i], stat, target, args, &r);
        if (wrong) {
            fprintf(stderr, "%s: %s\n", calibrators[i]->name, wrong);
            return 1;
        }
        printf("%s %a %a %a\n", calibrators[i]->name, (double)r.lo, (double)r.hi, (double)r.amax);
    }
    return 0;
}

int main(int argc, char **argv) {
    const Format *format = argc == 4 ? format_find(argv[1], strlen(argv[1])) : NULL;
    const long batch = argc == 4 ? atol(argv[3]) : 0;
    if (!format || batch < 1 || batch > 1 << 24) {
        fputs("usage: calib_dump FORMAT PERCENTILE BATCH\n", stderr);
        return 2;
    }
    Session *s = session_open(&sys_real);
    const StatsIdentity none = {{0}, {0}, {0}};
    Stat *stat = stats_add(stats_open(s, &none), STR("x"), STAT_RANGE | STAT_HISTOGRAM);
    float *x = malloc((size_t)batch * sizeof *x);
    int status = x ? 0 : 1;
    for (size_t n; status == 0 && (n = fread(x, sizeof *x, (size_t)batch, stdin)) > 0;) {
        const char *wrong = stat_add(stat, 1, x, (StatView){(int64_t)n, 1, 1}, NULL);
        if (wrong) {
            fprintf(stderr, "the tensor %s\n", wrong);
            status = 1;
        }
    }
    const CalibTarget target = {format};
    const CalibArgs args = {.percentile = atof(argv[2])};
    status = status == 0 ? print_all(stat, &target, &args) : status;
    free(x);
    session_close(s);
    return fflush(stdout) != 0 ? 1 : status;
}
