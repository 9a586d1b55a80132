/* A task owns channels: their bins stay in a near cache while it walks over all rows, and no two
 * tasks write to one counter. Counters have 32 bits; stat_add refuses what they cannot hold. */
#include "runtime/calib/stat_magnitudes.h"
#include "kernels/dialect.h"
#include "runtime/base/alloc.h"
#include <string.h>

enum {
    BINS = STAT_MAGNITUDE_BINS,
    COLUMNS = 32,  /* channels of a task, neighbours in memory */
    RUN = 1 << 15, /* elements of a task of planes */
    STRIP = STAT_STRIP
};

/* Where the bins begin if the last one holds amax: a number of bins from 0 on. */
static int32_t first_of(float amax) {
    return (int32_t)(k_bits(amax) >> STAT_MAGNITUDE_SHIFT) - (BINS - 1);
}

static float edge(int32_t index) {
    return index > 0 ? k_float((uint32_t)index << STAT_MAGNITUDE_SHIFT) : 0.0f;
}

static uint32_t *row_of(const Stat *stat, int64_t channel) {
    return stat->magnitudes + channel * 2 * BINS;
}

bool magnitudes_begin(Stat *stat) {
    const size_t channels = (size_t)stat->channels;
    stat->magnitudes = mem_try(channels * 2 * BINS * sizeof *stat->magnitudes);
    stat->magnitude_first = mem_try(channels * sizeof *stat->magnitude_first);
    TRY(stat->magnitudes && stat->magnitude_first);
    for (size_t c = 0; c < channels; c++) {
        stat->magnitude_first[c] = first_of(0.0f);
    }
    return true;
}

/* Adds the counts of a side whose bins begin at `from` to one whose bins begin at `to` >= from. */
static void fold(const uint32_t *counts, int64_t from, uint32_t *sums, int64_t to) {
    for (int64_t b = 0; b < BINS; b++) {
        const int64_t at = b > 0 ? from + b - to : 0; /* what was below all bins stays there */
        sums[at > 0 ? at : 0] += counts[b];
    }
}

static void follow(Stat *stat, int64_t channel) {
    const int32_t from = stat->magnitude_first[channel];
    const int32_t to = first_of(stat->channel_amax[channel]);
    if (from == to) {
        return;
    }
    uint32_t *row = row_of(stat, channel), moved[2 * BINS] = {0};
    fold(row, from, moved, to);
    fold(row + BINS, from, moved + BINS, to);
    memcpy(row, moved, sizeof moved);
    stat->magnitude_first[channel] = to;
}

void magnitudes_place(Stat *stat) {
    stat->magnitude_first = mem_alloc((size_t)stat->channels * sizeof *stat->magnitude_first);
    for (int64_t c = 0; c < stat->channels; c++) {
        stat->magnitude_first[c] = first_of(stat->channel_amax[c]);
    }
}

void magnitudes_merge(Stat *into, const Stat *from) {
    for (int64_t c = 0; c < into->channels; c++) {
        const int32_t first = from->magnitude_first[c];
        const int32_t to = first > into->magnitude_first[c] ? first : into->magnitude_first[c];
        uint32_t *row = row_of(into, c), sums[2 * BINS] = {0};
        for (int side = 0; side < 2; side++) {
            fold(row + side * BINS, into->magnitude_first[c], sums + side * BINS, to);
            fold(row_of(from, c) + side * BINS, first, sums + side * BINS, to);
        }
        memcpy(row, sums, sizeof sums);
        into->magnitude_first[c] = to;
    }
}

/* ---- one batch */

typedef struct MagnitudesJob {
    const StatInput *in;
    Stat *stat;
    int64_t each; /* channels of a task */
} MagnitudesJob;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Channels that are neighbours: several rows at once, as many as a strip has room for. */
static void columns_task(void *user, size_t index) {
    const MagnitudesJob *job = user;
    const StatInput *in = job->in;
    const int64_t channels = in->view.channels, first = (int64_t)index * job->each;
    const int64_t width = least(job->each, channels - first), outer = in->view.outer;
    uint32_t at[STRIP], *counts = row_of(job->stat, first);
    float buffer[STRIP];
    for (int64_t c = 0; c < width; c++) {
        follow(job->stat, first + c);
    }
    for (int64_t r = 0, rows = STRIP / width; r < outer; r += rows) {
        rows = least(rows, outer - r);
        const float *x = (const float *)in->x + r * channels + first;
        for (int64_t k = 0; k < rows && !in->direct; k++) {
            stat_floats(in, (r + k) * channels + first, width, buffer + k * width);
        }
        in->lanes->magnitudes(in->direct ? x : buffer, rows, in->direct ? channels : width, width,
                              job->stat->magnitude_first + first, at);
        for (int64_t k = 0; k < rows; k++) {
            for (int64_t c = 0; c < width; c++) {
                counts[c * 2 * BINS + at[k * width + c]]++;
            }
        }
    }
}

