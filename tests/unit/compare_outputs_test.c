/* compare_outputs: against plain sums written down anew, the same bits however many threads add, in
 * every type; what is not finite; answers that are known. */
#include "unit.h"
#include "many_threads.h"
#include <math.h>
#include "runtime/calib/array_type.h"
#include "runtime/calib/compare_outputs.h"

enum { ROWS = 517, WIDTH = 61, VALUES = ROWS * WIDTH, BFLOAT16 = 16 };

static double noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (1 << 24) - 0.5;
}

typedef struct World {
    double a[VALUES], b[VALUES];
    int64_t next[ROWS], labels[ROWS];
} World;

static World *world(Arena *arena) {
    World *w = arena_new(arena, World);
    uint32_t state = 7;
    for (int i = 0; i < VALUES; i++) {
        w->a[i] = (float)(8 * noise(&state));
        w->b[i] = (float)(w->a[i] + noise(&state) / 4);
    }
    for (int r = 0; r < ROWS; r++) {
        w->next[r] = r % 11 == 10 ? -1 : r * 7 % WIDTH;
        w->labels[r] = r % 5 == 4 ? -100 : r * 3 % WIDTH;
    }
    return w;
}

static bool near(double x, double y) {
    return fabs(x - y) <= 1e-12 * fmax(1, fmax(fabs(x), fabs(y)));
}

/* ln of each softmax, straight from its definition */
static void logarithms(const double *row, double *out) {
    double z = 0;
    for (int i = 0; i < WIDTH; i++) {
        z += exp(row[i]);
    }
    for (int i = 0; i < WIDTH; i++) {
        out[i] = row[i] - log(z);
    }
}

static int top(const double *row) {
    int best = 0;
    for (int i = 1; i < WIDTH; i++) {
        best = row[i] > row[best] ? i : best;
    }
    return best;
}

static OutputPair pair_of(const World *w) {
    return (OutputPair){TYPE_FLOAT64, ROWS, WIDTH, w->a, w->b, w->next, w->labels};
}

static void it_is_what_it_says(void **state) {
    (void)state;
    Arena *arena = arena_open();
    const World *w = world(arena);
    const OutputPair pair = pair_of(w);
    OutputSums sums = {0};
    assert_true(outputs_add_values(&sums, &pair, NULL) && outputs_add_rows(&sums, &pair, NULL));
    const OutputScores got = output_scores(&sums);
    double aa = 0, bb = 0, ab = 0, ee = 0, most = 0, kl = 0, surprise[2] = {0};
    int agreed = 0, predicted = 0, labelled = 0, right[2] = {0};
    for (int i = 0; i < VALUES; i++) {
        const double e = w->b[i] - w->a[i];
        aa += w->a[i] * w->a[i], bb += w->b[i] * w->b[i], ab += w->a[i] * w->b[i], ee += e * e;
        most = fmax(most, fabs(e));
    }
    for (int r = 0; r < ROWS; r++) {
        const double *a = w->a + r * WIDTH, *b = w->b + r * WIDTH;
        double p[WIDTH], q[WIDTH];
        logarithms(a, p);
        logarithms(b, q);
        for (int i = 0; i < WIDTH; i++) {
            kl += exp(p[i]) * (p[i] - q[i]);
        }
        agreed += top(a) == top(b);
        if (w->next[r] >= 0) {
            predicted++;
            surprise[0] -= p[w->next[r]];
            surprise[1] -= q[w->next[r]];
        }
        if (w->labels[r] >= 0) {
            labelled++;
            right[0] += top(a) == w->labels[r];
            right[1] += top(b) == w->labels[r];
        }
    }
    assert_true(agreed > 0 && agreed < ROWS && right[1] > 0);
    assert_true(near(got.of[1][METRIC_COSINE], ab / sqrt(aa * bb)));
    assert_true(near(got.of[1][METRIC_SQNR], 10 * log10(aa / ee)));
    assert_true(near(got.of[1][METRIC_MSE], ee / VALUES));
    assert_true(near(got.of[1][METRIC_MAX_ERROR], most));
    assert_true(near(got.of[1][METRIC_KL], kl / ROWS));
    assert_true(near(got.of[1][METRIC_AGREEMENT], (double)agreed / ROWS));
    for (int i = 0; i < 2; i++) {
        assert_true(near(got.of[i][METRIC_PERPLEXITY], exp(surprise[i] / predicted)));
        assert_true(near(got.of[i][METRIC_ACCURACY], (double)right[i] / labelled));
    }
    assert_true(isnan(got.of[0][METRIC_COSINE]));
    arena_close(arena);
}

static bool cannot_run(const Spread *spread, SpreadTask *task, void *user, size_t count) {
    (void)spread, (void)task, (void)user, (void)count;
    return false;
}

static void threads_give_the_same_bits(void **state) {
    (void)state;
    Arena *arena = arena_open();
    const World *w = world(arena);
    const OutputPair pair = pair_of(w);
    OutputSums one = {0}, many = {0};
    const Spread threads = many_threads(5), none = {cannot_run, NULL};
    assert_true(outputs_add_values(&one, &pair, NULL) && outputs_add_rows(&one, &pair, NULL));
    assert_true(outputs_add_values(&many, &pair, &threads));
    assert_true(outputs_add_rows(&many, &pair, &threads));
    assert_memory_equal(&one, &many, sizeof one);
    assert_false(outputs_add_rows(&many, &pair, &none));
    arena_close(arena);
}

