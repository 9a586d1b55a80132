/* Packing and tiles. What is packed is as large as a cache that all cores share may hold; how much
 * that is changes no bit, as cells are read back where the next rows go on. */
#include "runtime/calib/stat_gram.h"
#include "kernels/scale.h"
#include <string.h>

enum {
    PACKED = 8 << 20, /* bytes of scratch, about */
    ROWS_LEAST = 256,
    ROWS_MOST = 2048, /* that are packed at once */
    DEEP = 256, /* rows a block of g passes before it is written back: panels stay in L1 and L2 */
    TILE = 12,
    TILE_WIDE = 24, /* panels of a tile's side: multiples of STAT_PANELS */
    WIDE = 128,     /* panels of a matrix that has wide tiles */
    PACK = 16       /* panels that a task packs */
};

typedef struct GramJob {
    const StatInput *in;
    const GramShape *shape;
    int64_t first, rows; /* of X, in this go */
    int64_t room;        /* rows that a packed panel has room for */
    int64_t panels;      /* of a group */
    int64_t tile, tiles; /* panels of a tile's side; tiles of a side of g */
    double *packed;      /* [groups * panels][room][STAT_PANEL] */
    double *gram;
} GramJob;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- shapes */

static const char *check_size(const GramShape *shape) {
    if (shape->columns > STAT_COLUMNS_MAX ||
        shape->groups > STAT_CELLS_MAX / (shape->columns * shape->columns)) {
        return "has too many channels for a Gram matrix";
    }
    return NULL;
}

const char *gram_shape_plain(StatView view, GramShape *shape) {
    *shape = (GramShape){
        .conv = {.rank = 1,
                 .batch = view.outer,
                 .channels = view.channels,
                 .groups = 1,
                 .size = {view.inner},
                 .kernel = {1},
                 .stride = {1},
                 .dilation = {1}},
        .out = {view.inner},
        .places = view.outer * view.inner,
        .groups = 1,
        .columns = view.channels,
    };
    return check_size(shape);
}

/* The size of one dimension of the output, 0 if its numbers make no sense. All are kept so small
 * that no sum of products below overflows. */
static int64_t out_size(const StatConv *c, int d) {
    const int64_t most = INT32_MAX;
    const int64_t end_least = c->transposed ? -most : 0;
    if (c->size[d] < 1 || c->kernel[d] < 1 || c->stride[d] < 1 || c->dilation[d] < 1 ||
        c->begin[d] < 0 || c->end[d] < end_least || c->size[d] > most || c->kernel[d] > most ||
        c->stride[d] > most || c->dilation[d] > most || c->begin[d] > most || c->end[d] > most) {
        return 0;
    }
    const int64_t span = c->dilation[d] * (c->kernel[d] - 1);
    if (c->transposed) {
        const int64_t size = (c->size[d] - 1) * c->stride[d] + span + 1 - c->begin[d] - c->end[d];
        return size < 0 || size > most ? 0 : size;
    }
    const int64_t free = c->size[d] + c->begin[d] + c->end[d] - 1 - span;
    return free < 0 ? 0 : free / c->stride[d] + 1;
}

const char *gram_shape_conv(const StatConv *conv, GramShape *shape) {
    if (conv->rank < 1 || conv->rank > STAT_RANK_MAX || conv->groups < 1 || conv->channels < 1 ||
        conv->channels % conv->groups != 0) {
        return "is not what a convolution reads";
    }
    *shape = (GramShape){.conv = *conv, .places = conv->batch, .groups = conv->groups};
    shape->columns = conv->channels / conv->groups;
    for (int d = 0; d < conv->rank; d++) {
        shape->out[d] = out_size(conv, d);
        if (shape->out[d] < 1) {
            return "is smaller than the kernel of its convolution";
        }
        if (__builtin_mul_overflow(shape->places, shape->out[d], &shape->places) ||
            __builtin_mul_overflow(shape->columns, conv->kernel[d], &shape->columns)) {
            return "has too many channels for a Gram matrix";
        }
        shape->taps = shape->taps || conv->kernel[d] > 1 || conv->stride[d] > 1 ||
                      conv->begin[d] > 0 || conv->end[d] != 0;
    }
    return check_size(shape);
}

/* ---- packing */

