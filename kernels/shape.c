/* Cuts a Kernel's tensor into chunks and tiles and says where their outputs lie (shape.h). */
#include "kernels/shape.h"
#include "kernels/compare.h"
#include <assert.h>

enum {
    CHUNK_ELEMENTS =
        1 << 20, /* float16 in, int4 out: 2.5 MiB; enough to keep a thread busy 0.5 ms */
    TILE_ELEMENTS = 1 << 15, /* as float32 128 KiB: half of a small L2 cache */
    TILE_COLUMNS = 1 << 10,  /* at most: rows have buffers of their own */
    RUN_ARRAYS = 2,          /* a run is shorter: with it go its divisors, zero points, ... */
    LONG_COLUMNS = 256,      /* of tiles that hold a part of a long block */
    LEAST_COLUMNS = 64       /* of a chunk of LAYOUT_NBITS: two cache lines of float16 */
};

/* Constant, but tests cut small tensors as if they were large. */
static int64_t chunk_elements = CHUNK_ELEMENTS, tile_elements = TILE_ELEMENTS;

void shape_force(int64_t chunk, int64_t tile) {
    chunk_elements = chunk > 0 ? chunk : CHUNK_ELEMENTS;
    tile_elements = tile > 0 ? tile : TILE_ELEMENTS;
}

