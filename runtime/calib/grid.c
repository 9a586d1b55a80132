/* Scales come from the fast path of kernels/, a strip of rows as a Kernel of its own; where one
 * number belongs to the whole tensor (one scale, the second level), from the whole tensor as one.
 * Rounding is a loop for each format, made from formats.list, with the operations of law.c. */
#include "runtime/calib/grid.h"
#include "kernels/scale.h"
#include "kernels/shape.h"
#include "runtime/calib/cut.h"
#include <assert.h>
#include <string.h>

#include "kernels/formats.list"
#undef FORMAT
#define FORMAT(name, doc)                                                                          \
    static void round_##name(float s, float z, int64_t n, const float *w, float *out) {            \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float x = w[i] / s;                                                              \
            const float v = name##_nearest(name##_ASYMMETRIC ? k_rint(x) + z : x);                 \
            out[i] = (name##_ASYMMETRIC ? v - z : v) * s;                                          \
        }                                                                                          \
    }
#include "kernels/formats.list"

typedef void RoundRun(float s, float z, int64_t n, const float *w, float *out);
#undef FORMAT
#define FORMAT(name, doc) round_##name,
static RoundRun *const round_run[] = {
#include "kernels/formats.list"
};

void grid_round_run(const Grid *grid, float divisor, float zero, int64_t n, const float *w,
                    float *out) {
    round_run[grid->format - formats](divisor, zero, n, w, out);
}

void grid_round_rows(const Grid *grid, const Scales *scales, int64_t first, int64_t rows,
                     const float *w, float *out) {
    RoundRun *const run = round_run[grid->format - formats];
    const int64_t k = scales->k;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t at = 0; at < k; at += scales->length) {
            const int64_t n = k - at < scales->length ? k - at : scales->length;
            const int64_t index = scale_index(scales, first + row, at), place = row * k + at;
            run(scales->divisors[index], scales->zeros[index], n, w + place, out + place);
        }
    }
}

Scales scales_new(Arena *arena, const Grid *grid, int64_t rows, int64_t k) {
    assert(rows > 0 && k > 0 && (grid->granule != GRANULE_BLOCK || grid->block > 0));
    Scales s = {.rows = rows, .k = k, .length = k, .super = 1.0f};
    if (grid->granule == GRANULE_BLOCK) {
        s.length = grid->block;
        s.row_step = (k + grid->block - 1) / grid->block;
    } else {
        s.row_step = grid->granule == GRANULE_CHANNEL;
    }
    s.count = s.row_step == 0 ? 1 : rows * s.row_step;
    s.codes = arena_many(arena, uint32_t, (size_t)s.count);
    s.divisors = arena_many(arena, float, (size_t)s.count);
    s.zeros = arena_many(arena, float, (size_t)s.count);
    for (int64_t i = 0; i < s.count; i++) {
        s.codes[i] = k_scale_encode(grid->scale_type, 1.0f);
        s.divisors[i] = 1.0f;
    }
    return s;
}

void scales_copy(Scales *to, const Scales *from) {
    assert(to->count == from->count);
    const size_t n = (size_t)from->count;
    to->super = from->super;
    memcpy(to->codes, from->codes, n * sizeof *to->codes);
    memcpy(to->divisors, from->divisors, n * sizeof *to->divisors);
    memcpy(to->zeros, from->zeros, n * sizeof *to->zeros);
}

void grid_set_scale(const Grid *grid, Scales *s, int64_t index, float lo, float hi, float ratio) {
    const float max = grid->format->scale_max;
    s->codes[index] = k_scale(grid->scale_type, max, lo, hi, ratio, s->super);
    s->divisors[index] = k_divisor(grid->scale_type, s->codes[index], s->super);
    s->zeros[index] =
        grid->format->asymmetric ? k_zero_point(max, lo, ratio, s->divisors[index]) : 0.0f;
}

