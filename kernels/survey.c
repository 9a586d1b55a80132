/* Surveys: passes over the tensor that find what no single chunk knows. Which passes a kernel needs
 * follows from the Kernel (pass_kind); each folds chunks into a State (state.h). */
#include "kernels/state.h"
#include "kernels/tile.h"
#include "kernels/scale.h"
#include <assert.h>
#include <string.h>

bool state_has_scales(const Shape *s) {
    return s->scales > 0 && s->granule != GRANULE_BLOCK;
}

static bool source_is_half(const Kernel *k) {
    return source_size(k->source) == 2;
}

/* Is `pass` one of the kernel's? In the order of the enum. */
static bool has_pass(const Kernel *k, const Shape *s, Pass pass) {
    switch (pass) {
    case PASS_HIGH:
    case PASS_TIES:
    case PASS_INDEX:
        return k->prune == PRUNE_RATIO;
    case PASS_LOW:
        return k->prune == PRUNE_RATIO && !source_is_half(k);
    case PASS_RANGE:
        return k->format != NULL && (state_has_scales(s) || k->scale_type == K_E4M3);
    case PASS_ERROR:
        return k->format != NULL && state_has_scales(s) && k->method == METHOD_MSE;
    default:
        return false;
    }
}

static Pass pass_kind(const Kernel *k, const Shape *s, int pass) {
    for (int kind = 0; kind < PASS_COUNT; kind++) {
        if (has_pass(k, s, (Pass)kind) && pass-- == 0) {
            return (Pass)kind;
        }
    }
    return PASS_COUNT;
}

Pass state_pass(const Kernel *k, int pass) {
    const Shape s = shape_of(k);
    return pass_kind(k, &s, pass);
}

int kernel_surveys(const Kernel *k) {
    const Shape s = shape_of(k);
    int n = 0;
    for (int kind = 0; kind < PASS_COUNT; kind++) {
        n += has_pass(k, &s, (Pass)kind);
    }
    return n;
}

/* ---- state */

static void *array(const State *state, size_t *end, int64_t count, size_t size) {
    void *const at = state == NULL ? NULL : (char *)(uintptr_t)state + *end;
    *end += ((size_t)count * size + 15) / 16 * 16;
    return at;
}

StateArrays state_arrays(const Kernel *k, const Shape *s, const State *state) {
    StateArrays a;
    const bool ratio = k->prune == PRUNE_RATIO;
    const int64_t scales = state_has_scales(s) ? s->scales : 0;
    const int64_t ranges = scales > 0 ? scales : has_pass(k, s, PASS_RANGE);
    const int64_t errors = has_pass(k, s, PASS_ERROR) ? K_RATIOS * scales : 0;
    size_t end = (sizeof(State) + 15) / 16 * 16;
    a.lo = array(state, &end, ranges, sizeof *a.lo);
    a.hi = array(state, &end, ranges, sizeof *a.hi);
    a.ranges_end = end;
    a.histogram = array(state, &end, ratio ? HISTOGRAM_BINS : 0, sizeof *a.histogram);
    a.ties = array(state, &end, ratio ? s->chunks : 0, sizeof *a.ties);
    a.errors = array(state, &end, errors, sizeof *a.errors);
    a.sums_end = end;
    a.codes = array(state, &end, scales, sizeof *a.codes);
    a.s = array(state, &end, scales, sizeof *a.s);
    a.r = array(state, &end, scales, sizeof *a.r);
    a.z = array(state, &end, scales, sizeof *a.z);
    a.size = end;
    return a;
}

size_t kernel_state_size(const Kernel *k) {
    const Shape s = shape_of(k);
    return kernel_surveys(k) == 0 ? 0 : state_arrays(k, &s, NULL).size;
}

void kernel_state_init(const Kernel *k, void *memory) {
    State *const state = memory;
    if (kernel_surveys(k) == 0) {
        return;
    }
    memset(memory, 0, kernel_state_size(k));
    state->tie_index = INT64_MAX;
    state->super = 1.0f;
    state->settled = k->prune != PRUNE_RATIO;
    if (k->prune == PRUNE_RATIO && k->zeros >= k->count) {
        state->threshold = UINT32_MAX; /* everything goes */
        state->settled = true;
    }
}

/* Sums start at zero again; ranges are minima and maxima, which may be folded in twice. */
static void clear_sums(const Kernel *k, const Shape *s, State *state) {
    const StateArrays a = state_arrays(k, s, state);
    memset(a.histogram, 0, a.sums_end - a.ranges_end);
}