static void planes_task(void *user, size_t index) {
    const MagnitudesJob *job = user;
    const StatInput *in = job->in;
    const int64_t channels = in->view.channels, inner = in->view.inner;
    const int64_t end = least((int64_t)(index + 1) * job->each, channels);
    uint32_t at[STRIP];
    int32_t firsts[STRIP];
    float buffer[STRIP];
    for (int64_t c = (int64_t)index * job->each; c < end; c++) {
        uint32_t *counts = row_of(job->stat, c);
        follow(job->stat, c);
        for (int64_t i = 0; i < least(inner, STRIP); i++) {
            firsts[i] = job->stat->magnitude_first[c];
        }
        for (int64_t o = 0; o < in->view.outer; o++) {
            for (int64_t i = 0; i < inner; i += STRIP) {
                const int64_t n = least(inner - i, STRIP);
                const float *x = stat_floats(in, (o * channels + c) * inner + i, n, buffer);
                in->lanes->magnitudes(x, 1, n, n, firsts, at);
                for (int64_t k = 0; k < n; k++) {
                    counts[at[k]]++;
                }
            }
        }
    }
}

bool magnitudes_add(Stat *stat, const StatInput *in, const Spread *spread) {
    const int64_t channels = in->view.channels, inner = in->view.inner;
    MagnitudesJob job = {in, stat, COLUMNS};
    if (inner > 1) {
        job.each = inner >= RUN ? 1 : RUN / inner;
    }
    const size_t tasks = (size_t)((channels + job.each - 1) / job.each);
    return spread_run(spread, inner > 1 ? planes_task : columns_task, &job, tasks);
}

/* ---- x / s */

void magnitudes_edges(const Stat *stat, int64_t channel, int64_t bin, float *low, float *high) {
    const int32_t first = stat->magnitude_first[channel];
    *low = bin > 0 ? edge(first + (int32_t)bin) : 0.0f;
    *high = bin < BINS - 1 ? edge(first + (int32_t)bin + 1) : stat->channel_amax[channel];
}

/* Deals n values out to the bins that low to high (in bins) covers, as if they were spread evenly:
 * whole numbers, each share rounded so that one value alone comes to the middle. */
static void deal(uint64_t n, double low, double high, uint64_t *counts) {
    const double most = STAT_BINS - 1;
    const int64_t last = (int64_t)(high < most ? high : most);
    uint64_t given = 0;
    for (int64_t b = (int64_t)(low < most ? low : most); b < last; b++) {
        const double part = (double)n * ((double)(b + 1) - low) / (high - low);
        const uint64_t reached = (uint64_t)(part + 0.5);
        counts[b] += reached - given;
        given = reached;
    }
    counts[last] += n - given;
}

/* The largest magnitude of one side of a channel, as far as its bins know. */
static float side_most(const Stat *stat, int64_t channel, int side) {
    const uint32_t *counts = row_of(stat, channel) + side * BINS;
    float low, high = 0;
    for (int64_t b = BINS - 1; b >= 0; b--) {
        if (counts[b] > 0) {
            magnitudes_edges(stat, channel, b, &low, &high);
            break;
        }
    }
    return k_min(high, stat->channel_amax[channel]);
}

/* How often a value of each channel counts: at most as often as keeps the sum of all in 62 bits. */
static uint64_t *weights_of(Arena *arena, const Stat *stat, const float *s, const double *squares) {
    uint64_t *weights = arena_many(arena, uint64_t, (size_t)stat->channels);
    const double all = (double)stat->rows * (double)stat->channels;
    const double room = all > 0x1p30 ? 0x1p62 / all : 0x1p32;
    double most = 0;
    for (int64_t c = 0; squares && c < stat->channels; c++) {
        const double square = squares[c] * (double)s[c] * (double)s[c];
        most = square > most ? square : most;
    }
    for (int64_t c = 0; c < stat->channels; c++) {
        const double square = most > 0 ? squares[c] * (double)s[c] * (double)s[c] / most : 0;
        weights[c] = most > 0 ? (uint64_t)(square * (room - 1)) + 1 : 1;
    }
    return weights;
}

Stat *magnitudes_scaled(Arena *arena, const Stat *stat, const float *s, const double *squares) {
    Stat *out = arena_new(arena, Stat);
    *out = (Stat){.name = stat->name,
                  .what = STAT_RANGE | STAT_HISTOGRAM,
                  .batches = stat->batches,
                  .rows = stat->rows,
                  .channels = stat->channels};
    for (int64_t c = 0; c < stat->channels; c++) {
        out->max = k_max(side_most(stat, c, 0) * (1.0f / s[c]), out->max);
        out->min = k_min(-side_most(stat, c, 1) * (1.0f / s[c]), out->min);
    }
    const float amax = stat_amax(out);
    if (!(amax > 0.0f)) {
        out->zeros = stat->rows * (uint64_t)stat->channels;
        return out;
    }
    out->bins = STAT_BINS;
    out->width = k_max(amax / STAT_BINS, 0x1p-126f);
    out->above = arena_many(arena, uint64_t, STAT_BINS);
    out->below = arena_many(arena, uint64_t, STAT_BINS);
    const uint64_t *weights = weights_of(arena, stat, s, squares);
    for (int64_t c = 0; c < stat->channels; c++) {
        const double unit = (double)(1.0f / s[c]) / (double)out->width;
        const uint32_t *counts = row_of(stat, c);
        for (int64_t b = 0; b < 2 * BINS; b++) {
            if (counts[b] > 0) {
                float low, high;
                magnitudes_edges(stat, c, b % BINS, &low, &high);
                deal(counts[b] * weights[c], (double)low * unit, (double)high * unit,
                     b < BINS ? out->above : out->below);
            }
        }
    }
    return out;
}