void grid_set_divisor(const Grid *grid, Scales *s, int64_t index, float divisor) {
    const float stored = grid->scale_type == K_E4M3 ? divisor / s->super : divisor;
    s->codes[index] = k_scale_encode(grid->scale_type, stored);
    s->divisors[index] = k_divisor(grid->scale_type, s->codes[index], s->super);
}

/* ---- scales by the grid's method */

static Kernel kernel_of(const Grid *grid, int64_t rows, int64_t k) {
    Kernel kernel = {.source = K_FLOAT,
                     .count = rows * k,
                     .format = grid->format,
                     .granule = GRANULE_BLOCK,
                     .view = {rows, k, 1},
                     .block = grid->granule == GRANULE_BLOCK ? grid->block : k,
                     .scale_type = grid->scale_type,
                     .method = grid->method};
    if (grid->granule == GRANULE_TENSOR) {
        kernel.granule = GRANULE_TENSOR;
        kernel.block = 0;
    }
    return kernel;
}

static uint32_t get_bits(const uint8_t *bytes, int64_t bit, int bits) {
    uint32_t code = 0;
    for (int i = 0; i < bits; i++, bit++) {
        code |= (uint32_t)(bytes[bit / 8] >> (bit % 8) & 1) << i;
    }
    return code;
}

/* Scales [first, first + n) from a kernel's outputs. */
static void take_scales(const Grid *grid, Scales *s, int64_t first, int64_t n, const void *scales,
                        const void *zeros) {
    const int width = source_size(grid->scale_type), bits = grid->format->bits;
    for (int64_t i = 0; i < n; i++) {
        uint32_t code = 0;
        memcpy(&code, (const char *)scales + i * width, (size_t)width);
        s->codes[first + i] = code;
        s->divisors[first + i] = k_divisor(grid->scale_type, code, s->super);
        s->zeros[first + i] =
            grid->format->asymmetric ? (float)(int32_t)get_bits(zeros, i * bits, bits) : 0.0f;
    }
}

/* One call of kernel_encode needs its outputs, of which only the scales are kept, and scratch. */
typedef struct Room {
    size_t part[OUT_COUNT], scratch, size;
} Room;

static size_t rounded(int64_t bytes) {
    return ((size_t)bytes + 63) / 64 * 64;
}

static Room room_for(const Kernel *k) {
    Room room = {.scratch = kernel_scratch_size(k)};
    for (int64_t chunk = 0; chunk < kernel_chunks(k); chunk++) {
        for (int out = 0; out < OUT_COUNT; out++) {
            int64_t offset, size;
            kernel_extent(k, chunk, (KernelOutput)out, &offset, &size);
            room.part[out] = rounded(size) > room.part[out] ? rounded(size) : room.part[out];
        }
    }
    room.size = rounded((int64_t)room.scratch);
    for (int out = 0; out < OUT_COUNT; out++) {
        room.size += room.part[out];
    }
    return room;
}

/* The scales of one chunk; first: the number of the kernel's first one. */
static void encode_chunk(const Grid *grid, const Kernel *k, int64_t chunk, const float *w,
                         const void *state, int64_t first, Scales *scales, const Room *room,
                         char *at) {
    void *outs[OUT_COUNT];
    int64_t offset = 0, size = 0;
    for (int out = 0; out < OUT_COUNT; out++) {
        outs[out] = room->part[out] > 0 ? at : NULL;
        at += room->part[out];
    }
    KernelMetrics metrics;
    kernel_encode(k, chunk, w, state, outs, &metrics, at);
    kernel_extent(k, chunk, OUT_SCALES, &offset, &size);
    const int64_t width = source_size(k->scale_type);
    take_scales(grid, scales, first + offset / width, size / width, outs[OUT_SCALES],
                outs[OUT_ZEROS]);
}

bool grid_by_rows(const Grid *grid) {
    return grid->granule != GRANULE_TENSOR && grid->scale_type != K_E4M3;
}

size_t grid_room(const Grid *grid, int64_t rows, int64_t k) {
    const Kernel kernel = kernel_of(grid, rows, k);
    return room_for(&kernel).size;
}

