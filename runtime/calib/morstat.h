/* The .morstat file: a set of statistics, bit for bit, with what it is about and how far it has
 * come, so that a later run, or another machine, goes on from it or uses it as it is.
 *
 * Layout, little-endian; everything is aligned to 8, gaps are 0:
 *    0  "morstat\0"
 *    8  u32 version, 2; u32 1 if complete, else 0
 *   16  u64 size of the file
 *   24  SHA-256 of the model, of the data, of what was asked (StatsIdentity)
 *  120  u64 batches of the data that are in
 *  128  u64 number of Stats
 *  136  u64 samples in those batches; u64 bytes of the engine's name; the name
 *       Stats, by the order of the set
 *  end  SHA-256 of all bytes before it
 * A Stat:
 *    0  u32 bytes of its name; u32 what
 *    8  u64 batches, rows, channels, bins, zeros, places, groups, columns
 *   72  f32 min, max, width, 0
 *   88  the name; then of histograms u64 above[bins], below[bins]; of channels f32 amax[channels],
 *       f64 sum[channels], sum of |x|[channels]; of magnitudes u32 [channels][2][192];
 *       of Gram matrices, for each group, f64 of the cells
 * on and above the diagonal, row by row Arrays that nothing has come into are not there: all of
 * them where rows is 0, those of the histogram where bins is 0. */
#ifndef RUNTIME_CALIB_MORSTAT_H
#define RUNTIME_CALIB_MORSTAT_H
#include "runtime/base/file.h"
#include "runtime/calib/stats.h"

enum { MORSTAT_VERSION = 2 };
/* *why of a file that is statistics by its first bytes, in another layout. */
#define MORSTAT_OTHER_VERSION "is of another version of morc"

/* By the commit protocol: a run that is killed leaves the old file or the new one. E1102. */
bool morstat_write(const Stats *stats, Str path);
/* The same bytes, in pieces. False as soon as `piece` is. */
typedef bool MorstatPiece(void *user, const void *data, size_t size);
bool morstat_pieces(const Stats *stats, MorstatPiece *piece, void *user);

/* The set that the bytes hold, for the session; NULL and *why, a text that continues "the file ",
 * when they are not whole, make no sense, or are not about `wanted` (NULL: whatever they are
 * about). Any bytes are safe. */
Stats *morstat_read(Session *s, Str bytes, const StatsIdentity *wanted, const char **why);
/* The same of a file; NULL with *why NULL: it could not be read, and E1101 or so says why. */
Stats *morstat_open(Session *s, Str path, const StatsIdentity *wanted, const char **why);

/* Which Gram matrices are wanted: the others are checked, and not kept. */
typedef struct MorstatPart {
    bool (*gram)(void *user, Str name);
    void *user;
} MorstatPart;
Stats *morstat_open_part(Session *s, Str path, const StatsIdentity *wanted, const MorstatPart *part,
                         const char **why);

#endif