/* Scales are found when a pass is closed: a partial has none. */
void kernel_state_fork(const Kernel *k, void *partial, const void *state) {
    const Shape s = shape_of(k);
    if (kernel_surveys(k) > 0) {
        memcpy(partial, state, state_arrays(k, &s, NULL).ranges_end);
        clear_sums(k, &s, partial);
    }
}

/* ---- PRUNE_RATIO: the threshold, by histograms of magnitudes */

typedef void SliceFn(Work *work, State *state, const StateArrays *a, int64_t chunk, int64_t first,
                     int64_t n);

static void slice_high(Work *work, State *state, const StateArrays *a, int64_t chunk, int64_t first,
                       int64_t n) {
    (void)state;
    (void)chunk;
    if (source_is_half(work->k)) { /* bits of both half types order like magnitudes */
        const unsigned char *const src = (const unsigned char *)work->src + 2 * first;
        for (int64_t i = 0; i < n; i++) {
            a->histogram[(src[2 * i] | src[2 * i + 1] << 8) & 0x7fff]++;
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        a->histogram[k_magnitude(work->row_w[i]) >> 15]++;
    }
}

static void slice_low(Work *work, State *state, const StateArrays *a, int64_t chunk, int64_t first,
                      int64_t n) {
    (void)chunk;
    (void)first;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t m = k_magnitude(work->row_w[i]);
        if (m >> 15 == state->high) {
            a->histogram[m & 0x7fff]++;
        }
    }
}

static void slice_ties(Work *work, State *state, const StateArrays *a, int64_t chunk, int64_t first,
                       int64_t n) {
    (void)first;
    a->ties[chunk] += work->lanes->count_equal(work->row_w, n, state->threshold);
}

static void slice_index(Work *work, State *state, const StateArrays *a, int64_t chunk,
                        int64_t first, int64_t n) {
    (void)a;
    for (int64_t i = 0; i < n && chunk == state->tie_chunk && state->kept > 0; i++) {
        if (k_magnitude(work->row_w[i]) == state->threshold && --state->kept == 0) {
            state->tie_index = first + i + 1;
        }
    }
}

/* Where geometry does not matter, the tensor is cut into even slices, one for a chunk. */
static void slice_of(const Work *work, int64_t chunk, int64_t *begin, int64_t *end) {
    const int64_t share = (work->k->count + work->shape.chunks - 1) / work->shape.chunks;
    const int64_t first = chunk * share, rest = work->k->count - first;
    *begin = rest > 0 ? first : work->k->count;
    *end = *begin + (rest < share ? (rest > 0 ? rest : 0) : share);
}

/* Ties count in the order of the elements. */
static void survey_slice(Work *work, State *state, const StateArrays *a, int64_t chunk, Pass pass) {
    static SliceFn *const slices[] = {slice_high, slice_low, slice_ties, slice_index};
    const int size = source_size(work->k->source);
    int64_t at, end;
    slice_of(work, chunk, &at, &end);
    if (state->settled || (pass == PASS_INDEX && chunk != state->tie_chunk)) {
        return;
    }
    for (; at < end; at += LEAST_ROW) {
        const int64_t n = end - at < LEAST_ROW ? end - at : LEAST_ROW;
        if (pass != PASS_HIGH || !source_is_half(work->k)) {
            work->lanes->widen(work->k->source, (const char *)work->src + at * size, n,
                               work->row_w);
        }
        slices[pass](work, state, a, chunk, at, n);
    }
}

/* The bin that holds the (zeros + 1)-th smallest magnitude; what lies under it joins `below`. */
static uint32_t close_histogram(const Kernel *k, State *state, const StateArrays *a) {
    uint32_t bin = 0;
    while (state->below + (int64_t)a->histogram[bin] <= k->zeros) {
        state->below += (int64_t)a->histogram[bin++];
    }
    state->kept = (int64_t)a->histogram[bin] - (k->zeros - state->below);
    return bin;
}

static void close_ratio(const Kernel *k, const Shape *s, State *state, Pass pass) {
    const StateArrays a = state_arrays(k, s, state);
    if (state->settled || k->count == 0) {
        return;
    }
    switch (pass) {
    case PASS_HIGH:
        state->high = close_histogram(k, state, &a);
        state->threshold = k_magnitude(k->source == K_FLOAT16 ? k_float16_decode(state->high)
                                                              : k_float(state->high << 16));
        break;
    case PASS_LOW:
        state->threshold = state->high << 15 | close_histogram(k, state, &a);
        break;
    case PASS_TIES:
        while (state->kept > a.ties[state->tie_chunk]) {
            state->kept -= a.ties[state->tie_chunk++];
        }
        break;
    default:
        break;
    }
    if ((pass == PASS_LOW || (pass == PASS_HIGH && source_is_half(k))) &&
        state->below == k->zeros) {
        state->settled = true; /* all ties are kept */
    }
}

