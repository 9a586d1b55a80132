/* The range of an array, in one pass over it. */
#ifndef RUNTIME_CALIB_DATA_STATS_H
#define RUNTIME_CALIB_DATA_STATS_H
#include "runtime/calib/data_file.h"

typedef struct DataStats {
    bool integers;       /* least and most are in the integers */
    int64_t least, most; /* uint64 above INT64_MAX counts as that */
    double min, max;     /* of the finite values, of integers too */
    double mean;         /* of them; sums of 4,096 values, in order */
    int64_t values;      /* that are finite; 0: the others mean nothing */
    int64_t not_finite;
} DataStats;

/* `array` is loaded. False: the run was stopped. */
bool data_stats(Session *s, const DataArray *array, DataStats *out);

#endif
