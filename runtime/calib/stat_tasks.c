/* A task of a range or a histogram owns a run of elements; what it finds is folded by integers, in
 * any order. A task of channels owns channels and walks over all rows, so that the order of its
 * sums is that of the data. */
#include "runtime/calib/stat_tasks.h"
#include "kernels/lanes.h"
#include <string.h>

enum {
    RUN = 1 << 15,        /* elements of a range's task */
    HISTOGRAM_TASKS = 16, /* each counts in a table of its own ... */
    TABLES = 1 << 17,     /* ... if these are no more bins in all */
    SLICE = 1 << 30,      /* elements that tables of 32 bits are sure to hold */
    COLUMNS = 128,        /* channels of a task, neighbours in memory */
    WIDE_COLUMNS = 256    /* ... where there are many */
};

const float *stat_floats(const StatInput *in, int64_t first, int64_t n, float *buffer) {
    if (in->direct) {
        return (const float *)in->x + first;
    }
    const int64_t size = in->type == 11 ? 8 : in->type == 1 ? 4 : 2;
    lanes_best()->widen(in->type, (const char *)in->x + first * size, n, buffer);
    return buffer;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- range */

typedef struct RangeJob {
    const StatInput *in;
    int32_t (*found)[2]; /* of each task */
} RangeJob;

static size_t range_tasks(const StatInput *in) {
    return (size_t)((in->count + RUN - 1) / RUN);
}

static void range_task(void *user, size_t index) {
    const RangeJob *job = user;
    const int64_t end = least((int64_t)(index + 1) * RUN, job->in->count);
    int32_t lo = INT32_MAX, hi = INT32_MIN;
    float buffer[STAT_STRIP];
    for (int64_t i = (int64_t)index * RUN; i < end; i += STAT_STRIP) {
        const int64_t n = least(end - i, STAT_STRIP);
        job->in->lanes->range(stat_floats(job->in, i, n, buffer), n, &lo, &hi);
    }
    job->found[index][0] = lo;
    job->found[index][1] = hi;
}

size_t stat_range_scratch(const StatInput *in) {
    return range_tasks(in) * sizeof(int32_t[2]);
}

bool stat_range(const StatInput *in, const Spread *spread, void *scratch, int32_t *lo,
                int32_t *hi) {
    RangeJob job = {in, scratch};
    TRY(spread_run(spread, range_task, &job, range_tasks(in)));
    *lo = INT32_MAX;
    *hi = INT32_MIN;
    for (size_t i = 0; i < range_tasks(in); i++) {
        *lo = job.found[i][0] < *lo ? job.found[i][0] : *lo;
        *hi = job.found[i][1] > *hi ? job.found[i][1] : *hi;
    }
    return true;
}

/* ---- histogram */

typedef struct HistogramJob {
    const StatInput *in;
    int64_t first, end; /* elements of this slice */
    size_t tasks;
    uint32_t bins;
    float top;
    uint32_t *tables; /* [tasks][2 * bins] */
} HistogramJob;

static size_t histogram_tasks(int64_t bins) {
    const int64_t tables = TABLES / bins;
    return tables < 1 ? 1 : (size_t)least(tables, HISTOGRAM_TASKS);
}

static void histogram_task(void *user, size_t index) {
    const HistogramJob *job = user;
    const int64_t all = job->end - job->first, tasks = (int64_t)job->tasks;
    const int64_t each = (all + tasks - 1) / tasks, first = job->first + (int64_t)index * each;
    const int64_t end = least(first + each, job->end);
    uint32_t *table = job->tables + index * 2 * job->bins, at[STAT_STRIP];
    float buffer[STAT_STRIP];
    memset(table, 0, 2 * sizeof *table * job->bins);
    for (int64_t i = first; i < end; i += STAT_STRIP) {
        const int64_t n = least(end - i, STAT_STRIP);
        job->in->lanes->bins(stat_floats(job->in, i, n, buffer), n, job->bins, job->top, at);
        for (int64_t k = 0; k < n; k++) {
            table[at[k]]++;
        }
    }
}

size_t stat_histogram_scratch(int64_t bins) {
    return histogram_tasks(bins) * 2 * sizeof(uint32_t) * (size_t)bins;
}

bool stat_histogram(const StatInput *in, const Spread *spread, void *scratch, int64_t bins,
                    float top, uint64_t *above, uint64_t *below) {
    HistogramJob job = {in, 0, 0, histogram_tasks(bins), (uint32_t)bins, top, scratch};
    for (; job.first < in->count; job.first = job.end) {
        job.end = least(job.first + SLICE, in->count);
        TRY(spread_run(spread, histogram_task, &job, job.tasks));
        for (size_t t = 0; t < job.tasks; t++) {
            const uint32_t *table = job.tables + t * 2 * job.bins;
            for (int64_t b = 0; b < bins; b++) {
                above[b] += table[b];
                below[b] += table[bins + b];
            }
        }
    }
    return true;
}

/* ---- channels */

typedef struct ChannelsJob {
    const StatInput *in;
    int64_t each; /* channels of a task */
    float *amax;
    double *sum, *sum_abs;
} ChannelsJob;

/* Channels that are neighbours: several rows at once, as many as the strip has room for. */
static void columns_task(void *user, size_t index) {
    const ChannelsJob *job = user;
    const StatInput *in = job->in;
    const int64_t channels = in->view.channels, first = (int64_t)index * job->each;
    const int64_t width = least(job->each, channels - first), outer = in->view.outer;
    float buffer[STAT_STRIP];
    if (in->direct) {
        in->lanes->columns((const float *)in->x + first, outer, channels, width, job->amax + first,
                           job->sum + first, job->sum_abs + first);
        return;
    }
    for (int64_t r = 0, rows = STAT_STRIP / width; r < outer; r += rows) {
        rows = least(rows, outer - r);
        for (int64_t k = 0; k < rows; k++) {
            stat_floats(in, (r + k) * channels + first, width, buffer + k * width);
        }
        in->lanes->columns(buffer, rows, width, width, job->amax + first, job->sum + first,
                           job->sum_abs + first);
    }
}

/* Channels that are planes, one after the other; a plane is summed in strips. */
static void planes_task(void *user, size_t index) {
    const ChannelsJob *job = user;
    const StatInput *in = job->in;
    const int64_t channels = in->view.channels, inner = in->view.inner;
    const int64_t end = least((int64_t)(index + 1) * job->each, channels);
    float buffer[STAT_STRIP];
    for (int64_t o = 0; o < in->view.outer; o++) {
        for (int64_t c = (int64_t)index * job->each; c < end; c++) {
            for (int64_t i = 0; i < inner; i += STAT_STRIP) {
                const int64_t n = least(inner - i, STAT_STRIP);
                in->lanes->plane(stat_floats(in, (o * channels + c) * inner + i, n, buffer), n,
                                 &job->amax[c], &job->sum[c], &job->sum_abs[c]);
            }
        }
    }
}

bool stat_channels(const StatInput *in, const Spread *spread, float *amax, double *sum,
                   double *sum_abs) {
    const int64_t channels = in->view.channels, inner = in->view.inner;
    ChannelsJob job = {in, channels >= 2048 ? WIDE_COLUMNS : COLUMNS, amax, sum, sum_abs};
    if (inner > 1) { /* as many values as a range's task has */
        job.each = inner >= RUN ? 1 : RUN / inner;
    }
    const size_t tasks = (size_t)((channels + job.each - 1) / job.each);
    return spread_run(spread, inner > 1 ? planes_task : columns_task, &job, tasks);
}