void grid_row_scales(const Grid *grid, const float *w, int64_t first, int64_t rows, Scales *scales,
                     void *room) {
    const Kernel kernel = kernel_of(grid, rows, scales->k);
    const Room parts = room_for(&kernel);
    for (int64_t chunk = 0; chunk < kernel_chunks(&kernel); chunk++) {
        encode_chunk(grid, &kernel, chunk, w, NULL, first * scales->row_step, scales, &parts, room);
    }
}

typedef struct ScaleWork {
    const Grid *grid;
    const float *w;
    Scales *scales;
    Cut cut;
    Kernel whole; /* two-level: its chunks are the work */
    const void *state;
    char *rooms; /* one of room_size for each task */
    size_t room_size;
    Room room; /* of whole */
} ScaleWork;

static void scale_rows(void *user, size_t task) {
    const ScaleWork *t = user;
    const int64_t first = cut_first(&t->cut, task), rows = cut_end(&t->cut, task) - first;
    grid_row_scales(t->grid, t->w + first * t->scales->k, first, rows, t->scales,
                    t->rooms + task * t->room_size);
}

static void scale_chunks(void *user, size_t task) {
    const ScaleWork *t = user;
    for (int64_t c = cut_first(&t->cut, task); c < cut_end(&t->cut, task); c++) {
        encode_chunk(t->grid, &t->whole, c, t->w, t->state, 0, t->scales, &t->room,
                     t->rooms + task * t->room_size);
    }
}

static void *survey(const Kernel *k, const float *w, Arena *arena) {
    void *state = arena_alloc(arena, kernel_state_size(k));
    void *partial = arena_alloc(arena, kernel_state_size(k));
    void *scratch = arena_alloc(arena, kernel_scratch_size(k));
    kernel_state_init(k, state);
    for (int pass = 0; pass < kernel_surveys(k); pass++) {
        for (int64_t chunk = 0; chunk < kernel_chunks(k); chunk++) {
            kernel_state_fork(k, partial, state);
            kernel_survey(k, pass, chunk, w, partial, scratch);
            kernel_state_merge(k, pass, state, partial);
        }
        kernel_state_close(k, pass, state);
    }
    return state;
}

static void tensor_scale(const Grid *grid, const Kernel *k, const void *state, Scales *s) {
    uint8_t scale[8] = {0}, zero[8] = {0};
    kernel_global(k, OUT_SCALES, state, scale);
    if (grid->format->asymmetric) {
        kernel_global(k, OUT_ZEROS, state, zero);
    }
    take_scales(grid, s, 0, 1, scale, zero);
}

bool grid_scales(const Grid *grid, const float *w, Scales *scales, Arena *arena,
                 const Spread *spread) {
    const ArenaMark mark = arena_mark(arena);
    ScaleWork t = {.grid = grid, .w = w, .scales = scales};
    if (grid_by_rows(grid)) {
        t.cut = cut_rows(scales->rows, scales->k);
        t.room_size =
            grid_room(grid, t.cut.step < scales->rows ? t.cut.step : scales->rows, scales->k);
    } else {
        t.whole = kernel_of(grid, scales->rows, scales->k);
        t.state = survey(&t.whole, w, arena);
        if (grid->scale_type == K_E4M3) {
            kernel_global(&t.whole, OUT_SUPER, t.state, &scales->super);
        }
        const int64_t chunks = kernel_chunks(&t.whole),
                      share = (chunks + CUT_TASKS - 1) / CUT_TASKS;
        t.cut = (Cut){chunks, share, (size_t)((chunks + share - 1) / share)};
        t.room = room_for(&t.whole);
        t.room_size = t.room.size;
    }
    bool done = true;
    if (grid->granule == GRANULE_TENSOR) {
        tensor_scale(grid, &t.whole, t.state, scales);
    } else {
        t.rooms = arena_alloc(arena, t.cut.tasks * t.room_size);
        done = spread_run(spread, grid_by_rows(grid) ? scale_rows : scale_chunks, &t, t.cut.tasks);
    }
    arena_reset(arena, mark);
    return done;
}
