/* From ranges to scales, or a search of the ratio with the least error (choose.h).
 *
 * The search is exact: the first ratio whose integer sum of k_error is least. It does not sum all
 * of them. A cheap pass over the weights, for all ratios at once, gives each a sum that its own
 * cannot be below (Lanes.bounds); the ratio with the lowest bound is summed, then those whose bound
 * is no higher than that sum: 2 to 6 of 26 for weights shaped like a bell. What is left out is
 * larger, not equal, so the first of equals is still found. Bounds are real ones, lowered by 1 %
 * and one unit for each weight, more than rounding takes from them (lanes_body.h says why); a NaN
 * is no bound. */
#include "kernels/choose.h"
#include "kernels/scale.h"
#include <assert.h>
#include <string.h>

/* ---- ranges */

static void fold_tile(Work *work, const Span *span, const Tile *tile) {
    const Lanes *const lanes = work->lanes;
    const int64_t n = tile->columns, block = work->shape.block;
    if (work->shape.unit.inner <= 1) {
        lanes->range_runs(work->type, work->rule.asymmetric, tile->e, n, block, work->lo, work->hi);
        return;
    }
    for (int64_t r = 0, rows; r < tile->rows; r += rows) {
        const int64_t in_block = (tile->k + r - span->k0) % block;
        rows = tile->rows - r < block - in_block ? tile->rows - r : block - in_block;
        const int64_t at = tile_block(work, span, tile, r) * n;
        lanes->range_columns(work->type, work->rule.asymmetric, tile_elements(work, tile, r, 0),
                             tile->e_stride, rows, n, work->lo + at, work->hi + at);
    }
}

static bool ranges_finite(const Work *work, int64_t n) {
    Range all = RANGE_EMPTY;
    for (int64_t i = 0; i < n; i++) {
        all.lo = work->lo[i] < all.lo ? work->lo[i] : all.lo;
        all.hi = work->hi[i] > all.hi ? work->hi[i] : all.hi;
    }
    return range_finite(all);
}

/* ---- the search */

/* The weights of scale number `scale` of the span that lie in this tile, one after the other. */
static const Single *weights_of(Work *work, const Span *span, const Tile *tile, int64_t scale,
                                int64_t *n) {
    const int64_t block = work->shape.block, columns = tile->columns;
    const int64_t in_span = tile->k - span->k0;
    if (work->shape.unit.inner <= 1) {
        const int64_t first = scale * block - in_span, last = first + block;
        const int64_t begin = first > 0 ? first : 0;
        *n = (last < columns ? last : columns) - begin;
        return tile_elements(work, tile, 0, begin);
    }
    const int64_t first = scale / columns * block - in_span, last = first + block;
    const int64_t begin = first > 0 ? first : 0, end = last < tile->rows ? last : tile->rows;
    const Single *const column = tile_elements(work, tile, begin, scale % columns);
    *n = end > begin ? end - begin : 0;
    for (int64_t i = 0; i < *n; i++) {
        work->run[i] = column[i * tile->e_stride];
    }
    return work->run;
}

static void sum_errors(const Work *work, Search *s, const Single *w, int64_t n, int j) {
    const Tries *const t = &s->tries;
    const Lanes *const lanes = k_divides(t->s[j]) ? work->lanes : &lanes_base;
    lanes->formats[work->k->format - formats].error(w, (Divisors){&t->s[j], &t->r[j], &t->z[j]},
                                                    &t->unit, n, n, &s->sums[j]);
}

/* The ratio with the lowest bound comes first. */
static void rank_ratios(const Work *work, Search *s) {
    work->lanes->bounds(&s->tries, s->n, s->bounds);
    s->first = 0;
    for (int j = 0; j < K_RATIOS; j++) {
        /* Reciprocals that are not finite measure nothing. */
        s->bounds[j] = k_divides(s->tries.s[j]) ? s->bounds[j] : -1;
        s->first = s->bounds[j] < s->bounds[s->first] ? j : s->first;
    }
    memset(s->sums, 0, sizeof s->sums);
}

/* Whether ratio j can be better than the first: not by a NaN, which is no bound. */
static bool worth_a_sum(const Search *s, int j) {
    return j != s->first && !(s->bounds[j] > (double)s->sums[s->first]);
}

