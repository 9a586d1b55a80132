/* Tiles: where they lie, and how they are read and pruned (tile.h). */
#include "kernels/tile.h"
#include "kernels/scale.h"
#include "kernels/state.h"
#include <assert.h>
#include <string.h>

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The next `count` elements of `size` bytes from *end on, which stays aligned for vectors. */
static void *take(char *base, size_t *end, int64_t count, size_t size) {
    void *at = base == NULL ? NULL : base + *end;
    *end += ((size_t)count * size + 63) / 64 * 64;
    return at;
}

size_t work_layout(Work *work, const Kernel *k, void *scratch) {
    const Shape *const s = &work->shape;
    const bool search = k->format != NULL && k->method == METHOD_MSE;
    const int64_t columns = s->tile_columns, tile = s->tile_rows * columns;
    const int64_t scales = s->tile_scales;
    size_t end = 0;
    if (scratch != NULL) {
        end = (64 - (uintptr_t)scratch % 64) % 64;
    }
    work->w = take(scratch, &end, tile, sizeof *work->w);
    work->codes = take(scratch, &end, tile > scales ? tile : scales, 1);
    work->turned = take(scratch, &end, k->layout == LAYOUT_NBITS ? tile : 0, 1);
    work->drop = take(scratch, &end, k->prune == PRUNE_NM ? (columns + 1) * k->group : 0, 1);
    work->row_q = take(scratch, &end, columns, sizeof *work->row_q);
    work->row_w = take(scratch, &end, k->prune == PRUNE_NONE ? 0 : columns, sizeof *work->row_w);
    work->row_s = take(scratch, &end, columns, sizeof *work->row_s);
    work->row_z = take(scratch, &end, columns, sizeof *work->row_z);
    work->s = take(scratch, &end, scales, sizeof *work->s);
    work->z = take(scratch, &end, scales, sizeof *work->z);
    work->lo = take(scratch, &end, scales, sizeof *work->lo);
    work->hi = take(scratch, &end, scales, sizeof *work->hi);
    work->scale_codes = take(scratch, &end, scales, sizeof *work->scale_codes);
    if (search) {
        work->row_unit = take(scratch, &end, columns, sizeof *work->row_unit);
        work->row_errors = take(scratch, &end, columns, sizeof *work->row_errors);
        work->row_lo = take(scratch, &end, columns, sizeof *work->row_lo);
        work->row_hi = take(scratch, &end, columns, sizeof *work->row_hi);
        work->unit = take(scratch, &end, scales, sizeof *work->unit);
        work->try_s = take(scratch, &end, scales, sizeof *work->try_s);
        work->try_z = take(scratch, &end, scales, sizeof *work->try_z);
        work->try_codes = take(scratch, &end, columns + scales, sizeof *work->try_codes);
        work->sums = take(scratch, &end, scales, sizeof *work->sums);
        work->best_sums = take(scratch, &end, scales, sizeof *work->best_sums);
    }
    return end;
}

size_t kernel_scratch_size(const Kernel *k) {
    Work work = {.shape = shape_of(k)};
    return work_layout(&work, k, NULL) + 64;
}

/* The combinations that kernels.h excludes. */
static void assert_sensible(const Kernel *k) {
    const KernelView v = k->view, p = k->prune_view;
    (void)v, (void)p;
    if (k->prune == PRUNE_NM) {
        assert(p.outer * p.axis * p.inner == k->count && k->keep > 0 && k->group >= k->keep);
    }
    if (k->format == NULL) {
        return;
    }
    assert(!k->format->scale_only && v.outer * v.axis * v.inner == k->count);
    if (k->granule == GRANULE_BLOCK && k->prune == PRUNE_NM) {
        assert(v.outer == p.outer && v.axis == p.axis && v.inner == p.inner);
    }
    if (k->layout == LAYOUT_NBITS) {
        assert(k->granule == GRANULE_BLOCK && k->block % 16 == 0 && k->format->integer);
        assert((v.outer == 1 || v.inner == 1) && k->scale_type != K_E4M3);
    }
}

Work work_open(const Kernel *k, const void *src, const State *state, void *scratch) {
    Work work = {.k = k, .shape = shape_of(k), .lanes = lanes_best(), .src = src};
    work_layout(&work, k, scratch);
    work.tie_index = INT64_MAX;
    work.first_nonfinite = INT64_MAX;
    if (kernel_surveys(k) == 0) {
        state = NULL; /* no bytes of it may be read */
    }
    if (state != NULL) {
        work.threshold = state->threshold;
        work.tie_index = state->tie_index;
    }
    assert_sensible(k);
    if (k->format != NULL) {
        work.format = &work.lanes->formats[k->format - formats];
        work.rule = (ScaleRule){k->scale_type, k->format->scale_max, k->format->asymmetric,
                                state != NULL ? state->super : 1.0f};
    }
    return work;
}

/* ---- where things lie */

static int64_t span_length(const Work *work) {
    const Shape *const s = &work->shape;
    const int64_t tile = s->unit.inner > 1 ? s->tile_rows : s->tile_columns;
    return s->granule == GRANULE_BLOCK && s->step > tile ? s->step : tile;
}