/* ---- ranges and errors, per tensor or channel */

/* Rows of a tile that have the same channels: all of them, or each for itself. */
static int64_t rows_alike(const Work *work, const Tile *tile) {
    const KernelView v = work->shape.view;
    return tile->stride % (v.axis * v.inner) == 0 ? tile->rows : 1;
}

static void fold_ranges(const Work *work, const StateArrays *a, const Tile *tile) {
    const Lanes *const lanes = work->lanes;
    const bool asymmetric = work->rule.asymmetric;
    const int64_t n = tile->columns;
    if (work->shape.granule != GRANULE_CHANNEL) {
        for (int64_t r = 0; r < tile->rows; r++) {
            lanes->range_runs(work->type, asymmetric, tile_elements(work, tile, r, 0), n, n, a->lo,
                              a->hi);
        }
        return;
    }
    const int64_t rows = rows_alike(work, tile);
    for (int64_t r = 0; r < tile->rows; r += rows) {
        int64_t length;
        for (int64_t i = 0; i < n; i += length) {
            const int64_t c =
                channel_at(&work->shape, tile->first + r * tile->stride + i, n - i, &length);
            const void *const e = tile_elements(work, tile, r, i);
            if (work->shape.view.inner == 1) {
                lanes->range_columns(work->type, asymmetric, e, tile->e_stride, rows, length,
                                     a->lo + c, a->hi + c);
                continue;
            }
            for (int64_t row = r; row < r + rows; row++) {
                lanes->range_runs(work->type, asymmetric, tile_elements(work, tile, row, i), length,
                                  length, a->lo + c, a->hi + c);
            }
        }
    }
}

/* Errors of the elements from column i of `rows` rows on, which share their scales: `scales` of
 * them from number c on, one for each run of `length`. */
static void fold_errors(Work *work, const StateArrays *a, const Tile *tile, int64_t row,
                        int64_t rows, int64_t i, int64_t c, int64_t scales, int64_t length) {
    const Lanes *const lanes = work->lanes;
    const Divisors d = {work->try_s, work->try_r, work->try_z};
    lanes->units(&work->rule, a->lo + c, a->hi + c, scales, work->unit);
    for (int ratio = 0; ratio < K_RATIOS; ratio++) {
        lanes->scales(&work->rule, k_ratio(ratio), a->lo + c, a->hi + c, scales, work->try_codes,
                      work->try_s, work->try_z);
        work_divide(work, lanes->reciprocals(work->try_s, scales, work->try_r));
        for (int64_t r = row; r < row + rows; r++) {
            work_error(work, tile_elements(work, tile, r, i), d, work->unit, scales * length,
                       length, a->errors + ratio * work->shape.scales + c);
        }
    }
}

static void survey_errors(Work *work, const StateArrays *a, const Tile *tile) {
    const int64_t n = tile->columns;
    if (work->shape.granule != GRANULE_CHANNEL) {
        fold_errors(work, a, tile, 0, tile->rows, 0, 0, 1, n);
        return;
    }
    const int64_t rows = rows_alike(work, tile);
    for (int64_t r = 0; r < tile->rows; r += rows) {
        int64_t length;
        for (int64_t i = 0; i < n; i += length) {
            const int64_t c =
                channel_at(&work->shape, tile->first + r * tile->stride + i, n - i, &length);
            const bool each = work->shape.view.inner == 1;
            fold_errors(work, a, tile, r, rows, i, c, each ? length : 1, each ? 1 : length);
        }
    }
}

static void survey_tiles(Work *work, const StateArrays *a, int64_t chunk, Pass pass) {
    const Box box = shape_chunk(&work->shape, chunk);
    Span span = {0};
    bool started = false;
    while (span_next(work, &box, &span, &started)) {
        Tile tile;
        for (int64_t at = 0; tile_next(work, &span, &at, &tile);) {
            tile_load(work, &tile);
            if (pass == PASS_ERROR) {
                survey_errors(work, a, &tile);
            } else {
                fold_ranges(work, a, &tile);
            }
        }
    }
}

/* The range of all weights, as they lie in the source. */
static void survey_range(Work *work, const StateArrays *a, int64_t chunk) {
    int64_t begin, end;
    slice_of(work, chunk, &begin, &end);
    if (begin < end) {
        const char *const e = (const char *)work->src + begin * source_size(work->type);
        work->lanes->range_runs(work->type, work->rule.asymmetric, e, end - begin, end - begin,
                                a->lo, a->hi);
    }
}

