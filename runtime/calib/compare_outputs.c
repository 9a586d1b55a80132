/* See compare_outputs.h. Work is cut into tasks by shape; each has sums of its own, which are added
 * up in the order of the tasks. */
#include "runtime/calib/compare_outputs.h"
#include <math.h>
#include <string.h>
#include "runtime/calib/cut.h"

enum { FLOAT = 1, FLOAT16 = 10, DOUBLE = 11, BFLOAT16 = 16 };

const char *output_metric_name(OutputMetric metric) {
    static const char *const names[OUTPUT_METRICS] = {[METRIC_PERPLEXITY] = "perplexity",
                                                      [METRIC_ACCURACY] = "accuracy",
                                                      [METRIC_AGREEMENT] = "agreement",
                                                      [METRIC_KL] = "kl",
                                                      [METRIC_COSINE] = "cosine",
                                                      [METRIC_SQNR] = "sqnr",
                                                      [METRIC_MSE] = "mse",
                                                      [METRIC_MAX_ERROR] = "max_error"};
    return names[metric];
}

bool output_type_known(int type) {
    return type == FLOAT || type == FLOAT16 || type == DOUBLE || type == BFLOAT16;
}

/* ---- elements */

static double half_value(uint16_t h) {
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    double v = exponent == 31  ? (mantissa ? (double)NAN : (double)INFINITY)
               : exponent == 0 ? ldexp(mantissa, -24)
                               : ldexp(1024 + mantissa, exponent - 25);
    return h >> 15 ? -v : v;
}

