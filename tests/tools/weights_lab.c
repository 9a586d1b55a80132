/* The algorithms of runtime/calib on plain arrays, as a shared library for tests/tools/calib_lab.py:
 * one function for each, with numbers and pointers only. Arrays are the caller's; a call returns 0
 * when it succeeded. Built beside the tests, part of nothing. */
#include "runtime/calib/gptq.h"
#include "runtime/calib/gram.h"
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

/* out = w rounded to nearest; loss on the Gram matrix */
LAB int lab_nearest(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                    float *out, double *loss);
int lab_nearest(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                float *out, double *loss) {
    Lab lab = lab_open(g, rows, k);
    bool done = grid_scales(&lab.grid, w, &lab.scales, lab.arena, &lab.spread);
    grid_round_rows(&lab.grid, &lab.scales, 0, rows, w, out);
    float *d = arena_many(lab.arena, float, (size_t)(rows * k));
    for (int64_t i = 0; i < rows * k; i++) {
        d[i] = out[i] - w[i];
    }
    const float *g32 = gram_narrow(lab.arena, gram, k);
    done = done && gram_loss(g32, d, rows, k, loss, lab.arena, &lab.spread);
    return lab_close(&lab, done);
}

/* losses: of nearest, of the result */
LAB int lab_gptq(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
                 const uint8_t *zero, int64_t order, int64_t sweeps, int64_t scales, float *out,
                 double *losses);
int lab_gptq(const LabGrid *g, const float *w, int64_t rows, int64_t k, const double *gram,
             const uint8_t *zero, int64_t order, int64_t sweeps, int64_t scales, float *out,
             double *losses) {
    Lab lab = lab_open(g, rows, k);
    Gptq gptq = {.grid = &lab.grid, .w = w, .gram = gram, .zero = zero, GPTQ_DEFAULTS};
    gptq.order = (GptqOrder)order;
    gptq.sweeps = (int)sweeps;
    gptq.scales = scales != 0;
    GptqReport report;
    const bool done = grid_scales(&lab.grid, w, &lab.scales, lab.arena, &lab.spread) &&
                      gptq_round(&gptq, &lab.scales, out, &report, lab.arena, &lab.spread);
    losses[0] = report.nearest;
    losses[1] = report.loss;
    return lab_close(&lab, done);
}
