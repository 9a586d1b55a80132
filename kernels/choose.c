/* From ranges to scales, or a search of the ratio with the least error (choose.h). */
#include "kernels/choose.h"
#include "kernels/scale.h"
#include <assert.h>
#include <string.h>

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

/* Adds the errors that try_s and try_z make in one tile to work->sums. */
static void add_errors(Work *work, const Span *span, const Tile *tile) {
    const int64_t n = tile->columns;
    if (work->shape.unit.inner <= 1) {
        const Divisors d = {work->try_s, work->try_r, work->try_z};
        work_error(work, tile_elements(work, tile, 0, 0), d, work->unit, n, work->shape.block,
                   work->sums);
        return;
    }
    for (int64_t r = 0; r < tile->rows; r++) {
        const int64_t at = tile_block(work, span, tile, r) * n;
        const Divisors d = {work->try_s + at, work->try_r + at, work->try_z + at};
        work_error(work, tile_elements(work, tile, r, 0), d, work->unit + at, n, 1,
                   work->sums + at);
    }
}

static void search_scales(Work *work, const Span *span, int64_t n, Tile *tile) {
    const Lanes *const lanes = work->lanes;
    lanes->units(&work->rule, work->lo, work->hi, n, work->unit);
    for (int64_t i = 0; i < n; i++) {
        work->best_sums[i] = UINT64_MAX;
    }
    for (int ratio = 0; ratio < K_RATIOS; ratio++) {
        lanes->scales(&work->rule, k_ratio(ratio), work->lo, work->hi, n, work->try_codes,
                      work->try_s, work->try_z);
        work_divide(work, lanes->reciprocals(work->try_s, n, work->try_r));
        memset(work->sums, 0, (size_t)n * sizeof *work->sums);
        if (span_is_tile(work, span)) {
            add_errors(work, span, tile);
        } else {
            for (int64_t at = 0; tile_next(work, span, &at, tile);) {
                tile_load(work, tile);
                add_errors(work, span, tile);
            }
        }
        for (int64_t i = 0; i < n; i++) {
            if (work->sums[i] < work->best_sums[i]) {
                work->best_sums[i] = work->sums[i];
                work->scale_codes[i] = work->try_codes[i];
                work->s[i] = work->try_s[i];
                work->z[i] = work->try_z[i];
            }
        }
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
    if (work->k->method == METHOD_MSE) {
        search_scales(work, span, n, tile);
    } else {
        work->lanes->scales(&work->rule, 1.0f, work->lo, work->hi, n, work->scale_codes, work->s,
                            work->z);
    }
    work_divide(work, work->lanes->reciprocals(work->s, n, work->r));
}
