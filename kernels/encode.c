/* Encodes one chunk, span by span: load, measure, choose scales, encode, pack. The tile stays in
 * the cache between the steps; a block too long for a tile is loaded again for each. */
#include "kernels/scale.h"
#include "kernels/state.h"
#include "kernels/tile.h"
#include <assert.h>
#include <string.h>

/* What kernel_encode hands down: where chunk-relative outputs begin. */
typedef struct Target {
    Work *work;
    const StateArrays *state;
    void *const *outs;
    Box box;
    int64_t first, first_scale; /* LAYOUT_ONNX: element and scale at the start of the outputs */
    int64_t nonfinite;          /* of the spans that are done */
    StripSums sums;
    float open_w[K_STRIP], open_q[K_STRIP]; /* a strip that goes on in the next tile of a run */
    int64_t open;
} Target;

/* ---- packing at any position */

static void or_bits(uint8_t *dst, int64_t bit, int bits, uint32_t code) {
    const int shift = (int)(bit % 8);
    uint8_t *const at = dst + bit / 8;
    at[0] = (uint8_t)(at[0] | code << shift);
    if (shift + bits > 8) {
        at[1] = (uint8_t)(at[1] | code >> (8 - shift));
    }
}

/* Codes at position `at` of a packed array. Bytes that are shared with neighbours are only added
 * to: the array must have been cleared where its rows do not fill whole bytes. */
static void pack_at(const Lanes *lanes, int bits, const uint8_t *codes, int64_t n, uint8_t *dst,
                    int64_t at) {
    const int64_t whole = bits == 8 ? 1 : bits == 4 ? 2 : 4; /* codes that fill whole bytes */
    int64_t i = 0;
    for (; (at + i) % whole != 0 && i < n; i++) {
        or_bits(dst, (at + i) * bits, bits, codes[i]);
    }
    const int64_t middle = (n - i) / whole * whole;
    lanes->pack(bits, codes + i, middle, dst + (at + i) * bits / 8);
    for (i += middle; i < n; i++) {
        or_bits(dst, (at + i) * bits, bits, codes[i]);
    }
}

static void put_scales(int type, const uint32_t *codes, int64_t n, void *dst, int64_t at) {
    const size_t size = (size_t)source_size(type);
    char *to = (char *)dst + (size_t)at * size;
    for (int64_t i = 0; i < n; i++, to += size) {
        memcpy(to, &codes[i], size); /* little endian: the low bytes */
    }
}

/* ---- scales of a span (GRANULE_BLOCK) */

/* Divisors and zero points of a run of blocks, one for each of its n elements. */
static void spread_scales(Work *work, const float *s, const float *z, int64_t n) {
    work->lanes->spread(s, n, work->shape.block, work->row_s);
    if (work->rule.asymmetric) {
        work->lanes->spread(z, n, work->shape.block, work->row_z);
    }
}

static void fold_tile(Work *work, const Span *span, const Tile *tile) {
    const Lanes *const lanes = work->lanes;
    const int64_t n = tile->columns;
    if (work->shape.unit.inner <= 1) {
        lanes->range_runs(work->rule.asymmetric, work->w, n, work->shape.block, work->lo, work->hi);
        return;
    }
    for (int64_t r = 0; r < tile->rows; r++) {
        const int64_t at = tile_block(work, span, tile, r) * n;
        lanes->range_columns(work->rule.asymmetric, work->w + r * n, n, work->lo + at,
                             work->hi + at);
    }
}

/* Adds the errors that try_s and try_z make in one tile to work->sums. */
static void add_errors(Work *work, const Span *span, const Tile *tile) {
    const Lanes *const lanes = work->lanes;
    const int64_t n = tile->columns;
    if (work->shape.unit.inner <= 1) {
        spread_scales(work, work->try_s, work->try_z, n);
        lanes->spread(work->unit, n, work->shape.block, work->row_unit);
        work->format->error(work->w, work->row_s, work->row_z, work->row_unit, n, work->row_errors);
        lanes->add_runs(work->row_errors, n, work->shape.block, work->sums);
        return;
    }
    for (int64_t r = 0; r < tile->rows; r++) {
        const int64_t at = tile_block(work, span, tile, r) * n;
        work->format->error(work->w + r * n, work->try_s + at, work->try_z + at, work->unit + at, n,
                            work->row_errors);
        lanes->add_columns(work->row_errors, n, work->sums + at);
    }
}