bool span_next(const Work *work, const Box *box, Span *span, bool *started) {
    const int64_t width = work->shape.unit.inner > 1 ? work->shape.tile_columns : 1;
    if (!*started) {
        *started = true;
        *span = (Span){box->o0, box->k0, 0, box->i0, 0};
    } else {
        span->i0 = span->i1;
        if (span->i0 >= box->i1) {
            span->i0 = box->i0;
            span->k0 = span->k1;
        }
        if (span->k0 >= box->k1) {
            span->k0 = box->k0;
            span->o++;
        }
    }
    span->k1 = least(span->k0 + span_length(work), box->k1);
    span->i1 = least(span->i0 + width, box->i1);
    return span->o < box->o1 && span->k0 < span->k1 && span->i0 < span->i1;
}

bool tile_next(const Work *work, const Span *span, int64_t *at, Tile *tile) {
    const KernelView u = work->shape.unit;
    const int64_t rest = span->k1 - span->k0 - *at;
    if (rest <= 0) {
        return false;
    }
    tile->k = span->k0 + *at;
    tile->first = (span->o * u.axis + tile->k) * u.inner + span->i0;
    tile->stride = u.inner;
    if (u.inner > 1) {
        tile->rows = least(rest, work->shape.tile_rows);
        tile->columns = span->i1 - span->i0;
        *at += tile->rows;
    } else {
        tile->rows = 1;
        tile->columns = least(rest, work->shape.tile_columns);
        *at += tile->columns;
    }
    return true;
}

bool span_is_tile(const Work *work, const Span *span) {
    const Shape *const s = &work->shape;
    return span->k1 - span->k0 <= (s->unit.inner > 1 ? s->tile_rows : s->tile_columns);
}

int64_t span_scales(const Work *work, const Span *span) {
    const int64_t block = work->shape.block;
    return (span->k1 - span->k0 + block - 1) / block * (span->i1 - span->i0);
}

int64_t tile_block(const Work *work, const Span *span, const Tile *tile, int64_t row) {
    return (tile->k + row - span->k0) / work->shape.block;
}

int64_t channel_at(const Shape *s, int64_t index, int64_t n, int64_t *length) {
    const int64_t inner = s->view.inner, channel = index / inner % s->view.axis;
    *length = least(n, inner == 1 ? s->view.axis - channel : inner - index % inner);
    return channel;
}

/* ---- reading */

/* Weights of one row that are not finite; rare, so counted one by one. */
static void note_nonfinite(Work *work, const float *w, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (k_magnitude(w[i]) >= 0x7f800000u) {
            work->nonfinite++;
            work->first_nonfinite = least(work->first_nonfinite, first + i);
        }
    }
}

static void cut_row(const Work *work, float *w, int64_t first, int64_t n) {
    int64_t ties = work->tie_index - first; /* before it, weights that equal the threshold stay */
    ties = ties < 0 ? 0 : least(ties, n);
    work->lanes->cut(w, ties, work->threshold);
    work->lanes->cut(w + ties, n - ties, work->threshold + (work->threshold < UINT32_MAX));
}

static void prune_groups(const Work *work, const Tile *tile) {
    const Kernel *const k = work->k;
    const bool rows = work->shape.unit.inner > 1;
    const int64_t width = rows ? tile->columns : k->prune_view.inner;
    const int64_t length = rows ? tile->rows : tile->columns / width;
    if (width == 1) {
        work->lanes->prune_run(work->w, length, k->keep, k->group, work->drop);
        return;
    }
    for (int64_t at = 0; at < length; at += k->group) {
        work->lanes->prune_columns(work->w + at * width, width, (int)least(k->group, length - at),
                                   width, k->keep, work->drop);
    }
}

/* What is read next: the columns to the right or, in the last of a chunk of columns, the rows
 * below. A row of a tile is too short for the processor to see that by itself. */
static void prefetch_next(const Work *work, const Tile *tile, int64_t first) {
    const Shape *const s = &work->shape;
    const bool below = s->columns > 0 && s->columns <= s->tile_columns;
    const int64_t ahead = below ? tile->rows * tile->stride : tile->columns;
    const int64_t size = source_size(work->k->source);
    const int64_t begin = least(first + ahead, work->k->count) * size;
    const int64_t end = least(first + ahead + tile->columns, work->k->count) * size;
    for (int64_t at = begin; at < end; at += 64) {
        __builtin_prefetch((const char *)work->src + at);
    }
}

void tile_load(Work *work, const Tile *tile) {
    for (int64_t r = 0; r < tile->rows; r++) {
        float *const w = work->w + r * tile->columns;
        const int64_t first = tile->first + r * tile->stride;
        prefetch_next(work, tile, first);
        if (work->lanes->widen(work->k->source, work->src, first, tile->columns, w) >=
            0x7f800000u) {
            note_nonfinite(work, w, first, tile->columns);
        }
        if (work->k->prune == PRUNE_RATIO) {
            cut_row(work, w, first, tile->columns);
        }
    }
    if (work->k->prune == PRUNE_NM) {
        prune_groups(work, tile);
    }
}
