/* Statistics of activations, gathered in one pass over the data in memory that the data's size does
 * not change: what calibrators, SmoothQuant, AWQ, GPTQ and pruning need. A Stat belongs to one
 * tensor of the model, a set (Stats) to one model, one data set and one wish.
 *
 * All bits are those of the plain loops in tests/unit/stat_law.h: on any processor, for any number
 * of threads, and (but for where an histogram begins) however the data are cut into batches. Values
 * are taken as float32; float64 ones are rounded to it first. Owner: the set, which owns all memory
 * but the names (the session's arena) and is closed with the session at the latest. */
#ifndef RUNTIME_CALIB_STATS_H
#define RUNTIME_CALIB_STATS_H
#include <pthread.h>
#include "runtime/base/session.h"
#include "runtime/base/spread.h"

typedef enum StatWhat {
    STAT_RANGE = 1,       /* smallest and largest value */
    STAT_HISTOGRAM = 2,   /* of magnitudes */
    STAT_CHANNELS = 4,    /* of each channel: largest magnitude, sum of x, sum of |x| */
    STAT_GRAM = 8,        /* X^T X; its diagonal holds the squared norms of the columns */
    STAT_MAGNITUDES = 16, /* of each channel: a histogram of magnitudes; with STAT_CHANNELS */
    STAT_ALL = 31
} StatWhat;

enum {
    STAT_BINS = 2048, /* of a new histogram, over [0, largest magnitude of its first batch] */
    STAT_BINS_MAX = 1 << 15,  /* of one that has grown; then bins become twice as wide */
    STAT_COLUMNS_MAX = 16384, /* of a Gram matrix; 2 GiB */
    STAT_MAGNITUDE_SHIFT =
        19, /* bits of a float32 that bins of magnitudes leave out: 16 an octave */
    STAT_MAGNITUDE_BINS = 192, /* 12 octaves: more than 2048 even bins tell apart */
    STAT_RANK_MAX = 3          /* dimensions that a convolution's kernel has */
};
#define STAT_CELLS_MAX ((int64_t)STAT_COLUMNS_MAX * STAT_COLUMNS_MAX) /* of all groups together */

/* A row-major tensor seen as [outer, channels, inner]. */
typedef struct StatView {
    int64_t outer, channels, inner;
} StatView;

/* What a convolution reads: [batch, channels, size...], and how its kernel walks over it. */
typedef struct StatConv {
    int rank; /* of size and the others, 1 to STAT_RANK_MAX */
    int64_t batch, channels, groups;
    int64_t size[STAT_RANK_MAX], kernel[STAT_RANK_MAX], stride[STAT_RANK_MAX],
        dilation[STAT_RANK_MAX], begin[STAT_RANK_MAX], end[STAT_RANK_MAX]; /* begin, end: padding */
    /* Its output is strides larger: place i meets output place i * stride + tap * dilation - begin.
     * Paddings make the output smaller, and `end` may be negative. */
    bool transposed;
} StatConv;

typedef struct Stat {
    struct Stats *set;
    Str name;
    unsigned what; /* of StatWhat */
    uint64_t batches;
    uint64_t rows; /* values of each channel */
    int64_t channels;
    float min, max; /* whatever was asked for; 0 before the first batch */

    /* Bin b counts magnitudes of about [b, b + 1) * width: `above` those of values of 0 and more,
     * `below` those of the others; the sum of both is ModelOpt's histogram. bins = 0 as long as
     * all values are 0; `zeros` are those that have come until then. */
    float width;
    int64_t bins;
    uint64_t zeros;
    uint64_t *above, *below;

    float *channel_amax; /* [channels] */
    double *channel_sum, *channel_sum_abs;

    /* [channels][2][STAT_MAGNITUDE_BINS]: values of 0 and more, then the others
     * (stat_magnitudes.h); where the bins of each channel begin, which its maximum says. */
    uint32_t *magnitudes;
    int32_t *magnitude_first;

    /* Of each group a square matrix. Rows of X are places: those of the view, or of a convolution's
     * output; columns are channels, or a convolution's taps: (channel of the group, place in the
     * kernel). Only the cells on and above the diagonal hold until stat_gram fills in the others.
     */
    uint64_t places;
    int64_t groups, columns;
    double *gram;
    bool mirrored;
} Stat;

/* What a set is about, as hashes (SHA-256) of the caller's making. */
typedef struct StatsIdentity {
    uint8_t model[32]; /* graph and weights */
    uint8_t data[32];
    uint8_t asked[32]; /* which tensors, which statistics, in which way */
} StatsIdentity;

typedef struct Stats {
    Session *session;
    StatsIdentity identity;
    Str engine;           /* that gave the values: "ONNX Runtime 1.32.0, CPU"; the session's */
    uint64_t batches;     /* of the data that are in, which is where a resumed run goes on */
    uint64_t samples;     /* in these batches */
    bool complete;        /* the data has no more */
    Map by_name;          /* of Stat *, in the order of stats_add */
    pthread_mutex_t lock; /* of scratch: batches may come from several threads of an engine */
    void *scratch;        /* working memory, shared by all: as large as the largest need */
    size_t scratch_size;
    Cleanup cleanup;
} Stats;

Stats *stats_open(Session *s, const StatsIdentity *identity);
void stats_close(Stats *stats); /* NULL is fine */
/* The Stat of that name, which is made if there is none; before its first batch, what several ask
 * for is joined. */
Stat *stats_add(Stats *stats, Str name, unsigned what);
Stat *stats_find(const Stats *stats, Str name);   /* NULL if there is none */
Stat *stats_at(const Stats *stats, size_t index); /* index < stats->by_name.len */

/* Adds one batch: x has view.outer * view.channels * view.inner values of an ONNX type (FLOAT 1,
 * FLOAT16 10, DOUBLE 11, BFLOAT16 16). NULL, or what is wrong with the tensor, as a text that
 * continues "tensor NAME "; the set is then of no use any more. Returns in every case, never by
 * longjmp, and never calls back but through spread: its caller may be a foreign library. */
const char *stat_add(Stat *stat, int type, const void *x, StatView view, const Spread *spread);
/* The same of what a convolution reads; its Gram matrices are those of the columns of its im2col.
 */
const char *stat_add_conv(Stat *stat, int type, const void *x, const StatConv *conv,
                          const Spread *spread);

/* Adds what others have seen of other data (identity.data is left to the caller). NULL, or why it
 * cannot, as a text that continues "the statistics "; `into` is then as it was, but for "out of
 * memory", after which it is of no use. Histograms of two widths get the wider one. */
const char *stats_merge(Stats *into, const Stats *from);

/* Makes the Stat of that name one of `into`, with what it holds; one that is there already is
 * replaced. `from` keeps an empty one. */
void stats_move(Stats *into, Stats *from, Str name);
/* What takes memory goes, what is small stays: the Gram matrix of a Stat that is solved. */
void stat_free_gram(Stat *stat);

float stat_amax(const Stat *stat);
/* The matrix of a group, all of it; NULL if there is none. Not for several threads at once. */
const double *stat_gram(Stat *stat, int64_t group);

#endif
