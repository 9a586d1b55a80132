/* Writing runs over the set twice, once for the size; reading checks the hash before it looks at
 * anything else, and then believes nothing all the same: whoever wrote a file can sign it. */
#include "runtime/calib/morstat.h"
#include "runtime/base/alloc.h"
#include "runtime/base/limits.h"
#include "runtime/calib/stat_gram.h"
#include "runtime/calib/stat_magnitudes.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

enum { HASH = 32, HEAD = 136, STAT_HEAD = 88 };

static const char magic[8] = "morstat";

/* ---- writing */

typedef struct Sink {
    MorstatPiece *piece; /* NULL: only the size is wanted */
    void *user;
    uint64_t size;
    crypto_hash_sha256_state hash;
} Sink;

static bool put(Sink *sink, const void *data, uint64_t size) {
    sink->size += size;
    if (!sink->piece || size == 0) {
        return true;
    }
    crypto_hash_sha256_update(&sink->hash, data, size);
    return sink->piece(sink->user, data, size);
}

static bool put_aligned(Sink *sink, const void *data, uint64_t size) {
    static const char gap[8] = {0};
    return put(sink, data, size) && put(sink, gap, -sink->size % 8);
}

static bool put_stat(Sink *sink, const Stat *stat) {
    const uint32_t words[2] = {(uint32_t)stat->name.len, stat->what};
    const uint64_t numbers[8] = {
        stat->batches, stat->rows,   (uint64_t)stat->channels, (uint64_t)stat->bins,
        stat->zeros,   stat->places, (uint64_t)stat->groups,   (uint64_t)stat->columns};
    const float floats[4] = {stat->min, stat->max, stat->width, 0.0f};
    const uint64_t bins = (uint64_t)stat->bins, channels = (uint64_t)stat->channels;
    TRY(put(sink, words, sizeof words) && put(sink, numbers, sizeof numbers));
    TRY(put(sink, floats, sizeof floats) && put_aligned(sink, stat->name.data, stat->name.len));
    if (stat->bins > 0) {
        TRY(put(sink, stat->above, bins * sizeof *stat->above));
        TRY(put(sink, stat->below, bins * sizeof *stat->below));
    }
    if (stat->channel_amax) {
        TRY(put_aligned(sink, stat->channel_amax, channels * sizeof *stat->channel_amax));
        TRY(put(sink, stat->channel_sum, channels * sizeof(double)));
        TRY(put(sink, stat->channel_sum_abs, channels * sizeof(double)));
    }
    if (stat->magnitudes) {
        const uint64_t counters = channels * 2 * STAT_MAGNITUDE_BINS;
        TRY(put(sink, stat->magnitudes, counters * sizeof *stat->magnitudes));
    }
    const int64_t columns = stat->columns;
    for (int64_t row = 0; stat->gram && row < stat->groups * columns; row++) {
        const int64_t first = row % columns;
        TRY(put(sink, stat->gram + row * columns + first,
                (uint64_t)(columns - first) * sizeof(double)));
    }
    return true;
}

static bool put_set(Sink *sink, const Stats *stats, uint64_t size) {
    const uint32_t words[2] = {MORSTAT_VERSION, stats->complete};
    const uint64_t numbers[4] = {stats->batches, stats->by_name.len, stats->samples,
                                 stats->engine.len};
    TRY(put(sink, magic, sizeof magic) && put(sink, words, sizeof words));
    TRY(put(sink, &size, sizeof size) && put(sink, &stats->identity, sizeof stats->identity));
    TRY(put(sink, numbers, sizeof numbers));
    TRY(put_aligned(sink, stats->engine.data, stats->engine.len));
    for (size_t i = 0; i < stats->by_name.len; i++) {
        TRY(put_stat(sink, stats_at(stats, i)));
    }
    return true;
}

static uint64_t size_of(const Stats *stats) {
    Sink sink = {.piece = NULL};
    put_set(&sink, stats, 0);
    return sink.size + HASH;
}

