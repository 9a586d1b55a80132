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
    a.histogram = array(state, &end, ratio ? HISTOGRAM_BINS : 0, sizeof *a.histogram);
    a.ties = array(state, &end, ratio ? s->chunks : 0, sizeof *a.ties);
    a.errors = array(state, &end, errors, sizeof *a.errors);
    a.lo = array(state, &end, ranges, sizeof *a.lo);
    a.hi = array(state, &end, ranges, sizeof *a.hi);
    a.codes = array(state, &end, scales, sizeof *a.codes);
    a.s = array(state, &end, scales, sizeof *a.s);
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
    memset(a.histogram, 0, (size_t)((char *)a.lo - (char *)a.histogram));
}

void kernel_state_fork(const Kernel *k, void *partial, const void *state) {
    const Shape s = shape_of(k);
    if (kernel_surveys(k) > 0) {
        memcpy(partial, state, state_arrays(k, &s, NULL).size);
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
        a->histogram[k_magnitude(work->w[i]) >> 15]++;
    }
}

static void slice_low(Work *work, State *state, const StateArrays *a, int64_t chunk, int64_t first,
                      int64_t n) {
    (void)chunk;
    (void)first;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t m = k_magnitude(work->w[i]);
        if (m >> 15 == state->high) {
            a->histogram[m & 0x7fff]++;
        }
    }
}

static void slice_ties(Work *work, State *state, const StateArrays *a, int64_t chunk, int64_t first,
                       int64_t n) {
    (void)first;
    a->ties[chunk] += work->lanes->count_equal(work->w, n, state->threshold);
}

static void slice_index(Work *work, State *state, const StateArrays *a, int64_t chunk,
                        int64_t first, int64_t n) {
    (void)a;
    for (int64_t i = 0; i < n && chunk == state->tie_chunk && state->kept > 0; i++) {
        if (k_magnitude(work->w[i]) == state->threshold && --state->kept == 0) {
            state->tie_index = first + i + 1;
        }
    }
}

/* These passes cut the tensor into even slices, since ties count in the order of the elements. */
static void survey_slice(Work *work, State *state, const StateArrays *a, int64_t chunk, Pass pass) {
    static SliceFn *const slices[] = {slice_high, slice_low, slice_ties, slice_index};
    const int64_t share = (work->k->count + work->shape.chunks - 1) / work->shape.chunks;
    const int64_t tile = work->shape.tile_rows * work->shape.tile_columns;
    const int64_t begin = chunk * share;
    const int64_t end = begin + share < work->k->count ? begin + share : work->k->count;
    if (state->settled || (pass == PASS_INDEX && chunk != state->tie_chunk)) {
        return;
    }
    for (int64_t at = begin; at < end; at += tile) {
        const int64_t n = end - at < tile ? end - at : tile;
        if (pass != PASS_HIGH || !source_is_half(work->k)) {
            work->lanes->widen(work->k->source, work->src, at, n, work->w);
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

static void fold_range(const Work *work, const StateArrays *a, const float *w, int64_t first,
                       int64_t n) {
    const Lanes *const lanes = work->lanes;
    const bool asymmetric = work->rule.asymmetric;
    if (work->shape.granule != GRANULE_CHANNEL) {
        lanes->range_runs(asymmetric, w, n, n, a->lo, a->hi);
        return;
    }
    int64_t length;
    for (int64_t i = 0; i < n; i += length) {
        const int64_t c = channel_at(&work->shape, first + i, n - i, &length);
        if (work->shape.view.inner == 1) {
            lanes->range_columns(asymmetric, w + i, length, a->lo + c, a->hi + c);
        } else {
            lanes->range_runs(asymmetric, w + i, length, length, a->lo + c, a->hi + c);
        }
    }
}

static void fold_errors(const Work *work, uint64_t *sums, int64_t first, int64_t n) {
    const Lanes *const lanes = work->lanes;
    if (work->shape.granule != GRANULE_CHANNEL) {
        lanes->add_runs(work->row_errors, n, n, sums);
        return;
    }
    int64_t length;
    for (int64_t i = 0; i < n; i += length) {
        const int64_t c = channel_at(&work->shape, first + i, n - i, &length);
        if (work->shape.view.inner == 1) {
            lanes->add_columns(work->row_errors + i, length, sums + c);
        } else {
            lanes->add_runs(work->row_errors + i, length, length, sums + c);
        }
    }
}

/* The range of each element of a row. */
static void spread_ranges(const Work *work, const StateArrays *a, int64_t first, int64_t n) {
    int64_t length;
    for (int64_t i = 0; i < n; i += length) {
        int64_t c = 0;
        length = n;
        if (work->shape.granule == GRANULE_CHANNEL) {
            c = channel_at(&work->shape, first + i, n - i, &length);
        }
        const int64_t step = work->shape.granule == GRANULE_CHANNEL && work->shape.view.inner == 1;
        for (int64_t j = 0; j < length; j++) {
            work->row_lo[i + j] = a->lo[c + j * step];
            work->row_hi[i + j] = a->hi[c + j * step];
        }
    }
}

static void survey_errors(Work *work, const StateArrays *a, const Tile *tile) {
    const Lanes *const lanes = work->lanes;
    const Shape *const s = &work->shape;
    const int64_t n = tile->columns;
    const bool alike = s->granule != GRANULE_CHANNEL ||
                       tile->stride % (s->view.axis * s->view.inner) == 0; /* rows, in channels */
    const int64_t rows = alike ? tile->rows : 1;
    for (int64_t r = 0; r < tile->rows; r += rows) {
        spread_ranges(work, a, tile->first + r * tile->stride, n);
        lanes->units(&work->rule, work->row_lo, work->row_hi, n, work->row_unit);
        for (int ratio = 0; ratio < K_RATIOS; ratio++) {
            lanes->scales(&work->rule, k_ratio(ratio), work->row_lo, work->row_hi, n,
                          work->try_codes, work->row_s, work->row_z);
            for (int64_t i = r; i < r + rows; i++) {
                work->format->error(work->w + i * n, work->row_s, work->row_z, work->row_unit, n,
                                    work->row_errors);
                fold_errors(work, a->errors + ratio * s->scales, tile->first + i * tile->stride, n);
            }
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
                continue;
            }
            for (int64_t r = 0; r < tile.rows; r++) {
                fold_range(work, a, work->w + r * tile.columns, tile.first + r * tile.stride,
                           tile.columns);
            }
        }
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
    clear_sums(k, &s, state);
}