void kernel_survey(const Kernel *k, int pass, int64_t chunk, const void *src, void *partial,
                   void *scratch) {
    State *const state = partial;
    Work work = work_open(k, src, state, scratch);
    const StateArrays a = state_arrays(k, &work.shape, state);
    const Pass kind = pass_kind(k, &work.shape, pass);
    if (kind < PASS_RANGE) {
        survey_slice(&work, state, &a, chunk, kind);
    } else if (kind == PASS_RANGE && work.direct && work.shape.granule != GRANULE_CHANNEL) {
        survey_range(&work, &a, chunk);
    } else {
        survey_tiles(&work, &a, chunk, kind);
    }
}

void kernel_state_merge(const Kernel *k, int pass, void *memory, const void *partial) {
    const Shape s = shape_of(k);
    State *const state = memory;
    const State *const part = partial;
    const StateArrays to = state_arrays(k, &s, state), from = state_arrays(k, &s, part);
    const int64_t ranges = state_has_scales(&s) ? s.scales : 1;
    switch (pass_kind(k, &s, pass)) {
    case PASS_HIGH:
    case PASS_LOW:
        for (int64_t i = 0; i < HISTOGRAM_BINS; i++) {
            to.histogram[i] += from.histogram[i];
        }
        break;
    case PASS_TIES:
        for (int64_t i = 0; i < s.chunks; i++) {
            to.ties[i] += from.ties[i];
        }
        break;
    case PASS_INDEX:
        state->tie_index = part->tie_index < state->tie_index ? part->tie_index : state->tie_index;
        break;
    case PASS_RANGE:
        for (int64_t i = 0; i < ranges; i++) {
            to.lo[i] = from.lo[i] < to.lo[i] ? from.lo[i] : to.lo[i];
            to.hi[i] = from.hi[i] > to.hi[i] ? from.hi[i] : to.hi[i];
        }
        break;
    case PASS_ERROR:
        for (int64_t i = 0; i < K_RATIOS * s.scales; i++) {
            to.errors[i] += from.errors[i];
        }
        break;
    default:
        break;
    }
}

static ScaleRule rule_of(const Kernel *k, const State *state) {
    return (ScaleRule){k->scale_type, k->format->scale_max, k->format->asymmetric, state->super};
}

/* The first ratio of least error, for each scale. */
static void close_errors(const Kernel *k, const Shape *s, const State *state) {
    const StateArrays a = state_arrays(k, s, state);
    const ScaleRule rule = rule_of(k, state);
    for (int64_t i = 0; i < s->scales; i++) {
        int best = 0;
        for (int ratio = 1; ratio < K_RATIOS; ratio++) {
            if (a.errors[ratio * s->scales + i] < a.errors[best * s->scales + i]) {
                best = ratio;
            }
        }
        lanes_best()->scales(&rule, k_ratio(best), a.lo + i, a.hi + i, 1, a.codes + i, a.s + i,
                             a.z + i);
    }
}

static void close_range(const Kernel *k, const Shape *s, State *state) {
    const StateArrays a = state_arrays(k, s, state);
    state->finite = true;
    for (int64_t i = 0; i < (state_has_scales(s) ? s->scales : 1); i++) {
        state->finite &= range_finite((Range){a.lo[i], a.hi[i]});
    }
    if (k->scale_type == K_E4M3) {
        Range all = RANGE_EMPTY;
        for (int64_t i = 0; i < (state_has_scales(s) ? s->scales : 1); i++) {
            all.lo = a.lo[i] < all.lo ? a.lo[i] : all.lo;
            all.hi = a.hi[i] > all.hi ? a.hi[i] : all.hi;
        }
        state->super = k_scale_super(k->format->scale_max, range_high(all) - range_low(all));
    }
    if (state_has_scales(s) && k->method == METHOD_MAX) {
        const ScaleRule rule = rule_of(k, state);
        lanes_best()->scales(&rule, 1.0f, a.lo, a.hi, s->scales, a.codes, a.s, a.z);
    }
}

void kernel_state_close(const Kernel *k, int pass, void *memory) {
    const Shape s = shape_of(k);
    State *const state = memory;
    const Pass kind = pass_kind(k, &s, pass);
    if (kind == PASS_RANGE) {
        close_range(k, &s, state);
    } else if (kind == PASS_ERROR) {
        close_errors(k, &s, state);
    } else {
        close_ratio(k, &s, state, kind);
    }
    if (kind == PASS_RANGE || kind == PASS_ERROR) {
        const StateArrays a = state_arrays(k, &s, state);
        state->divides = lanes_best()->reciprocals(a.s, state_has_scales(&s) ? s.scales : 0, a.r);
    }
    clear_sums(k, &s, state);
}
