/* The set, its memory, and what a batch does to a Stat. Blocks come from mem_try, so that running
 * out of memory is a text here and no jump. */
#include "runtime/calib/stats.h"
#include "kernels/dialect.h"
#include "runtime/base/alloc.h"
#include "runtime/calib/stat_bins.h"
#include "runtime/calib/stat_gram.h"
#include "runtime/calib/stat_magnitudes.h"
#include <assert.h>
#include <string.h>

static const char no_memory[] = "is too large: out of memory";
static const char no_threads[] = "could not be read by all threads";

/* Scratch of at least so many bytes, aligned to 64, or NULL. What was in it is lost. */
static void *scratch(Stats *stats, size_t size) {
    if (stats->scratch_size < size) {
        mem_free(stats->scratch);
        stats->scratch_size = 0;
        stats->scratch = mem_try(size + 64);
        stats->scratch_size = stats->scratch ? size : 0;
    }
    const uintptr_t address = (uintptr_t)stats->scratch;
    return stats->scratch ? (char *)stats->scratch + (64 - address % 64) : NULL;
}

/* ---- the set */

static void free_arrays(Stat *stat) {
    mem_free(stat->above);
    mem_free(stat->below);
    mem_free(stat->channel_amax);
    mem_free(stat->channel_sum);
    mem_free(stat->channel_sum_abs);
    mem_free(stat->magnitudes);
    mem_free(stat->magnitude_first);
    mem_free(stat->gram);
}

static void free_all(Session *s, void *owner) {
    (void)s;
    Stats *stats = owner;
    for (size_t i = 0; i < stats->by_name.len; i++) {
        free_arrays(stats_at(stats, i));
    }
    mem_free(stats->scratch);
    pthread_mutex_destroy(&stats->lock);
}

Stats *stats_open(Session *s, const StatsIdentity *identity) {
    Stats *stats = arena_new(s->arena, Stats);
    stats->session = s;
    stats->identity = *identity;
    stats->by_name = map_on(s->arena);
    pthread_mutex_init(&stats->lock, NULL);
    session_on_close(s, &stats->cleanup, free_all, stats);
    return stats;
}

void stats_close(Stats *stats) {
    if (stats) {
        session_forget(stats->session, &stats->cleanup);
        free_all(stats->session, stats);
        stats->by_name.len = 0;
        stats->scratch = NULL;
    }
}

Stat *stats_add(Stats *stats, Str name, unsigned what) {
    Stat *stat = stats_find(stats, name);
    if (!stat) {
        stat = arena_new(stats->session->arena, Stat);
        stat->set = stats;
        stat->name = str_copy(stats->session->arena, name);
        map_put(&stats->by_name, stat->name, stat);
    }
    assert((what & STAT_MAGNITUDES) == 0 || (what & STAT_CHANNELS) != 0);
    assert((stat->rows == 0 || (stat->what & what) == what) && "asked for after the first batch");
    stat->what |= what;
    return stat;
}

Stat *stats_find(const Stats *stats, Str name) {
    return map_get(&stats->by_name, name);
}

Stat *stats_at(const Stats *stats, size_t index) {
    return stats->by_name.entries[index].value;
}

void stats_move(Stats *into, Stats *from, Str name) {
    Stat *old = stats_find(from, name), *stat = stats_add(into, name, 0);
    const Str own = stat->name;
    free_arrays(stat);
    *stat = *old;
    stat->set = into;
    stat->name = own;
    *old = (Stat){.set = from, .name = old->name, .what = old->what};
}

void stat_free_gram(Stat *stat) {
    mem_free(stat->gram);
    stat->gram = NULL;
}

float stat_amax(const Stat *stat) {
    const float low = k_abs(stat->min), high = k_abs(stat->max);
    return low > high ? low : high;
}

const double *stat_gram(Stat *stat, int64_t group) {
    if (!stat->gram || group < 0 || group >= stat->groups) {
        return NULL;
    }
    if (!stat->mirrored) {
        stat_gram_mirror(stat->gram, stat->groups, stat->columns);
        stat->mirrored = true;
    }
    return stat->gram + group * stat->columns * stat->columns;
}

/* ---- one batch */

/* amax: of this batch */
static const char *add_histogram(Stat *stat, const StatInput *in, float amax,
                                 const Spread *spread) {
    if (amax == 0.0f && stat->bins == 0) {
        stat->zeros += (uint64_t)in->count;
        return NULL;
    }
    if (stat->bins == 0) {
        if (!bins_begin(stat, amax)) {
            return no_memory;
        }
    } else if (amax > bins_top(stat) && !bins_widen(stat, amax)) {
        return no_memory;
    }
    void *memory = scratch(stat->set, stat_histogram_scratch(stat->bins));
    if (!memory) {
        return no_memory;
    }
    return stat_histogram(in, spread, memory, stat->bins, bins_top(stat), stat->above, stat->below)
               ? NULL
               : no_threads;
}

