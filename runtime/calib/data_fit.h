/* What one array is to a model, in words: for those who look at data before they use it. */
#ifndef RUNTIME_CALIB_DATA_FIT_H
#define RUNTIME_CALIB_DATA_FIT_H
#include "runtime/calib/data.h"
#include "runtime/calib/data_file.h"

/* "fits input_ids", "does not fit input_ids: int64 [batch, sequence]", "no input is called so".
 * *input: the number of the input that it fits, or -1. */
Str data_fit_words(Session *s, const DataArray *array, const DataInput *inputs, size_t count,
                   int64_t *input);

#endif
