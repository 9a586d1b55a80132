/* One histogram of magnitudes for each channel, from which that of x / s over all channels follows
 * for any factors s. Bins are logarithmic: the exponent of a float32 and the upper bits of its
 * mantissa, STAT_MAGNITUDE_BINS of them, of which the last holds the largest magnitude that the
 * channel has; the first takes all that lies below the others. As the maximum grows, bins move
 * down and what falls off is added to the first: so counts depend on the values alone, not on
 * their order or batches. Memory: STAT_MAGNITUDE_BINS * 2 signs * 4 bytes a channel. */
#ifndef RUNTIME_CALIB_STAT_MAGNITUDES_H
#define RUNTIME_CALIB_STAT_MAGNITUDES_H
#include "runtime/base/arena.h"
#include "runtime/calib/stat_tasks.h"

/* Room for Stat.channels channels, empty; false: out of memory. */
bool magnitudes_begin(Stat *stat);
/* Counts one batch. Stat.channel_amax knows of it already. False: tasks could not run. */
bool magnitudes_add(Stat *stat, const StatInput *in, const Spread *spread);
/* Says where the bins of counts that were read begin, which channel_amax knows. */
void magnitudes_place(Stat *stat);
/* Adds the counts of another; both channel_amax hold their own values still. */
void magnitudes_merge(Stat *into, const Stat *from);

/* Values [low, high] of one bin of a channel, whose magnitudes these are; bin 0 begins at 0, the
 * last one ends at the channel's maximum. */
void magnitudes_edges(const Stat *stat, int64_t channel, int64_t bin, float *low, float *high);

/* Range and histogram of x / s over all channels, as a calibrator takes them: STAT_BINS bins over
 * the largest magnitude. The values of a bin are taken as spread evenly. `squares`, if not NULL,
 * are those of the columns that the channels of x meet: each value then counts as often, in
 * proportion, as the square of what its error is multiplied by, (W s)_j. On the arena. */
Stat *magnitudes_scaled(Arena *arena, const Stat *stat, const float *s, const double *squares);

#endif