static const char *add_channels(Stat *stat, const StatInput *in, const Spread *spread) {
    if (!stat->channel_amax) {
        const size_t channels = (size_t)stat->channels;
        stat->channel_amax = mem_try(channels * sizeof(float));
        stat->channel_sum = mem_try(channels * sizeof(double));
        stat->channel_sum_abs = mem_try(channels * sizeof(double));
    }
    if (!stat->channel_amax || !stat->channel_sum || !stat->channel_sum_abs) {
        return no_memory;
    }
    return stat_channels(in, spread, stat->channel_amax, stat->channel_sum, stat->channel_sum_abs)
               ? NULL
               : no_threads;
}

static const char *add_magnitudes(Stat *stat, const StatInput *in, const Spread *spread) {
    if (stat->rows + (uint64_t)(in->view.outer * in->view.inner) > UINT32_MAX) {
        return "has more values of one channel than can be counted";
    }
    if (!stat->magnitudes && !magnitudes_begin(stat)) {
        return no_memory;
    }
    return magnitudes_add(stat, in, spread) ? NULL : no_threads;
}

static const char *add_gram(Stat *stat, const StatInput *in, const GramShape *shape,
                            const Spread *spread) {
    if (!stat->gram) {
        stat->groups = shape->groups;
        stat->columns = shape->columns;
        stat->gram = mem_try(stat_gram_bytes(shape->groups, shape->columns));
    } else if (shape->groups != stat->groups || shape->columns != stat->columns) {
        return "has other columns than before";
    }
    void *memory = scratch(stat->set, stat_gram_scratch(shape));
    if (!stat->gram || !memory) {
        return no_memory;
    }
    stat->mirrored = false;
    stat->places += (uint64_t)shape->places;
    return stat_gram_add(in, shape, spread, memory, stat->gram) ? NULL : no_threads;
}

/* Every batch has its range found: that is also how a NaN is. */
static const char *add_range(Stat *stat, const StatInput *in, const Spread *spread, float *amax) {
    int32_t lo = 0, hi = 0;
    void *memory = scratch(stat->set, stat_range_scratch(in));
    if (!memory) {
        return no_memory;
    }
    if (!stat_range(in, spread, memory, &lo, &hi)) {
        return no_threads;
    }
    const int32_t infinity = stat_key(0x7f800000u), minus_infinity = stat_key(0xff800000u);
    if (hi > infinity || lo < minus_infinity) {
        return "holds a NaN";
    }
    if (hi == infinity || lo == minus_infinity) {
        return "holds an infinity, or what float32 has no room for";
    }
    const float min = k_float((uint32_t)stat_key((uint32_t)lo));
    const float max = k_float((uint32_t)stat_key((uint32_t)hi));
    const bool first = stat->rows == 0;
    stat->min = first || lo < stat_key(k_bits(stat->min)) ? min : stat->min;
    stat->max = first || hi > stat_key(k_bits(stat->max)) ? max : stat->max;
    *amax = k_abs(min) > k_abs(max) ? k_abs(min) : k_abs(max);
    return NULL;
}

static const char *add_batch(Stat *stat, const StatInput *in, const GramShape *shape,
                             const Spread *spread) {
    float amax = 0.0f;
    if (stat->rows > 0 && stat->channels != in->view.channels) {
        return "has other channels than before";
    }
    stat->channels = in->view.channels;
    const char *wrong = add_range(stat, in, spread, &amax);
    if (!wrong && (stat->what & STAT_HISTOGRAM) != 0) {
        wrong = add_histogram(stat, in, amax, spread);
    }
    if (!wrong && (stat->what & STAT_CHANNELS) != 0) {
        wrong = add_channels(stat, in, spread);
    }
    if (!wrong && (stat->what & STAT_MAGNITUDES) != 0) {
        wrong = add_magnitudes(stat, in, spread);
    }
    if (!wrong && (stat->what & STAT_GRAM) != 0) {
        wrong = add_gram(stat, in, shape, spread);
    }
    if (!wrong) {
        stat->batches++;
        stat->rows += (uint64_t)(in->view.outer * in->view.inner);
    }
    return wrong;
}

static bool type_known(int type) {
    return type == 1 || type == 10 || type == 11 || type == 16;
}

/* Fills in what is known of x; NULL, or what is wrong with it. */
static const char *input_of(int type, const void *x, StatView view, StatInput *in) {
    *in = (StatInput){.type = type, .x = x, .view = view, .lanes = stat_lanes_best()};
    if (!type_known(type)) {
        return "is not float32, float16, bfloat16 or float64";
    }
    int64_t all = 0;
    if (view.outer < 0 || view.channels < 0 || view.inner < 0 ||
        __builtin_mul_overflow(view.outer, view.channels, &all) ||
        __builtin_mul_overflow(all, view.inner, &in->count) || in->count > INT64_MAX / 16) {
        return no_memory;
    }
    in->direct = type == 1 && (uintptr_t)x % _Alignof(float) == 0;
    return NULL;
}

static const char *add(Stat *stat, const StatInput *in, const GramShape *shape,
                       const Spread *spread) {
    if (in->count == 0) {
        return NULL;
    }
    pthread_mutex_lock(&stat->set->lock);
    const char *wrong = add_batch(stat, in, shape, spread);
    pthread_mutex_unlock(&stat->set->lock);
    return wrong;
}