static double brain_value(uint16_t b) {
    const uint32_t bits = (uint32_t)b << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline double value_at(int type, const void *data, int64_t i) {
    switch (type) {
    case FLOAT:
        return ((const float *)data)[i];
    case DOUBLE:
        return ((const double *)data)[i];
    case FLOAT16:
        return half_value(((const uint16_t *)data)[i]);
    default:
        return brain_value(((const uint16_t *)data)[i]);
    }
}

/* ---- values */

static bool same(double a, double b) {
    return (isnan(a) && isnan(b)) || (isinf(a) && isinf(b) && signbit(a) == signbit(b));
}

static void add_values(const OutputPair *p, int64_t begin, int64_t end, OutputSums *sums) {
    for (int64_t i = begin; i < end; i++) {
        const double a = value_at(p->type, p->reference, i), b = value_at(p->type, p->model, i);
        if (!isfinite(a) || !isfinite(b)) {
            sums->broken += !same(a, b);
            continue;
        }
        const double error = fabs(b - a);
        sums->values++;
        sums->aa += a * a;
        sums->bb += b * b;
        sums->ab += a * b;
        sums->ee += error * error;
        sums->max_error = error > sums->max_error ? error : sums->max_error;
    }
}

/* ---- rows */

typedef struct Row {      /* one side of one row */
    int64_t top;          /* place of the largest value, the first of equals; -1: there is NaN */
    double most, log_sum; /* that value; ln of the sum of exp(x - most) */
    bool defined;         /* the softmax of it is a distribution */
} Row;

static Row survey(int type, const void *data, int64_t at, int64_t width) {
    Row row = {-1, -(double)INFINITY, 0, false};
    bool unordered = width == 0;
    for (int64_t i = 0; i < width; i++) {
        const double x = value_at(type, data, at + i);
        unordered = unordered || isnan(x);
        if (row.top < 0 || x > row.most) {
            row.top = i;
            row.most = x;
        }
    }
    row.top = unordered ? -1 : row.top;
    row.defined = !unordered && isfinite(row.most);
    return row;
}

/* Both log_sums, and sum p ln(p / q): the differences are taken between exponents, where they are
 * exact but for one rounding, not between logarithms. */
static double divergence(const OutputPair *p, int64_t at, Row *a, Row *b) {
    double za = 0, zb = 0, weighted = 0;
    for (int64_t i = 0; i < p->width; i++) {
        const double x = value_at(p->type, p->reference, at + i) - a->most;
        const double y = value_at(p->type, p->model, at + i) - b->most;
        const double share = exp(x);
        za += share;
        zb += exp(y);
        weighted += share > 0 ? share * (x - y) : 0; /* 0 ln 0 is 0 */
    }
    a->log_sum = log(za);
    b->log_sum = log(zb);
    const double kl = weighted / za + (b->log_sum - a->log_sum);
    return kl > 0 ? kl : 0; /* it is never below, but by rounding */
}

static void lone_sum(const OutputPair *p, const void *data, int64_t at, Row *row) {
    double z = 0;
    for (int64_t i = 0; i < p->width; i++) {
        z += exp(value_at(p->type, data, at + i) - row->most);
    }
    row->log_sum = log(z);
}

static double surprise(const OutputPair *p, const void *data, int64_t at, const Row *row,
                       int64_t answer) {
    return row->defined ? row->log_sum - (value_at(p->type, data, at + answer) - row->most)
                        : (double)INFINITY;
}

static void add_row(const OutputPair *p, int64_t r, OutputSums *sums) {
    const int64_t at = r * p->width;
    Row a = survey(p->type, p->reference, at, p->width),
        b = survey(p->type, p->model, at, p->width);
    sums->rows++;
    sums->undefined += !a.defined;
    sums->agreed += a.defined && a.top == b.top;
    if (a.defined && b.defined) {
        sums->kl += divergence(p, at, &a, &b);
    } else if (a.defined) {
        lone_sum(p, p->reference, at, &a);
        sums->kl = (double)INFINITY;
    } else if (b.defined) {
        lone_sum(p, p->model, at, &b);
    }
    if (p->next && p->next[r] >= 0) {
        sums->predicted++;
        sums->surprise[0] += surprise(p, p->reference, at, &a, p->next[r]);
        sums->surprise[1] += surprise(p, p->model, at, &b, p->next[r]);
    }
    if (p->labels && p->labels[r] >= 0) {
        sums->labelled++;
        sums->right[0] += a.top == p->labels[r];
        sums->right[1] += b.top == p->labels[r];
    }
}

/* ---- tasks */

typedef struct Adding {
    const OutputPair *pair;
    Cut cut;
    bool rows; /* else values */
    OutputSums part[CUT_TASKS];
} Adding;

static void add_part(void *user, size_t index) {
    Adding *a = user;
    const int64_t begin = cut_first(&a->cut, index), end = cut_end(&a->cut, index);
    if (a->rows) {
        for (int64_t r = begin; r < end; r++) {
            add_row(a->pair, r, &a->part[index]);
        }
    } else {
        add_values(a->pair, begin, end, &a->part[index]);
    }
}

static void join(OutputSums *sums, const OutputSums *part) {
    sums->values += part->values;
    sums->broken += part->broken;
    sums->aa += part->aa;
    sums->bb += part->bb;
    sums->ab += part->ab;
    sums->ee += part->ee;
    sums->max_error = part->max_error > sums->max_error ? part->max_error : sums->max_error;
    sums->rows += part->rows;
    sums->undefined += part->undefined;
    sums->agreed += part->agreed;
    sums->kl += part->kl;
    sums->predicted += part->predicted;
    sums->labelled += part->labelled;
    for (int i = 0; i < 2; i++) {
        sums->right[i] += part->right[i];
        sums->surprise[i] += part->surprise[i];
    }
}

static bool add(OutputSums *sums, const OutputPair *pair, bool rows, const Spread *spread) {
    Adding a = {.pair = pair, .rows = rows};
    a.cut = rows ? cut_rows(pair->rows, pair->width) : cut_rows(pair->rows * pair->width, 1);
    if (a.cut.rows == 0) {
        return true;
    }
    if (!spread_run(spread, add_part, &a, a.cut.tasks)) {
        return false;
    }
    for (size_t i = 0; i < a.cut.tasks; i++) {
        join(sums, &a.part[i]);
    }
    return true;
}

bool outputs_add_values(OutputSums *sums, const OutputPair *pair, const Spread *spread) {
    return add(sums, pair, false, spread);
}

bool outputs_add_rows(OutputSums *sums, const OutputPair *pair, const Spread *spread) {
    return add(sums, pair, true, spread);
}

/* ---- metrics */

static double share(int64_t part, int64_t of) {
    return of > 0 ? (double)part / (double)of : (double)NAN;
}

static void score_values(const OutputSums *sums, double *of) {
    const bool exact = sums->ee <= 0, broken = sums->broken > 0;
    const double length = sqrt(sums->aa) * sqrt(sums->bb);
    of[METRIC_COSINE] = broken ? 0 : exact ? 1 : length > 0 ? sums->ab / length : 0;
    of[METRIC_SQNR] = broken  ? -(double)INFINITY
                      : exact ? (double)INFINITY
                              : 10 * log10(sums->aa / sums->ee);
    of[METRIC_MSE] = broken ? (double)INFINITY : sums->ee / (double)sums->values;
    of[METRIC_MAX_ERROR] = broken ? (double)INFINITY : sums->max_error;
}

OutputScores output_scores(const OutputSums *sums) {
    OutputScores s;
    for (int m = 0; m < OUTPUT_METRICS; m++) {
        s.of[0][m] = s.of[1][m] = (double)NAN;
    }
    if (sums->values + sums->broken > 0) {
        score_values(sums, s.of[1]);
    }
    const int64_t defined = sums->rows - sums->undefined;
    s.of[1][METRIC_AGREEMENT] = share(sums->agreed, defined);
    s.of[1][METRIC_KL] = defined > 0 ? sums->kl / (double)defined : (double)NAN;
    for (int i = 0; i < 2; i++) {
        s.of[i][METRIC_ACCURACY] = share(sums->right[i], sums->labelled);
        s.of[i][METRIC_PERPLEXITY] =
            sums->predicted > 0 ? exp(sums->surprise[i] / (double)sums->predicted) : (double)NAN;
    }
    return s;
}
