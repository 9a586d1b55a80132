/* The values of a format's codes on one side of zero, 0 first: what bins of a histogram are rounded
 * to. For calibrators, which find by them where one code's bins end and the next one's begin. */
#ifndef RUNTIME_CALIB_CODE_LEVELS_H
#define RUNTIME_CALIB_CODE_LEVELS_H
#include "kernels/kernels.h"

enum { CODE_LEVELS_MOST = 256 };

typedef struct CodeLevels {
    const Format *format;
    int count; /* int8 128 (0 to 127), uint8 256, e4m3 127 */
    float value[CODE_LEVELS_MOST];
    double middle[CODE_LEVELS_MOST]; /* between value k - 1 and value k; exact */
} CodeLevels;

void code_levels_make(const Format *format, CodeLevels *levels);
/* Of bins whose centers are (b + 0.5) * most / n, the first that rounds to value k or a larger one;
 * most is the largest value. 1 <= k < count, n <= 2^16. */
int64_t code_levels_start(const CodeLevels *levels, int k, int64_t n);

#endif