bool morstat_pieces(const Stats *stats, MorstatPiece *piece, void *user) {
    Sink sink = {.piece = piece, .user = user};
    unsigned char hash[HASH];
    crypto_hash_sha256_init(&sink.hash);
    TRY(put_set(&sink, stats, size_of(stats)));
    crypto_hash_sha256_final(&sink.hash, hash);
    return piece(user, hash, sizeof hash);
}

/* Small pieces are gathered, or each would be a system call. */
typedef struct Writer {
    Output *out;
    uint64_t at; /* of what is gathered */
    size_t held;
    int error;
    char *buffer;
} Writer;

enum { GATHERED = 1 << 16 };

static bool flush(Writer *w) {
    w->error = w->held > 0 ? output_write(w->out, w->at, w->buffer, w->held) : 0;
    w->at += w->held;
    w->held = 0;
    return w->error == 0;
}

static bool write_piece(void *user, const void *data, size_t size) {
    Writer *w = user;
    if (w->held + size > GATHERED) {
        TRY(flush(w));
    }
    if (size > GATHERED) {
        w->error = output_write(w->out, w->at, data, size);
        w->at += size;
        return w->error == 0;
    }
    memcpy(w->buffer + w->held, data, size);
    w->held += size;
    return true;
}

bool morstat_write(const Stats *stats, Str path) {
    Session *s = stats->session;
    const ArenaMark mark = arena_mark(s->arena);
    Writer w = {.out = output_open(s, path, size_of(stats))};
    TRY(w.out);
    w.buffer = arena_alloc(s->arena, GATHERED);
    if (!morstat_pieces(stats, write_piece, &w) || !flush(&w)) {
        output_fail(w.out, w.error);
        output_discard(w.out);
        return false;
    }
    TRY(output_commit(w.out));
    arena_reset(s->arena, mark); /* a long run writes often */
    return true;
}

/* ---- reading */

typedef struct Reader {
    const char *at;
    uint64_t left;
    const MorstatPart *part; /* NULL: all */
} Reader;

/* The next `size` bytes (and the gap behind them), or NULL if there are not so many. */
static const char *take(Reader *r, uint64_t size) {
    const uint64_t gap = -size % 8;
    if (size > r->left || gap > r->left - size) {
        return NULL;
    }
    const char *at = r->at;
    for (uint64_t i = 0; i < gap; i++) {
        if (at[size + i] != 0) {
            return NULL;
        }
    }
    r->at += size + gap;
    r->left -= size + gap;
    return at;
}

/* A copy of count numbers in a block of its own; false: there are not so many. */
static bool take_array(Reader *r, uint64_t count, size_t size, void *block) {
    uint64_t bytes = 0;
    TRY(!__builtin_mul_overflow(count, size, &bytes));
    const char *from = take(r, bytes);
    TRY(from);
    void *copy = mem_alloc(bytes);
    memcpy(copy, from, bytes);
    *(void **)block = copy;
    return true;
}

static bool all_finite(const double *x, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        TRY(isfinite(x[i]));
    }
    return true;
}

static bool read_histogram(Reader *r, Stat *stat) {
    const uint64_t bins = (uint64_t)stat->bins;
    uint64_t sum = stat->zeros, values = 0;
    if ((stat->what & STAT_HISTOGRAM) == 0) {
        return bins == 0 && stat->zeros == 0 && stat->width == 0.0f;
    }
    TRY(bins == 0 ? stat->width == 0.0f
                  : bins <= STAT_BINS_MAX && stat->zeros == 0 && stat->width >= 0x1p-126f &&
                        isfinite(stat->width));
    if (bins > 0) {
        TRY(take_array(r, bins, sizeof *stat->above, &stat->above));
        TRY(take_array(r, bins, sizeof *stat->below, &stat->below));
    }
    for (uint64_t b = 0; b < bins; b++) {
        TRY(!__builtin_add_overflow(sum, stat->above[b], &sum));
        TRY(!__builtin_add_overflow(sum, stat->below[b], &sum));
    }
    return !__builtin_mul_overflow(stat->rows, stat->channels, &values) && sum == values;
}