int source_size(int onnx_type) {
    switch (onnx_type) {
    case 11:
        return 8;
    case 10:
    case 16:
        return 2;
    case 17:
    case 24:
        return 1;
    default:
        return 4;
    }
}

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}
static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}
static int64_t common_multiple(int64_t a, int64_t b) {
    int64_t x = a, y = b;
    while (y != 0) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

static void shape_scales(Shape *s, const Kernel *k) {
    s->granule = k->granule;
    s->view = k->view;
    s->block = k->block;
    if (k->format == NULL) {
        s->granule = GRANULE_TENSOR;
        return;
    }
    if (s->granule == GRANULE_CHANNEL && s->view.outer == 1 && k->count > 0) {
        s->granule = GRANULE_BLOCK;
        s->view = (KernelView){k->view.axis, k->view.inner, 1};
        s->block = k->view.inner;
    }
    switch (s->granule) {
    case GRANULE_TENSOR:
        s->scales = 1;
        break;
    case GRANULE_CHANNEL:
        s->scales = s->view.axis;
        break;
    case GRANULE_BLOCK:
        assert(s->block > 0);
        s->blocks = ceil_div(s->view.axis, s->block);
        s->scales = s->view.outer * s->blocks * s->view.inner;
        break;
    }
}

static void shape_unit(Shape *s, const Kernel *k) {
    const bool groups = k->prune == PRUNE_NM;
    s->group_span = 1;
    s->step = 1;
    if (s->granule == GRANULE_BLOCK) {
        s->unit = s->view;
        s->step = least(s->block, s->view.axis);
        if (groups && s->step < s->view.axis) {
            s->step = least(common_multiple(s->block, k->group), s->view.axis);
        }
        if (groups) {
            s->group_span = s->unit.inner > 1 ? k->group : k->group * k->prune_view.inner;
        }
    } else if (groups) {
        s->unit = k->prune_view;
        s->step = k->group;
        s->group_span = k->group;
    } else if (s->granule == GRANULE_CHANNEL) {
        s->unit = (KernelView){1, s->view.outer, s->view.axis * s->view.inner};
    } else {
        s->unit = (KernelView){1, k->count, 1};
    }
    s->step = most(s->step, 1);
}

/* The least of 1, 2, 4, 8 pieces of `codes` codes and `zeros` zero points that fill whole bytes. */
static int64_t whole_bytes(const Kernel *k, int64_t codes, int64_t zeros) {
    int64_t pieces = 1;
    if (k->format != NULL) {
        const int bits = k->format->bits;
        while (pieces * codes * bits % 8 != 0 ||
               (k->format->asymmetric && pieces * zeros * bits % 8 != 0)) {
            pieces *= 2;
        }
    }
    return pieces;
}

static int64_t round_up(int64_t a, int64_t multiple) {
    return ceil_div(a, multiple) * multiple;
}

static void shape_chunks(Shape *s, const Kernel *k) {
    const KernelView u = s->unit;
    const int64_t slab = u.axis * u.inner, steps = ceil_div(u.axis, s->step);
    if (k->count == 0) {
        s->chunks = 0;
        s->slabs = 1;
        return;
    }
    if (k->layout == LAYOUT_NBITS && u.inner > 1) {
        assert(u.outer == 1);
        s->columns = round_up(chunk_elements / u.axis, LEAST_COLUMNS);
        s->columns = most(s->columns, LEAST_COLUMNS);
        s->chunks = ceil_div(u.inner, s->columns);
        return;
    }
    const int64_t slab_zeros = s->granule == GRANULE_BLOCK ? s->blocks * u.inner : 0;
    const int64_t slabs = k->layout == LAYOUT_NBITS ? 1 : whole_bytes(k, slab, slab_zeros);
    if (slab < chunk_elements || steps == 1 || k->layout == LAYOUT_NBITS ||
        (u.outer > 1 && slabs > 1)) {
        s->slabs = round_up(most(chunk_elements / slab, 1), slabs);
        s->chunks = ceil_div(u.outer, s->slabs);
        return;
    }
    const int64_t step = s->step * u.inner;
    const int64_t step_zeros =
        s->granule == GRANULE_BLOCK ? ceil_div(s->step, s->block) * u.inner : 0;
    const int64_t strips = u.inner > 1 ? 1 : common_multiple(s->step, K_STRIP) / s->step;
    s->steps = round_up(most(chunk_elements / step, 1),
                        most(whole_bytes(k, step, step_zeros), strips)); /* powers of two */
    s->chunks = u.outer * ceil_div(steps, s->steps);
}

static void shape_tiles(Shape *s) {
    const KernelView u = s->unit;
    /* A long block may be read in parts; blocks that groups straddle stay together. */
    const bool parts = s->granule != GRANULE_BLOCK || s->step <= s->block;
    if (u.inner <= 1) {
        /* a run of whole steps, or, when one step is too long, parts of it with whole groups */
        const int64_t run = tile_elements / RUN_ARRAYS;
        const int64_t whole = s->step <= run || !parts ? s->step : s->group_span;
        s->tile_rows = 1;
        s->tile_columns = least(most(run / whole, 1) * whole, most(u.axis, 1));
        s->tile_scales = s->granule == GRANULE_BLOCK ? ceil_div(s->tile_columns, s->block) + 1 : 1;
        return;
    }
    int64_t rows = least(s->step, u.axis);
    if (rows > tile_elements / K_STRIP && parts) {
        rows = most(tile_elements / LONG_COLUMNS / s->group_span, 1) * s->group_span;
    } else if (s->granule != GRANULE_BLOCK) {
        rows = least(round_up(16, s->step), round_up(u.axis, s->step));
    }
    s->tile_rows = rows;
    const int64_t strips = most(tile_elements / rows / K_STRIP, 1);
    s->tile_columns = least(strips * K_STRIP, least(u.inner, TILE_COLUMNS));
    s->tile_scales = s->tile_columns;
    if (s->granule == GRANULE_BLOCK) {
        s->tile_scales *= ceil_div(least(s->step, u.axis), s->block);
    }
}

Shape shape_of(const Kernel *k) {
    Shape s = {0};
    shape_scales(&s, k);
    shape_unit(&s, k);
    shape_chunks(&s, k);
    shape_tiles(&s);
    return s;
}

Box shape_chunk(const Shape *s, int64_t chunk) {
    const KernelView u = s->unit;
    Box b = {0, u.outer, 0, u.axis, 0, u.inner};
    if (s->columns > 0) {
        b.i0 = chunk * s->columns;
        b.i1 = least(b.i0 + s->columns, u.inner);
    } else if (s->slabs > 0) {
        b.o0 = chunk * s->slabs;
        b.o1 = least(b.o0 + s->slabs, u.outer);
    } else {
        const int64_t rows = s->steps * s->step, parts = ceil_div(u.axis, rows);
        b.o0 = chunk / parts;
        b.o1 = b.o0 + 1;
        b.k0 = chunk % parts * rows;
        b.k1 = least(b.k0 + rows, u.axis);
    }
    return b;
}

int64_t shape_first(const Shape *s, int64_t chunk) {
    const KernelView u = s->unit;
    if (chunk >= s->chunks) {
        return u.outer * u.axis * u.inner;
    }
    const Box b = shape_chunk(s, chunk);
    return (b.o0 * u.axis + b.k0) * u.inner;
}

int64_t shape_first_scale(const Shape *s, int64_t chunk) {
    if (chunk >= s->chunks) {
        return s->scales;
    }
    const Box b = shape_chunk(s, chunk);
    return (b.o0 * s->blocks + b.k0 / s->block) * s->unit.inner;
}

/* LAYOUT_NBITS: the first output row of a chunk. */
static int64_t first_row(const Shape *s, int64_t chunk) {
    return s->columns > 0 ? least(chunk * s->columns, s->unit.inner)
                          : least(chunk * s->slabs, s->unit.outer);
}

int64_t kernel_output_size(const Kernel *k, KernelOutput out) {
    if (k->format == NULL) {
        return out == OUT_CODES ? k->count * source_size(k->source) : 0;
    }
    const Shape s = shape_of(k);
    const int bits = k->format->bits;
    const bool nbits = k->layout == LAYOUT_NBITS;
    const int64_t rows = nbits ? s.unit.outer * s.unit.inner : 0;
    switch (out) {
    case OUT_CODES:
        return nbits ? rows * s.blocks * s.block * bits / 8 : ceil_div(k->count * bits, 8);
    case OUT_SCALES:
        return s.scales * source_size(k->scale_type);
    case OUT_ZEROS:
        if (!k->format->asymmetric) {
            return 0;
        }
        return nbits ? rows * ceil_div(s.blocks * bits, 8) : ceil_div(s.scales * bits, 8);
    case OUT_SUPER:
        return k->scale_type == 17 ? 4 : 0;
    default:
        return 0;
    }
}

int64_t kernel_chunks(const Kernel *k) {
    return shape_of(k).chunks;
}

void kernel_extent(const Kernel *k, int64_t chunk, KernelOutput out, int64_t *offset,
                   int64_t *size) {
    const Shape s = shape_of(k);
    const bool scales = out == OUT_SCALES || out == OUT_ZEROS;
    *offset = *size = 0;
    if (kernel_output_size(k, out) == 0 || out == OUT_SUPER ||
        (scales && s.granule != GRANULE_BLOCK)) {
        return;
    }
    int64_t end[2];
    for (int i = 0; i < 2; i++) {
        const int64_t c = chunk + i;
        const int bits = k->format == NULL ? 8 * source_size(k->source) : k->format->bits;
        if (k->layout == LAYOUT_NBITS) {
            const int64_t row = first_row(&s, c);
            end[i] = out == OUT_CODES    ? row * s.blocks * s.block * bits / 8
                     : out == OUT_SCALES ? row * s.blocks * source_size(k->scale_type)
                                         : row * ceil_div(s.blocks * bits, 8);
        } else {
            end[i] = out == OUT_CODES    ? ceil_div(shape_first(&s, c) * bits, 8)
                     : out == OUT_SCALES ? shape_first_scale(&s, c) * source_size(k->scale_type)
                                         : ceil_div(shape_first_scale(&s, c) * bits, 8);
        }
    }
    *offset = end[0];
    *size = end[1] - end[0];
}
