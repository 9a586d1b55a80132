/* Tiles: where they lie, and how they are read and pruned (tile.h). */
#include "kernels/tile.h"
#include "kernels/scale.h"
#include "kernels/state.h"
#include <assert.h>
#include <string.h>

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static const char *source_at(const Work *work, int64_t index) {
    return (const char *)work->src + index * source_size(work->k->source);
}

/* The next `count` elements of `size` bytes from *end on, which stays aligned for vectors. */
static void *take(char *base, size_t *end, int64_t count, size_t size) {
    void *at = base == NULL ? NULL : base + *end;
    *end += ((size_t)count * size + 63) / 64 * 64;
    return at;
}

/* What the elements of a tile are: halves as long as only their order counts, floats for a search,
 * which reads them 26 times. */
static int element_type(const Kernel *k) {
    const bool search = k->format != NULL && k->method == METHOD_MSE;
    return source_size(k->source) == 2 && !search ? k->source : K_FLOAT;
}

/* Tiles are read where the source lies. */
static bool is_direct(const Kernel *k) {
    return k->prune == PRUNE_NONE && element_type(k) == k->source;
}

size_t work_layout(Work *work, const Kernel *k, void *scratch) {
    const Shape *const s = &work->shape;
    const bool search = k->format != NULL && k->method == METHOD_MSE;
    const int64_t columns = s->tile_columns > LEAST_ROW ? s->tile_columns : LEAST_ROW;
    const int64_t tile = s->tile_rows * s->tile_columns, scales = s->tile_scales;
    const int64_t codes = k->layout == LAYOUT_NBITS ? tile : columns;
    size_t end = 0;
    if (scratch != NULL) {
        end = (64 - (uintptr_t)scratch % 64) % 64;
    }
    work->room = take(scratch, &end, is_direct(k) ? 0 : tile, (size_t)source_size(element_type(k)));
    work->codes = take(scratch, &end, codes > scales ? codes : scales, 1);
    work->turned = take(scratch, &end, k->layout == LAYOUT_NBITS ? tile : 0, 1);
    work->drop = take(scratch, &end, k->prune == PRUNE_NM ? (columns + 1) * k->group : 0, 1);
    work->row_w = take(scratch, &end, columns, sizeof *work->row_w);
    work->row_in = take(scratch, &end, columns, sizeof *work->row_in);
    work->row_x = take(scratch, &end, columns, sizeof *work->row_x);
    work->row_v = take(scratch, &end, columns, sizeof *work->row_v);
    work->fours_s = take(scratch, &end, columns / 4 + 1, sizeof *work->fours_s);
    work->fours_z = take(scratch, &end, columns / 4 + 1, sizeof *work->fours_z);
    work->s = take(scratch, &end, scales, sizeof *work->s);
    work->r = take(scratch, &end, scales, sizeof *work->r);
    work->z = take(scratch, &end, scales, sizeof *work->z);
    work->lo = take(scratch, &end, scales, sizeof *work->lo);
    work->hi = take(scratch, &end, scales, sizeof *work->hi);
    work->scale_codes = take(scratch, &end, scales, sizeof *work->scale_codes);
    if (search) {
        work->unit = take(scratch, &end, columns, sizeof *work->unit);
        work->try_s = take(scratch, &end, columns, sizeof *work->try_s);
        work->try_r = take(scratch, &end, columns, sizeof *work->try_r);
        work->try_z = take(scratch, &end, columns, sizeof *work->try_z);
        work->try_codes = take(scratch, &end, columns, sizeof *work->try_codes);
        work->run = take(scratch, &end, s->tile_rows, sizeof *work->run);
        work->searches =
            take(scratch, &end, s->unit.inner > 1 ? s->tile_columns : 1, sizeof *work->searches);
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

/* The magnitudes that go, as elements have them. */
static void open_ratio(Work *work, const State *state) {
    const bool all = state->threshold == UINT32_MAX;
    work->tie_index = state->tie_index;
    if (work->half) {
        work->last = all ? 0x7fff : (int32_t)state->high - 1;
    } else {
        work->last = all ? INT32_MAX : (int32_t)state->threshold - 1;
    }
}

Work work_open(const Kernel *k, const void *src, const State *state, void *scratch) {
    Work work = {.k = k, .shape = shape_of(k), .lanes = lanes_best(), .src = src};
    work_layout(&work, k, scratch);
    work.first_nonfinite = INT64_MAX;
    work.type = element_type(k);
    work.half = work.type != K_FLOAT;
    work.direct = is_direct(k);
    if (kernel_surveys(k) == 0) {
        state = NULL; /* no bytes of it may be read */
    }
    if (k->prune == PRUNE_RATIO) {
        open_ratio(&work, state);
    }
    assert_sensible(k);
    if (k->format != NULL) {
        work.format = &work.lanes->formats[k->format - formats];
        work_divide(&work, state == NULL || state->divides);
        work.rule = (ScaleRule){k->scale_type, k->format->scale_max, k->format->asymmetric,
                                state != NULL ? state->super : 1.0f};
    }
    return work;
}

void work_divide(Work *work, bool by_reciprocals) {
    work->divider = by_reciprocals ? work->lanes : &lanes_base;
}

void work_error(const Work *work, const void *w, Divisors d, const float *unit, int64_t n,
                int64_t length, uint64_t *sums) {
    work->divider->formats[work->k->format - formats].error(w, d, unit, n, length, sums);
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
static void inspect_row(Work *work, int64_t first, int64_t n) {
    work->lanes->widen(work->k->source, source_at(work, first), n, work->row_in);
    for (int64_t i = 0; i < n; i++) {
        if (k_magnitude(work->row_in[i]) >= 0x7f800000u) {
            work->nonfinite++;
            work->first_nonfinite = least(work->first_nonfinite, first + i);
        }
    }
}

void tile_inspect(Work *work, const Tile *tile) {
    for (int64_t r = 0; r < tile->rows; r++) {
        inspect_row(work, tile->first + r * tile->stride, tile->columns);
    }
}

static uint32_t infinity_of(int type) {
    return type == K_FLOAT16 ? 0x7c00u : type == K_BFLOAT16 ? 0x7f80u : 0x7f800000u;
}

static void cut_row(const Work *work, char *e, int64_t first, int64_t n) {
    int64_t ties = work->tie_index - first; /* before it, weights that equal the threshold stay */
    ties = ties < 0 ? 0 : least(ties, n);
    const int32_t above = work->last + (work->last < (work->half ? 0x7fff : INT32_MAX));
    work->lanes->cut(work->half, e, ties, work->last);
    work->lanes->cut(work->half, e + ties * source_size(work->type), n - ties, above);
}

static void prune_groups(const Work *work, const Tile *tile) {
    const Kernel *const k = work->k;
    const bool rows = work->shape.unit.inner > 1;
    const int64_t width = rows ? tile->columns : k->prune_view.inner;
    const int64_t length = rows ? tile->rows : tile->columns / width;
    if (width == 1) {
        work->lanes->prune_run(work->half, work->room, length, k->keep, k->group, work->drop);
        return;
    }
    for (int64_t at = 0; at < length; at += k->group) {
        work->lanes->prune_columns(work->half,
                                   (char *)work->room + at * width * source_size(work->type), width,
                                   (int)least(k->group, length - at), width, k->keep, work->drop);
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
    for (int64_t at = begin; at < end && s->unit.inner > 1; at += 64) {
        __builtin_prefetch((const char *)work->src + at, 0, 2); /* into L2: a tile fills L1 */
    }
}

static void copy_row(Work *work, const Tile *tile, int64_t first, char *e) {
    const int64_t n = tile->columns;
    prefetch_next(work, tile, first);
    if (work->type == work->k->source) {
        memcpy(e, source_at(work, first), (size_t)(n * source_size(work->type)));
    } else {
        work->lanes->widen(work->k->source, source_at(work, first), n, (float *)(void *)e);
    }
    if (work->inspect && work->lanes->largest(work->half, e, n) >= infinity_of(work->type)) {
        inspect_row(work, first, n);
    }
    if (work->k->prune == PRUNE_RATIO) {
        cut_row(work, e, first, n);
    }
}

void tile_load(Work *work, Tile *tile) {
    const int64_t size = source_size(work->type);
    if (work->direct) {
        tile->e = source_at(work, tile->first);
        tile->e_stride = tile->stride;
        if (work->inspect) {
            tile_inspect(work, tile);
        }
        return;
    }
    tile->e = work->room;
    tile->e_stride = tile->columns;
    for (int64_t r = 0; r < tile->rows; r++) {
        copy_row(work, tile, tile->first + r * tile->stride,
                 (char *)work->room + r * tile->columns * size);
    }
    if (work->k->prune == PRUNE_NM) {
        prune_groups(work, tile);
    }
}

const void *tile_elements(const Work *work, const Tile *tile, int64_t row, int64_t column) {
    return tile->e + (row * tile->e_stride + column) * source_size(work->type);
}

Row tile_row(const Work *work, const Tile *tile, int64_t row) {
    if (work->direct) {
        prefetch_next(work, tile, tile->first + row * tile->stride);
    }
    return (Row){work->type, tile_elements(work, tile, row, 0)};
}

Row source_row(Work *work, int64_t first, int64_t n) {
    const int type = work->k->source;
    const void *const e = source_at(work, first);
    if (type == K_FLOAT || type == K_BFLOAT16) {
        return (Row){type, e};
    }
    work->lanes->widen(type, e, n, work->row_in);
    return (Row){K_FLOAT, work->row_in};
}