static bool read_channels(Reader *r, Stat *stat) {
    const uint64_t channels = (uint64_t)stat->channels;
    if ((stat->what & STAT_CHANNELS) == 0 || stat->rows == 0) {
        return true;
    }
    TRY(take_array(r, channels, sizeof(float), &stat->channel_amax));
    TRY(take_array(r, channels, sizeof(double), &stat->channel_sum));
    TRY(take_array(r, channels, sizeof(double), &stat->channel_sum_abs));
    for (uint64_t c = 0; c < channels; c++) {
        TRY(stat->channel_amax[c] >= 0.0f && isfinite(stat->channel_amax[c]));
    }
    return all_finite(stat->channel_sum, channels) && all_finite(stat->channel_sum_abs, channels);
}

/* Each channel's counters hold as many values as it has, the largest of them in the last bin. */
static bool read_magnitudes(Reader *r, Stat *stat) {
    enum { EACH = 2 * STAT_MAGNITUDE_BINS, TOP = STAT_MAGNITUDE_BINS - 1 };
    uint64_t counters = 0;
    if ((stat->what & STAT_MAGNITUDES) == 0 || stat->rows == 0) {
        return true;
    }
    TRY((stat->what & STAT_CHANNELS) != 0);
    TRY(!__builtin_mul_overflow((uint64_t)stat->channels, EACH, &counters));
    TRY(take_array(r, counters, sizeof *stat->magnitudes, &stat->magnitudes));
    uint32_t *read = stat->magnitudes;
    for (int64_t c = 0; c < stat->channels; c++, read += EACH) {
        uint64_t sum = 0;
        for (int b = 0; b < EACH; b++) {
            sum += read[b];
        }
        TRY(sum == stat->rows && read[TOP] + (uint64_t)read[EACH - 1] > 0);
    }
    magnitudes_place(stat);
    return true;
}

static bool read_gram(Reader *r, Stat *stat) {
    const int64_t columns = stat->columns, groups = stat->groups;
    if ((stat->what & STAT_GRAM) == 0 || stat->rows == 0) {
        return columns == 0 && groups == 0 && stat->places == 0;
    }
    TRY(columns > 0 && groups > 0 && columns <= STAT_COLUMNS_MAX && stat->places > 0);
    TRY(groups <= STAT_CELLS_MAX / (columns * columns));
    /* so much must be there before so much is allocated */
    TRY((uint64_t)(groups * columns * (columns + 1) / 2) * sizeof(double) <= r->left);
    const bool kept = !r->part || r->part->gram(r->part->user, stat->name);
    stat->gram = mem_alloc(kept ? stat_gram_bytes(groups, columns)
                                : (size_t)columns * sizeof(double)); /* of a row at a time */
    bool sound = true;
    for (int64_t row = 0; sound && row < groups * columns; row++) {
        const int64_t first = row % columns;
        double *to = stat->gram + (kept ? row * columns + first : 0);
        const uint64_t size = (uint64_t)(columns - first) * sizeof(double);
        const char *from = take(r, size);
        TRY(from);
        memcpy(to, from, size);
        sound = all_finite(to, (uint64_t)(columns - first)) && to[0] >= 0.0;
    }
    if (!kept) {
        stat_free_gram(stat);
    }
    return sound;
}

static bool read_stat(Reader *r, Stats *stats) {
    const char *head = take(r, STAT_HEAD);
    TRY(head);
    uint32_t words[2];
    uint64_t n[8];
    float floats[4];
    memcpy(words, head, sizeof words);
    memcpy(n, head + 8, sizeof n);
    memcpy(floats, head + 72, sizeof floats);
    TRY(words[0] <= LIMIT_NAME_BYTES && words[1] <= STAT_ALL);
    const char *name = take(r, words[0]);
    TRY(name && !stats_find(stats, (Str){name, words[0]}));
    TRY(n[2] <= INT64_MAX && n[3] <= INT64_MAX && n[6] <= INT64_MAX && n[7] <= INT64_MAX);
    Stat *stat = stats_add(stats, (Str){name, words[0]}, words[1]);
    stat->batches = n[0];
    stat->rows = n[1];
    stat->channels = (int64_t)n[2];
    stat->bins = (int64_t)n[3];
    stat->zeros = n[4];
    stat->places = n[5];
    stat->groups = (int64_t)n[6];
    stat->columns = (int64_t)n[7];
    stat->min = floats[0];
    stat->max = floats[1];
    stat->width = floats[2];
    TRY(isfinite(stat->min) && isfinite(stat->max) && stat->min <= stat->max);
    TRY(memcmp(&floats[3], "\0\0\0\0", 4) == 0);
    TRY(stat->rows > 0 ? stat->channels > 0 && stat->batches > 0
                       : stat->channels == 0 && stat->batches == 0 && stat->bins == 0);
    return read_histogram(r, stat) && read_channels(r, stat) && read_magnitudes(r, stat) &&
           read_gram(r, stat);
}