const char *stat_add(Stat *stat, int type, const void *x, StatView view, const Spread *spread) {
    StatInput in;
    GramShape shape;
    const char *wrong = input_of(type, x, view, &in);
    if (!wrong && in.count > 0 && (stat->what & STAT_GRAM) != 0) {
        wrong = gram_shape_plain(view, &shape);
    }
    return wrong ? wrong : add(stat, &in, &shape, spread);
}

const char *stat_add_conv(Stat *stat, int type, const void *x, const StatConv *conv,
                          const Spread *spread) {
    StatInput in;
    GramShape shape;
    StatView view = {conv->batch, conv->channels, 1};
    for (int d = 0; d < conv->rank && d < STAT_RANK_MAX; d++) {
        if (__builtin_mul_overflow(view.inner, conv->size[d], &view.inner)) {
            return no_memory;
        }
    }
    const char *wrong = input_of(type, x, view, &in);
    if (!wrong && in.count > 0 && (stat->what & STAT_GRAM) != 0) {
        wrong = gram_shape_conv(conv, &shape);
    }
    return wrong ? wrong : add(stat, &in, &shape, spread);
}

/* ---- merging */

/* Why two Stats of one name are not of one kind, or NULL. */
static const char *compare(const Stat *a, const Stat *b) {
    if (a->what != b->what) {
        return "were not asked for the same";
    }
    if (a->rows > 0 && b->rows > 0 &&
        (a->channels != b->channels || a->groups != b->groups || a->columns != b->columns)) {
        return "are of tensors with other channels";
    }
    if ((a->what & STAT_MAGNITUDES) != 0 && a->rows + b->rows > UINT32_MAX) {
        return "have more values of one channel than can be counted";
    }
    return NULL;
}

/* The arrays that `into` lacks, zeroed. */
static bool make_room(Stat *into, const Stat *from) {
    const size_t channels = (size_t)from->channels;
    if (from->channel_amax && !into->channel_amax) {
        into->channel_amax = mem_try(channels * sizeof(float));
        into->channel_sum = mem_try(channels * sizeof(double));
        into->channel_sum_abs = mem_try(channels * sizeof(double));
        TRY(into->channel_amax && into->channel_sum && into->channel_sum_abs);
    }
    if (from->magnitudes && !into->magnitudes) {
        into->channels = from->channels;
        TRY(magnitudes_begin(into));
    }
    if (from->gram && !into->gram) {
        into->gram = mem_try(stat_gram_bytes(from->groups, from->columns));
        into->groups = from->groups;
        into->columns = from->columns;
        TRY(into->gram);
    }
    return true;
}

static void merge_one(Stat *into, const Stat *from) {
    if (from->rows == 0) {
        return;
    }
    const bool first = into->rows == 0;
    into->min = first || from->min < into->min ? from->min : into->min;
    into->max = first || from->max > into->max ? from->max : into->max;
    into->channels = from->channels;
    into->batches += from->batches;
    into->rows += from->rows;
    into->places += from->places;
    if (from->magnitudes) {
        magnitudes_merge(into, from);
    }
    for (int64_t c = 0; from->channel_amax && c < from->channels; c++) {
        into->channel_amax[c] = k_max(from->channel_amax[c], into->channel_amax[c]);
        into->channel_sum[c] += from->channel_sum[c];
        into->channel_sum_abs[c] += from->channel_sum_abs[c];
    }
    for (int64_t i = 0; from->gram && i < from->groups * from->columns * from->columns; i++) {
        into->gram[i] += from->gram[i];
    }
    into->mirrored = false;
}

const char *stats_merge(Stats *into, const Stats *from) {
    if (memcmp(into->identity.model, from->identity.model, 32) != 0) {
        return "are of another model";
    }
    if (memcmp(into->identity.asked, from->identity.asked, 32) != 0 ||
        into->by_name.len != from->by_name.len) {
        return "were not asked for the same";
    }
    for (size_t i = 0; i < from->by_name.len; i++) {
        const Stat *other = stats_at(from, i), *own = stats_find(into, other->name);
        const char *wrong = own ? compare(own, other) : "were not asked for the same";
        if (wrong) {
            return wrong;
        }
    }
    /* all memory first, but for histograms: what fails there leaves counts that are whole */
    for (size_t i = 0; i < from->by_name.len; i++) {
        const Stat *other = stats_at(from, i);
        if (!make_room(stats_find(into, other->name), other)) {
            return "do not fit: out of memory";
        }
    }
    for (size_t i = 0; i < from->by_name.len; i++) {
        const Stat *other = stats_at(from, i);
        Stat *own = stats_find(into, other->name);
        if ((other->what & STAT_HISTOGRAM) != 0 && !bins_merge(own, other)) {
            return "do not fit: out of memory";
        }
        merge_one(own, other);
    }
    into->batches += from->batches;
    into->samples += from->samples;
    into->complete = into->complete && from->complete;
    return NULL;
}
