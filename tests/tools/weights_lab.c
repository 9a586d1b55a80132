/* The algorithms of runtime/calib on plain arrays, as a shared library for
 * tests/tools/calib_lab.py: one function for each, with numbers and pointers only. Arrays are the
 * caller's; a call returns 0 when it succeeded. Built beside the tests, part of nothing. */
#include "runtime/calib/adaround.h"
#include "runtime/calib/awq.h"
#include "runtime/calib/clip.h"
#include "runtime/calib/gptq.h"
#include "runtime/calib/gram.h"
#include "runtime/calib/smooth.h"
#include "tests/unit/many_threads.h"
#include <string.h>

#define LAB __attribute__((visibility("default")))

typedef struct LabGrid {
    const char *format;
    int64_t granule, block, scale_type, method;
} LabGrid;

static Grid grid_of(const LabGrid *g) {
    return (Grid){format_find(g->format, strlen(g->format)), (KernelGranule)g->granule, g->block,
                  (int)g->scale_type, (KernelMethod)g->method};
}

/* Work in progress on one weight: its arena and scales. */
typedef struct Lab {
    Arena *arena;
    Grid grid;
    Scales scales;
    Spread spread;
} Lab;

static Lab lab_open(const LabGrid *g, int64_t rows, int64_t k) {
    Lab lab = {.arena = arena_open(), .grid = grid_of(g), .spread = many_threads(2)};
    lab.scales = scales_new(lab.arena, &lab.grid, rows, k);
    return lab;
}
static int lab_close(Lab *lab, bool done) {
    arena_close(lab->arena);
    return done ? 0 : 1;
}

static bool lab_scales(Lab *lab, const float *w, const double *gram, bool clip) {
    bool done = grid_scales(&lab->grid, w, &lab->scales, lab->arena, &lab->spread);
    if (clip) {
        const float *g = gram_narrow(lab->arena, gram, lab->scales.k);
        done = done && clip_scales(&lab->grid, w, g, &lab->scales, lab->arena, &lab->spread);
    }
    return done;
}

/* out = w rounded to nearest; loss on the Gram matrix */
LAB int lab_nearest(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                    int64_t clip, float *out, double *loss);
int lab_nearest(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                int64_t clip, float *out, double *loss) {
    Lab lab = lab_open(g, rows, k);
    bool done = lab_scales(&lab, w, gram, clip != 0);
    grid_round_rows(&lab.grid, &lab.scales, 0, rows, w, out);
    float *d = arena_many(lab.arena, float, (size_t)(rows * k));
    for (int64_t i = 0; i < rows * k; i++) {
        d[i] = out[i] - w[i];
    }
    const float *g32 = gram_narrow(lab.arena, gram, k);
    double *losses = arena_many(lab.arena, double, (size_t)rows);
    done = done && gram_losses(g32, d, rows, k, losses, lab.arena, &lab.spread);
    *loss = 0;
    for (int64_t i = 0; i < rows; i++) {
        *loss += losses[i];
    }
    return lab_close(&lab, done);
}

/* losses: of nearest, of the result */
LAB int lab_gptq(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                 const uint8_t *zero, int64_t order, double damp, int64_t sweeps, int64_t scales,
                 int64_t clip, float *out, double *losses);
int lab_gptq(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
             const uint8_t *zero, int64_t order, double damp, int64_t sweeps, int64_t scales,
             int64_t clip, float *out, double *losses) {
    Lab lab = lab_open(g, rows, k);
    Gptq gptq = {.grid = &lab.grid, .w = w, .gram = gram, .zero = zero, GPTQ_DEFAULTS};
    gptq.order = (GptqOrder)order;
    gptq.damp = damp;
    gptq.sweeps = (int)sweeps;
    gptq.scales = scales != 0;
    GptqReport report;
    const bool done = lab_scales(&lab, w, gram, clip != 0) &&
                      gptq_round(&gptq, &lab.scales, out, &report, lab.arena, &lab.spread);
    losses[0] = report.nearest;
    losses[1] = report.loss;
    return lab_close(&lab, done);
}

/* losses: of nearest, of the result */
LAB int lab_adaround(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                     int64_t clip, int64_t steps, float *out, double *losses);
int lab_adaround(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                 int64_t clip, int64_t steps, float *out, double *losses) {
    Lab lab = lab_open(g, rows, k);
    const Adaround a = {.grid = &lab.grid,
                        .scales = &lab.scales,
                        .w = w,
                        .steps = (int)steps,
                        .g = gram_narrow(lab.arena, gram, k)};
    const bool done = lab_scales(&lab, w, gram, clip != 0) &&
                      adaround_round(&a, out, losses, lab.arena, &lab.spread);
    return lab_close(&lab, done);
}

enum { MOST_SIBLINGS = 16 };

static size_t siblings_of(const Grid *grid, const float *const *w, const int64_t *rows, int64_t n,
                          ScaledWeight *out) {
    for (int64_t i = 0; i < n && i < MOST_SIBLINGS; i++) {
        out[i] = (ScaledWeight){grid, w[i], rows[i]};
    }
    return (size_t)(n < MOST_SIBLINGS ? n : MOST_SIBLINGS);
}

/* s [k]; results: r, loss of s = 1, loss of s */
LAB int lab_awq(const LabGrid *g, const float *const *w, const int64_t *rows, int64_t n, int64_t k,
                const double *gram, const float *mean, float *s, double *results);
int lab_awq(const LabGrid *g, const float *const *w, const int64_t *rows, int64_t n, int64_t k,
            const double *gram, const float *mean, float *s, double *results) {
    Lab lab = lab_open(g, rows[0], k);
    ScaledWeight siblings[MOST_SIBLINGS];
    const Awq awq = {.weights = siblings,
                     .count = siblings_of(&lab.grid, w, rows, n, siblings),
                     .k = k,
                     .gram = gram,
                     .mean = mean,
                     .steps = 20};
    AwqReport report;
    const bool done = awq_search(&awq, s, &report, lab.arena, &lab.spread);
    results[0] = report.ratio;
    results[1] = report.before;
    results[2] = report.loss;
    return lab_close(&lab, done);
}

/* alpha < 0: searched. results: alpha, estimate for s = 1, estimate for s */
LAB int lab_smooth(const LabGrid *g, const float *const *w, const int64_t *rows, int64_t n,
                   int64_t k, const double *gram, int64_t tokens, const float *amax,
                   const char *activation, float *s, double *results);
int lab_smooth(const LabGrid *g, const float *const *w, const int64_t *rows, int64_t n, int64_t k,
               const double *gram, int64_t tokens, const float *amax, const char *activation,
               float *s, double *results) {
    Lab lab = lab_open(g, rows[0], k);
    ScaledWeight siblings[MOST_SIBLINGS];
    const Smooth smooth = {.weights = siblings,
                           .count = siblings_of(&lab.grid, w, rows, n, siblings),
                           .k = k,
                           .gram = gram,
                           .tokens = tokens,
                           .amax = amax,
                           .activation = format_find(activation, strlen(activation)),
                           .steps = 20};
    SmoothReport report;
    const bool done = smooth_search(&smooth, s, &report, lab.arena, &lab.spread);
    results[0] = report.alpha;
    results[1] = report.before;
    results[2] = report.weight + report.activation;
    return lab_close(&lab, done);
}