static bool read_source(Reader *r, Stats *stats) {
    uint64_t numbers[2];
    const char *head = take(r, sizeof numbers);
    TRY(head);
    memcpy(numbers, head, sizeof numbers);
    const char *name = numbers[1] <= LIMIT_NAME_BYTES ? take(r, numbers[1]) : NULL;
    TRY(name && numbers[0] <= INT64_MAX);
    stats->samples = numbers[0];
    stats->engine = str_copy(stats->session->arena, (Str){name, (size_t)numbers[1]});
    return true;
}

/* The set, of which `count` is still to be read; NULL and *why if the head is not ours. */
static Stats *read_head(Session *s, Str bytes, const StatsIdentity *wanted, uint64_t *count,
                        const char **why) {
    uint32_t words[2];
    uint64_t size, numbers[2];
    StatsIdentity identity;
    unsigned char hash[HASH];
    *why = "is no .morstat file";
    if (bytes.len < HEAD + HASH || memcmp(bytes.data, magic, sizeof magic) != 0) {
        return NULL;
    }
    memcpy(words, bytes.data + 8, sizeof words);
    memcpy(&size, bytes.data + 16, sizeof size);
    memcpy(&identity, bytes.data + 24, sizeof identity);
    memcpy(numbers, bytes.data + 120, sizeof numbers);
    *why = MORSTAT_OTHER_VERSION;
    if (words[0] != MORSTAT_VERSION) {
        return NULL;
    }
    *why = "is damaged";
    crypto_hash_sha256(hash, (const unsigned char *)bytes.data, bytes.len - HASH);
    if (size != bytes.len || memcmp(hash, bytes.data + bytes.len - HASH, HASH) != 0 ||
        words[1] > 1 || numbers[1] > LIMIT_TENSORS) {
        return NULL;
    }
    *why = "is about another model, other data, or other statistics";
    if (wanted && memcmp(wanted, &identity, sizeof identity) != 0) {
        return NULL;
    }
    Stats *stats = stats_open(s, &identity);
    stats->batches = numbers[0];
    stats->complete = words[1] == 1;
    *count = numbers[1];
    return stats;
}

static Stats *read_part(Session *s, Str bytes, const StatsIdentity *wanted, const MorstatPart *part,
                        const char **why) {
    uint64_t count = 0;
    Stats *stats = read_head(s, bytes, wanted, &count, why);
    if (!stats) {
        return NULL;
    }
    Reader r = {bytes.data + HEAD, bytes.len - HEAD - HASH, part};
    bool good = read_source(&r, stats);
    for (uint64_t i = 0; i < count && good; i++) {
        good = read_stat(&r, stats);
    }
    if (!good || r.left > 0) {
        *why = "is damaged";
        stats_close(stats);
        return NULL;
    }
    *why = NULL;
    return stats;
}

Stats *morstat_read(Session *s, Str bytes, const StatsIdentity *wanted, const char **why) {
    return read_part(s, bytes, wanted, NULL, why);
}

Stats *morstat_open_part(Session *s, Str path, const StatsIdentity *wanted, const MorstatPart *part,
                         const char **why) {
    *why = NULL;
    Input *in = input_open(s, path);
    if (!in) {
        return NULL;
    }
    const Str bytes = {(const char *)in->data, (size_t)in->size};
    Stats *stats = read_part(s, bytes, wanted, part, why);
    input_close(s, in);
    return stats;
}

Stats *morstat_open(Session *s, Str path, const StatsIdentity *wanted, const char **why) {
    return morstat_open_part(s, path, wanted, NULL, why);
}
