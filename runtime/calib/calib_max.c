/* max: the range of all values that were seen. ModelOpt's calib/max.py. */
#include "runtime/calib/calibrator.h"

static const char *range(const Stat *stat, const CalibTarget *target, const CalibArgs *args,
                         CalibRange *out) {
    (void)args;
    *out = calib_for(stat, target, stat_amax(stat));
    return NULL;
}

static const Param params[] = {{0}};

const Calibrator calibrator_max = {
    .name = "max",
    .doc = "the range of all values that were seen",
    .needs = STAT_RANGE,
    .params = params,
    .range = range,
};
