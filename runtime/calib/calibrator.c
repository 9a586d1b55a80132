/* The table of calibrators, and what they share. */
#include "runtime/calib/calibrator.h"
#include "kernels/dialect.h"

#define CALIBRATOR(name) extern const Calibrator calibrator_##name;
#include "runtime/calib/calibrators.list"
#undef CALIBRATOR

const Calibrator *const calibrators[] = {
#define CALIBRATOR(name) &calibrator_##name,
#include "runtime/calib/calibrators.list"
#undef CALIBRATOR
};
const int calibrator_count = sizeof calibrators / sizeof *calibrators;

const Calibrator *calibrator_find(Str name) {
    for (int i = 0; i < calibrator_count; i++) {
        if (str_is(name, calibrators[i]->name)) {
            return calibrators[i];
        }
    }
    return NULL;
}

const char *calibrator_range(const Calibrator *calibrator, const Stat *stat,
                             const CalibTarget *target, const CalibArgs *args, CalibRange *range) {
    if ((stat->what & calibrator->needs) != calibrator->needs) {
        return "was observed without a histogram";
    }
    if (stat->rows == 0) {
        return "has not been seen in any batch";
    }
    if (stat->min == 0.0f && stat->max == 0.0f) {
        *range = calib_symmetric(0.0f);
        return NULL;
    }
    return calibrator->range(stat, target, args, range);
}

CalibRange calib_symmetric(float amax) {
    return (CalibRange){amax > 0.0f ? -amax : 0.0f, amax, amax};
}

CalibRange calib_cut(const Stat *stat, float magnitude) {
    const float lo = stat->min < 0.0f ? k_max(stat->min, -magnitude) : 0.0f;
    const float hi = stat->max > 0.0f ? k_min(stat->max, magnitude) : 0.0f;
    return (CalibRange){lo, hi, -lo > hi ? -lo : hi};
}

CalibRange calib_for(const Stat *stat, const CalibTarget *target, float magnitude) {
    return target->format->asymmetric ? calib_cut(stat, magnitude) : calib_symmetric(magnitude);
}