static void types_and_batches_do_not_matter(void **state) {
    (void)state;
    Arena *arena = arena_open();
    World *w = world(arena);
    const int types[] = {TYPE_FLOAT32, TYPE_FLOAT16, BFLOAT16};
    for (int t = 0; t < 3; t++) {
        const size_t bytes = types[t] == TYPE_FLOAT32 ? 4 : 2;
        uint8_t *a = arena_alloc(arena, VALUES * bytes), *b = arena_alloc(arena, VALUES * bytes);
        for (int i = 0; i < VALUES; i++) { /* the wide sides are what the narrow ones hold */
            array_put_float(types[t], i % 97 ? w->a[i] : w->a[i] * 1e-5, a + (size_t)i * bytes);
            array_put_float(types[t], w->b[i], b + (size_t)i * bytes);
            w->a[i] = array_value(types[t], a + (size_t)i * bytes);
            w->b[i] = array_value(types[t], b + (size_t)i * bytes);
        }
        OutputPair wide = pair_of(w), narrow = wide;
        narrow.type = types[t];
        narrow.reference = a;
        narrow.model = b;
        OutputSums x = {0}, y = {0};
        assert_true(outputs_add_values(&x, &wide, NULL) && outputs_add_rows(&x, &wide, NULL));
        assert_true(outputs_add_values(&y, &narrow, NULL) && outputs_add_rows(&y, &narrow, NULL));
        assert_memory_equal(&x, &y, sizeof x);
        OutputSums cut = {0};
        for (int64_t row = 0; row < ROWS; row += 100) {
            narrow.rows = ROWS - row < 100 ? ROWS - row : 100;
            narrow.reference = a + (size_t)row * WIDTH * bytes;
            narrow.model = b + (size_t)row * WIDTH * bytes;
            narrow.next = w->next + row;
            narrow.labels = w->labels + row;
            assert_true(outputs_add_values(&cut, &narrow, NULL));
            assert_true(outputs_add_rows(&cut, &narrow, NULL));
        }
        assert_true(near(cut.ab, x.ab) && near(cut.kl, x.kl) && cut.right[1] == x.right[1]);
        assert_true(cut.rows == ROWS && cut.values == VALUES && cut.max_error == x.max_error);
    }
    assert_true(output_type_known(TYPE_FLOAT64) && !output_type_known(TYPE_INT64));
    arena_close(arena);
}

static void what_is_not_finite(void **state) {
    (void)state;
    const double inf = (double)INFINITY, nan_ = (double)NAN;
    /* a row whose masked places are the same on both sides; one where the model alone breaks; one
     * where the float model has no distribution */
    const double a[3][4] = {{1, -inf, 2, 0}, {0, 1, 2, 3}, {nan_, 0, 0, 1}};
    double b[3][4] = {{1, -inf, 2, 0}, {0, 1, 2, 3}, {nan_, 0, 0, 1}};
    const int64_t next[3] = {2, 3, 3};
    const OutputPair pair = {TYPE_FLOAT64, 3, 4, a, b, next, next};
    OutputSums sums = {0};
    assert_true(outputs_add_values(&sums, &pair, NULL) && outputs_add_rows(&sums, &pair, NULL));
    OutputScores got = output_scores(&sums);
    assert_true(sums.values == 10 && sums.broken == 0 && sums.undefined == 1);
    assert_true(got.of[1][METRIC_COSINE] == 1 && isinf(got.of[1][METRIC_SQNR]));
    assert_true(got.of[1][METRIC_KL] == 0 && got.of[1][METRIC_AGREEMENT] == 1);
    assert_true(got.of[1][METRIC_MSE] == 0 && isinf(got.of[0][METRIC_PERPLEXITY]));
    assert_true(near(got.of[1][METRIC_ACCURACY], 2.0 / 3));

    b[1][3] = nan_;
    sums = (OutputSums){0};
    assert_true(outputs_add_values(&sums, &pair, NULL) && outputs_add_rows(&sums, &pair, NULL));
    got = output_scores(&sums);
    assert_int_equal(sums.broken, 1);
    assert_true(got.of[1][METRIC_COSINE] == 0 && got.of[1][METRIC_SQNR] == -inf);
    assert_true(got.of[1][METRIC_MSE] == inf && got.of[1][METRIC_MAX_ERROR] == inf);
    assert_true(got.of[1][METRIC_KL] == inf && got.of[1][METRIC_PERPLEXITY] == inf);
    assert_true(got.of[1][METRIC_AGREEMENT] == 0.5);

    b[1][3] = -inf; /* the float model thinks it likely, the new one impossible */
    sums = (OutputSums){0};
    assert_true(outputs_add_rows(&sums, &pair, NULL));
    got = output_scores(&sums);
    assert_true(got.of[1][METRIC_KL] == inf && isnan(got.of[1][METRIC_COSINE]));
}

static void nothing_is_nothing(void **state) {
    (void)state;
    const OutputPair none = {.type = TYPE_FLOAT32, .width = 4};
    OutputSums sums = {0};
    assert_true(outputs_add_values(&sums, &none, NULL) && outputs_add_rows(&sums, &none, NULL));
    const OutputScores got = output_scores(&sums);
    for (int m = 0; m < OUTPUT_METRICS; m++) {
        assert_true(isnan(got.of[0][m]) && isnan(got.of[1][m]));
        assert_true(output_metric_name(m)[0] != 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_it_says),
        cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(types_and_batches_do_not_matter),
        cmocka_unit_test(what_is_not_finite),
        cmocka_unit_test(nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
