/* weight_rows: every element of a tensor stands in the row of its output channel, in the column of
 * its input channel and place; what goes there comes back; blocks are neighbours by place. */
#include "compiler/weight_rows.h"
#include "tests/unit/world.h"

static const char layers[] =
    "opset 21\ninput x float 4 6\ninput i float 1 4 9 9\noutput a float\noutput b float\n"
    "output c float\noutput d float\noutput e float\noutput f float\n"
    "weight m float 6 5\nweight n float 5 6\nweight k float 8 4 3 2\nweight g float 8 2 3 2\n"
    "weight t float 4 8 3 2\nweight u float 4 3 3 2\n"
    "MatMul x m -> a /a/MatMul\nGemm x n -> b /b/Gemm transB=1\nConv i k -> c /c/Conv\n"
    "Conv i g -> d /d/Conv group=2\nConvTranspose i t -> e /e/ConvTranspose\n"
    "ConvTranspose i u -> f /f/ConvTranspose group=2\n";

typedef struct Case {
    const char *path;
    WeightRows shape;
} Case;

static const Case cases[] = {
    {"a", {5, 6, 1, 1, true}},   {"b", {5, 6, 1, 1, false}}, {"c", {8, 24, 6, 1, false}},
    {"d", {8, 12, 6, 1, false}}, {"e", {8, 24, 6, 1, true}}, {"f", {6, 12, 6, 2, true}},
};

/* Number of the element in the tensor that belongs in this row and column. */
static int64_t element(const Case *c, int64_t row, int64_t column) {
    const WeightRows *s = &c->shape;
    const int64_t channel = column / s->taps, tap = column % s->taps;
    if (!s->across) {
        return row * s->k + column;
    }
    const int64_t of_group = s->rows / s->groups, group = row / of_group;
    const int64_t in = group * (s->k / s->taps) + channel; /* of the tensor's first dimension */
    return (in * of_group + row % of_group) * s->taps + tap;
}

static void orders(void **state) {
    (void)state;
    World w = world_text(layers);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Layer *layer = map_get(&w.layers->by_path, str_from(cases[i].path));
        assert_non_null(layer);
        const WeightRows s = weight_rows(layer), *want = &cases[i].shape;
        assert_true(s.rows == want->rows && s.k == want->k && s.taps == want->taps);
        assert_true(s.groups == want->groups && s.across == want->across);
        assert_int_equal(s.rows * s.k, layer->weight->count);
        float tensor[256], rows[256], back[256], other[256];
        for (int64_t e = 0; e < layer->weight->count; e++) {
            tensor[e] = (float)e;
        }
        weight_to_rows(&s, tensor, rows);
        for (int64_t e = 0; e < layer->weight->count; e++) {
            assert_int_equal(rows[e], element(&cases[i], e / s.k, e % s.k));
        }
        weight_from_rows(&s, rows, back);
        assert_memory_equal(back, tensor, sizeof(float) * (size_t)layer->weight->count);
        weight_by_place(&s, s.rows, rows, other);
        const int64_t channels = s.k / s.taps;
        for (int64_t e = 0; e < layer->weight->count; e++) {
            const int64_t column = e % s.k;
            assert_true(other[e] ==
                        rows[e - column + column % channels * s.taps + column / channels]);
        }
        weight_by_channel(&s, s.rows, other, back);
        assert_memory_equal(back, rows, sizeof(float) * (size_t)layer->weight->count);
    }
    world_close(&w);
}

static void gram_matrices(void **state) {
    (void)state;
    const WeightRows s = {2, 6, 3, 1, false}; /* two channels, three places */
    double gram[36], ordered[36];
    for (int i = 0; i < 36; i++) {
        gram[i] = i / 6 * 10 + i % 6;
    }
    weight_gram_by_place(&s, gram, ordered);
    static const int from[] = {0, 3, 1, 4, 2, 5};
    for (int i = 0; i < 36; i++) {
        assert_true(ordered[i] == from[i / 6] * 10 + from[i % 6]);
    }
}

/* Scales of [4 output channels][64 input channels][3 places] in blocks of 32. */
static void places_of_scales(void **state) {
    (void)state;
    WeightRows s = {4, 192, 3, 1, false};
    for (int across = 0; across < 2; across++) {
        bool taken[24] = {false};
        s.across = across;
        for (int64_t i = 0; i < 24; i++) {
            const int64_t row = i / 6, place = i % 6 / 2, block = i % 2;
            const int64_t at = weight_scale_place(&s, row, i % 6, 6);
            assert_int_equal(at, across ? (block * 4 + row) * 3 + place
                                        : (row * 2 + block) * 3 + place);
            assert_true(at >= 0 && at < 24 && !taken[at]);
            taken[at] = true;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(gram_matrices),
        cmocka_unit_test(places_of_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