/* Rows of neighbours: runs of columns are read as they lie, and dealt out to their panels. */
static void pack_rows(const GramJob *job, int64_t panel, int64_t end) {
    const int64_t columns = job->shape->columns, first = panel * STAT_PANEL;
    const int64_t width = least(end * STAT_PANEL, columns) - first;
    float buffer[PACK * STAT_PANEL];
    for (int64_t r = 0; r < job->rows; r++) {
        const float *x = stat_floats(job->in, (job->first + r) * columns + first, width, buffer);
        double *to = job->packed + (panel * job->room + r) * STAT_PANEL;
        int64_t c = 0;
        for (; c + STAT_PANEL <= width; c += STAT_PANEL, to += job->room * STAT_PANEL) {
            for (int k = 0; k < STAT_PANEL; k++) {
                to[k] = (double)x[c + k];
            }
        }
        for (int k = 0; c < width && k < STAT_PANEL; k++) {
            to[k] = c + k < width ? (double)x[c + k] : 0.0;
        }
    }
}

/* A column whose rows are places of x: runs of neighbours within its plane. */
static void pack_plane(const GramJob *job, int64_t channel, double *to) {
    const int64_t inner = job->in->view.inner, channels = job->in->view.channels;
    float buffer[STAT_STRIP];
    for (int64_t r = 0; r < job->rows;) {
        const int64_t outer = (job->first + r) / inner, at = (job->first + r) % inner;
        const int64_t n = least(least(inner - at, job->rows - r), STAT_STRIP);
        const float *x = stat_floats(job->in, (outer * channels + channel) * inner + at, n, buffer);
        for (int64_t k = 0; k < n; k++, r++) {
            to[r * STAT_PANEL] = (double)x[k];
        }
    }
}

/* Where an output place lies: its number as indices, and the step to the next. */
typedef struct OutPlace {
    int64_t batch, at[STAT_RANK_MAX];
} OutPlace;

static OutPlace place_of(const GramShape *s, int64_t number) {
    OutPlace p = {0};
    for (int d = s->conv.rank - 1; d >= 0; d--) {
        p.at[d] = number % s->out[d];
        number /= s->out[d];
    }
    p.batch = number;
    return p;
}

static void place_next(const GramShape *s, OutPlace *p) {
    for (int d = s->conv.rank - 1; d >= 0; d--) {
        if (++p->at[d] < s->out[d]) {
            return;
        }
        p->at[d] = 0;
    }
    p->batch++;
}

/* Of the input that an output place meets; -1: none, between two of them. */
static int64_t place_in(const StatConv *c, int d, int64_t out, int64_t offset) {
    const int64_t stride = c->stride[d];
    if (!c->transposed) {
        return out * stride + offset;
    }
    return out + offset < 0 || (out + offset) % stride ? -1 : (out + offset) / stride;
}

/* A column of a convolution: one tap of its kernel on one channel; padding is 0. */
static void pack_tap(const GramJob *job, int64_t group, int64_t column, double *to) {
    const GramShape *s = job->shape;
    const StatConv *c = &s->conv;
    int64_t offset[STAT_RANK_MAX] = {0}, channel = column;
    for (int d = c->rank - 1; d >= 0; d--) {
        const int64_t reach = channel % c->kernel[d] * c->dilation[d] - c->begin[d];
        offset[d] = c->transposed ? -reach : reach;
        channel /= c->kernel[d];
    }
    channel += group * (c->channels / c->groups);
    OutPlace p = place_of(s, job->first);
    for (int64_t r = 0; r < job->rows; r++, place_next(s, &p)) {
        int64_t at = p.batch * c->channels + channel;
        bool inside = true;
        for (int d = 0; d < c->rank; d++) {
            const int64_t i = place_in(c, d, p.at[d], offset[d]);
            inside = inside && i >= 0 && i < c->size[d];
            at = at * c->size[d] + i;
        }
        float one = 0.0f;
        to[r * STAT_PANEL] = inside ? (double)*stat_floats(job->in, at, 1, &one) : 0.0;
    }
}

static void pack_task(void *user, size_t index) {
    const GramJob *job = user;
    const int64_t runs = (job->panels + PACK - 1) / PACK, group = (int64_t)index / runs;
    const int64_t first = (int64_t)index % runs * PACK, end = least(first + PACK, job->panels);
    if (!job->shape->taps && job->in->view.inner == 1 && job->shape->groups == 1) {
        pack_rows(job, first, end);
        return;
    }
    for (int64_t column = first * STAT_PANEL; column < end * STAT_PANEL; column++) {
        const int64_t panel = group * job->panels + column / STAT_PANEL;
        double *to = job->packed + panel * job->room * STAT_PANEL + column % STAT_PANEL;
        if (column >= job->shape->columns) {
            for (int64_t r = 0; r < job->rows; r++) {
                to[r * STAT_PANEL] = 0.0;
            }
        } else if (job->shape->taps) {
            pack_tap(job, group, column, to);
        } else {
            pack_plane(job, group * job->shape->columns + column, to);
        }
    }
}

/* ---- tiles */

/* A row of panels of g by up to STAT_PANELS: in place, or by a copy where it hangs over the edge.
 */
