/* New arrays are made and filled before the old ones go, so that a failure leaves a Stat as it was.
 */
#include "runtime/calib/stat_bins.h"
#include "runtime/base/alloc.h"
#include <math.h>
#include <string.h>

/* Below the least normal float a width would not be exact, and 0 in the end. */
#define WIDTH_LEAST 0x1p-126f
#define FLOAT_MOST 0x1.fffffep127f

float bins_edge(const Stat *stat, int64_t index) {
    const double edge = (double)index * (double)stat->width;
    return edge > (double)FLOAT_MOST ? FLOAT_MOST : (float)edge;
}

float bins_top(const Stat *stat) {
    return bins_edge(stat, stat->bins);
}

typedef struct Bins {
    float width;
    int64_t count;
    uint64_t *above, *below;
} Bins;

static bool make(Bins *bins, float width, int64_t count) {
    const size_t size = (size_t)count * sizeof(uint64_t);
    *bins = (Bins){width, count, mem_try(size), mem_try(size)};
    if (!bins->above || !bins->below) {
        mem_free(bins->above);
        mem_free(bins->below);
        return false;
    }
    return true;
}

static void replace(Stat *stat, const Bins *bins) {
    mem_free(stat->above);
    mem_free(stat->below);
    stat->width = bins->width;
    stat->bins = bins->count;
    stat->above = bins->above;
    stat->below = bins->below;
}

bool bins_begin(Stat *stat, float amax) {
    const float width = amax / STAT_BINS;
    Bins bins;
    TRY(make(&bins, width > WIDTH_LEAST ? width : WIDTH_LEAST, STAT_BINS));
    replace(stat, &bins);
    stat->above[0] = stat->zeros;
    stat->zeros = 0;
    return true;
}

bool bins_widen(Stat *stat, float amax) {
    int64_t kept = stat->bins;
    float width = stat->width;
    int together = 0; /* 2^together old bins make a new one */
    for (; amax / width > (float)STAT_BINS_MAX; width *= 2.0f) {
        kept = (kept + 1) / 2;
        together++;
    }
    const int64_t want = (int64_t)ceilf(amax / width);
    Bins bins;
    TRY(make(&bins, width, want > kept ? want : kept));
    for (int64_t b = 0; b < stat->bins; b++) {
        bins.above[together < 63 ? b >> together : 0] += stat->above[b];
        bins.below[together < 63 ? b >> together : 0] += stat->below[b];
    }
    replace(stat, &bins);
    return true;
}

/* Values up to an edge of the new bins, as the line between two edges of the old ones has it:
 * whole numbers that never fall, so that no value is lost or counted twice. */
static void deal(const uint64_t *from, int64_t count, double ratio, uint64_t *to, int64_t bins) {
    uint64_t before = 0, given = 0; /* values below old bin b; dealt out so far */
    int64_t b = 0;
    for (int64_t n = 0; n < bins; n++) {
        const double edge = (double)(n + 1) * ratio; /* in old bins */
        for (; b < count && (double)(b + 1) <= edge; b++) {
            before += from[b];
        }
        uint64_t reached = before;
        if (b < count) {
            const uint64_t part = (uint64_t)((double)from[b] * (edge - (double)b));
            reached += part < from[b] ? part : from[b];
        }
        to[n] += reached - given;
        given = reached;
    }
}

bool bins_merge(Stat *into, const Stat *from) {
    if (from->bins == 0 || into->bins == 0) {
        const uint64_t zeros = into->zeros + from->zeros;
        if (from->bins > 0) {
            Bins bins;
            TRY(make(&bins, from->width, from->bins));
            memcpy(bins.above, from->above, (size_t)from->bins * sizeof *bins.above);
            memcpy(bins.below, from->below, (size_t)from->bins * sizeof *bins.below);
            replace(into, &bins);
        }
        into->zeros = into->bins > 0 ? 0 : zeros;
        if (into->bins > 0) {
            into->above[0] += zeros;
        }
        return true;
    }
    const float width = into->width > from->width ? into->width : from->width;
    const Stat *both[2] = {into, from};
    double ratio[2];
    int64_t need = 1;
    for (int i = 0; i < 2; i++) {
        ratio[i] = (double)width / (double)both[i]->width;
        const int64_t bins = (int64_t)ceil((double)both[i]->bins / ratio[i]);
        need = bins > need ? bins : need;
    }
    Bins bins;
    TRY(make(&bins, width, need));
    for (int i = 0; i < 2; i++) {
        deal(both[i]->above, both[i]->bins, ratio[i], bins.above, need);
        deal(both[i]->below, both[i]->bins, ratio[i], bins.below, need);
    }
    replace(into, &bins);
    return true;
}