static void search_scales(Work *work, const Span *span, int64_t n) {
    const Lanes *const lanes = work->lanes;
    lanes->units(&work->rule, work->lo, work->hi, n, work->unit);
    for (int64_t i = 0; i < n; i++) {
        work->best_sums[i] = UINT64_MAX;
    }
    for (int ratio = 0; ratio < K_RATIOS; ratio++) {
        lanes->scales(&work->rule, k_ratio(ratio), work->lo, work->hi, n, work->try_codes,
                      work->try_s, work->try_z);
        memset(work->sums, 0, (size_t)n * sizeof *work->sums);
        Tile tile;
        for (int64_t at = 0; tile_next(work, span, &at, &tile);) {
            if (!span_is_tile(work, span)) {
                tile_load(work, &tile);
            }
            add_errors(work, span, &tile);
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

/* Leaves the tile loaded when the span is one. */
static void choose_scales(Work *work, const Span *span) {
    const int64_t n = span_scales(work, span);
    assert(n <= work->shape.tile_scales);
    memset(work->lo, 0, (size_t)n * sizeof *work->lo);
    memset(work->hi, 0, (size_t)n * sizeof *work->hi);
    Tile tile;
    for (int64_t at = 0; tile_next(work, span, &at, &tile);) {
        tile_load(work, &tile);
        fold_tile(work, span, &tile);
    }
    if (work->k->method == METHOD_MSE) {
        search_scales(work, span, n);
    } else {
        work->lanes->scales(&work->rule, 1.0f, work->lo, work->hi, n, work->scale_codes, work->s,
                            work->z);
    }
}

static void store_scales(const Target *t, const Span *span) {
    Work *const work = t->work;
    const Kernel *const k = work->k;
    const Shape *const s = &work->shape;
    const int bits = k->format->bits;
    const int64_t n = span_scales(work, span), columns = span->i1 - span->i0;
    const int64_t block = span->k0 / s->block;
    for (int64_t i = 0; i < n; i++) {
        work->codes[i] = (uint8_t)work->z[i];
    }
    if (k->layout == LAYOUT_ONNX) {
        const int64_t at =
            (span->o * s->blocks + block) * s->unit.inner + span->i0 - t->first_scale;
        const int64_t row = s->unit.inner > 1 ? columns : n; /* scales that are neighbours */
        for (int64_t i = 0, to = at; i < n; i += row, to += s->unit.inner) {
            put_scales(k->scale_type, work->scale_codes + i, row, t->outs[OUT_SCALES], to);
            if (k->format->asymmetric) {
                pack_at(work->lanes, bits, work->codes + i, row, t->outs[OUT_ZEROS], to);
            }
        }
        return;
    }
    const int64_t row_bytes = (s->blocks * bits + 7) / 8;
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = span->o - t->box.o0 + span->i0 - t->box.i0 + i % columns;
        const int64_t b = block + i / columns;
        put_scales(k->scale_type, work->scale_codes + i, 1, t->outs[OUT_SCALES],
                   row * s->blocks + b);
        if (k->format->asymmetric) {
            or_bits((uint8_t *)t->outs[OUT_ZEROS] + row * row_bytes, b * bits, bits,
                    work->codes[i]);
        }
    }
}

/* ---- metrics: the strips of a row, of which a tile may hold any part */

static void close_strip(Target *t) {
    const int64_t missing = K_STRIP - t->open;
    memset(t->open_w + t->open, 0, (size_t)missing * sizeof *t->open_w);
    memset(t->open_q + t->open, 0, (size_t)missing * sizeof *t->open_q);
    t->work->lanes->compare(t->open_w, t->open_q, K_STRIP, &t->sums);
    t->sums.zeros -= missing;
    t->open = 0;
}

static int64_t fill_strip(Target *t, const float *w, const float *q, int64_t n) {
    const int64_t taken = n < K_STRIP - t->open ? n : K_STRIP - t->open;
    memcpy(t->open_w + t->open, w, (size_t)taken * sizeof *w);
    memcpy(t->open_q + t->open, q, (size_t)taken * sizeof *q);
    t->open += taken;
    if (t->open == K_STRIP) {
        close_strip(t);
    }
    return taken;
}

/* Compares a row of a tile, decoded in row_q, with the weights that came in; `w` is them after
 * pruning. Rows of a rectangle begin with a strip (shape.c), those of a run follow each other. */
static void compare_row(Target *t, const Tile *tile, const float *w, int64_t first) {
    Work *const work = t->work;
    const KernelView u = work->shape.unit;
    const int64_t n = tile->columns;
    const float *const q = work->row_q;
    if (work->k->prune != PRUNE_NONE) {
        work->lanes->widen(work->k->source, work->src, first, n, work->row_w);
        w = work->row_w;
    }
    int64_t at = t->open > 0 ? fill_strip(t, w, q, n) : 0;
    const int64_t whole = (n - at) / K_STRIP * K_STRIP;
    work->lanes->compare(w + at, q + at, whole, &t->sums);
    at += whole;
    if (at < n) {
        fill_strip(t, w + at, q + at, n - at);
    }
    if (t->open > 0 && (u.inner > 1 || tile->k + n == u.axis)) {
        close_strip(t);
    }
}

/* ---- codes */

/* Divisors and zero points of a tile's row. */
static void row_scales(Target *t, const Span *span, const Tile *tile, int64_t row, const float **s,
                       const float **z) {
    Work *const work = t->work;
    const Shape *const shape = &work->shape;
    const int64_t n = tile->columns;
    *s = work->row_s;
    *z = work->row_z;
    if (shape->granule == GRANULE_BLOCK && shape->unit.inner > 1) {
        *s = work->s + tile_block(work, span, tile, row) * n;
        *z = work->z + tile_block(work, span, tile, row) * n;
    } else if (shape->granule == GRANULE_BLOCK) {
        spread_scales(work, work->s, work->z, n);
    } else if (shape->granule == GRANULE_TENSOR) { /* filled by kernel_encode, once */
    } else if (row == 0 || tile->stride % (shape->view.axis * shape->view.inner) != 0) {
        int64_t length;
        for (int64_t i = 0; i < n; i += length) {
            const int64_t c =
                channel_at(shape, tile->first + row * tile->stride + i, n - i, &length);
            const int64_t step = shape->view.inner == 1;
            for (int64_t j = 0; j < length; j++) {
                work->row_s[i + j] = t->state->s[c + j * step];
                work->row_z[i + j] = t->state->z[c + j * step];
            }
        }
    }
}

static void flip_codes(uint8_t *codes, int64_t n, uint32_t flip) {
    for (int64_t i = 0; i < n; i++) {
        codes[i] = (uint8_t)(codes[i] ^ flip);
    }
}

/* LAYOUT_NBITS: the codes of column j of a tile become neighbours, after the rows before them and,
 * at the end of the axis, followed by zero points up to a whole block. */
static void store_turned(Target *t, const Span *span, const Tile *tile, const uint8_t *codes) {
    Work *const work = t->work;
    const Shape *const s = &work->shape;
    const Format *const f = work->k->format;
    const bool run = s->unit.inner <= 1;
    const int64_t length = run ? tile->columns : tile->rows, columns = run ? 1 : tile->columns;
    const int64_t total = s->blocks * s->block;
    const int64_t padding = tile->k + length == s->unit.axis ? total - s->unit.axis : 0;
    const int64_t last = (tile->k + length - 1 - span->k0) / s->block * columns; /* its scales */
    const uint32_t flip = f->asymmetric ? 0u : 1u << (f->bits - 1);
    if (!run) {
        work->lanes->turn(codes, tile->rows, columns, work->turned);
    }
    uint8_t *column = run ? work->codes : work->turned;
    flip_codes(column, length * columns, flip);
    uint8_t *const dst = t->outs[OUT_CODES];
    for (int64_t j = 0; j < columns; j++, column += length) {
        const int64_t row = span->o - t->box.o0 + span->i0 - t->box.i0 + j;
        pack_at(work->lanes, f->bits, column, length, dst, row * total + tile->k);
        const uint32_t zero = (f->asymmetric ? (uint32_t)work->z[last + j] : 0u) ^ flip;
        for (int64_t i = 0; i < padding; i++) {
            or_bits(dst, (row * total + s->unit.axis + i) * f->bits, f->bits, zero);
        }
    }
}

static void encode_tile(Target *t, const Span *span, const Tile *tile) {
    Work *const work = t->work;
    const Kernel *const k = work->k;
    const int64_t n = tile->columns;
    const bool onnx = k->layout == LAYOUT_ONNX;
    uint8_t *const dst = t->outs[OUT_CODES];
    for (int64_t r = 0; r < tile->rows; r++) {
        const float *const w = work->w + r * n;
        const int64_t first = tile->first + r * tile->stride;
        const float *s, *z;
        row_scales(t, span, tile, r, &s, &z);
        uint8_t *codes = onnx ? work->codes : work->codes + r * n;
        if (onnx && k->format->bits == 8) {
            codes = dst + (first - t->first);
        }
        work->format->encode(w, s, z, n, codes);
        if (k->metrics) {
            work->format->decode(codes, s, z, n, work->row_q);
            compare_row(t, tile, w, first);
        }
        if (onnx && k->format->bits < 8) {
            pack_at(work->lanes, k->format->bits, codes, n, dst, first - t->first);
        }
    }
    if (!onnx) {
        store_turned(t, span, tile, work->codes);
    }
}

/* Without a format: weights as they came, pruned ones as zeros. */
static void store_pruned(Target *t, const Tile *tile) {
    Work *const work = t->work;
    const size_t size = (size_t)source_size(work->k->source);
    for (int64_t r = 0; r < tile->rows; r++) {
        const float *const w = work->w + r * tile->columns;
        const int64_t first = tile->first + r * tile->stride;
        const char *const from = (const char *)work->src + (size_t)first * size;
        work->lanes->mask((int)size, from, w, tile->columns,
                          (char *)t->outs[OUT_CODES] + (size_t)(first - t->first) * size);
        if (work->k->metrics) {
            memcpy(work->row_q, w, (size_t)tile->columns * sizeof *w);
            compare_row(t, tile, w, first);
        }
    }
}

/* ---- chunks */

/* Rows that do not fill whole bytes are added together bit by bit, onto zeros. */
static void clear_outputs(const Kernel *k, const Shape *s, int64_t chunk,
                          void *const outs[OUT_COUNT]) {
    int64_t offset, size;
    const int64_t row = s->unit.inner > 1 ? s->unit.inner : s->unit.axis;
    if (k->layout == LAYOUT_NBITS || row * k->format->bits % 8 != 0 ||
        s->tile_columns * k->format->bits % 8 != 0) {
        kernel_extent(k, chunk, OUT_CODES, &offset, &size);
        memset(outs[OUT_CODES], 0, (size_t)size);
    }
    kernel_extent(k, chunk, OUT_ZEROS, &offset, &size);
    if (size > 0) {
        memset(outs[OUT_ZEROS], 0, (size_t)size);
    }
}

static void encode_span(Target *t, const Span *span) {
    Work *const work = t->work;
    const bool blocks = work->shape.granule == GRANULE_BLOCK;
    const bool loaded = blocks && span_is_tile(work, span);
    if (blocks) {
        choose_scales(work, span);
        store_scales(t, span);
        if (!loaded) { /* it will be counted again */
            work->nonfinite = t->nonfinite;
        }
    }
    Tile tile;
    for (int64_t at = 0; tile_next(work, span, &at, &tile);) {
        if (!loaded) {
            tile_load(work, &tile);
        }
        if (work->k->format == NULL) {
            store_pruned(t, &tile);
        } else {
            encode_tile(t, span, &tile);
        }
    }
    t->nonfinite = work->nonfinite;
}

void kernel_encode(const Kernel *k, int64_t chunk, const void *src, const void *state,
                   void *const outs[OUT_COUNT], KernelMetrics *metrics, void *scratch) {
    Work work = work_open(k, src, state, scratch);
    const StateArrays arrays = state_arrays(k, &work.shape, state);
    Target t = {.work = &work, .state = &arrays, .outs = outs};
    t.box = shape_chunk(&work.shape, chunk);
    if (k->layout == LAYOUT_ONNX) {
        t.first = shape_first(&work.shape, chunk);
        if (work.shape.granule == GRANULE_BLOCK) {
            t.first_scale = shape_first_scale(&work.shape, chunk);
        }
    }
    if (k->format != NULL) {
        clear_outputs(k, &work.shape, chunk, outs);
    }
    if (k->format != NULL && work.shape.granule == GRANULE_TENSOR) {
        const int64_t n = work.shape.tile_columns;
        work.lanes->spread(arrays.s, n, n, work.row_s);
        work.lanes->spread(arrays.z, n, n, work.row_z);
    }
    Span span = {0};
    bool started = false;
    while (span_next(&work, &t.box, &span, &started)) {
        encode_span(&t, &span);
    }
    *metrics = (KernelMetrics){.nonfinite = work.nonfinite};
    metrics->first_nonfinite = work.nonfinite > 0 ? work.first_nonfinite : -1;
    metrics->count = (t.box.o1 - t.box.o0) * (t.box.k1 - t.box.k0) * (t.box.i1 - t.box.i0);
    if (k->metrics) {
        work.lanes->close_strips(&t.sums);
        metrics_from_sums(&t.sums, metrics);
    }
}

bool kernel_global(const Kernel *k, KernelOutput out, const void *state, void *dst) {
    const Shape s = shape_of(k);
    const bool scales = (out == OUT_SCALES || out == OUT_ZEROS) && state_has_scales(&s);
    const bool super = out == OUT_SUPER && kernel_output_size(k, OUT_SUPER) > 0;
    if (!scales && !super) {
        return false;
    }
    const StateArrays a = state_arrays(k, &s, state);
    if (super) {
        memcpy(dst, &((const State *)state)->super, sizeof(float));
    } else if (out == OUT_SCALES) {
        put_scales(k->scale_type, a.codes, s.scales, dst, 0);
    } else if (k->format->asymmetric) {
        memset(dst, 0, (size_t)kernel_output_size(k, OUT_ZEROS));
        for (int64_t i = 0; i < s.scales; i++) {
            or_bits(dst, i * k->format->bits, k->format->bits, (uint32_t)a.z[i]);
        }
    }
    return true;
}