/* In the order of the enum: acts on the weights of a scale, tile by tile. */
typedef enum Act { ACT_MEASURE, ACT_FIRST, ACT_REST, ACT_COUNT } Act;

static void act_on(Work *work, Search *s, Act act, const Single *w, int64_t n) {
    if (act == ACT_MEASURE) {
        work->format->measure(w, n, &s->tries);
        s->n += n;
    } else if (act == ACT_FIRST) {
        sum_errors(work, s, w, n, s->first);
    } else {
        for (int j = 0; j < K_RATIOS; j++) {
            if (worth_a_sum(s, j)) {
                sum_errors(work, s, w, n, j);
            }
        }
    }
}

static void open_search(const Work *work, Search *s, int64_t scale) {
    work->lanes->tries(&work->rule, work->lo[scale], work->hi[scale], &s->tries);
    s->n = 0;
}

/* The first of the least sums. */
static void close_search(Work *work, const Search *s, int64_t scale) {
    int best = s->first;
    for (int j = 0; j < K_RATIOS; j++) {
        const bool better = s->sums[j] < s->sums[best] || (s->sums[j] == s->sums[best] && j < best);
        best = worth_a_sum(s, j) && better ? j : best;
    }
    work->scale_codes[scale] = s->tries.codes[best];
    work->s[scale] = s->tries.s[best];
    work->z[scale] = s->tries.z[best];
}

/* A span that is one tile: scale by scale. */
static void search_tile(Work *work, const Span *span, int64_t scales, const Tile *tile) {
    Search *const s = work->searches;
    for (int64_t scale = 0; scale < scales; scale++) {
        int64_t n;
        const Single *const w = weights_of(work, span, tile, scale, &n);
        open_search(work, s, scale);
        for (Act act = ACT_MEASURE; act < ACT_COUNT; act++) {
            act_on(work, s, act, w, n);
            if (act == ACT_MEASURE) {
                rank_ratios(work, s);
            }
        }
        close_search(work, s, scale);
    }
}

/* A longer one, of one block: every act reads the tiles again. */
static void search_long(Work *work, const Span *span, int64_t scales, Tile *tile) {
    for (int64_t scale = 0; scale < scales; scale++) {
        open_search(work, &work->searches[scale], scale);
    }
    for (Act act = ACT_MEASURE; act < ACT_COUNT; act++) {
        for (int64_t at = 0; tile_next(work, span, &at, tile);) {
            tile_load(work, tile);
            for (int64_t scale = 0; scale < scales; scale++) {
                int64_t n;
                const Single *const w = weights_of(work, span, tile, scale, &n);
                act_on(work, &work->searches[scale], act, w, n);
            }
        }
        for (int64_t scale = 0; scale < scales && act == ACT_MEASURE; scale++) {
            rank_ratios(work, &work->searches[scale]);
        }
    }
    for (int64_t scale = 0; scale < scales; scale++) {
        close_search(work, &work->searches[scale], scale);
    }
}

/* ---- both */

void choose_scales(Work *work, const Span *span, Tile *tile) {
    const int64_t n = span_scales(work, span);
    const bool pruned = work->k->prune != PRUNE_NONE;
    assert(n <= work->shape.tile_scales);
    memset(work->lo, 0, (size_t)n * sizeof *work->lo);
    memset(work->hi, 0, (size_t)n * sizeof *work->hi);
    work->inspect = pruned; /* afterwards ranges do not tell */
    for (int64_t at = 0; tile_next(work, span, &at, tile);) {
        tile_load(work, tile);
        fold_tile(work, span, tile);
    }
    work->inspect = false; /* once is enough */
    if (!pruned && !ranges_finite(work, n)) {
        for (int64_t at = 0; tile_next(work, span, &at, tile);) {
            tile_inspect(work, tile);
            tile_load(work, tile);
        }
    }
    if (work->k->method == METHOD_MAX) {
        work->lanes->scales(&work->rule, 1.0f, work->lo, work->hi, n, work->scale_codes, work->s,
                            work->z);
    } else if (span_is_tile(work, span)) {
        search_tile(work, span, n, tile);
    } else {
        search_long(work, span, n, tile);
    }
    work_divide(work, work->lanes->reciprocals(work->s, n, work->r));
}
