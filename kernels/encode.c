/* Encodes one chunk, span by span: load, measure, choose scales, encode, pack. The tile stays in
 * the cache between the steps; a block too long for a tile is loaded again for each. */
#include "kernels/choose.h"
#include "kernels/scale.h"
#include "kernels/state.h"
#include "kernels/strips.h"
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
    Strips strips;
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

/* Little endian: the low bytes of the codes. */
static void put_scales(int type, const uint32_t *codes, int64_t n, void *dst, int64_t at) {
    if (source_size(type) == 1) {
        uint8_t *const to = (uint8_t *)dst + at;
        for (int64_t i = 0; i < n; i++) {
            to[i] = (uint8_t)codes[i];
        }
        return;
    }
    const size_t size = (size_t)source_size(type);
    char *to = (char *)dst + (size_t)at * size;
    for (int64_t i = 0; i < n; i++, to += size) {
        if (size == 2) {
            const uint16_t half = (uint16_t)codes[i];
            memcpy(to, &half, 2);
        } else {
            memcpy(to, &codes[i], 4);
        }
    }
}

/* ---- scales of a span (GRANULE_BLOCK) */

static void store_scales(const Target *t, const Span *span) {
    Work *const work = t->work;
    const Kernel *const k = work->k;
    const Shape *const s = &work->shape;
    const int bits = k->format->bits;
    const int64_t n = span_scales(work, span), columns = span->i1 - span->i0;
    const int64_t block = span->k0 / s->block;
    for (int64_t i = 0; i < n && k->format->asymmetric; i++) {
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

/* ---- codes */

/* The divisors of a tile's row from column i on: for how many columns, *n at most, and for how many
 * each of them counts. */
static Divisors divisors_at(const Target *t, const Span *span, const Tile *tile, int64_t row,
                            int64_t i, int64_t *n, int64_t *length) {
    const Work *const work = t->work;
    const Shape *const shape = &work->shape;
    const StateArrays *const a = t->state;
    int64_t at = 0;
    switch (shape->granule) {
    case GRANULE_BLOCK:
        at = shape->unit.inner > 1 ? tile_block(work, span, tile, row) * tile->columns : 0;
        *length = shape->unit.inner > 1 ? 1 : shape->block;
        return (Divisors){work->s + at, work->r + at, work->z + at};
    case GRANULE_CHANNEL:
        at = channel_at(shape, tile->first + row * tile->stride + i, *n, n);
        *length = shape->view.inner == 1 ? 1 : *n;
        break;
    default:
        *length = *n;
        break;
    }
    return (Divisors){a->s + at, a->r + at, a->z + at};
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

/* What the codes of a row decode to, in row_v, against the weights that came in. */
static void compare_row(Target *t, const Span *span, const Tile *tile, int64_t r) {
    Work *const work = t->work;
    const bool asymmetric = work->rule.asymmetric;
    const int64_t columns = tile->columns;
    const Row row = source_row(work, tile->first + r * tile->stride, columns);
    int64_t n = columns, length;
    Divisors d = divisors_at(t, span, tile, r, 0, &n, &length);
    if (n == columns && (length % 4 == 0 || length >= n)) {
        work->lanes->spread_fours(d.s, n, length, work->fours_s);
        if (asymmetric) {
            work->lanes->spread_fours(d.z, n, length, work->fours_z);
        }
        strips_add(&t->strips, work->lanes, row, work->row_v, work->fours_s,
                   asymmetric ? work->fours_z : NULL, n);
        return;
    }
    for (int64_t i = 0; i < columns; i += n) {
        n = columns - i;
        d = divisors_at(t, span, tile, r, i, &n, &length);
        work->lanes->restore(asymmetric, work->row_v + i, d, n, length);
    }
    strips_add(&t->strips, work->lanes, row, work->row_v, NULL, NULL, columns);
}

/* A row of a tile: quotients, codes and, for metrics, what the codes stand for. */
static void encode_row(Target *t, const Span *span, const Tile *tile, int64_t r, uint8_t *codes) {
    Work *const work = t->work;
    const Row row = tile_row(work, tile, r);
    const int64_t columns = tile->columns, size = source_size(row.type);
    int64_t n, length;
    for (int64_t i = 0; i < columns; i += n) {
        n = columns - i;
        const Divisors d = divisors_at(t, span, tile, r, i, &n, &length);
        work->divider->divide(row.type, work->rule.asymmetric, (const char *)row.e + i * size, d, n,
                              length, work->row_x + i);
    }
    if (work->k->metrics) {
        work->format->encode_values(work->row_x, columns, codes, work->row_v);
        compare_row(t, span, tile, r);
    } else {
        work->format->encode(work->row_x, columns, codes);
    }
}

/* Rows of a rectangle end or go on with a new strip (shape.c), those of a run follow each other. */
static void end_row(Target *t, const Tile *tile) {
    const KernelView u = t->work->shape.unit;
    if (u.inner > 1 || tile->k + tile->columns == u.axis) {
        strips_end_row(&t->strips, t->work->lanes);
    }
}

static void encode_tile(Target *t, const Span *span, const Tile *tile) {
    Work *const work = t->work;
    const Kernel *const k = work->k;
    const int64_t n = tile->columns;
    const bool onnx = k->layout == LAYOUT_ONNX;
    uint8_t *const dst = t->outs[OUT_CODES];
    for (int64_t r = 0; r < tile->rows; r++) {
        const int64_t first = tile->first + r * tile->stride;
        uint8_t *codes = onnx ? work->codes : work->codes + r * n;
        if (onnx && k->format->bits == 8) {
            codes = dst + (first - t->first);
        }
        encode_row(t, span, tile, r, codes);
        end_row(t, tile);
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
    const size_t size = (size_t)source_size(work->k->source), n = (size_t)tile->columns;
    for (int64_t r = 0; r < tile->rows; r++) {
        const int64_t first = tile->first + r * tile->stride;
        const char *const from = (const char *)work->src + (size_t)first * size;
        char *const to = (char *)t->outs[OUT_CODES] + (size_t)(first - t->first) * size;
        const void *const e = tile_elements(work, tile, r, 0);
        work->lanes->widen(work->type, e, tile->columns, work->row_x);
        if (work->type == work->k->source) {
            memcpy(to, e, n * size);
        } else {
            memset(to, 0, n * size);
            for (size_t i = 0; i < n; i++) { /* doubles that became floats */
                if (k_bits(work->row_x[i]) != 0u) {
                    memcpy(to + i * size, from + i * size, size);
                }
            }
        }
        if (work->k->metrics) {
            strips_add(&t->strips, work->lanes, source_row(work, first, tile->columns), work->row_x,
                       NULL, NULL, tile->columns);
            end_row(t, tile);
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
    Tile tile = {0};
    if (blocks) {
        choose_scales(work, span, &tile);
        store_scales(t, span);
    }
    if (loaded) {
        encode_tile(t, span, &tile);
        return;
    }
    for (int64_t at = 0; tile_next(work, span, &at, &tile);) {
        tile_load(work, &tile);
        if (work->k->format == NULL) {
            store_pruned(t, &tile);
        } else {
            encode_tile(t, span, &tile);
        }
    }
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
    /* Ranges tell, but not of what was pruned; choose_scales looks at those of blocks. */
    const bool surveyed = state_has_scales(&work.shape) && k->prune == PRUNE_NONE;
    work.inspect = !surveyed || !((const State *)state)->finite;
    Span span = {0};
    bool started = false;
    while (span_next(&work, &t.box, &span, &started)) {
        encode_span(&t, &span);
    }
    *metrics = (KernelMetrics){.nonfinite = work.nonfinite};
    metrics->first_nonfinite = work.nonfinite > 0 ? work.first_nonfinite : -1;
    metrics->count = (t.box.o1 - t.box.o0) * (t.box.k1 - t.box.k0) * (t.box.i1 - t.box.i0);
    if (k->metrics) {
        strips_close(&t.strips, work.lanes, metrics);
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
