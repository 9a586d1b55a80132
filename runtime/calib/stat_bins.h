/* The bins of a Stat's histogram: how they begin, grow and are put into wider ones. Bins are a
 * float32 `width` each; their edges are the multiples of it, rounded to float32 once. The
 * arithmetic is that of ModelOpt's HistogramCalibrator (torch.histc): 2048 bins over the first
 * batch's range, then more bins of the same width. Functions return false when memory ran out. */
#ifndef RUNTIME_CALIB_STAT_BINS_H
#define RUNTIME_CALIB_STAT_BINS_H
#include "runtime/calib/stats.h"

float bins_edge(const Stat *stat, int64_t index); /* 0 <= index <= stat->bins */
float bins_top(const Stat *stat);                 /* the last edge */
bool bins_begin(Stat *stat, float amax);          /* amax > 0; the zeros so far become counts */
/* Makes room for magnitudes up to amax. Beyond STAT_BINS_MAX bins become twice as wide. */
bool bins_widen(Stat *stat, float amax);
/* Adds the counts of another histogram. Where the widths differ, those of the narrower bins are
 * dealt out to the wider ones as if each bin's values were spread evenly, in whole numbers. */
bool bins_merge(Stat *into, const Stat *from);

#endif