static void add_block(const GramJob *job, int64_t group, int64_t i, int64_t j, int panels,
                      int64_t deep, int64_t rows) {
    const int64_t stride = job->room * STAT_PANEL, columns = job->shape->columns;
    const double *base = job->packed + group * job->panels * stride + deep * STAT_PANEL;
    const double *a = base + i * stride, *b = base + j * stride;
    double *g = job->gram + (group * columns + i * STAT_PANEL) * columns + j * STAT_PANEL;
    const int64_t height = least(STAT_PANEL, columns - i * STAT_PANEL);
    const int64_t width = least(panels * STAT_PANEL, columns - j * STAT_PANEL);
    if (height == STAT_PANEL && width == panels * STAT_PANEL) {
        job->in->lanes->gram(a, b, stride, panels, rows, g, columns);
        return;
    }
    double copy[STAT_PANEL][STAT_PANELS * STAT_PANEL] = {{0}};
    for (int64_t r = 0; r < height; r++) {
        memcpy(copy[r], g + r * columns, sizeof(double) * (size_t)width);
    }
    job->in->lanes->gram(a, b, stride, panels, rows, copy[0], STAT_PANELS * STAT_PANEL);
    for (int64_t r = 0; r < height; r++) {
        memcpy(g + r * columns, copy[r], sizeof(double) * (size_t)width);
    }
}

static void tile_task(void *user, size_t index) {
    const GramJob *job = user;
    const int64_t pairs = job->tiles * (job->tiles + 1) / 2, group = (int64_t)index / pairs;
    int64_t left = (int64_t)index % pairs, row = 0;
    for (; left >= job->tiles - row; row++) {
        left -= job->tiles - row;
    }
    const int64_t column = row + left, bottom = least((row + 1) * job->tile, job->panels);
    const int64_t end = least((column + 1) * job->tile, job->panels);
    for (int64_t deep = 0; deep < job->rows; deep += DEEP) {
        const int64_t rows = least(DEEP, job->rows - deep);
        for (int64_t j = column * job->tile; j < end; j += STAT_PANELS) {
            const int panels = (int)least(STAT_PANELS, end - j);
            for (int64_t i = row * job->tile; i < least(bottom, j + panels); i++) {
                add_block(job, group, i, j, panels, deep, rows);
            }
        }
    }
}

static int64_t panels_of(const GramShape *shape) {
    return (shape->columns + STAT_PANEL - 1) / STAT_PANEL;
}

static int64_t room_of(const GramShape *shape) {
    const int64_t row = shape->groups * panels_of(shape) * STAT_PANEL * (int64_t)sizeof(double);
    int64_t rows = PACKED / row;
    rows = rows < ROWS_LEAST ? ROWS_LEAST : least(rows, ROWS_MOST);
    return least(rows, shape->places);
}

size_t stat_gram_bytes(int64_t groups, int64_t columns) {
    return (size_t)(groups * columns * columns) * sizeof(double);
}

size_t stat_gram_scratch(const GramShape *shape) {
    return (size_t)(shape->groups * panels_of(shape) * room_of(shape)) * STAT_PANEL *
           sizeof(double);
}

bool stat_gram_add(const StatInput *in, const GramShape *shape, const Spread *spread, void *scratch,
                   double *gram) {
    GramJob job = {.in = in, .shape = shape, .packed = scratch, .gram = gram};
    job.room = room_of(shape);
    job.panels = panels_of(shape);
    job.tile = job.panels >= WIDE ? TILE_WIDE : TILE;
    job.tiles = (job.panels + job.tile - 1) / job.tile;
    const int64_t packs = shape->groups * ((job.panels + PACK - 1) / PACK);
    const int64_t tiles = shape->groups * (job.tiles * (job.tiles + 1) / 2);
    for (; job.first < shape->places; job.first += job.rows) {
        job.rows = least(job.room, shape->places - job.first);
        TRY(spread_run(spread, pack_task, &job, (size_t)packs));
        TRY(spread_run(spread, tile_task, &job, (size_t)tiles));
    }
    return true;
}

void stat_gram_mirror(double *gram, int64_t groups, int64_t columns) {
    enum { SIDE = 64 }; /* cells of a square that is turned at once */
    for (double *g = gram; g < gram + groups * columns * columns; g += columns * columns) {
        for (int64_t top = 0; top < columns; top += SIDE) {
            for (int64_t left = 0; left <= top; left += SIDE) {
                for (int64_t i = top; i < least(top + SIDE, columns); i++) {
                    for (int64_t j = left; j < least(left + SIDE, i); j++) {
                        g[i * columns + j] = g[j * columns + i];
                    }
                }
            }
        }
    }
}
