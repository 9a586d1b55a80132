/* Everything is exact here: values have few bits. */
#include "runtime/calib/code_levels.h"

void code_levels_make(const Format *format, CodeLevels *levels) {
    levels->format = format;
    levels->count = 0;
    for (int k = 0; k < CODE_LEVELS_MOST; k++) {
        const float value = format->integer ? (float)k : format->decode((uint32_t)k);
        const float most = format->integer ? format->scale_max : format->max_abs;
        if (!(value <= most) || (k > 0 && value <= levels->value[k - 1])) {
            break; /* NaN, infinity, or the other sign */
        }
        levels->value[k] = value;
        levels->middle[k] = k == 0 ? 0.0 : ((double)levels->value[k - 1] + (double)value) / 2.0;
        levels->count++;
    }
}

int64_t code_levels_start(const CodeLevels *levels, int k, int64_t n) {
    /* (b + 0.5) * most / n against the middle, both times 2 n */
    const double most = (double)levels->value[levels->count - 1];
    const double middle = 2.0 * levels->middle[k] * (double)n;
    int64_t b = (int64_t)(middle / (2.0 * most));
    b = b > 0 ? b - 1 : 0;
    while ((double)(2 * b + 1) * most < middle) {
        b++;
    }
    /* halfway between two codes the even one is taken */
    return (double)(2 * b + 1) * most == middle && k % 2 != 0 ? b + 1 : b;
}
